//! One POST, and what its answer means for the router.
//!
//! Every service sends through it, so that status codes, `Retry-After`, and the silence about URLs
//! are the same for all. It must not know any service.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode, Url};
use vigie_core::clock::Timestamp;
use vigie_core::notify::{NotifyError, NotifyReason, Retry};

use crate::http_config::HttpConfig;

/// An answer's body is of no use; up to here it is read, to keep the connection.
const MAX_BODY: usize = 64 << 10;

/// Posts a JSON text. Any 2xx is a success.
///
/// # Errors
/// With what to do next; without the URL, which often is the secret.
pub(crate) async fn post_json(
    config: &HttpConfig,
    url: Url,
    body: Vec<u8>,
) -> Result<(), NotifyError> {
    let request = config
        .client
        .post(url)
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .body(body);
    let request =
        config.dress(request).map_err(|what| NotifyError::temporary(NotifyReason::Other, what))?;
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let outcome = judge(status, retry_after(&response));
    drain(response).await;
    outcome
}

/// No answer at all: worth another try.
fn failed(error: reqwest::Error) -> NotifyError {
    if error.is_timeout() {
        return NotifyError::temporary(NotifyReason::DeadlineExceeded, "no answer in time");
    }
    if error.is_redirect() {
        return NotifyError::permanent(NotifyReason::ClientError, "too many redirections");
    }
    if error.is_builder() {
        return NotifyError::permanent(NotifyReason::Other, "the request cannot be made");
    }
    // The innermost cause says it; the outer ones may quote the URL.
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let what = if error.is_connect() { "cannot connect" } else { "the connection failed" };
    NotifyError::temporary(NotifyReason::Other, format!("{what}: {cause}"))
}

fn judge(status: StatusCode, after: Option<Duration>) -> Result<(), NotifyError> {
    let reason = match status.as_u16() {
        200..=299 => return Ok(()),
        401 | 403 => NotifyReason::AuthError,
        429 => NotifyReason::RateLimited,
        500.. => NotifyReason::ServerError,
        _ => NotifyReason::ClientError,
    };
    let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let retry = match after {
        Some(after) if busy => Retry::After(after),
        _ if busy || status.is_server_error() => Retry::Backoff,
        _ => Retry::Never,
    };
    Err(NotifyError { retry, reason, what: format!("the receiver answered {status}") })
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    parse_retry_after(text, Timestamp::now())
}

/// Seconds, or a date.
fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

async fn drain(mut response: Response) {
    let mut size = 0;
    while size < MAX_BODY
        && let Ok(Some(chunk)) = response.chunk().await
    {
        size += chunk.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_to_do() {
        let after = Some(Duration::from_secs(7));
        for (status, after, retry, reason) in [
            (500, None, Retry::Backoff, "serverError"),
            (502, after, Retry::Backoff, "serverError"),
            (503, after, Retry::After(Duration::from_secs(7)), "serverError"),
            (429, None, Retry::Backoff, "rateLimited"),
            (404, after, Retry::Never, "clientError"),
            (401, None, Retry::Never, "authError"),
            (302, None, Retry::Never, "clientError"),
        ] {
            let error = judge(StatusCode::from_u16(status).unwrap(), after).unwrap_err();
            assert_eq!((error.retry, error.reason.as_str()), (retry, reason), "{status}");
        }
        assert!(judge(StatusCode::NO_CONTENT, None).is_ok());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-20T18:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("30", Some(30)),
            ("Fri, 20 Nov 2026 18:01:00 GMT", Some(60)),
            ("Fri, 20 Nov 2020 18:01:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(parse_retry_after(text, now), expected, "{text}");
        }
    }
}
