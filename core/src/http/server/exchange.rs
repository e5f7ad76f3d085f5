//! One request and its answer.
//!
//! Everything between a head that hyper has understood and a whole response: refusals, users, the
//! route, a handler that panics or takes too long. It must not know sockets or what any route answers.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Version, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::super::route::percent_decode;
use super::super::router::Found;
use super::super::{Query, Request, Response, Route, Routes};
use super::Limits;
use super::body::{Bodies, closing};
use super::connection::Watched;
use super::metrics::Metrics;
use crate::http::web::WebConfigFile;

/// What answers the requests of one connection.
pub(super) struct Exchange {
    pub(super) remote: SocketAddr,
    pub(super) routes: Routes,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    pub(super) bodies: Bodies,
    pub(super) watched: Watched,
    pub(super) web: Option<WebConfigFile>,
}

impl Exchange {
    /// Answers the `nth` request of the connection, from 1.
    pub(super) async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        nth: u64,
    ) -> hyper::Response<Full<Bytes>> {
        // A client that does not read gets no further answers prepared.
        self.watched.written().await;
        let head_only = request.method() == Method::HEAD;
        let response = match self.refuse(&request, nth) {
            Some(refusal) => refusal,
            None => self.judged(request).await,
        };
        self.watched.answered();
        self.metrics.answered(response.status);
        finish(response, head_only)
    }

    /// Framing and hosts that contradict themselves (RFC 9112, sections 3.2 and 6.3).
    fn refuse(&self, request: &hyper::Request<Incoming>, nth: u64) -> Option<Response> {
        if self.watched.refuses(nth) {
            return Some(closing(StatusCode::BAD_REQUEST, "the body's length is ambiguous\n"));
        }
        let hosts = request.headers().get_all(header::HOST).iter().count();
        let needed = usize::from(request.version() == Version::HTTP_11);
        let fits = hosts <= 1 && hosts >= needed;
        (!fits).then(|| closing(StatusCode::BAD_REQUEST, "exactly one Host header is needed\n"))
    }

    /// Answers within what the web configuration says now, which may be something else than when the
    /// connection began.
    async fn judged(&self, request: hyper::Request<Incoming>) -> Response {
        let Some(web) = &self.web else { return self.exchange(request).await };
        // Looking up a password is our work, and the client does not keep us waiting by it.
        self.watched.working();
        let web = web.current().await;
        let mut response = match web.refuses(request.headers()).await {
            Some(refusal) => refusal,
            None => self.exchange(request).await,
        };
        web.complete(&mut response.headers);
        response
    }

    async fn exchange(&self, request: hyper::Request<Incoming>) -> Response {
        let (head, body) = request.into_parts();
        let path = percent_decode(head.uri.path(), false);
        let router = self.routes.current();
        let (route, captures) = match router.find(&head.method, &path) {
            Found::Route(route, captures) => (route, captures),
            Found::OtherMethods(allow) => return other_methods(&allow),
            Found::Nothing => return Response::text(StatusCode::NOT_FOUND, "404 page not found\n"),
        };
        self.watched.body();
        let (body, held) = match self.bodies.read(body, route.body_limit, &self.limits).await {
            Ok(whole) => whole,
            Err(refusal) => return refusal,
        };
        self.watched.working();
        let request = Request {
            method: head.method,
            captures,
            query: Query::parse(head.uri.query().unwrap_or("")),
            path,
            headers: head.headers,
            body,
            remote: Some(self.remote),
        };
        let response = handle(route, request, &self.limits).await;
        drop(held);
        response
    }
}

/// Runs the handler; neither its panic nor its hang is the client's or the connection's end.
async fn handle(route: &Route, request: Request, limits: &Limits) -> Response {
    let mut handling = Box::pin(async { route.handler.handle(request).await });
    let caught = poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    });
    match timeout(limits.handler, caught).await {
        Ok(Some(response)) => response,
        Ok(None) => {
            tracing::error!(route = ?route, "a handler panicked");
            Response::text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
        }
        Err(_) => {
            let limit = limits.handler.as_secs_f64();
            tracing::warn!(route = ?route, "no answer within {limit} s");
            Response::text(StatusCode::SERVICE_UNAVAILABLE, format!("no answer within {limit} s\n"))
        }
    }
}

fn other_methods(allow: &str) -> Response {
    let mut response =
        Response::text(StatusCode::METHOD_NOT_ALLOWED, format!("allowed here: {allow}\n"));
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers.insert(header::ALLOW, allow);
    }
    response
}

/// Adds what every response has.
fn finish(response: Response, head_only: bool) -> hyper::Response<Full<Bytes>> {
    let Response { status, mut headers, body } = response;
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if head_only && !bodiless {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let body = if head_only || bodiless { Bytes::new() } else { body };
    let mut answer = hyper::Response::new(Full::new(body));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}
