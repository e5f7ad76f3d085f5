//! The style sheet and the script, embedded.
//!
//! Served under an address that holds their hash, so that a browser keeps them for good and a new
//! version is another address. It must not know the pages that use them.

use vigie_core::http::{Response, StatusCode, header};

/// A file that is part of the program.
pub(super) struct Asset {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
    hash: u64,
}

/// The looks.
pub(super) static STYLE: Asset =
    Asset::new("/assets/style.css", "text/css; charset=utf-8", include_str!("assets/style.css"));
/// What works better with a script.
pub(super) static SCRIPT: Asset =
    Asset::new("/assets/app.js", "text/javascript; charset=utf-8", include_str!("assets/app.js"));

impl Asset {
    const fn new(path: &'static str, content_type: &'static str, content: &'static str) -> Self {
        Asset { path, content_type, content, hash: hash(content.as_bytes()) }
    }

    /// The path it is served on.
    pub(super) const fn path(&self) -> &'static str {
        self.path
    }

    /// Path and version.
    pub(super) fn url(&self) -> String {
        format!("{}?v={:016x}", self.path, self.hash)
    }

    /// The answer.
    pub(super) fn response(&self) -> Response {
        let response = Response::new(StatusCode::OK).with_body(self.content_type, self.content);
        let response = response.with_header(header::CACHE_CONTROL, "max-age=31536000, immutable");
        super::page::secure(response)
    }
}

/// FNV-1a 64: tells versions apart, no more.
pub(super) const fn hash(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}
