//! Sizes as bcachefs prints them (`bch2_prt_human_readable_u64`, lib/string_helpers.c).
//!
//! A decimal number and a letter for a power of 1024, which some kernels follow with `i` or `iB` or set apart by a
//! blank. It must not know where they stand.

use crate::parse::words;

/// The sizes that the words of `text` are, up to the first that is none.
pub(super) fn sizes(text: &[u8]) -> impl Iterator<Item = f64> {
    let mut words = words(text).peekable();
    std::iter::from_fn(move || {
        let word = words.next()?;
        let start = word.iter().position(|byte| !is_digit(*byte)).unwrap_or(word.len());
        let (digits, unit) = word.split_at(start);
        let size: f64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let factor = if unit.is_empty() {
            words.next_if(|next| factor(next).is_some()).and_then(factor)
        } else {
            Some(factor(unit)?)
        };
        Some((size * factor.unwrap_or(1.0)).trunc())
    })
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

/// `k`, `Mi`, `GiB`, `B`.
fn factor(unit: &[u8]) -> Option<f64> {
    let (first, rest) = unit.split_first()?;
    if !matches!(rest, b"" | b"i" | b"B" | b"iB") {
        return None;
    }
    let power = match first {
        b'B' if rest.is_empty() => 0,
        b'k' | b'K' => 1,
        b'M' => 2,
        b'G' => 3,
        b'T' => 4,
        b'P' => 5,
        b'E' => 6,
        _ => return None,
    };
    Some(1024f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Vec<f64> {
        sizes(text.as_bytes()).collect()
    }

    #[test]
    fn letters_are_powers_of_1024_however_they_are_written() {
        assert_eq!(all("524M"), [549_453_824.0]);
        assert_eq!(all(" 19088  23.5k 0"), [19088.0, 24064.0, 0.0]);
        assert_eq!(all("1.5 GiB 2 B 3 kiB 7"), [1_610_612_736.0, 2.0, 3072.0, 7.0]);
        assert_eq!(all("2Ki 16E"), [2048.0, 16.0 * 1024f64.powi(6)]);
    }

    #[test]
    fn what_is_no_size_ends_the_row() {
        for bad in ["", "x", "1x 2", ".", "1.2.3", "-1", "k", "\u{ff}"] {
            assert!(all(bad).is_empty(), "{bad}");
        }
        assert_eq!(all("1 x 2"), [1.0]);
    }

    proptest! {
        #[test]
        fn any_row_is_survived(text in "[0-9. kKMGTPEiB-]{0,30}") {
            prop_assert!(all(&text).into_iter().all(|size| size.is_finite() && size >= 0.0));
        }
    }
}
