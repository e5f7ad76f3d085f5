//! Alertmanager's API v2 under `/api/v2`.
//!
//! One dispatcher for all its paths and methods, because unknown ones have answers of their own
//! here; the modules beside it are pure. It must not know the view.

mod alerts;
mod body;
mod cors;
mod error;
mod filter;
mod groups;
mod model;
mod silences;
mod status;
mod time;

use serde::Serialize;
use vigie_core::http::{
    Bytes, Listener, Method, Query, Request, Response, Route, StatusCode, header,
};
use vigie_core::route::View;

use self::error::ApiError;
pub(crate) use self::filter::{MATCHERS, flag};
pub(crate) use self::silences::order as silence_order;
use crate::router::{Backend, ReadError, aside};

/// The routes of the API, and the answer of the one before it.
pub(crate) fn routes(backend: &Backend) -> Vec<Route> {
    const METHODS: [Method; 8] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
        Method::TRACE,
    ];
    let v2 = METHODS.into_iter().map(|method| {
        let backend = backend.clone();
        let handler = move |request| handle(backend.clone(), request);
        Route::new(Listener::Alerting, method, "/api/v2/{path...}", handler).body_limit(body::LIMIT)
    });
    let v1 = [Method::GET, Method::POST, Method::DELETE].into_iter().map(|method| {
        let gone = |_| async { gone() };
        Route::new(Listener::Alerting, method, "/api/v1/{path...}", gone).body_limit(body::LIMIT)
    });
    v2.chain(v1).collect()
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Resource {
    Status,
    Receivers,
    Alerts,
    Groups,
    Silences,
    Silence(String),
}

impl Resource {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "status" => Resource::Status,
            "receivers" => Resource::Receivers,
            "alerts" => Resource::Alerts,
            "alerts/groups" => Resource::Groups,
            "silences" => Resource::Silences,
            path => match path.strip_prefix("silence/")? {
                id if id.is_empty() || id.contains('/') => return None,
                id => Resource::Silence(id.to_owned()),
            },
        })
    }

    const fn methods(&self) -> &'static str {
        match self {
            Resource::Status | Resource::Receivers | Resource::Groups => "GET",
            Resource::Alerts | Resource::Silences => "GET,POST",
            Resource::Silence(_) => "GET,DELETE",
        }
    }
}

async fn handle(backend: Backend, request: Request) -> Response {
    let response = match cors::preflight(&request) {
        Some(response) => response,
        None => answer(backend, request.clone()).await.unwrap_or_else(ApiError::into_response),
    };
    let response = response.with_header(header::CACHE_CONTROL, "no-store");
    cors::allow(&request, response)
}

async fn answer(backend: Backend, request: Request) -> Result<Response, ApiError> {
    let path = request.captures.first().map_or("", String::as_str);
    let resource = Resource::of(path)
        .ok_or_else(|| ApiError::Schema(404, format!("path /api/v2/{path} was not found")))?;
    let methods = resource.methods();
    if !methods.split(',').any(|method| method == request.method.as_str()) {
        let message = format!("method {} is not allowed, but [{methods}] are", request.method);
        let refused = ApiError::Schema(405, message).into_response();
        return Ok(refused.with_header(header::ALLOW, methods));
    }
    if let Resource::Silence(id) = &resource {
        silences::id(id)?;
    }
    match (request.method.as_str(), resource) {
        ("POST", Resource::Alerts) => {
            let alerts = aside(move || alerts::read(&request)).await??;
            backend.router.post(alerts).await?;
            Ok(Response::new(StatusCode::OK))
        }
        ("POST", _) => {
            let now = backend.clock.now();
            let silence = aside(move || silences::read(&request, now)).await??;
            let made = backend.router.set_silence(silence).await;
            let silence_id = made.map_err(silences::not_made)?;
            Ok(json(StatusCode::OK, &silences::Created { silence_id }))
        }
        ("DELETE", Resource::Silence(id)) => {
            backend.router.expire_silence(&id).await.map_err(silences::not_expired)?;
            Ok(Response::new(StatusCode::OK))
        }
        (_, resource) => {
            let query = request.query.clone();
            backend.read(move |view, _| render(view, &resource, &query)).await?
        }
    }
}

/// The answer to a GET.
fn render(view: &View, resource: &Resource, query: &Query) -> Result<Response, ApiError> {
    let ok = StatusCode::OK;
    Ok(match resource {
        Resource::Status => json(ok, &status::status(view)),
        Resource::Receivers => json(ok, &status::receivers(view)),
        Resource::Alerts => json(ok, &alerts::list(view, query)?),
        Resource::Groups => json(ok, &groups::list(view, query)?),
        Resource::Silences => json(ok, &silences::list(view, query)?),
        Resource::Silence(id) => json(ok, &silences::get(view, id)?),
    })
}

/// A value as JSON with the final newline of Go's encoder.
fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = Response::json(status, value);
    let mut body = Vec::from(std::mem::take(&mut response.body));
    body.push(b'\n');
    response.body = Bytes::from(body);
    response
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        let status = match error {
            ReadError::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            ReadError::Busy | ReadError::Router(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        ApiError::Handler(status, error.to_string())
    }
}

/// API v1 is gone since Alertmanager 0.27.
fn gone() -> Response {
    #[derive(Serialize)]
    struct Deprecated {
        status: &'static str,
        error: &'static str,
    }
    let error = "The Alertmanager v1 API was deprecated in version 0.16.0 and is removed as of \
                 version 0.27.0 - please use the equivalent route in the v2 API";
    json(StatusCode::GONE, &Deprecated { status: "deprecated", error })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vigie_core::clock::SystemClock;
    use vigie_core::http::HeaderValue;

    use super::*;
    use crate::sample::Scripted;

    async fn ask(
        router: Scripted,
        method: Method,
        path: &str,
        query: &str,
        body: &str,
    ) -> Response {
        let mut request = Request::new(method, &format!("/api/v2/{path}"), query);
        request.captures.push(path.into());
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = Bytes::copy_from_slice(body.as_bytes());
        handle(Backend::new(Arc::new(router), Arc::new(SystemClock)), request).await
    }

    async fn get(path: &str) -> (u16, String) {
        shown(&ask(Scripted::default(), Method::GET, path, "", "").await)
    }

    fn shown(response: &Response) -> (u16, String) {
        (response.status.as_u16(), String::from_utf8_lossy(&response.body).into_owned())
    }

    const ID: &str = "silence/00000000-0000-4000-8000-000000000001";
    const UNKNOWN: &str = "silence/00000000-0000-4000-8000-0000000000ff";
    const SILENCE: &str = r#"{"matchers":[{"name":"a","value":"b","isRegex":false}],"comment":"",
        "startsAt":"2026-01-01T00:00:00Z","endsAt":"2027-01-01T00:00:00Z","createdBy":""}"#;

    #[tokio::test]
    async fn every_path_answers() {
        for path in ["status", "receivers", "alerts", "alerts/groups", "silences", ID] {
            let (status, body) = get(path).await;
            assert!(
                status == 200 && body.ends_with("}\n") || body.ends_with("]\n"),
                "{path}: {body}"
            );
        }
        assert_eq!(get(UNKNOWN).await, (404, String::new()));
        let unknown = "{\"code\":404,\"message\":\"path /api/v2/nope was not found\"}";
        assert_eq!(get("nope").await, (404, unknown.into()));
        assert_eq!(get("silence/abc").await.0, 422);
        assert_eq!(get("silence/").await.0, 404);
    }

    #[tokio::test]
    async fn other_methods_are_refused() {
        let put = ask(Scripted::default(), Method::PUT, "alerts", "", "").await;
        assert_eq!(put.headers[header::ALLOW], "GET,POST");
        let message =
            "{\"code\":405,\"message\":\"method PUT is not allowed, but [GET,POST] are\"}";
        assert_eq!(shown(&put), (405, message.into()));
        for (method, path) in
            [(Method::HEAD, "alerts"), (Method::POST, "status"), (Method::OPTIONS, "silences")]
        {
            let refused = ask(Scripted::default(), method, path, "", "").await;
            assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(refused.headers[header::CACHE_CONTROL], "no-store");
        }
    }

    #[tokio::test]
    async fn posting_and_ending() {
        let post = |path, body| ask(Scripted::default(), Method::POST, path, "", body);
        assert_eq!(shown(&post("alerts", r#"[{"labels":{"a":"b"}}]"#).await), (200, String::new()));
        let created = "{\"silenceID\":\"00000000-0000-4000-8000-000000000009\"}\n";
        assert_eq!(shown(&post("silences", SILENCE).await), (200, created.into()));
        let delete = |path| ask(Scripted::default(), Method::DELETE, path, "", "");
        assert_eq!(shown(&delete(ID).await), (200, String::new()));
        assert_eq!(shown(&delete(UNKNOWN).await), (404, String::new()));
        assert_eq!(delete("silence/abc").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[tokio::test]
    async fn what_the_router_refuses_is_said() {
        let broken = || Scripted { broken: true };
        let post = ask(broken(), Method::POST, "silences", "", SILENCE).await;
        assert_eq!(shown(&post), (507, "\"cannot store the silence: disk\"\n".into()));
        let post = ask(broken(), Method::POST, "alerts", "", "[]").await;
        assert_eq!(post.status, StatusCode::SERVICE_UNAVAILABLE);
        let read = ask(broken(), Method::GET, "alerts", "", "").await;
        assert_eq!(shown(&read), (503, "\"alert routing is not running\"\n".into()));
    }

    #[test]
    fn v1_is_gone() {
        let (status, body) = shown(&gone());
        assert!(status == 410 && body.starts_with("{\"status\":\"deprecated\""));
    }
}
