//! The families that rows belong to, worked out once.
//!
//! A module prints its rows in the same order each time, so the name of the next one is mostly known. It must not
//! know what the rows count.

use std::borrow::Cow;
use std::collections::HashSet;

use vigie_core::metric::{Desc, Kind, MetricSink, Sample};

use super::catalogue;
use super::kstat::Numbered;
use crate::parse::text;

/// The names of rows in the order of a file; files of one kind share them.
pub(super) struct Names {
    prefix: &'static str,
    known: Vec<Known>,
}

struct Known {
    /// As printed.
    row: Vec<u8>,
    name: String,
    help: Cow<'static, str>,
}

impl Names {
    /// Families are named `prefix` and the row.
    pub(super) const fn new(prefix: &'static str) -> Self {
        Names { prefix, known: Vec::new() }
    }

    /// Emits every row that is understood, each name once; the first that is not is the error.
    pub(super) fn emit<'a>(
        &mut self,
        rows: impl IntoIterator<Item = Numbered<'a>>,
        labels: &[(&str, &str)],
        sink: &mut dyn MetricSink,
    ) -> Result<(), (usize, String)> {
        let mut result = Ok(());
        let mut met = Met::default();
        let mut index = 0;
        for (line_number, row) in rows {
            let row = match row {
                Ok(row) => row,
                Err(what) => {
                    result = result.and(Err((line_number, what)));
                    continue;
                }
            };
            if self.known.get(index).is_none_or(|known| known.row != row.name) {
                self.known.truncate(index);
                let known = Known::new(self.prefix, row.name);
                if met.is_second(&known, &self.known) {
                    continue;
                }
                self.known.push(known);
            }
            let Some(known) = self.known.get(index) else { continue };
            index += 1;
            sink.family(&Desc { name: &known.name, help: &known.help, kind: Kind::Untyped });
            sink.sample(&Sample::new(labels, row.value));
        }
        self.known.truncate(index);
        result
    }
}

impl Known {
    fn new(prefix: &str, row: &[u8]) -> Self {
        let valid = |byte: &u8| if byte.is_ascii_alphanumeric() { char::from(*byte) } else { '_' };
        let name: String = prefix.chars().chain(row.iter().map(valid)).collect();
        let help = match catalogue::help(&name) {
            Some(help) => Cow::Borrowed(help),
            None => Cow::Owned(format!("Statistic {} of ZFS.", text(row))),
        };
        Known { row: row.to_vec(), name, help }
    }
}

/// The names met so far, looked up only once a file is not like the last one.
#[derive(Default)]
struct Met(Option<HashSet<String>>);

impl Met {
    fn is_second(&mut self, new: &Known, known: &[Known]) -> bool {
        let names = self.0.get_or_insert_with(|| known.iter().map(|k| k.name.clone()).collect());
        !names.insert(new.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::kstat::rows;
    use super::*;
    use crate::testing::Lines;

    fn emit(names: &mut Names, body: &str) -> String {
        let mut sink = Lines::default();
        let file = format!("name type data\n{body}");
        names.emit(rows(file.as_bytes()), &[("zpool", "p")], &mut sink).unwrap();
        sink.text
    }

    #[test]
    fn rows_come_go_and_are_told_once() {
        let mut names = Names::new("node_zfs_arc_");
        for _ in 0..2 {
            assert_eq!(
                emit(&mut names, "hits 4 1\nhits 4 2\na-b 4 3\na_b 4 4\n"),
                "node_zfs_arc_hits{zpool=\"p\"} 1\nnode_zfs_arc_a_b{zpool=\"p\"} 3\n"
            );
        }
        assert_eq!(emit(&mut names, "new 4 5\n"), "node_zfs_arc_new{zpool=\"p\"} 5\n");
        assert_eq!(names.known.len(), 1);
        assert_eq!(names.known[0].help, "Statistic new of ZFS.");
    }

    #[test]
    fn rows_without_end_are_read() {
        let body: String = (0..200_000).map(|row| format!("r{row} 4 1\n")).collect();
        assert_eq!(emit(&mut Names::new("x_"), &body).lines().count(), 200_000);
    }
}
