//! Which format and which compression a client asked for.
//!
//! Headers are parsed, never searched: `gzip;q=0` says no. It must not know how a format is
//! written.

/// An exposition format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What the `Accept` header prefers among the formats we have; text when it names none.
    #[must_use]
    pub fn negotiate(accept: &str) -> Self {
        let mut best = (0, Format::Text);
        for item in items(accept) {
            let version = item.parameter("version");
            let format = match (item.name, version) {
                ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => {
                    Format::OpenMetrics
                }
                ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => Format::Text,
                _ => continue,
            };
            if item.quality > best.0 {
                best = (item.quality, format);
            }
        }
        best.1
    }

    /// The `Content-Type` of an exposition in this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Whether the `Accept-Encoding` header allows gzip (RFC 9110, 12.5.3).
#[must_use]
pub fn accepts_gzip(accept_encoding: &str) -> bool {
    let quality = |name| items(accept_encoding).find(|i| i.name == name).map(|i| i.quality);
    quality("gzip").or_else(|| quality("x-gzip")).or_else(|| quality("*")).unwrap_or(0) > 0
}

struct Item<'a> {
    name: &'a str,
    parameters: &'a str,
    /// In thousandths.
    quality: u32,
}

impl<'a> Item<'a> {
    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
        })
    }
}

fn items(header: &str) -> impl Iterator<Item = Item<'_>> {
    header.split(',').map(|part| {
        let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
        let mut item = Item { name: name.trim(), parameters, quality: 1000 };
        if let Some(quality) = item.parameter("q") {
            // Out of range or unreadable: as if the client did not want it.
            let parsed = quality.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q));
            item.quality = parsed.map_or(0, |q| (q * 1000.0) as u32);
        }
        item
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_format_wins() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html", Format::Text),
            ("application/openmetrics-text; version=2.0.0", Format::Text),
            ("application/openmetrics-text;q=0.2, text/plain", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text; version=\"1.0.0\"", Format::OpenMetrics),
        ] {
            assert_eq!(Format::negotiate(accept), format, "{accept}");
        }
    }

    #[test]
    fn gzip_is_taken_at_its_word() {
        for yes in ["gzip", "deflate, gzip;q=0.5", "*", "gzip; q=1.0"] {
            assert!(accepts_gzip(yes), "{yes}");
        }
        for no in ["", "gzip;q=0", "gzip;q=0.000, *", "identity", "gzip;q=x", "*;q=0", "gzipped"] {
            assert!(!accepts_gzip(no), "{no}");
        }
    }
}
