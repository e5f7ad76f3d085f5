//! Requests, responses and routes without any server in them.
//!
//! A handler sees the whole body and answers with a whole body: what we serve is small, and a
//! client that reads slowly then holds nothing but its own bytes. It must not know hyper.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::alert::BoxFuture;

/// Which of vigie's ports a route is served on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    /// `--web.listen-address`, 9100: metrics.
    Telemetry,
    /// `--alerting.listen-address`, 9094: API and view.
    Alerting,
}

/// A request, its body read within the route's limit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, percent-decoded.
    pub path: String,
    /// What the pattern's `{...}` matched, in order.
    pub captures: Vec<String>,
    /// The query parameters, decoded.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Who asks.
    pub remote: Option<SocketAddr>,
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, path: &str, query: &str) -> Self {
        Request {
            method,
            path: path.to_owned(),
            captures: Vec::new(),
            query: Query::parse(query),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            remote: None,
        }
    }

    /// A header as text; empty when absent or not text.
    #[must_use]
    pub fn header(&self, name: &header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

/// Query parameters in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`, percent-decoded, `+` for a space; also the body of a form.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name, true), percent_decode(value, true))
        });
        Query(decoded.collect())
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Decodes `%XX`; what is no valid escape stays, what is no UTF-8 becomes U+FFFD.
pub(crate) fn percent_decode(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], escaped) {
            (b'%', Some(byte)) if bytes[at + 1] != b'+' => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) if plus => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A response with a whole body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers; length and date are added by the server.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// A response without body.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Response { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Plain text.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let text: String = text.into();
        Response::new(status).with_body("text/plain; charset=utf-8", text)
    }

    /// A value as JSON.
    #[must_use]
    pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Response::new(status).with_body("application/json", body),
            Err(error) => Response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("cannot write the answer: {error}"),
            ),
        }
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn with_body(self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = self.with_header(header::CONTENT_TYPE, content_type);
        response.body = body.into();
        response
    }

    /// Sets a header.
    #[must_use]
    pub fn with_header(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }
}

/// Answers requests. Every `Fn(Request) -> Future<Output = Response>` is one.
pub trait Handler: Send + Sync {
    /// Answers one request.
    fn handle(&self, request: Request) -> BoxFuture<'static, Response>;
}

impl<F, R> Handler for F
where
    F: Fn(Request) -> R + Send + Sync,
    R: Future<Output = Response> + Send + 'static,
{
    fn handle(&self, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(self(request))
    }
}

/// One path and method on one port.
#[derive(Clone)]
#[non_exhaustive]
pub struct Route {
    /// The port.
    pub listener: Listener,
    /// The method; `GET` answers `HEAD` too.
    pub method: Method,
    /// The path; a segment `{name}` captures one segment, a last `{name...}` the rest.
    pub path: String,
    /// Largest body in bytes; more is answered 413.
    pub body_limit: usize,
    /// Who answers.
    pub handler: Arc<dyn Handler>,
}

impl Route {
    /// A route that takes no body.
    pub fn new(
        listener: Listener,
        method: Method,
        path: impl Into<String>,
        handler: impl Handler + 'static,
    ) -> Self {
        Route { listener, method, path: path.into(), body_limit: 0, handler: Arc::new(handler) }
    }

    /// Allows a body.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// What the pattern captures from a decoded path, or `None` when it does not match.
    #[must_use]
    pub fn captures(&self, path: &str) -> Option<Vec<String>> {
        let mut captured = Vec::new();
        let mut rest = path.split('/');
        for wanted in self.path.split('/') {
            if wanted.starts_with('{') && wanted.ends_with("...}") {
                let tail: Vec<&str> = rest.collect();
                captured.push(tail.join("/"));
                return Some(captured);
            }
            let found = rest.next()?;
            if wanted.starts_with('{') && wanted.ends_with('}') && !found.is_empty() {
                captured.push(found.to_owned());
            } else if wanted != found {
                return None;
            }
        }
        rest.next().is_none().then_some(captured)
    }
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} on {:?}", self.method, self.path, self.listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("a=1&b=x%20y+z&a=2&%63=%zz%&d");
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((query.get("b"), query.get("c")), (Some("x y z"), Some("%zz%")));
        assert_eq!((query.get("d"), query.get("e")), (Some(""), None));
    }

    #[test]
    fn patterns_capture_segments() {
        let handler = |_| async { Response::new(StatusCode::OK) };
        let route = |path| Route::new(Listener::Alerting, Method::GET, path, handler);
        assert_eq!(route("/silence/{id}").captures("/silence/a-b"), Some(vec!["a-b".into()]));
        assert_eq!(route("/silence/{id}").captures("/silence/"), None);
        assert_eq!(route("/silence/{id}").captures("/silence/a/b"), None);
        assert_eq!(route("/ui/{f...}").captures("/ui/a/b"), Some(vec!["a/b".into()]));
        assert_eq!(route("/").captures("/"), Some(vec![]));
        assert_eq!(route("/a").captures("/"), None);
    }
}
