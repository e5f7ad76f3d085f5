//! Times as the API reads and writes them.
//!
//! Written with milliseconds in UTC, read as go-openapi's `strfmt` reads them; Go's zero time is
//! no time at all. It must not know whose times they are.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Written as `2026-11-20T18:07:16.450Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Millis(pub(crate) Timestamp);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        f.write_str(&PRINTER.timestamp_to_string(&self.0))
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A time that somebody sent; `None` for the empty text and Go's zero time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Posted(pub(super) Option<Timestamp>);

/// Go's `time.Time{}`: the first second of the year 1.
const GO_ZERO: i64 = -62_135_596_800;

fn parse(text: &str) -> Option<Posted> {
    if text.is_empty() {
        return Some(Posted(None));
    }
    // A date alone is no time, though jiff reads it as midnight.
    if !text.contains(':') {
        return None;
    }
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let local = text.parse::<DateTime>().ok()?;
        TimeZone::UTC.to_timestamp(local).ok()
    })?;
    Some(Posted((time.as_second() != GO_ZERO).then_some(time)))
}

impl<'de> Deserialize<'de> for Posted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            de::Error::custom(format_args!("parsing time {shown:?}: not like 2006-01-02T15:04:05Z"))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        parse(text).map(|posted| posted.0.map_or("none".into(), |time| Millis(time).to_string()))
    }

    #[test]
    fn reads_what_alertmanager_reads() {
        for (text, shown) in [
            ("2026-11-20T17:00:00Z", "2026-11-20T17:00:00.000Z"),
            ("2026-11-20T17:00:00.123999+01:00", "2026-11-20T16:00:00.123Z"),
            ("2026-11-20T17:00:00", "2026-11-20T17:00:00.000Z"),
            ("2026-11-20 17:00:00", "2026-11-20T17:00:00.000Z"),
            ("0001-01-01T00:00:00.000Z", "none"),
            ("", "none"),
        ] {
            assert_eq!(read(text).as_deref(), Some(shown), "{text}");
        }
        for bad in ["x", "2027-01-01", "12", "2026-13-20T17:00:00Z", "9999-12-31T23:59:59-10:00"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in "[-0-9TZ:. +a-c]{0,40}") {
            let _ = parse(&text);
        }
    }
}
