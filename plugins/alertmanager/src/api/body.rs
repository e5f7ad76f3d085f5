//! Reading a JSON body.
//!
//! The checks before a handler sees anything, with the answers of Alertmanager's OpenAPI layer;
//! every error names the place in the body. It must not know what is posted.

use serde::de::DeserializeOwned;
use vigie_core::http::{Request, header};

use super::error::ApiError;

/// Largest body of a POST in bytes; far above a batch of Prometheus (64 alerts).
pub(super) const LIMIT: usize = 16 << 20;

/// The body as a value; `what` names it in errors (`alerts`, `silence`).
pub(super) fn read<T: DeserializeOwned>(request: &Request, what: &str) -> Result<T, ApiError> {
    if request.body.is_empty() {
        return Err(ApiError::required(what));
    }
    let content_type = request.header(&header::CONTENT_TYPE);
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let shown = if media_type.is_empty() { "application/octet-stream" } else { media_type };
        let message =
            format!("unsupported media type {shown:?}, only [application/json] are allowed");
        return Err(ApiError::Schema(415, message));
    }
    serde_json::from_slice(&request.body).map_err(|error| {
        ApiError::Schema(400, format!("parsing {what} body from \"\" failed, because {error}"))
    })
}

#[cfg(test)]
mod tests {
    use vigie_core::http::{Bytes, HeaderValue, Method};

    use super::*;

    fn post(content_type: &'static str, body: &[u8]) -> Request {
        let mut request = Request::new(Method::POST, "/", "");
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        request.body = Bytes::copy_from_slice(body);
        request
    }

    fn refused(content_type: &'static str, body: &[u8]) -> (u16, String) {
        match read::<Vec<String>>(&post(content_type, body), "alerts") {
            Err(ApiError::Schema(code, message)) => (code, message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_json_is_read() {
        assert_eq!(refused("application/json", b"").0, 602);
        assert_eq!(refused("text/plain", b"[]").0, 415);
        assert!(read::<Vec<String>>(&post("Application/JSON; charset=utf-8", b"[]"), "x").is_ok());
    }

    #[test]
    fn garbage_is_refused_with_its_place() {
        for garbage in [&b"[{]"[..], b"[1]", b"[null]", b"[\"\xff\"]", b"[] x", b"\0", b"["] {
            let (code, message) = refused("application/json", garbage);
            assert!(code == 400 && message.contains("line 1 column"), "{message}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = "[".repeat(100_000);
        let parsed = read::<serde_json::Value>(&post("application/json", deep.as_bytes()), "x");
        assert!(matches!(parsed, Err(ApiError::Schema(400, _))));
    }
}
