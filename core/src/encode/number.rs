//! Numbers as Go prints them.
//!
//! Every exposition a Prometheus user has seen prints floats with Go's `strconv` format `g`, so a
//! diff against the original shows values only. It must not know where the number goes.

/// Appends `value` in Go's shortest `g` form: `0.1`, `1e-05`, `1.5e+06`, `+Inf`, `NaN`.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        let text = if value.is_nan() { "NaN" } else { ["-Inf", "+Inf"][usize::from(value > 0.0)] };
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format_finite(value).as_bytes();
    let unsigned = shortest.strip_prefix(b"-").unwrap_or(shortest);
    if unsigned.len() < shortest.len() {
        out.push(b'-');
    }
    if value == 0.0 {
        out.push(b'0');
        return;
    }
    Decimal::read(unsigned).write(out);
}

/// Digits without leading or trailing zeroes, and the place of the point: `0.ddd x 10^point`.
struct Decimal {
    digits: [u8; 32],
    count: usize,
    point: i32,
}

impl Decimal {
    /// Reads `123.45`, `1e-7`, `1.5e300`: any decimal form of at most 17 significant digits.
    fn read(text: &[u8]) -> Self {
        let mut decimal = Decimal { digits: [b'0'; 32], count: 0, point: 0 };
        let mut after_point = false;
        let mut rest = text.iter();
        for &byte in rest.by_ref() {
            match byte {
                b'.' => after_point = true,
                b'0' if decimal.count == 0 => decimal.point -= i32::from(after_point),
                b'0'..=b'9' if decimal.count < 32 => {
                    decimal.digits[decimal.count] = byte;
                    decimal.count += 1;
                    decimal.point += i32::from(!after_point);
                }
                b'0'..=b'9' => decimal.point += i32::from(!after_point),
                _ => break,
            }
        }
        decimal.point += exponent(rest.as_slice());
        while decimal.count > 1 && decimal.digits[decimal.count - 1] == b'0' {
            decimal.count -= 1;
        }
        decimal
    }

    fn write(&self, out: &mut Vec<u8>) {
        let digits = &self.digits[..self.count];
        let exponent = self.point - 1;
        // Go's `g` for the shortest digits: exponents outside -4..6 are written out.
        if !(-4..6).contains(&exponent) {
            return write_exponent(out, digits, exponent);
        }
        if self.point <= 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', self.point.unsigned_abs() as usize));
            out.extend_from_slice(digits);
            return;
        }
        let whole = self.point.unsigned_abs() as usize;
        if digits.len() <= whole {
            out.extend_from_slice(digits);
            out.extend(std::iter::repeat_n(b'0', whole - digits.len()));
        } else {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

fn exponent(text: &[u8]) -> i32 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let value = digits.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    if negative { -value } else { value }
}

fn write_exponent(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let exponent = exponent.unsigned_abs();
    if exponent < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn prints_as_go_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (100.0, "100"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (1.305e-6, "1.305e-06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (89_991_519_156_915.0, "8.9991519156915e+13"),
            (18_446_744_073_709_551_615.0, "1.8446744073709552e+19"),
            (1e300, "1e+300"),
            (5e-324, "5e-324"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(shown(value), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(shown(value).parse::<f64>().unwrap(), value);
        }
    }
}
