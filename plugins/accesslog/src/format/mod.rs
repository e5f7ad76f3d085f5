//! The formats of access logs, by name.
//!
//! One slice feeds the configuration, the command line and detection: a new format is a file and a
//! line. A format must not know files, counters or objectives.

mod clf;
mod time;
mod traefik;

use crate::record::{Malformed, Record};

/// Every known format, in the order detection tries them.
pub static FORMATS: &[&Format] = &[&traefik::FORMAT, &clf::FORMAT];

/// The name that asks for detection.
pub const AUTO: &str = "auto";

/// A format of lines.
#[derive(Debug)]
pub struct Format {
    /// As in `format:` and `--accesslog.format`.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// Reads a line without its newline.
    pub parse: for<'a> fn(&'a [u8]) -> Result<Record<'a>, Malformed>,
}

/// A name that is no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {name:?}; known are {}", names().join(", "))]
pub struct UnknownFormat {
    name: String,
}

/// What may stand where a format is asked for: `auto` and the names of [`FORMATS`].
#[must_use]
pub fn names() -> Vec<&'static str> {
    std::iter::once(AUTO).chain(FORMATS.iter().map(|format| format.name)).collect()
}

/// Reads lines of one format, or finds out which one it is.
#[derive(Clone, Debug)]
pub struct Parser {
    format: Option<&'static Format>,
    detects: bool,
}

impl Parser {
    /// A parser for the format called `name`, or for any with `auto`.
    ///
    /// # Errors
    /// When there is no such format.
    pub fn new(name: &str) -> Result<Self, UnknownFormat> {
        if name == AUTO {
            return Ok(Parser { format: None, detects: true });
        }
        let found = FORMATS.iter().copied().find(|format| format.name == name);
        match found {
            Some(format) => Ok(Parser { format: Some(format), detects: false }),
            None => Err(UnknownFormat { name: name.chars().take(64).collect() }),
        }
    }

    /// The name of the format: detected, once a line was good.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.format.map_or(AUTO, |format| format.name)
    }

    /// Reads a line without its newline. A carriage return at its end is ignored.
    ///
    /// # Errors
    /// When the line is no request.
    pub fn parse<'a>(&mut self, line: &'a [u8]) -> Result<Record<'a>, Malformed> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.format.map(|format| (format.parse)(line)) {
            Some(outcome) if !self.detects || outcome != Err(Malformed::Syntax) => outcome,
            _ => self.detect(line),
        }
    }

    /// A proxy may be told to write another format into the same file, so every line that does not
    /// fit is tried with all of them. The error is that of the format that came closest.
    fn detect<'a>(&mut self, line: &'a [u8]) -> Result<Record<'a>, Malformed> {
        let mut closest = Malformed::Syntax;
        for format in FORMATS.iter().copied() {
            match (format.parse)(line) {
                Ok(record) => {
                    self.format = Some(format);
                    return Ok(record);
                }
                Err(Malformed::Syntax) => {}
                Err(reason) => closest = reason,
            }
        }
        Err(closest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLF: &[u8] = br#"::1 - - [20/Nov/2026:16:10:14 +0000] "GET / HTTP/1.1" 200 1 "-" "-" 1 "a@file" "http://b" 3ms"#;
    const JSON: &[u8] = br#"{"DownstreamStatus":200,"Duration":3000000}"#;

    #[test]
    fn the_format_is_detected_and_may_change() {
        let mut parser = Parser::new(AUTO).unwrap();
        assert_eq!(parser.parse(b"starting"), Err(Malformed::Syntax));
        assert_eq!(parser.name(), "auto");
        assert_eq!(parser.parse(CLF).unwrap().code, 200);
        assert_eq!(parser.name(), "traefik-clf");
        assert_eq!(parser.parse(JSON).unwrap().code, 200);
        assert_eq!(parser.name(), "traefik-json");
    }

    #[test]
    fn a_given_format_stays() {
        let mut parser = Parser::new("traefik-json").unwrap();
        assert_eq!(parser.parse(CLF), Err(Malformed::Syntax));
        let error = Parser::new("trafik").unwrap_err().to_string();
        assert_eq!(error, "unknown format \"trafik\"; known are auto, traefik-json, traefik-clf");
    }

    #[test]
    fn windows_line_ends_are_taken() {
        let mut line = CLF.to_vec();
        line.push(b'\r');
        assert!(Parser::new("traefik-clf").unwrap().parse(&line).is_ok());
    }
}
