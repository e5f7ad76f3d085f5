//! The routes vigie answers itself: metrics, health, reload, the landing page.
//!
//! Plugins bring their own; these belong to no plugin. It must not know what a collector or the
//! router does, only how to ask them.

use std::fmt::Write;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use vigie_core::alert::BoxFuture;
use vigie_core::bridge;
use vigie_core::collect::{Filter, Scraper, Wish};
use vigie_core::encode::{Format, TextSink, accepts_gzip};
use vigie_core::http::{Handler, Listener, Method, Request, Response, Route, StatusCode, header};
use vigie_core::route::RouterHandle;

use crate::Vigie;

/// Answers `GET /metrics`.
pub(crate) struct Metrics {
    scraper: Arc<Scraper>,
    /// A permit for each scrape that may be under way; any number without.
    permits: Option<Arc<Semaphore>>,
}

impl Metrics {
    pub(crate) fn new(scraper: Arc<Scraper>, max_requests: Option<NonZeroU64>) -> Self {
        let permits = max_requests.map(|limit| {
            let limit = usize::try_from(limit.get()).unwrap_or(usize::MAX);
            Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)))
        });
        Metrics { scraper, permits }
    }
}

impl Handler for Metrics {
    fn handle(&self, request: Request) -> BoxFuture<'static, Response> {
        let flight = self.scraper.metrics().request();
        let scraper = self.scraper.clone();
        let permit = self.permits.clone().map(Semaphore::try_acquire_owned).transpose();
        Box::pin(async move {
            let response = match &permit {
                Ok(_) => scrape(&scraper, &request).await,
                Err(_) => Response::text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "as many scrapes as may be are under way already (--web.max-requests)\n",
                ),
            };
            flight.answered(response.status.as_str());
            response
        })
    }
}

async fn scrape(scraper: &Arc<Scraper>, request: &Request) -> Response {
    let filter = match Filter::from_query(&request.query, scraper.registry()) {
        Ok(filter) => filter,
        Err(error) => return Response::text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    let format = Format::negotiate(request.header(&header::ACCEPT));
    let gzip = accepts_gzip(request.header(&header::ACCEPT_ENCODING));
    let name = header::HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
    let wish = Wish { format, filter, gzip };
    let Some(page) = scraper.scrape(wish, timeout(request.header(&name))).await else {
        return Response::text(StatusCode::INTERNAL_SERVER_ERROR, "the scrape failed\n");
    };
    let response = Response::new(StatusCode::OK)
        .with_header(header::VARY, "Accept, Accept-Encoding")
        .with_body(format.content_type(), page);
    if gzip { response.with_header(header::CONTENT_ENCODING, "gzip") } else { response }
}

/// Seconds; a header that makes no sense is as if it was not there.
fn timeout(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero())
}

/// `/-/healthy` and `/-/ready`, which both answer as soon as there is somebody to answer.
pub(crate) fn health(listener: Listener) -> [Route; 2] {
    ["/-/healthy", "/-/ready"].map(|path| {
        Route::new(listener, Method::GET, path, |_| async { Response::text(StatusCode::OK, "OK") })
    })
}

/// The collectors and what became of them last, one a line; the same as `collect --list`.
pub(crate) fn status(scraper: Arc<Scraper>) -> Route {
    Route::new(Listener::Telemetry, Method::GET, "/-/status", move |_| {
        let mut text = String::new();
        for (info, report) in scraper.registry().report() {
            let milliseconds = report.took.as_secs_f64() * 1000.0;
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{:<16} {milliseconds:>8.3} ms  {}", info.name, report.state);
        }
        async move { Response::text(StatusCode::OK, text) }
    })
}

/// The landing page at `/`.
pub(crate) fn landing(telemetry_path: &str, alerting_port: Option<u16>) -> Route {
    let view = alerting_port.map_or_else(
        || "<li>Alerting is switched off</li>".to_owned(),
        |port| format!("<li>Alerts: port {port} of this host</li>"),
    );
    let path = telemetry_path.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>vigie</title>\
         <h1>vigie {}</h1><ul><li><a href=\"{path}\">Metrics</a></li>{view}\
         <li><a href=\"/-/status\">Collectors</a></li></ul></html>\n",
        env!("CARGO_PKG_VERSION"),
    );
    Route::new(Listener::Telemetry, Method::GET, "/", move |_| {
        let response = Response::new(StatusCode::OK)
            .with_header(
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; frame-ancestors 'none'",
            )
            .with_body("text/html; charset=utf-8", page.clone());
        async move { response }
    })
}

/// `POST /-/reload`, answered as Alertmanager does.
pub(crate) fn reload<F>(listener: Listener, vigie: F) -> Route
where
    F: Fn() -> Option<Vigie> + Send + Sync + 'static,
{
    Route::new(listener, Method::POST, "/-/reload", move |_| {
        let vigie = vigie();
        async move {
            let Some(vigie) = vigie else {
                return Response::text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
            };
            match vigie.reload().await {
                Ok(()) => Response::text(StatusCode::OK, ""),
                Err(error) => {
                    tracing::error!(%error, "reload refused, the old configuration stays");
                    let what = format!("failed to reload config: {error}\n");
                    Response::text(StatusCode::INTERNAL_SERVER_ERROR, what)
                }
            }
        }
    })
}

/// `/metrics` on the alerting port: the router's own, where Alertmanager has them.
pub(crate) fn router_metrics(router: RouterHandle) -> Route {
    Route::new(Listener::Alerting, Method::GET, "/metrics", move |request: Request| {
        let format = Format::negotiate(request.header(&header::ACCEPT));
        let mut sink = TextSink::new(format);
        bridge::write_families(&router.metrics().gather(), &mut sink);
        let response =
            Response::new(StatusCode::OK).with_body(format.content_type(), sink.to_exposition());
        async move { response }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_that_make_no_sense_are_ignored() {
        assert_eq!(timeout("2.5"), Some(Duration::from_millis(2500)));
        for text in ["", "0", "-1", "NaN", "inf", "1e300", "x"] {
            assert_eq!(timeout(text), None, "{text}");
        }
    }
}
