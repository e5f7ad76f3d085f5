//! One request as an access log tells it.
//!
//! Every format ends in this type, so that counting and service levels are written once. It must
//! not know which proxy wrote the line, nor own any of its bytes.

use std::borrow::Cow;
use std::time::Duration;

/// One request. Texts are borrowed from the line where it holds them unescaped; empty means
/// that the line does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record<'a> {
    /// When the request ended: Unix milliseconds. Lines are written in this order, while most
    /// proxies date them by the start.
    pub end: Option<i64>,
    /// From the first byte of the request to the last byte of the answer.
    pub duration: Option<Duration>,
    /// The part spent waiting for the backend.
    pub upstream: Option<Duration>,
    /// Status sent to the client; 0 when there was no answer.
    pub code: u16,
    /// As the client wrote it.
    pub method: Cow<'a, str>,
    /// Path with query.
    pub path: Cow<'a, str>,
    /// The proxy's rule that matched; empty when none did.
    pub router: Cow<'a, str>,
    /// The backend that answered; empty when the proxy did. A format that does not name the
    /// backend gives the router instead.
    pub service: Cow<'a, str>,
    /// The listener it came in by.
    pub entrypoint: Cow<'a, str>,
    /// Bytes of the request's body.
    pub request_bytes: Option<u64>,
    /// Bytes of the answer's body.
    pub response_bytes: Option<u64>,
    /// The proxy's own number of the request, counted from its start.
    pub number: Option<u64>,
    /// Whether and how the exchange was cut short.
    pub aborted: Option<Aborted>,
}

/// How an exchange was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Aborted {
    /// The client left before the answer began.
    ClientBefore,
    /// The body was cut, by the client or by the backend: the log does not say by whom.
    BodyCut,
}

impl Aborted {
    /// The label `by` of `vigie_accesslog_aborted_total`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Aborted::ClientBefore => "client_before",
            Aborted::BodyCut => "body_cut",
        }
    }
}

/// The status with which nginx, and after it Traefik, note that the client closed the request.
pub(crate) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Why a line is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Malformed {
    /// Longer than the limit; its bytes are skipped.
    TooLong,
    /// Not UTF-8 where the format demands it.
    Utf8,
    /// Not of this format.
    Syntax,
    /// Well-formed, but about something else, such as the proxy's own log in the same stream.
    NotARequest,
}

impl Malformed {
    /// Every reason, in the order it is shown.
    pub const ALL: [Malformed; 4] =
        [Malformed::TooLong, Malformed::Utf8, Malformed::Syntax, Malformed::NotARequest];

    /// The label `reason` of `vigie_accesslog_parse_errors_total`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Malformed::TooLong => "too_long",
            Malformed::Utf8 => "utf8",
            Malformed::Syntax => "syntax",
            Malformed::NotARequest => "not_a_request",
        }
    }
}
