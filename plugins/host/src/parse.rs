//! Words and numbers out of kernel files.
//!
//! Every parser here takes bytes and gives borrowed bytes or numbers, so that nothing is copied on
//! the way to a sink. It must not know which file the bytes come from.

use std::borrow::Cow;

use vigie_core::metric::Value;

/// Lines with their numbers, counted from 1, without the newline.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines = (!text.is_empty()).then(|| text.split(|&b| b == b'\n'));
    lines.into_iter().flatten().enumerate().map(|(index, line)| (index + 1, line))
}

/// Hands every line to `take`; the first that it refuses is the error, with its number.
pub(crate) fn each_line<'a>(
    text: &'a [u8],
    mut take: impl FnMut(&'a [u8]) -> Result<(), String>,
) -> Result<(), (usize, String)> {
    let mut result = Ok(());
    for (number, line) in lines(text) {
        if let Err(what) = take(line) {
            result = result.and(Err((number, what)));
        }
    }
    result
}

/// The words of a line, separated by any number of blanks.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A decimal number without sign; `None` for anything else, and when it exceeds 64 bits.
pub(crate) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |sum, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// A decimal number without sign, or what was found in its place.
pub(crate) fn count(word: Option<&[u8]>) -> Result<u64, String> {
    let word = word.unwrap_or_default();
    number(word).ok_or_else(|| format!("expected a count, found {}", shown(word)))
}

/// A decimal number with or without a minus; `None` for anything else, and when it exceeds 64 bits.
pub(crate) fn signed(word: &[u8]) -> Option<i64> {
    match word.strip_prefix(b"-") {
        Some(digits) => 0i64.checked_sub_unsigned(number(digits)?),
        None => i64::try_from(number(word)?).ok(),
    }
}

/// A hexadecimal number without sign, with or without `0x`; `None` for anything else, and when it exceeds 64 bits.
pub(crate) fn hexadecimal(word: &[u8]) -> Option<u64> {
    let digits = word.strip_prefix(b"0x").unwrap_or(word);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A float as Go's `ParseFloat` takes it from the exposition format: a number too large to hold is
/// an error, not infinity.
pub(crate) fn float(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    let value: f64 = text.parse().ok()?;
    let is_word = |byte: &u8| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E');
    (value.is_finite() || word.iter().any(is_word)).then_some(value)
}

/// So many units, exact where 64 bits hold them.
pub(crate) fn scaled(count: u64, unit: u64) -> Value<'static> {
    count.checked_mul(unit).map_or(Value::F64(count as f64 * unit as f64), Value::U64)
}

/// Text for a label: what is not UTF-8 is replaced.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Text for a part of a metric name: what no name may hold becomes `_`.
pub(crate) fn name_part(text: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.chars().all(fits) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if fits(c) { c } else { '_' }).collect())
}

/// Text for an error: at most 60 bytes of the input.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let cut = bytes.len().min(60);
    let dots = if cut < bytes.len() { "..." } else { "" };
    format!("{:?}{dots}", text(&bytes[..cut]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_a_missing_newline_is_no_matter() {
        let all = |text| lines(text).collect::<Vec<_>>();
        assert!(all(b"").is_empty());
        assert_eq!(all(b"a\n\nb"), [(1, &b"a"[..]), (2, b""), (3, b"b")]);
        assert_eq!(all(b"a\nb\n"), [(1, &b"a"[..]), (2, b"b")]);
    }

    #[test]
    fn every_line_is_taken_and_the_first_refused_one_is_the_error() {
        let mut sum = 0;
        let result = each_line(b"1\nx\n\n4\n", |line| count(words(line).next()).map(|n| sum += n));
        assert_eq!(result, Err((2, "expected a count, found \"x\"".to_owned())));
        assert_eq!(sum, 5);
    }

    #[test]
    fn numbers_fit_or_are_refused() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"18446744073709551616", b"-1", b"+1", b"1 ", b"0x1", b"\xff"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn signed_numbers_fit_or_are_refused() {
        assert_eq!(signed(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(signed(b"7"), Some(7));
        for bad in [&b""[..], b"-", b"--1", b"+1", b"9223372036854775808", b"-9223372036854775809"]
        {
            assert_eq!(signed(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn hexadecimal_numbers_fit_or_are_refused() {
        assert_eq!(hexadecimal(b"ffffffffffffffff"), Some(u64::MAX));
        assert_eq!(hexadecimal(b"0x1F"), Some(31));
        for bad in [&b""[..], b"0x", b"+1", b"10000000000000000", b"g"] {
            assert_eq!(hexadecimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn floats_are_those_of_the_exposition_format() {
        for (word, value) in [("1.5e3", 1500.0), (".5", 0.5), ("+Inf", f64::INFINITY)] {
            assert_eq!(float(word.as_bytes()), Some(value));
        }
        assert!(float(b"NaN").is_some_and(f64::is_nan));
        assert_eq!(float(b"-infinity"), Some(f64::NEG_INFINITY));
        for bad in ["", "1e400", "0x10", "1_000", "1\r", "one", "1,5"] {
            assert_eq!(float(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn names_hold_letters_digits_and_underscores() {
        assert_eq!(name_part("pg_fault2"), "pg_fault2");
        assert_eq!(name_part("kernel.core-\u{e9}"), "kernel_core__");
    }

    #[test]
    fn units_are_counted_exactly_as_long_as_they_fit() {
        assert!(matches!(scaled(u64::MAX / 1024, 1024), Value::U64(n) if n == u64::MAX - 1023));
        assert!(
            matches!(scaled(u64::MAX, 1024), Value::F64(n) if n == 18_889_465_931_478_580_854_784.0)
        );
    }

    #[test]
    fn long_input_is_cut_in_errors() {
        assert_eq!(shown(b"ab"), "\"ab\"");
        assert!(shown(&[b'x'; 1000]).len() < 80);
    }
}
