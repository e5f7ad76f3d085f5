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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The colours of each `:root` block, the light ones first.
    fn palettes() -> Vec<HashMap<&'static str, [f64; 3]>> {
        let blocks = STYLE.content.split(":root {").skip(1);
        blocks
            .map(|block| block.split('}').next().unwrap().lines().filter_map(colour).collect())
            .collect()
    }

    fn colour(line: &'static str) -> Option<(&'static str, [f64; 3])> {
        let (name, value) = line.trim().strip_prefix("--")?.split_once(": #")?;
        let part = |at: usize| u8::from_str_radix(&value[at..at + 2], 16).map(f64::from);
        Some((name, [part(0).ok()?, part(2).ok()?, part(4).ok()?]))
    }

    /// WCAG 2.2, relative luminance.
    fn luminance(colour: [f64; 3]) -> f64 {
        let [red, green, blue] = colour.map(|part| {
            let part = part / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn text_can_be_read_in_both_palettes() {
        let palettes = palettes();
        assert_eq!(palettes.len(), 2);
        let severities = ["critical", "error", "warning", "info", "other", "quiet"];
        for palette in palettes {
            let ratio = |a: &str, b: &str| {
                let (a, b) = (luminance(palette[a]), luminance(palette[b]));
                (a.max(b) + 0.05) / (a.min(b) + 0.05)
            };
            for ground in ["page", "card", "raised"] {
                for text in ["text", "muted", "link"] {
                    assert!(ratio(text, ground) >= 4.5, "{text} on {ground}");
                }
            }
            for severity in severities {
                assert!(ratio("on-badge", severity) >= 4.5, "on a badge: {severity}");
                assert!(ratio(severity, "card") >= 4.5, "{severity} on a card");
            }
            assert!(ratio("on-badge", "link") >= 4.5 && ratio("critical", "page") >= 4.5);
        }
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for asset in [&STYLE, &SCRIPT] {
            assert!(!asset.content.contains("http") && !asset.content.contains("innerHTML"));
            assert!(asset.url().starts_with(asset.path()));
        }
        assert!(STYLE.content.len() + SCRIPT.content.len() < 24 << 10);
    }
}
