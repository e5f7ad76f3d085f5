//! The format of os-release: assignments as a shell reads them (os-release(5)).
//!
//! Variables are not substituted, which the format forbids. It must not know what the keys mean.

use crate::parse::{each_line, shown};

/// The assignments of a file.
#[derive(Debug, Default)]
pub(super) struct Release(Vec<(Vec<u8>, Vec<u8>)>);

impl Release {
    /// Takes every line that is understood; the first that is not is the error, with its number.
    pub(super) fn parse(file: &[u8]) -> (Self, Result<(), (usize, String)>) {
        let mut release = Release::default();
        let result = each_line(file, |line| release.take(line.trim_ascii()));
        (release, result)
    }

    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        let equals = memchr::memchr(b'=', line);
        let equals = equals.ok_or_else(|| format!("expected KEY=VALUE, found {}", shown(line)))?;
        let value = unquote(&line[equals + 1..]);
        let value = value.ok_or_else(|| format!("quotes do not match: {}", shown(line)))?;
        self.0.push((line[..equals].to_vec(), value));
        Ok(())
    }

    /// The value of `key`, of which the last assignment counts; empty without one.
    pub(super) fn get(&self, key: &[u8]) -> &[u8] {
        let found = self.0.iter().rev().find(|(known, _)| known == key);
        found.map_or(&[], |(_, value)| value)
    }
}

/// The word as the shell understands it; none when a quote is left open.
fn unquote(word: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(word.len());
    let mut open = None;
    let mut bytes = word.iter().copied();
    while let Some(byte) = bytes.next() {
        match (open, byte) {
            (Some(quote), _) if byte == quote => open = None,
            (None, b'"' | b'\'') => open = Some(byte),
            (Some(b'"'), b'\\') => match bytes.next()? {
                escaped @ (b'"' | b'\\' | b'$' | b'`') => value.push(escaped),
                other => value.extend([b'\\', other]),
            },
            (None, b'\\') => value.push(bytes.next()?),
            _ => value.push(byte),
        }
    }
    open.is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_are_those_of_a_shell() {
        let unquoted =
            |word: &str| unquote(word.as_bytes()).map(|value| String::from_utf8(value).unwrap());
        assert_eq!(unquoted("debian").unwrap(), "debian");
        assert_eq!(unquoted("\"Debian GNU/Linux\"").unwrap(), "Debian GNU/Linux");
        assert_eq!(unquoted("'a \"b\" \\c'").unwrap(), "a \"b\" \\c");
        assert_eq!(unquoted("\"a \\\"b\\\" \\$c \\d\"").unwrap(), "a \"b\" $c \\d");
        assert_eq!(unquoted("a\\ b'c'\"d\"").unwrap(), "a bcd");
        assert_eq!(unquoted("").unwrap(), "");
        for open in ["\"a", "'a", "a\\", "\"a\\"] {
            assert_eq!(unquoted(open), None, "{open}");
        }
    }

    #[test]
    fn comments_pass_and_the_last_assignment_counts() {
        let (release, result) = Release::parse(b"# c\n\nID=a\n ID=b\nNAME=\n");
        assert_eq!(result, Ok(()));
        assert_eq!(release.get(b"ID"), b"b");
        assert_eq!((release.get(b"NAME"), release.get(b"NOTHING")), (&b""[..], &b""[..]));
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let (release, result) = Release::parse(b"ID\nID='a\nID=b\n");
        assert_eq!(result, Err((1, "expected KEY=VALUE, found \"ID\"".to_owned())));
        assert_eq!(release.get(b"ID"), b"b");
        let (_, result) = Release::parse(b"ID='a\n");
        assert_eq!(result, Err((1, "quotes do not match: \"ID='a\"".to_owned())));
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(value in "[ -~]{0,20}") {
            let quoted = format!("'{}'", value.replace('\'', "'\\''"));
            prop_assert_eq!(unquote(quoted.as_bytes()), Some(value.into_bytes()));
        }
    }
}
