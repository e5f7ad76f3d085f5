//! Spans of time for people.
//!
//! Two units at most: nobody on call reads `3 d 4 h 12 min 7 s`. It must not know the clock.

use std::fmt;

use vigie_core::clock::Timestamp;

use super::html::Html;

/// A span in seconds, shown as `12 s`, `3 min`, `2 h 5 min`, `4 d 3 h`.
struct Span(i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, i64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
        let seconds = self.0.max(0);
        let first = UNITS.iter().position(|(_, length)| seconds >= *length).unwrap_or(3);
        let (unit, length) = UNITS[first];
        write!(f, "{} {unit}", seconds / length)?;
        match UNITS.get(first + 1) {
            Some((unit, small)) if first < 2 && seconds % length >= *small => {
                write!(f, " {} {unit}", seconds % length / small)
            }
            _ => Ok(()),
        }
    }
}

/// How long ago, as `<time>` with the absolute value.
pub(super) fn since(html: &mut Html, then: Timestamp, now: Timestamp) {
    time(html, then, now.as_second().saturating_sub(then.as_second()));
}

/// How long from now, as `<time>` with the absolute value.
pub(super) fn until(html: &mut Html, then: Timestamp, now: Timestamp) {
    time(html, then, then.as_second().saturating_sub(now.as_second()));
}

fn time(html: &mut Html, then: Timestamp, seconds: i64) {
    let absolute = then.strftime("%Y-%m-%d %H:%M:%S UTC");
    html.raw("<time datetime=\"").text(then.strftime("%Y-%m-%dT%H:%M:%SZ"));
    html.raw("\" title=\"").text(absolute).raw("\">").text(Span(seconds)).raw("</time>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::at;

    #[test]
    fn two_units_at_most() {
        for (seconds, shown) in [
            (-5, "0 s"),
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (7_500, "2 h 5 min"),
            (86_400 * 4 + 3_600 * 3 + 7, "4 d 3 h"),
        ] {
            assert_eq!(Span(seconds).to_string(), shown);
        }
    }

    #[test]
    fn the_absolute_time_is_there() {
        let mut html = Html::default();
        since(&mut html, at(0), at(61));
        let expected = "<time datetime=\"2026-01-01T00:00:00Z\" \
                        title=\"2026-01-01 00:00:00 UTC\">1 min</time>";
        assert_eq!(html.as_str(), expected);
    }
}
