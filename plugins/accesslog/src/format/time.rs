//! The two ways in which access logs write a time.
//!
//! Read by hand, because a general parser costs more than the rest of the line. It must not know
//! whether the time is of the start or the end.

/// `20/Nov/2026:16:10:03 +0000`, always 26 bytes, as Unix milliseconds.
pub(super) fn clf(text: &[u8]) -> Option<i64> {
    let [d1, d2, b'/', m1, m2, m3, b'/', rest @ ..] = text else { return None };
    let (year, rest) = rest.split_at_checked(4)?;
    let [b':', h1, h2, b':', n1, n2, b':', s1, s2, b' ', zone @ ..] = rest else { return None };
    let month = MONTHS.iter().position(|month| *month == [*m1, *m2, *m3])? as i64 + 1;
    let days = days(number(year)?, month, number(&[*d1, *d2])?)?;
    let seconds = seconds(number(&[*h1, *h2])?, number(&[*n1, *n2])?, number(&[*s1, *s2])?)?;
    Some((days * 86_400 + seconds - offset(zone)?) * 1000)
}

/// RFC 3339 with up to nine decimals, `Z` or an offset, as Unix milliseconds.
pub(super) fn rfc3339(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(19)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2] =
        date
    else {
        return None;
    };
    let days = days(number(&[*y1, *y2, *y3, *y4])?, number(&[*m1, *m2])?, number(&[*d1, *d2])?)?;
    let seconds = seconds(number(&[*h1, *h2])?, number(&[*n1, *n2])?, number(&[*s1, *s2])?)?;
    let (millis, zone) = match rest.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, zone) = rest.split_at(digits);
            (millis(fraction)?, zone)
        }
        None => (0, rest),
    };
    let offset = match zone {
        b"Z" | b"z" => 0,
        [sign, h1, h2, b':', m1, m2] => offset(&[*sign, *h1, *h2, *m1, *m2])?,
        _ => return None,
    };
    Some((days * 86_400 + seconds - offset) * 1000 + millis)
}

const MONTHS: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct",
    *b"Nov", *b"Dec",
];

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum: i64, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

fn millis(fraction: &[u8]) -> Option<i64> {
    match fraction {
        [] => None,
        [a] => Some(number(&[*a])? * 100),
        [a, b] => Some(number(&[*a, *b])? * 10),
        [a, b, c, ..] => number(&[*a, *b, *c]),
    }
}

/// `+0100` in seconds.
fn offset(zone: &[u8]) -> Option<i64> {
    let [sign, h1, h2, m1, m2] = zone else { return None };
    let seconds = number(&[*h1, *h2])? * 3600 + number(&[*m1, *m2])? * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn seconds(hour: i64, minute: i64, second: i64) -> Option<i64> {
    // 60 is a leap second, written by some systems.
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 in the Gregorian calendar (Hinnant, "days_from_civil").
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_name_the_same_instant() {
        // date -u -d '2026-11-20 16:10:03' +%s
        let expected = 1_795_191_003_000;
        assert_eq!(clf(b"20/Nov/2026:16:10:03 +0000"), Some(expected));
        assert_eq!(clf(b"20/Nov/2026:17:40:03 +0130"), Some(expected));
        assert_eq!(rfc3339(b"2026-11-20T16:10:03Z"), Some(expected));
        assert_eq!(rfc3339(b"2026-11-20T11:10:03.5-05:00"), Some(expected + 500));
        assert_eq!(rfc3339(b"2026-11-20T16:10:03.287285175Z"), Some(expected + 287));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for bad in [
            "",
            "20/Nov/2026:16:10:03",
            "20/Foo/2026:16:10:03 +0000",
            "32/Nov/2026:16:10:03 +0000",
            "20/Nov/2026:24:10:03 +0000",
            "20/Nov/2026:16:10:03 *0000",
        ] {
            assert_eq!(clf(bad.as_bytes()), None, "{bad}");
        }
        for bad in [
            "",
            "2026-11-20T16:10:03",
            "2026-11-20 16:10:03Z",
            "2026-13-20T16:10:03Z",
            "2026-11-20T16:10:03.Z",
        ] {
            assert_eq!(rfc3339(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar(second in 0..4_000_000_000_i64) {
            let time = jiff::Timestamp::from_second(second).unwrap();
            prop_assert_eq!(rfc3339(time.to_string().as_bytes()), Some(second * 1000));
            let text = time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
            prop_assert_eq!(clf(text.as_bytes()), Some(second * 1000));
        }

        #[test]
        fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (clf(&bytes), rfc3339(&bytes));
        }
    }
}
