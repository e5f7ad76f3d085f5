//! A family as a sink remembers it from scrape to scrape.
//!
//! Name, type and help seldom change, so the header is written when they do, and the name's hash is
//! made once. It must not know samples.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Format;
use super::text::write_escaped;
use crate::metric::{Desc, Kind};

/// A family that was opened, in this scrape or an earlier one.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: Box<str>,
    /// Of the name; equal in all sinks.
    pub(super) hash: u64,
    pub(super) kind: Kind,
    /// Opened in this scrape.
    pub(super) used: bool,
    help: String,
    format: Format,
    header: Vec<u8>,
}

impl Known {
    pub(super) fn new(desc: &Desc<'_>, format: Format) -> Self {
        let mut hasher = DefaultHasher::new();
        desc.name.hash(&mut hasher);
        let mut known = Known {
            name: desc.name.into(),
            hash: hasher.finish(),
            kind: desc.kind,
            used: false,
            help: desc.help.to_owned(),
            format,
            header: Vec::new(),
        };
        known.write_header();
        known
    }

    /// Takes the type and help text of `desc`.
    pub(super) fn declare(&mut self, desc: &Desc<'_>, format: Format) {
        if (self.kind, self.format) != (desc.kind, format) || self.help != desc.help {
            (self.kind, self.format) = (desc.kind, format);
            self.help.clear();
            self.help.push_str(desc.help);
            self.write_header();
        }
    }

    /// The lines `# HELP` and `# TYPE`.
    pub(super) fn header(&self) -> &[u8] {
        &self.header
    }

    fn write_header(&mut self) {
        let (name, kind) = match self.format {
            Format::Text => (&*self.name, self.kind.as_str()),
            Format::OpenMetrics => openmetrics_type(&self.name, self.kind),
        };
        let out = &mut self.header;
        out.clear();
        out.extend_from_slice(b"# HELP ");
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        write_escaped(out, self.help.as_bytes(), self.format == Format::OpenMetrics);
        out.extend_from_slice(b"\n# TYPE ");
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        out.extend_from_slice(kind.as_bytes());
        out.push(b'\n');
    }
}

/// OpenMetrics names a counter without `_total`. A counter declared without that suffix cannot be
/// one there; it is shown as `unknown` rather than renamed.
fn openmetrics_type(name: &str, kind: Kind) -> (&str, &'static str) {
    match (kind, name.strip_suffix("_total")) {
        (Kind::Counter, Some(name)) => (name, "counter"),
        (Kind::Counter, None) | (Kind::Untyped, _) => (name, "unknown"),
        (kind, _) => (name, kind.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(known: &Known) -> &str {
        std::str::from_utf8(known.header()).unwrap()
    }

    #[test]
    fn the_header_follows_type_help_and_format() {
        let mut desc = Desc { name: "a_total", help: "One.", kind: Kind::Counter };
        let mut known = Known::new(&desc, Format::Text);
        assert_eq!(header(&known), "# HELP a_total One.\n# TYPE a_total counter\n");
        known.declare(&desc, Format::OpenMetrics);
        assert_eq!(header(&known), "# HELP a One.\n# TYPE a counter\n");
        desc.help = "Two.";
        known.declare(&desc, Format::Text);
        assert_eq!(header(&known), "# HELP a_total Two.\n# TYPE a_total counter\n");
        desc.kind = Kind::Untyped;
        known.declare(&desc, Format::Text);
        assert_eq!(header(&known), "# HELP a_total Two.\n# TYPE a_total untyped\n");
    }
}
