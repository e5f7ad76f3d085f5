//! Rows of a table that is read at each scrape.
//!
//! Kernel files keep their order, so a row is found again by its place and its labels are worked out once. It
//! must not know what the columns of a row mean.

use std::collections::HashSet;

/// The rows of the last reading, in the order of the file.
#[derive(Debug)]
pub(crate) struct Rows<T>(Vec<Row<T>>);

#[derive(Debug)]
struct Row<T> {
    key: Vec<u8>,
    value: T,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows(Vec::new())
    }
}

impl<T> Rows<T> {
    /// Begins a reading; rows that it does not meet are dropped at its end.
    pub(crate) fn reading(&mut self) -> Reading<'_, T> {
        Reading { rows: &mut self.0, next: 0, met: None }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|row| &row.value)
    }
}

/// A reading under way.
pub(crate) struct Reading<'a, T> {
    rows: &'a mut Vec<Row<T>>,
    next: usize,
    /// The keys of this reading, from where it first departs from the last one.
    met: Option<HashSet<Vec<u8>>>,
}

impl<T> Reading<'_, T> {
    /// The next row, whose key is `key`: that of the last reading, or one that `make` makes; none when this
    /// reading met the key before.
    pub(crate) fn row(&mut self, key: &[u8], make: impl FnOnce() -> T) -> Option<&mut T> {
        let stands = self.rows.get(self.next).is_some_and(|row| row.key == key);
        if !stands && !self.is_new(key) {
            return None;
        }
        if !stands {
            self.rows.push(Row { key: key.to_vec(), value: make() });
        }
        self.next += 1;
        self.last()
    }

    /// The row that was handed out last.
    pub(crate) fn last(&mut self) -> Option<&mut T> {
        self.rows.get_mut(self.next.checked_sub(1)?).map(|row| &mut row.value)
    }

    /// Forgets the old order, which no longer holds from here on.
    fn is_new(&mut self, key: &[u8]) -> bool {
        self.rows.truncate(self.next);
        let known = || self.rows.iter().map(|row| row.key.clone()).collect();
        self.met.get_or_insert_with(known).insert(key.to_vec())
    }
}

impl<T> Drop for Reading<'_, T> {
    fn drop(&mut self) {
        self.rows.truncate(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(rows: &mut Rows<(String, usize)>, keys: &[&str]) -> usize {
        let mut made = 0;
        let mut reading = rows.reading();
        for key in keys {
            let row = reading.row(key.as_bytes(), || {
                made += 1;
                ((*key).to_owned(), 0)
            });
            if let Some((_, met)) = row {
                *met += 1;
            }
        }
        made
    }

    fn keys(rows: &Rows<(String, usize)>) -> Vec<&str> {
        rows.iter().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn rows_are_made_once() {
        let mut rows = Rows::default();
        assert_eq!(read(&mut rows, &["a", "b", "c"]), 3);
        assert_eq!(read(&mut rows, &["a", "b", "c"]), 0);
        assert_eq!(rows.iter().map(|(_, met)| *met).collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!(read(&mut rows, &["a", "x", "b", "c"]), 3);
        assert_eq!(read(&mut rows, &["a"]), 0);
        assert_eq!(keys(&rows), ["a"]);
    }

    proptest! {
        #[test]
        fn the_rows_are_the_keys_without_repetitions(
            readings in proptest::collection::vec(proptest::collection::vec("[a-d]", 0..6), 1..5),
        ) {
            let mut rows = Rows::default();
            for reading in readings {
                let reading: Vec<&str> = reading.iter().map(String::as_str).collect();
                read(&mut rows, &reading);
                let mut met = HashSet::new();
                let expected: Vec<&str> = reading.into_iter().filter(|key| met.insert(*key)).collect();
                prop_assert_eq!(keys(&rows), expected);
            }
        }
    }
}
