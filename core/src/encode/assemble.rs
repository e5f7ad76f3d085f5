//! Joins the sinks of all collectors into one exposition.
//!
//! A family may come from several collectors, and in several pieces from one; on the wire it
//! stands together under one header. It must not know how the lines were made.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::Format;
use super::known::Known;
use super::text::TextSink;

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
    let page = Page::gather(sinks, &mut conflicts);
    for family in &page.families {
        out.extend_from_slice(family.known.header());
        if family.shared {
            page.write_distinct(family, out, &mut conflicts);
        } else {
            page.pieces_of(family).for_each(|piece| out.extend_from_slice(piece.bytes));
        }
    }
    if format == Format::OpenMetrics {
        out.extend_from_slice(b"# EOF\n");
    }
    conflicts
}

/// All families, each a chain of pieces: linear in pieces, however many a family has.
struct Page<'a> {
    families: Vec<Merged<'a>>,
    pieces: Vec<Piece<'a>>,
}

struct Merged<'a> {
    known: &'a Known,
    first: usize,
    last: usize,
    /// Comes from more than one sink.
    shared: bool,
}

struct Piece<'a> {
    sink: usize,
    bytes: &'a [u8],
    /// The next one of the family.
    next: Option<usize>,
}

impl<'a> Page<'a> {
    fn gather(sinks: &[&'a TextSink], conflicts: &mut Vec<Conflict>) -> Self {
        let spans = sinks.iter().map(|sink| sink.spans().len()).sum();
        let mut page = Page { families: Vec::new(), pieces: Vec::with_capacity(spans) };
        let mut index: HashMap<Key<'a>, usize, BuildHasherDefault<Ready>> = HashMap::default();
        for (at, sink) in sinks.iter().enumerate() {
            for &span in sink.spans() {
                let known = sink.family_of(span);
                let piece = Piece { sink: at, bytes: sink.bytes_of(span), next: None };
                match index.entry(Key(known)) {
                    Entry::Vacant(new) => {
                        new.insert(page.families.len());
                        page.begin(known, piece);
                    }
                    Entry::Occupied(family) => page.add(*family.get(), known, piece, conflicts),
                }
            }
        }
        page
    }

    fn begin(&mut self, known: &'a Known, piece: Piece<'a>) {
        let at = self.pieces.len();
        self.pieces.push(piece);
        self.families.push(Merged { known, first: at, last: at, shared: false });
    }

    fn add(
        &mut self,
        family: usize,
        known: &Known,
        piece: Piece<'a>,
        conflicts: &mut Vec<Conflict>,
    ) {
        let family = &mut self.families[family];
        if family.known.kind != known.kind {
            let name = known.name.to_string();
            conflicts.push(Conflict::Kind { family: name, sink: piece.sink });
            return;
        }
        family.shared |= self.pieces[family.first].sink != piece.sink;
        self.pieces[family.last].next = Some(self.pieces.len());
        family.last = self.pieces.len();
        self.pieces.push(piece);
    }

    fn pieces_of(&self, family: &Merged<'_>) -> impl Iterator<Item = &Piece<'a>> {
        let next = |piece: &&Piece<'a>| piece.next.map(|next| &self.pieces[next]);
        std::iter::successors(Some(&self.pieces[family.first]), next)
    }

    /// Writes line by line, a series only once: a scraper refuses a page that repeats one.
    fn write_distinct(
        &self,
        family: &Merged<'_>,
        out: &mut Vec<u8>,
        conflicts: &mut Vec<Conflict>,
    ) {
        let mut seen = HashSet::new();
        for piece in self.pieces_of(family) {
            for line in piece.bytes.split_inclusive(|&byte| byte == b'\n') {
                let series = series_of(line);
                if seen.insert(series) {
                    out.extend_from_slice(line);
                } else {
                    let series = String::from_utf8_lossy(series).into_owned();
                    conflicts.push(Conflict::Series { series, sink: piece.sink });
                }
            }
        }
    }
}

/// A family by its name, whose hash is known already.
struct Key<'a>(&'a Known);

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Key<'_> {}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

/// Gives back the hash it is given.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The part of a line before its value: up to the last brace, else the first space.
fn series_of(line: &[u8]) -> &[u8] {
    let brace = memchr::memrchr(b'}', line).map(|at| at + 1);
    let end = brace.or_else(|| memchr::memchr(b' ', line));
    &line[..end.unwrap_or(line.len())]
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
