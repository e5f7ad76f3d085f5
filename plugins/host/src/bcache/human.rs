//! Sizes as bcache prints them (drivers/md/bcache/util.c, `bch_hprint`).
//!
//! They are cut to a letter for a power of 1024 and digits after a point. Kernels before 4.14 count hundreds of
//! 1/1024 there, newer ones tenths; node_exporter takes all for the former, and so does this. It must not know where
//! the sizes stand.

use crate::parse::number;

/// The value of `12`, `1.2k` or `3.1023M`; `None` for anything else.
///
/// A number with a letter is cut to a whole one, as node_exporter does.
pub(super) fn parse(text: &[u8]) -> Option<f64> {
    let (&last, digits) = text.split_last()?;
    let Some(power) = b"kMGTPEZY".iter().position(|&letter| letter == last) else {
        return number(text).map(|count| count as f64);
    };
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let whole = number(parts.next()?)? as f64;
    let fraction = match parts.next() {
        // Not a decimal fraction: `.10` is more than `.9`.
        Some(digits) => number(digits)? as f64 / 10.24,
        None => 0.0,
    };
    let exponent = i32::try_from(power).ok()? + 1;
    Some(((whole + fraction) * 1024f64.powi(exponent)).trunc())
}

/// The same with an optional minus before it.
pub(super) fn parse_signed(text: &[u8]) -> Option<f64> {
    match text.strip_prefix(b"-") {
        Some(text) => Some(-parse(text)?),
        None => parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, value) in [
            ("0", 0.0),
            ("1305", 1305.0),
            ("542k", 542.0 * 1024.0),
            ("1.2k", 1224.0),
            ("10.1000", f64::NAN),
            ("2.0Y", 2.0 * 1024f64.powi(8)),
        ] {
            let parsed = parse(text.as_bytes()).unwrap_or(f64::NAN);
            assert!(parsed == value || (parsed.is_nan() && value.is_nan()), "{text}: {parsed}");
        }
        assert_eq!(parse_signed(b"-1k"), Some(-1024.0));
        for bad in ["", "k", "-1", "1.k", ".5k", "1.2.3k", "1K", "nan", "\u{e9}"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[-0-9.kMGTPEZY]{0,12}") {
            let value = parse_signed(text.as_bytes());
            assert!(value.is_none_or(f64::is_finite));
        }

        #[test]
        fn what_the_kernel_prints_is_read_back_within_its_rounding(size in 1024u64..u64::MAX) {
            let power = (63 - size.leading_zeros()) / 10;
            let unit = 1u64 << (10 * power);
            let rest = (u128::from(size % unit) * 10 / u128::from(unit)) as u64;
            let letter = ["", "k", "M", "G", "T", "P", "E"][power as usize];
            let text = format!("{}.{rest}{letter}", size / unit);
            let read = parse(text.as_bytes()).unwrap();
            assert!(read <= size as f64 && size as f64 <= read + unit as f64);
        }
    }
}
