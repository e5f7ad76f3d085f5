//! Durations as Prometheus writes them: `1h30m`, `90s`, `5d`, `200ms`.
//!
//! Rule files, `alertmanager.yml` and `vigie.yml` share them, so the grammar stands once, here.
//! It must not know what is measured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Unit and its length in milliseconds, in the order they must appear.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid duration: {0:?} (write for example 30s, 5m, 1h30m, 200ms)")]
pub struct DurationError(String);

/// Parses `[Ny][Nw][Nd][Nh][Nm][Ns][Nms]`, units in this order, each at most once; `0` alone is
/// allowed (Prometheus `model.ParseDuration`).
///
/// # Errors
/// When the text has another form or is too long for 64 bits of nanoseconds.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let fail = || DurationError(text.chars().take(64).collect());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| fail())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let index = UNITS[next_unit..]
            .iter()
            .position(|(unit, _)| *unit == &rest[..letters])
            .ok_or_else(fail)?;
        let length = UNITS[next_unit + index].1;
        total = number.checked_mul(length).and_then(|n| n.checked_add(total)).ok_or_else(fail)?;
        next_unit += index + 1;
        rest = &rest[letters..];
    }
    // Go holds a duration in 63 bits of nanoseconds; what it refuses we refuse.
    let fits = next_unit > 0 && total <= i64::MAX as u64 / 1_000_000;
    fits.then(|| Duration::from_millis(total)).ok_or_else(fail)
}

/// Prints as Prometheus does: the largest exact units, `0s` for nothing.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (unit, length) in UNITS {
        // Years and weeks only when exact, else days: 8d reads better than 1w1d.
        let whole_only = matches!(unit, "y" | "w");
        if rest < length || (whole_only && !rest.is_multiple_of(length)) {
            continue;
        }
        text.push_str(&format!("{}{unit}", rest / length));
        rest %= length;
    }
    text
}

/// A [`Duration`] that is read and written in Prometheus' form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PromDuration(pub Duration);

impl<'de> Deserialize<'de> for PromDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(PromDuration).map_err(serde::de::Error::custom)
    }
}

impl Serialize for PromDuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_prometheus_reads() {
        for (text, millis) in
            [("0", 0), ("0s", 0), ("1h30m", 5_400_000), ("200ms", 200), ("1y2w3d", 33_004_800_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "1", "m", "1m1h", "1.5h", "-1s", "1s ", "1m1m", "99999999999y", "5é", "1H"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prints_as_prometheus_prints() {
        for text in ["5m", "4h", "1d", "120h", "1w", "8d", "1y", "1h30m", "1s500ms"] {
            let shown = format_duration(parse_duration(text).unwrap());
            assert_eq!(shown, if text == "120h" { "5d" } else { text });
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(millis in 0..i64::MAX as u64 / 1_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_an_answer(text in ".*") {
            let _ = parse_duration(&text);
        }
    }
}
