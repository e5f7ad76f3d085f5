//! Families of several text files made one.
//!
//! The first file that tells a family rules on its type and help text, and a series is shown once;
//! what is left out is reported with both files. It must not read files.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::fmt::Write;
use std::path::Path;

use vigie_core::encode::{ExposedFamily, Exposition};
use vigie_core::metric::{Kind, MetricSink};

/// What to show of each file.
#[derive(Default)]
pub(super) struct Merged {
    families: Vec<Family>,
    troubles: Vec<String>,
}

struct Family {
    help: String,
    pieces: Vec<Piece>,
}

/// A family in one file.
struct Piece {
    file: usize,
    family: usize,
    /// Metrics that another piece or this one told before.
    left_out: HashSet<usize>,
}

impl Merged {
    /// Merges pages in the order of their files.
    pub(super) fn new<'a>(pages: impl Iterator<Item = (&'a Path, &'a Exposition)>) -> Self {
        let mut merging = Merging::default();
        for (file, (path, page)) in pages.enumerate() {
            merging.paths.push(path);
            for (index, family) in page.families.iter().enumerate() {
                merging.add(file, index, family);
            }
        }
        merging.finish()
    }

    /// What is not shown, and why.
    pub(super) fn troubles(&self) -> impl Iterator<Item = &String> {
        self.troubles.iter()
    }

    /// Pushes everything; `pages` are those it was made from.
    pub(super) fn emit(&self, pages: &[(&Path, &Exposition)], sink: &mut dyn MetricSink) {
        for family in &self.families {
            for piece in &family.pieces {
                let page = pages.get(piece.file).map(|(_, page)| page);
                if let Some(exposed) = page.and_then(|page| page.families.get(piece.family)) {
                    exposed.emit(&family.help, |metric| !piece.left_out.contains(&metric), sink);
                }
            }
        }
    }
}

#[derive(Default)]
struct Merging<'a> {
    paths: Vec<&'a Path>,
    families: Vec<Growing<'a>>,
    index: HashMap<&'a str, usize>,
    troubles: Vec<String>,
}

struct Growing<'a> {
    kind: Kind,
    /// The help text, and the file it stands in.
    help: Option<(&'a str, usize)>,
    pieces: Vec<Piece>,
    /// Which file told a series.
    seen: HashMap<Vec<(&'a str, &'a str)>, usize>,
}

impl<'a> Merging<'a> {
    fn add(&mut self, file: usize, index: usize, family: &'a ExposedFamily) {
        if [super::ERROR.doc().name, super::MTIME.doc().name].contains(&family.name.as_str()) {
            let path = self.paths.get(file).map(|path| path.display().to_string());
            let path = path.unwrap_or_default();
            let what = format!("{} in {path} is the collector's own; it is left out", family.name);
            self.troubles.push(what);
            return;
        }
        let next = self.families.len();
        let at = *self.index.entry(&family.name).or_insert(next);
        if at == next {
            let (pieces, seen) = (Vec::new(), HashMap::new());
            self.families.push(Growing { kind: family.kind, help: None, pieces, seen });
        }
        let Some(growing) = self.families.get_mut(at) else { return };
        let paths = &self.paths;
        let path = |file: usize| paths.get(file).map(|path| path.display().to_string());
        let both = |first, what: &str| {
            let (first, second) = (path(first).unwrap_or_default(), path(file).unwrap_or_default());
            format!("{} {what} in {first} and {second}; the first is shown", family.name)
        };
        let first = growing.pieces.first().map_or(file, |piece| piece.file);
        if growing.kind != family.kind {
            self.troubles.push(both(first, "has different types"));
            return;
        }
        match (growing.help, family.help.as_deref()) {
            (Some((help, first)), Some(other)) if help != other => {
                self.troubles.push(both(first, "has different help texts"));
                return;
            }
            (None, Some(help)) => growing.help = Some((help, file)),
            _ => {}
        }
        let mut left_out = HashSet::new();
        for (metric, identity) in family.identities().enumerate() {
            match growing.seen.entry(identity) {
                Entry::Vacant(entry) => {
                    entry.insert(file);
                }
                Entry::Occupied(entry) => {
                    // One is enough: a broken script repeats thousands.
                    if left_out.is_empty() {
                        let what = format!("is told twice{}", show(entry.key()));
                        self.troubles.push(both(*entry.get(), &what));
                    }
                    left_out.insert(metric);
                }
            }
        }
        growing.pieces.push(Piece { file, family: index, left_out });
    }

    fn finish(self) -> Merged {
        let paths = self.paths;
        let finished = |family: Growing<'_>| {
            let files = family.pieces.iter().filter_map(|piece| paths.get(piece.file));
            let files: Vec<_> = files.map(|path| path.display().to_string()).collect();
            let help = family.help.map(|(help, _)| help.to_owned());
            let help = help.unwrap_or_else(|| read_from(&files));
            Family { help, pieces: family.pieces }
        };
        let families = self.families.into_iter().map(finished).collect();
        Merged { families, troubles: self.troubles }
    }
}

/// A help text for a family that has none of its own; each scrape pays for its length.
fn read_from(files: &[String]) -> String {
    const NAMED: usize = 10;
    let (named, others) = files.split_at(files.len().min(NAMED));
    let named = named.join(", ");
    match others.len() {
        0 => format!("Metric read from {named}"),
        count => format!("Metric read from {named} and {count} other files"),
    }
}

/// The labels of a series for a message; at most three of them.
fn show(identity: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (index, (name, value)) in identity.iter().take(3).enumerate() {
        let start = if index == 0 { " (" } else { ", " };
        let value: String = value.chars().take(60).collect();
        // Writing into a string cannot fail.
        let _ = write!(text, "{start}{name}={value:?}");
    }
    text.push_str(if identity.is_empty() { "" } else { ")" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigie_core::encode::{Format, TextSink};

    /// The exposition of files a, b, c ... and the troubles.
    fn merge(files: &[&str]) -> (String, Vec<String>) {
        let names = ["a", "b", "c", "d"].map(Path::new);
        let pages: Vec<_> = files.iter().map(|text| Exposition::parse(text).unwrap()).collect();
        let pages: Vec<_> = names.into_iter().zip(&pages).collect();
        let merged = Merged::new(pages.iter().copied());
        let mut sink = TextSink::new(Format::Text);
        merged.emit(&pages, &mut sink);
        (String::from_utf8(sink.to_exposition()).unwrap(), merged.troubles)
    }

    #[test]
    fn a_family_of_several_files_is_one() {
        let (text, troubles) = merge(&["x{a=\"1\"} 1\n", "# HELP x Help.\nx{b=\"2\"} 2\n"]);
        assert_eq!(text, "# HELP x Help.\n# TYPE x untyped\nx{a=\"1\"} 1\nx{b=\"2\"} 2\n");
        assert!(troubles.is_empty());
        let (text, _) = merge(&["x 1\n", "x{a=\"1\"} 1\n"]);
        assert!(text.starts_with("# HELP x Metric read from a, b\n"), "{text}");
        let many = read_from(&(0..5000).map(|file| file.to_string()).collect::<Vec<_>>());
        assert!(many.ends_with("8, 9 and 4990 other files"), "{many}");
    }

    #[test]
    fn the_first_help_text_and_the_first_type_win() {
        let (text, troubles) = merge(&[
            "# HELP x One.\nx 1\n",
            "# HELP x Two.\nx{a=\"1\"} 2\n",
            "# HELP x One.\nx{a=\"2\"} 3\n",
        ]);
        assert_eq!(text, "# HELP x One.\n# TYPE x untyped\nx 1\nx{a=\"2\"} 3\n");
        assert_eq!(troubles, ["x has different help texts in a and b; the first is shown"]);
        let (text, troubles) =
            merge(&["# TYPE x gauge\nx 1\n", "# TYPE x counter\nx{a=\"1\"} 2\n"]);
        assert!(text.ends_with("# TYPE x gauge\nx 1\n"), "{text}");
        assert_eq!(troubles, ["x has different types in a and b; the first is shown"]);
    }

    #[test]
    fn a_series_is_shown_once_and_both_files_are_named() {
        let (text, troubles) = merge(&["x{a=\"1\",b=\"\"} 1\n", "x{a=\"1\"} 2\nx{a=\"2\"} 3\n"]);
        assert!(text.ends_with("x{a=\"1\"} 1\nx{a=\"2\"} 3\n"), "{text}");
        assert_eq!(troubles, ["x is told twice (a=\"1\") in a and b; the first is shown"]);
        let (_, troubles) = merge(&["x 1\nx 2\n"]);
        assert_eq!(troubles, ["x is told twice in a and a; the first is shown"]);
    }

    #[test]
    fn histograms_and_summaries_stay_what_they_are() {
        let page = "# HELP h Help.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n\
            # HELP s Help.\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 3\ns_count 2\n";
        assert_eq!(merge(&[page]), (page.to_owned(), Vec::new()));
    }
}
