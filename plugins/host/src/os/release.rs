//! The format of os-release: assignments as a shell reads them (os-release(5)).
//!
//! Variables are not substituted, which the format forbids. It must not know what the keys mean.

use crate::parse::{lines, shown};

/// The assignments of a file.
#[derive(Debug, Default)]
pub(super) struct Release(Vec<(Vec<u8>, Vec<u8>)>);

impl Release {
    /// Reads a file; the error has the number of its line.
    pub(super) fn parse(file: &[u8]) -> Result<Self, (usize, String)> {
        let mut release = Release::default();
        for (number, line) in lines(file) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let Some(equals) = memchr::memchr(b'=', line) else {
                return Err((number, format!("expected KEY=VALUE, found {}", shown(line))));
            };
            let value = unquote(&line[equals + 1..]);
            let value =
                value.ok_or_else(|| (number, format!("quotes do not match: {}", shown(line))))?;
            release.0.push((line[..equals].to_vec(), value));
        }
        Ok(release)
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
        let release = Release::parse(b"# c\n\nID=a\n ID=b\nNAME=\n").unwrap();
        assert_eq!(release.get(b"ID"), b"b");
        assert_eq!((release.get(b"NAME"), release.get(b"NOTHING")), (&b""[..], &b""[..]));
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(Release::parse(b"ID=a\nID\n").unwrap_err().0, 2);
        assert_eq!(Release::parse(b"ID='a\n").unwrap_err().1, "quotes do not match: \"ID='a\"");
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(value in "[ -~]{0,20}") {
            let quoted = format!("'{}'", value.replace('\'', "'\\''"));
            prop_assert_eq!(unquote(quoted.as_bytes()), Some(value.into_bytes()));
        }
    }
}
