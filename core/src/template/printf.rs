//! `printf` and the texts of numbers and quotes, as Go's `fmt` has them.
//!
//! Templates format with Go's verbs; a wrong verb is shown in the text, not an error, as there. It
//! must not know functions or output.

use super::value::Value;

/// A wider field is a mistake, and would be a way to fill the memory.
const MAX_WIDTH: usize = 10_000;

/// `fmt.Sprintf`.
pub(super) fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut args = args.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (verb, after) = Verb::read(&rest[at + 1..]);
        rest = after;
        match verb.letter {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match args.next() {
                None => out.push_str(&format!("%!{letter}(MISSING)")),
                Some(_) if verb.too_wide => out.push_str("%!(BADWIDTH)"),
                Some(arg) => out.push_str(&verb.format(letter, arg)),
            },
        }
    }
    out.push_str(rest);
    if args.len() > 0 {
        let extra: Vec<String> = args.map(typed).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

/// `type=value`, as `fmt` shows what it could not format.
fn typed(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".into(),
        value => format!("{}={}", value.type_name(), value.shown()),
    }
}

/// One `%-08.3f`.
#[derive(Debug, Default)]
struct Verb {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    too_wide: bool,
    letter: Option<char>,
}

impl Verb {
    fn read(text: &str) -> (Self, &str) {
        let mut verb = Verb::default();
        let mut rest = text;
        while let Some(flag) = rest.chars().next() {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                '#' => verb.sharp = true,
                ' ' => verb.space = true,
                '0' => verb.zero = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        verb.width = verb.number(&mut rest);
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            verb.precision = Some(verb.number(&mut rest));
        }
        verb.letter = rest.chars().next();
        let width = verb.letter.map_or(0, char::len_utf8);
        (verb, &rest[width..])
    }

    fn number(&mut self, rest: &mut &str) -> usize {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        *rest = after;
        let value = if number.is_empty() { 0 } else { number.parse().unwrap_or(usize::MAX) };
        self.too_wide |= value > MAX_WIDTH;
        value.min(MAX_WIDTH)
    }

    fn format(&self, letter: char, value: &Value) -> String {
        if value.prints_itself() && matches!(letter, 's' | 'q' | 'x' | 'X') {
            return self.format(letter, &Value::text(value.shown()));
        }
        let text = match (letter, value) {
            ('v', Value::Float(number)) => self.float(*number, 'v'),
            ('v', Value::Int(number)) => self.signed(*number, &number.unsigned_abs().to_string()),
            ('v', value) if self.sharp => go_syntax(value),
            ('v', Value::Nil) => "<nil>".into(),
            ('v', value) => self.cut(&value.shown()),
            ('T', value) => value.type_name().into(),
            ('t', Value::Bool(value)) => value.to_string(),
            ('s', Value::Text(text, _)) => self.cut(text),
            ('q', Value::Text(text, _)) => quote(&self.cut(text)),
            ('x' | 'X', Value::Text(text, _)) => {
                let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
                if letter == 'X' { hex.to_uppercase() } else { hex }
            }
            ('s', Value::Time(_) | Value::Duration(_)) => value.shown(),
            ('s' | 'q' | 'd' | 'x' | 'X', Value::List(list)) => {
                format!("[{}]", self.each(letter, list.items.iter()))
            }
            ('s' | 'q' | 'd' | 'x' | 'X', Value::Struct(of)) => {
                format!("{{{}}}", self.each(letter, of.fields.iter().map(|field| &field.2)))
            }
            ('s', Value::Map(_)) => value.shown(),
            (_, Value::Int(number) | Value::Duration(number)) => match self.int(*number, letter) {
                Some(text) => text,
                None => format!("%!{letter}({})", typed(value)),
            },
            ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(number)) => {
                self.float(*number, letter)
            }
            (_, Value::Nil) => format!("%!{letter}(<nil>)"),
            _ => format!("%!{letter}({})", typed(value)),
        };
        self.pad(text, matches!(value, Value::Int(_) | Value::Float(_) | Value::Duration(_)))
    }

    fn each<'a>(&self, letter: char, items: impl Iterator<Item = &'a Value>) -> String {
        let one = Verb { precision: self.precision, ..Verb::default() };
        items.map(|item| one.format(letter, item)).collect::<Vec<_>>().join(" ")
    }

    fn cut(&self, text: &str) -> String {
        text.chars().take(self.precision.unwrap_or(usize::MAX)).collect()
    }

    fn signed(&self, number: i64, digits: &str) -> String {
        let zeros = self.precision.unwrap_or(0).saturating_sub(digits.len());
        format!("{}{}{digits}", self.sign(number < 0), "0".repeat(zeros))
    }

    const fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn int(&self, number: i64, letter: char) -> Option<String> {
        let all = number.unsigned_abs();
        let digits = match (letter, self.sharp) {
            ('d', _) => all.to_string(),
            ('b', _) => format!("{all:b}"),
            ('o', false) => format!("{all:o}"),
            ('o', true) => format!("0{all:o}"),
            ('x', false) => format!("{all:x}"),
            ('x', true) => format!("{all:#x}"),
            ('X', false) => format!("{all:X}"),
            ('X', true) => format!("0X{all:X}"),
            ('c', _) => return Some(character(number).to_string()),
            ('q', _) => return Some(quote_with('\'', &character(number).to_string())),
            ('U', _) => return Some(format!("U+{all:04X}")),
            _ => return None,
        };
        Some(self.signed(number, &digits))
    }

    fn float(&self, number: f64, letter: char) -> String {
        let all = number.abs();
        let digits = if all.is_finite() {
            match letter {
                'f' | 'F' => format!("{all:.*}", self.precision.unwrap_or(6)),
                'e' | 'E' => exponent(all, Some(self.precision.unwrap_or(6))),
                _ => float_g(all, self.precision),
            }
        } else {
            String::from(if all.is_nan() { "NaN" } else { "Inf" })
        };
        let infinite = number.is_infinite() && number > 0.0;
        let sign =
            if infinite { "+" } else { self.sign(number.is_sign_negative() && !number.is_nan()) };
        let digits = if letter.is_uppercase() { digits.replace('e', "E") } else { digits };
        format!("{sign}{digits}")
    }

    fn pad(&self, text: String, number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.minus {
            return text + &" ".repeat(missing);
        }
        if !self.zero || (number && self.precision.is_some() && !text.contains('.')) {
            return " ".repeat(missing) + &text;
        }
        let sign = usize::from(number && text.starts_with(['+', '-', ' ']));
        format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
    }
}

fn character(number: i64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// `%g` and `%v`: the shortest digits, or `precision` of them; an exponent below -4 and from the
/// precision on, which is 6 when not given.
pub(super) fn float_g(value: f64, precision: Option<usize>) -> String {
    if !value.is_finite() {
        return String::from(if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        });
    }
    let text = exponent(value, precision.map(|digits| digits.max(1) - 1));
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    let limit = precision.map_or(6, |digits| i32::try_from(digits.max(1)).unwrap_or(i32::MAX));
    if power < -4 || power >= limit {
        return format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs());
    }
    let after = digits.bytes().filter(u8::is_ascii_digit).count() as i32 - 1 - power;
    format!("{value:.*}", usize::try_from(after).unwrap_or(0))
}

/// `%e`: one digit, a point, the rest, an exponent of two digits at least.
fn exponent(value: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(digits) => format!("{value:.digits$e}"),
        None => format!("{value:e}"),
    };
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}

/// `strconv.Quote`.
pub(super) fn quote(text: &str) -> String {
    quote_with('"', text)
}

fn quote_with(mark: char, text: &str) -> String {
    let mut out = String::from(mark);
    for c in text.chars() {
        match c {
            c if c == mark || c == '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 || c == '\x7f' => {
                out.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(mark);
    out
}

fn go_syntax(value: &Value) -> String {
    match value {
        Value::Text(text, _) => quote(text),
        value => value.shown(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn verbs_are_those_of_go() {
        let text = || Value::text("hi");
        for (format, value, expected) in [
            ("%v|%s", Value::Float(1.5), "1.5|%!s(MISSING)"),
            ("%5d|", Value::Int(42), "   42|"),
            ("%-6s|", text(), "hi    |"),
            ("%06.2f", Value::Float(-3.255), "-03.25"),
            ("%x", text(), "6869"),
            ("%q", Value::text("a\"b\n"), r#""a\"b\n""#),
            ("%e", Value::Float(12345.678), "1.234568e+04"),
            ("%g", Value::Float(1e30), "1e+30"),
            ("%.4g", Value::Float(1234.567), "1235"),
            ("%.3g", Value::Float(1234.567), "1.23e+03"),
            ("%v", Value::Float(123456.5), "123456.5"),
            ("%v", Value::Float(1e6), "1e+06"),
            ("%v", Value::Float(0.00001), "1e-05"),
            ("%d", text(), "%!d(string=hi)"),
            ("%t", Value::Bool(true), "true"),
            ("%+d %%", Value::Int(3), "+3 %"),
            ("none", Value::Int(3), "none%!(EXTRA int=3)"),
            ("%", Value::Int(3), "%!(NOVERB)%!(EXTRA int=3)"),
            ("%99999999999d", Value::Int(3), "%!(BADWIDTH)"),
            ("%c%", Value::Int(233), "é%!(NOVERB)"),
            ("%.1s", Value::text("éa"), "é"),
            ("%v", Value::Nil, "<nil>"),
            ("%X", Value::Int(255), "FF"),
        ] {
            assert_eq!(printf(format, &[value]), expected, "{format}");
        }
    }

    proptest! {
        #[test]
        fn any_format_is_an_answer(format in "[-%+# 0-9.vdsqxXfgeTtcUobé]{0,30}", f: f64, i: i64) {
            let _ = printf(&format, &[Value::Float(f), Value::Int(i), Value::text("té")]);
        }

        #[test]
        fn floats_read_back(value: f64) {
            prop_assume!(value.is_finite());
            prop_assert_eq!(float_g(value, None).parse::<f64>().unwrap(), value);
        }
    }
}
