//! Alertmanager's API v2 and the alert view, as routes on the alerting port.
//!
//! Prometheus, amtool, karma and Grafana find here the Alertmanager they know, people a page that
//! says what fires. It must not know how alerts are routed, nor who notifies.

mod api;
mod compat;
mod router;
#[cfg(test)]
mod sample;
mod view;

use std::sync::Arc;

use vigie_core::clock::{SharedClock, SystemClock};
use vigie_core::config::ConfigError;
use vigie_core::http::Route;
use vigie_core::plugin::{Parts, Plugin, Setup};

pub use router::AlertRouter;
use router::Backend;

/// The plugin: routes where alerts are routed, nothing elsewhere.
pub static PLUGIN: Plugin = Plugin::new(
    "alertmanager",
    env!("CARGO_PKG_VERSION"),
    "Alertmanager-compatible API and alert view",
)
.build(build);

fn build(setup: &Setup<'_>) -> Result<Parts, ConfigError> {
    let mut parts = Parts::default();
    if let Some(router) = &setup.router {
        parts.routes = routes(Arc::new(router.clone()), Arc::new(SystemClock));
    }
    Ok(parts)
}

/// The API, the view and the health checks over a router, for the alerting port.
#[must_use]
pub fn routes(router: Arc<dyn AlertRouter>, clock: SharedClock) -> Vec<Route> {
    let backend = Backend::new(router, clock);
    let mut routes = api::routes(&backend);
    routes.extend(view::routes(&backend));
    routes.extend(compat::routes());
    routes
}
