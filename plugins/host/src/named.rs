//! Families named by the kernel: what a line is called there decides what the family is called here.
//!
//! Names are worked out when a line is first met and then recalled by its place, because a running kernel does
//! not reorder its files. No name is given twice. It must not know the files.

use std::collections::HashSet;

use vigie_core::metric::{Desc, Kind, MetricSink, Sample, Value};

use crate::parse::{number, signed};

/// The families of a file or of several, in the order of their lines.
#[derive(Debug)]
pub(crate) struct Names {
    kind: Kind,
    rows: Vec<Row>,
    taken: usize,
    used: HashSet<String>,
}

/// A line or part of one, and the families it gives.
#[derive(Debug)]
struct Row {
    key: [Vec<u8>; 2],
    families: Vec<Named>,
}

/// A family without labels.
#[derive(Debug)]
pub(crate) struct Named {
    /// Which of the values that belong to the key it shows; the rows of a key ascend by it.
    pub(crate) column: usize,
    name: String,
    help: String,
    kind: Kind,
}

impl Named {
    pub(crate) fn emit(&self, sink: &mut dyn MetricSink, value: Value<'_>) {
        sink.family(&Desc { name: &self.name, help: &self.help, kind: self.kind });
        sink.sample(&Sample::new(&[], value));
    }
}

impl Names {
    pub(crate) fn new(kind: Kind) -> Self {
        Names { kind, rows: Vec::new(), taken: 0, used: HashSet::new() }
    }

    /// Begins a scrape.
    pub(crate) fn rewind(&mut self) {
        self.taken = 0;
    }

    /// The families of the next key. Only where the key was not met at this place before, `describe` is asked
    /// for their columns, names and helps.
    pub(crate) fn next<F>(&mut self, key: [&[u8]; 2], describe: impl FnOnce() -> F) -> &[Named]
    where
        F: IntoIterator<Item = (usize, String, String)>,
    {
        if self.rows.get(self.taken).is_none_or(|row| row.key != key) {
            self.forget_from(self.taken);
            let mut row = Row { key: key.map(<[u8]>::to_vec), families: Vec::new() };
            for (column, name, help) in describe() {
                if self.used.insert(name.clone()) {
                    row.families.push(Named { column, name, help, kind: self.kind });
                }
            }
            self.rows.push(row);
        }
        self.taken += 1;
        self.rows.get(self.taken - 1).map_or(&[], |row| &row.families)
    }

    fn forget_from(&mut self, place: usize) {
        for row in self.rows.drain(place..) {
            for family in row.families {
                self.used.remove(&family.name);
            }
        }
    }
}

/// Appends `word` to a metric name; what no name may hold becomes `_`.
pub(crate) fn push_word(name: &mut String, word: &[u8]) {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.extend(word.iter().map(|&byte| if is_fit(byte) { char::from(byte) } else { '_' }));
}

/// A whole number with or without sign, exact as far as it has none.
pub(crate) fn whole(word: &[u8]) -> Option<Value<'static>> {
    number(word).map(Value::U64).or_else(|| signed(word).map(Value::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lines;

    fn emit(names: &mut Names, keys: &[&str]) -> String {
        let mut sink = Lines::default();
        names.rewind();
        for key in keys {
            let describe = || [(0, key.to_uppercase(), String::new())];
            for family in names.next([key.as_bytes(), b""], describe) {
                family.emit(&mut sink, Value::U64(1));
            }
        }
        sink.text
    }

    #[test]
    fn names_follow_a_file_that_changes_and_none_is_given_twice() {
        let mut names = Names::new(Kind::Gauge);
        assert_eq!(emit(&mut names, &["a", "b", "A", "b"]), "A 1\nB 1\n");
        assert_eq!(emit(&mut names, &["a", "b", "A", "b"]), "A 1\nB 1\n");
        assert_eq!(emit(&mut names, &["A", "b"]), "A 1\nB 1\n");
        assert_eq!(emit(&mut names, &["b", "c"]), "B 1\nC 1\n");
    }

    #[test]
    fn a_key_that_is_recalled_is_not_described_again() {
        let mut names = Names::new(Kind::Gauge);
        emit(&mut names, &["a"]);
        names.rewind();
        let families =
            names.next([b"a", b""], || -> [(usize, String, String); 0] { panic!("described") });
        assert_eq!(families[0].name, "A");
    }

    #[test]
    fn words_become_parts_of_names() {
        let mut name = String::from("node_");
        push_word(&mut name, b"a-b.\xff9");
        assert_eq!(name, "node_a_b__9");
    }

    #[test]
    fn numbers_may_be_negative() {
        assert!(matches!(whole(b"18446744073709551615"), Some(Value::U64(u64::MAX))));
        assert!(matches!(whole(b"-1"), Some(Value::F64(value)) if value == -1.0));
        assert!(whole(b"1.5").is_none());
    }
}
