//! Paths that health checks of Alertmanager ask.
//!
//! Images and load balancers have them configured. They must not know whether alerts fire.

use vigie_core::http::{Listener, Method, Request, Response, Route, StatusCode};

/// `/-/healthy` and `/-/ready`, answered as long as the port is.
pub(crate) fn routes() -> Vec<Route> {
    let ok = |_: Request| async { Response::text(StatusCode::OK, "OK") };
    ["/-/healthy", "/-/ready"]
        .into_iter()
        .map(|path| Route::new(Listener::Alerting, Method::GET, path, ok))
        .collect()
}
