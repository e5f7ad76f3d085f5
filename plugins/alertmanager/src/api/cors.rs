//! Cross-origin requests, as Alertmanager allows them.
//!
//! Anybody may read and post: dashboards in a browser do. The view's forms have a guard of their own.
//! It must not know paths.

use vigie_core::http::{HeaderValue, Method, Request, Response, StatusCode, header};

/// The answer to a browser that asks whether it may ask; `None` when it is no such question.
pub(super) fn preflight(request: &Request) -> Option<Response> {
    let asks = request.method == Method::OPTIONS
        && request.headers.contains_key(header::ORIGIN)
        && request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    asks.then(|| {
        let mut response = Response::new(StatusCode::OK);
        let wanted = request.header(&header::ACCESS_CONTROL_REQUEST_METHOD);
        if matches!(wanted, "GET" | "POST" | "HEAD") && has_only_simple_headers(request) {
            let copied = [
                (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
                (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
            ];
            for (from, to) in copied {
                if let Some(value) = request.headers.get(from) {
                    response.headers.insert(to, value.clone());
                }
            }
        }
        for name in ["Access-Control-Request-Method", "Access-Control-Request-Headers"] {
            response.headers.append(header::VARY, HeaderValue::from_static(name));
        }
        response
    })
}

fn has_only_simple_headers(request: &Request) -> bool {
    const SIMPLE: [&str; 4] = ["accept", "content-type", "origin", "x-requested-with"];
    let names = request.header(&header::ACCESS_CONTROL_REQUEST_HEADERS);
    let mut names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.all(|name| SIMPLE.iter().any(|simple| name.eq_ignore_ascii_case(simple)))
}

/// Adds what lets a page of another origin read the answer.
pub(super) fn allow(request: &Request, mut response: Response) -> Response {
    response.headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if request.headers.contains_key(header::ORIGIN) {
        let any = HeaderValue::from_static("*");
        response.headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(method: &'static str, headers: &'static str) -> Request {
        let mut request = Request::new(Method::OPTIONS, "/api/v2/alerts", "");
        for (name, value) in [
            (header::ORIGIN, "http://x"),
            (header::ACCESS_CONTROL_REQUEST_METHOD, method),
            (header::ACCESS_CONTROL_REQUEST_HEADERS, headers),
        ] {
            request.headers.insert(name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn simple_requests_are_allowed() {
        let asked = options("POST", "content-type");
        let response = allow(&asked, preflight(&asked).unwrap());
        assert_eq!(response.headers[header::ACCESS_CONTROL_ALLOW_METHODS], "POST");
        assert_eq!(response.headers[header::ACCESS_CONTROL_ALLOW_HEADERS], "content-type");
        assert_eq!(response.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(response.headers.get_all(header::VARY).iter().count(), 3);
        for refused in [options("DELETE", ""), options("POST", "x-evil")] {
            let response = preflight(&refused).unwrap();
            assert!(!response.headers.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS));
        }
        assert!(preflight(&Request::new(Method::OPTIONS, "/", "")).is_none());
    }
}
