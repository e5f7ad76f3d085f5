//! Joins the sinks of all collectors into one exposition.
//!
//! A family may come from several collectors, and in several pieces from one; on the wire it
//! stands together under one header. It must not know how the lines were made.

use std::collections::{HashMap, HashSet};

use super::Format;
use super::text::{Known, Span, TextSink, write_escaped};
use crate::metric::Kind;

/// Something two collectors disagreed about; the later one's samples are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// One family with two kinds.
    Kind {
        /// The family.
        family: String,
        /// Index of the sink whose samples are left out.
        sink: usize,
    },
    /// The same series from two sinks.
    Series {
        /// The line without its value.
        series: String,
        /// Index of the sink whose sample is left out.
        sink: usize,
    },
}

/// Appends the exposition of `sinks` to `out`: families in the order of their first appearance,
/// each with its header once. All sinks must hold lines of `format`.
pub fn assemble(format: Format, sinks: &[&TextSink], out: &mut Vec<u8>) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for family in gather(sinks, &mut conflicts) {
        write_header(out, format, family.known);
        if family.shared {
            family.write_distinct(sinks, out, &mut conflicts);
        } else {
            family.pieces.iter().for_each(|&(sink, span)| {
                out.extend_from_slice(sinks[sink].bytes_of(span));
            });
        }
    }
    if format == Format::OpenMetrics {
        out.extend_from_slice(b"# EOF\n");
    }
    conflicts
}

/// A family and where its bytes lie.
struct Merged<'a> {
    known: &'a Known,
    pieces: Vec<(usize, Span)>,
    /// Comes from more than one sink.
    shared: bool,
}

fn gather<'a>(sinks: &[&'a TextSink], conflicts: &mut Vec<Conflict>) -> Vec<Merged<'a>> {
    let mut merged: Vec<Merged<'a>> = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    for (at, sink) in sinks.iter().enumerate() {
        for &span in sink.spans() {
            let known = sink.family_of(span);
            let family = *index.entry(&known.name).or_insert_with(|| {
                merged.push(Merged { known, pieces: Vec::new(), shared: false });
                merged.len() - 1
            });
            let family = &mut merged[family];
            if family.known.kind != known.kind {
                conflicts.push(Conflict::Kind { family: known.name.to_string(), sink: at });
                continue;
            }
            family.shared |= family.pieces.first().is_some_and(|(first, _)| *first != at);
            family.pieces.push((at, span));
        }
    }
    merged
}

impl Merged<'_> {
    /// Writes line by line, a series only once: a scraper refuses a page that repeats one.
    fn write_distinct(
        &self,
        sinks: &[&TextSink],
        out: &mut Vec<u8>,
        conflicts: &mut Vec<Conflict>,
    ) {
        let mut seen = HashSet::new();
        for &(sink, span) in &self.pieces {
            for line in sinks[sink].bytes_of(span).split_inclusive(|&byte| byte == b'\n') {
                let series = series_of(line);
                if seen.insert(series) {
                    out.extend_from_slice(line);
                } else {
                    let series = String::from_utf8_lossy(series).into_owned();
                    conflicts.push(Conflict::Series { series, sink });
                }
            }
        }
    }
}

/// The part of a line before its value: up to the last brace, else the first space.
fn series_of(line: &[u8]) -> &[u8] {
    let brace = memchr::memrchr(b'}', line).map(|at| at + 1);
    let end = brace.or_else(|| memchr::memchr(b' ', line));
    &line[..end.unwrap_or(line.len())]
}

fn write_header(out: &mut Vec<u8>, format: Format, family: &Known) {
    let (name, kind) = match format {
        Format::Text => (&*family.name, family.kind.as_str()),
        Format::OpenMetrics => openmetrics_type(family),
    };
    out.extend_from_slice(b"# HELP ");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    write_escaped(out, family.help.as_bytes(), format == Format::OpenMetrics);
    out.extend_from_slice(b"\n# TYPE ");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    out.extend_from_slice(kind.as_bytes());
    out.push(b'\n');
}

/// OpenMetrics names a counter without `_total`. A counter declared without that suffix cannot be
/// one there; it is shown as `unknown` rather than renamed.
fn openmetrics_type(family: &Known) -> (&str, &'static str) {
    match (family.kind, family.name.strip_suffix("_total")) {
        (Kind::Counter, Some(name)) => (name, "counter"),
        (Kind::Counter, None) | (Kind::Untyped, _) => (&family.name, "unknown"),
        (kind, _) => (&family.name, kind.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Family;

    static A: Family<1> = Family::gauge("a", "First.", ["x"]);
    static A_TOO: Family<1> = Family::gauge("a", "Second.", ["x"]);
    static A_COUNTER: Family = Family::counter("a", "Third.", []);

    #[test]
    fn families_of_several_sinks_stand_together() {
        let (mut one, mut two, mut three) =
            (TextSink::default(), TextSink::default(), TextSink::default());
        A.emit(&mut one, ["1"], 1_u64);
        A_TOO.emit(&mut two, ["2 }"], 2_u64);
        A_TOO.emit(&mut two, ["1"], 3_u64);
        A_COUNTER.emit(&mut three, [], 4_u64);
        let mut out = Vec::new();
        let conflicts = assemble(Format::Text, &[&one, &two, &three], &mut out);
        let expected = "# HELP a First.\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2 }\"} 2\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(
            conflicts,
            [
                Conflict::Kind { family: "a".into(), sink: 2 },
                Conflict::Series { series: "a{x=\"1\"}".into(), sink: 1 },
            ]
        );
    }
}
