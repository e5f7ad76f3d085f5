//! Times and durations as Go prints them.
//!
//! Templates carry Go's reference-time layouts (`2006-01-02 15:04:05`), which no calendar library
//! reads. It must not know values or functions.

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// Go's zero time, which a firing alert has for its end.
pub(super) fn zero() -> Zoned {
    utc(Timestamp::from_second(ZERO_SECOND).unwrap_or_default())
}

/// 0001-01-01T00:00:00Z.
const ZERO_SECOND: i64 = -62_135_596_800;

pub(super) fn utc(time: Timestamp) -> Zoned {
    time.to_zoned(TimeZone::UTC)
}

/// `a - b` in nanoseconds, held at the ends of what Go's durations can say.
pub(super) fn between(a: &Zoned, b: &Zoned) -> i64 {
    let nanos = a.timestamp().as_nanosecond() - b.timestamp().as_nanosecond();
    nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// `time.Time.String`.
pub(super) fn show(time: &Zoned) -> String {
    format(time, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// As `encoding/json` writes it.
pub(super) fn rfc3339(time: &Zoned) -> String {
    format(time, "2006-01-02T15:04:05.999999999Z07:00")
}

/// `time.Time.Format`: the parts of the reference time are replaced, all else stays.
pub(super) fn format(time: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        let width = match fraction(time, rest, &mut out) {
            0 => part(time, rest, &mut out),
            width => width,
        };
        if width == 0 {
            out.push(c);
        }
        rest = &rest[if width == 0 { c.len_utf8() } else { width }..];
    }
    out
}

/// A fraction of a second: `.000` keeps zeros, `.999` drops them.
fn fraction(time: &Zoned, rest: &str, out: &mut String) -> usize {
    let Some(point @ ('.' | ',')) = rest.chars().next() else { return 0 };
    let Some(kind @ (b'0' | b'9')) = rest.as_bytes().get(1).copied() else { return 0 };
    let digits = rest.bytes().skip(1).take_while(|b| *b == kind).count();
    if rest.as_bytes().get(1 + digits).is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    let nanos = format!("{:09}", time.subsec_nanosecond().unsigned_abs());
    let mut text: String = nanos.chars().chain(std::iter::repeat('0')).take(digits).collect();
    if kind == b'9' {
        text.truncate(text.trim_end_matches('0').len());
    }
    if !text.is_empty() {
        out.push(point);
        out.push_str(&text);
    }
    1 + digits
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The longest part of the reference time at the head of `rest`: its value is written, its width
/// returned; 0 when there is none.
fn part(time: &Zoned, rest: &str, out: &mut String) -> usize {
    const PARTS: [&str; 34] = [
        "January",
        "Monday",
        "-07:00:00",
        "Z07:00:00",
        "-070000",
        "Z070000",
        "-07:00",
        "Z07:00",
        "-0700",
        "Z0700",
        "-07",
        "Z07",
        "2006",
        "_2006",
        "Jan",
        "Mon",
        "MST",
        "002",
        "__2",
        "_2",
        "01",
        "02",
        "03",
        "04",
        "05",
        "06",
        "15",
        "PM",
        "pm",
        "1",
        "2",
        "3",
        "4",
        "5",
    ];
    let Some(part) = PARTS.into_iter().find(|part| rest.starts_with(part)) else { return 0 };
    let (hour, twelve) = (time.hour(), (time.hour() + 11) % 12 + 1);
    let lower_follows = rest[part.len()..].starts_with(|c: char| c.is_ascii_lowercase());
    let weekday = DAYS[time.weekday().to_sunday_zero_offset().rem_euclid(7) as usize];
    let month = MONTHS[(time.month() - 1).rem_euclid(12) as usize];
    let text = match part {
        "January" => month.to_owned(),
        "Jan" if lower_follows => return 0,
        "Jan" => month[..3].to_owned(),
        "Monday" => weekday.to_owned(),
        "Mon" if lower_follows => return 0,
        "Mon" => weekday[..3].to_owned(),
        "MST" => time.strftime("%Z").to_string(),
        "2006" => format!("{:04}", time.year()),
        "_2006" => format!("_{:04}", time.year()),
        "06" => format!("{:02}", time.year().rem_euclid(100)),
        "01" => format!("{:02}", time.month()),
        "1" => format!("{}", time.month()),
        "02" => format!("{:02}", time.day()),
        "_2" => format!("{:2}", time.day()),
        "2" => format!("{}", time.day()),
        "002" => format!("{:03}", time.day_of_year()),
        "__2" => format!("{:3}", time.day_of_year()),
        "15" => format!("{hour:02}"),
        "03" => format!("{twelve:02}"),
        "3" => format!("{twelve}"),
        "04" => format!("{:02}", time.minute()),
        "4" => format!("{}", time.minute()),
        "05" => format!("{:02}", time.second()),
        "5" => format!("{}", time.second()),
        "PM" => String::from(if hour < 12 { "AM" } else { "PM" }),
        "pm" => String::from(if hour < 12 { "am" } else { "pm" }),
        zone => offset(time.offset().seconds(), zone),
    };
    out.push_str(&text);
    part.len()
}

/// The offset from UTC in one of the forms `Z07:00`, `-0700`, `-07`, ...
fn offset(seconds: i32, form: &str) -> String {
    if form.starts_with('Z') && seconds == 0 {
        return "Z".into();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let all = seconds.unsigned_abs();
    let parts = [all / 3600, all / 60 % 60, all % 60];
    let count = form.bytes().filter(u8::is_ascii_digit).count() / 2;
    let separator = if form.contains(':') { ":" } else { "" };
    let texts: Vec<String> = parts.iter().take(count).map(|part| format!("{part:02}")).collect();
    format!("{sign}{}", texts.join(separator))
}

/// `time.Duration.String`: `1h2m3.5s`, `1.5ms`.
pub(super) fn show_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let all = nanos.unsigned_abs();
    match all {
        0 => "0s".into(),
        1..1_000 => format!("{sign}{all}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimal(all, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(all, 1_000_000)),
        _ => {
            let minutes = all / 60_000_000_000;
            let mut out = sign.to_owned();
            if minutes >= 60 {
                out.push_str(&format!("{}h", minutes / 60));
            }
            if minutes > 0 {
                out.push_str(&format!("{}m", minutes % 60));
            }
            out.push_str(&format!("{}s", decimal(all % 60_000_000_000, 1_000_000_000)));
            out
        }
    }
}

/// `value / unit`, exact, without trailing zeros.
fn decimal(value: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_go() {
        let time: Zoned = "2026-03-05T04:07:09.120+01:00[Europe/Paris]".parse().unwrap();
        for (layout, expected) in [
            ("2006-01-02 15:04:05", "2026-03-05 04:07:09"),
            ("Mon, 02 Jan 2006 15:04:05 -0700", "Thu, 05 Mar 2026 04:07:09 +0100"),
            ("Monday January _2 3:4:5pm 06", "Thursday March  5 4:7:9am 26"),
            ("15:04:05.000 05.999999 MST", "04:07:09.120 09.12 CET"),
            ("2006-01-02T15:04:05Z07:00", "2026-03-05T04:07:09+01:00"),
            ("Month 002 day 2", "Month 064 day 5"),
            ("03 PM é", "04 AM é"),
        ] {
            assert_eq!(format(&time, layout), expected, "{layout}");
        }
        assert_eq!(show(&zero()), "0001-01-01 00:00:00 +0000 UTC");
        assert_eq!(rfc3339(&zero()), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn durations_are_those_of_go() {
        for (nanos, expected) in [
            (0, "0s"),
            (1_500, "1.5µs"),
            (-250_000_000, "-250ms"),
            (3_600_000_000_000, "1h0m0s"),
            (3_723_500_000_000, "1h2m3.5s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(show_duration(nanos), expected);
        }
    }
}
