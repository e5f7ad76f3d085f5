//! Refusals of the API, in Alertmanager's two shapes.
//!
//! What the handlers refuse is a bare JSON string, what the OpenAPI layer refuses an object with a
//! code; clients read both. It must not know which path refuses.

use serde::Serialize;
use vigie_core::alert::PostError;
use vigie_core::http::{Response, StatusCode};
use vigie_core::route::SilenceError;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// Answered as a bare JSON string.
    Handler(StatusCode, String),
    /// Answered as `{"code":N,"message":".."}`; codes above 599 are those of go-openapi, sent as 422.
    Schema(u16, String),
    /// Answered without a body.
    Empty(StatusCode),
}

/// go-openapi: a text of the wrong format.
pub(super) const BAD_FORMAT: u16 = 601;
/// go-openapi: a field that is missing.
pub(super) const REQUIRED: u16 = 602;
/// go-openapi: a list that is too short.
pub(super) const TOO_FEW_ITEMS: u16 = 612;

/// Characters of a message: a refused value of 16 MB is not sent back.
const MESSAGE_LIMIT: usize = 512;

#[derive(Serialize)]
struct Schema<'a> {
    code: u16,
    message: &'a str,
}

impl ApiError {
    /// 400, said by a handler.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        ApiError::Handler(StatusCode::BAD_REQUEST, message.into())
    }

    /// A field that must be there, named as go-openapi does: `0.labels`, `matchers.1.name`.
    pub(super) fn required(place: impl std::fmt::Display) -> Self {
        ApiError::Schema(REQUIRED, format!("{place} in body is required"))
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        match self {
            ApiError::Handler(status, message) => super::json(status, &cut(&message)),
            ApiError::Schema(code, message) => {
                let status = StatusCode::from_u16(code).ok().filter(|s| s.as_u16() < 600);
                let status = status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
                Response::json(status, &Schema { code, message: cut(&message) })
            }
            ApiError::Empty(status) => Response::new(status),
        }
    }
}

fn cut(message: &str) -> &str {
    message.char_indices().nth(MESSAGE_LIMIT).map_or(message, |(end, _)| &message[..end])
}

impl From<PostError> for ApiError {
    fn from(error: PostError) -> Self {
        let status = match &error {
            PostError::Refused(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        ApiError::Handler(status, error.to_string())
    }
}

impl From<SilenceError> for ApiError {
    fn from(error: SilenceError) -> Self {
        let status = match &error {
            SilenceError::NotFound(_) => StatusCode::NOT_FOUND,
            SilenceError::Invalid(_) | SilenceError::Full(_) => StatusCode::BAD_REQUEST,
            SilenceError::Storage { full: true, .. } => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let message = match error {
            SilenceError::NotFound(_) => "silence not found".to_owned(),
            other => other.to_string(),
        };
        ApiError::Handler(status, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: ApiError) -> (u16, String) {
        let response = error.into_response();
        (response.status.as_u16(), String::from_utf8_lossy(&response.body).into_owned())
    }

    #[test]
    fn both_shapes_are_alertmanagers() {
        assert_eq!(shown(ApiError::bad_request("a \"b\"")), (400, "\"a \\\"b\\\"\"\n".into()));
        let required = "{\"code\":602,\"message\":\"0.labels in body is required\"}";
        assert_eq!(shown(ApiError::required("0.labels")), (422, required.into()));
        assert_eq!(shown(ApiError::Schema(415, "x".into())).0, 415);
        assert_eq!(shown(ApiError::Empty(StatusCode::NOT_FOUND)), (404, String::new()));
    }

    #[test]
    fn a_long_value_is_not_sent_back() {
        assert!(shown(ApiError::bad_request("é".repeat(100_000))).1.len() < 2 * MESSAGE_LIMIT + 8);
    }

    #[test]
    fn what_cannot_be_stored_is_no_fault_of_the_client() {
        let storage = |full| SilenceError::Storage { what: "x".into(), full };
        assert_eq!(shown(storage(true).into()).0, 507);
        assert_eq!(shown(storage(false).into()).0, 503);
        assert_eq!(shown(PostError::Storage("x".into()).into()).0, 503);
        assert_eq!(shown(SilenceError::NotFound("x".into()).into()).0, 404);
    }
}
