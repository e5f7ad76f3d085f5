//! Things with names that a host shows again and again, mostly in the same order.
//!
//! What is kept of each survives from scrape to scrape, without a search as long as the order stays, and with one hash
//! for each thing after it changed. It must not know what the things are.

use std::collections::HashSet;

use crate::parse::text;

/// The things of the last pass, and those of the current one while they are met.
#[derive(Debug)]
pub(crate) struct Known<T> {
    things: Vec<(String, T)>,
    /// How many were met in this pass.
    met: usize,
    /// Their names, once their order is no longer that of the last pass.
    names: Option<HashSet<Vec<u8>>>,
}

impl<T> Known<T> {
    pub(crate) fn new() -> Self {
        Known { things: Vec::new(), met: 0, names: None }
    }

    /// Begins a pass.
    pub(crate) fn begin(&mut self) {
        (self.met, self.names) = (0, None);
    }

    /// What is kept of `name`, or what `make` gives for a new one; `None` when it was met in this pass already: an
    /// answer that was disturbed may tell a thing twice.
    pub(crate) fn meet(&mut self, name: &[u8], make: impl FnOnce(&str) -> T) -> Option<&mut T> {
        let is_next = self.things.get(self.met).is_some_and(|(next, _)| next.as_bytes() == name);
        if !is_next || self.names.is_some() {
            self.things.truncate(self.met);
            let things = &self.things;
            let names = self.names.get_or_insert_with(|| {
                things.iter().map(|(name, _)| name.as_bytes().to_vec()).collect()
            });
            let shown = text(name).into_owned();
            // By its shown name: two that differ only in what is not UTF-8 are one series.
            if !names.insert(shown.as_bytes().to_vec()) {
                return None;
            }
            let thing = make(&shown);
            self.things.push((shown, thing));
        }
        self.met += 1;
        self.things.get_mut(self.met - 1).map(|(_, thing)| thing)
    }

    /// Ends the pass: what was not met is forgotten.
    pub(crate) fn end(&mut self) {
        self.things.truncate(self.met);
    }

    /// The things of the last pass in its order, with their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.things.iter().map(|(name, thing)| (name.as_str(), thing))
    }

    /// As [`Known::iter`], to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut T)> {
        self.things.iter_mut().map(|(name, thing)| (name.as_str(), thing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The things after a pass over `names`, and how many had to be made.
    fn pass(known: &mut Known<usize>, names: &[&str]) -> (Vec<String>, usize) {
        let mut made = 0;
        known.begin();
        for name in names {
            known.meet(name.as_bytes(), |_| {
                made += 1;
                0
            });
        }
        known.end();
        (known.iter().map(|(name, _)| name.to_owned()).collect(), made)
    }

    #[test]
    fn what_stays_is_kept_and_what_is_told_twice_counts_once() {
        let mut known = Known::new();
        assert_eq!(pass(&mut known, &["a", "b", "c"]).1, 3);
        assert_eq!(pass(&mut known, &["a", "b", "c"]).1, 0);
        let (things, made) = pass(&mut known, &["a", "c", "c", "a", "d"]);
        assert_eq!((things.join(""), made), ("acd".to_owned(), 2));
        assert_eq!(pass(&mut known, &["a"]), (vec!["a".to_owned()], 0));
    }

    #[test]
    fn names_that_look_the_same_are_one() {
        let mut known = Known::new();
        known.begin();
        assert!(known.meet(b"a\xff", |_| ()).is_some());
        assert!(known.meet(b"a\xfe", |_| ()).is_none());
    }

    proptest! {
        #[test]
        fn each_name_stands_once_in_the_order_met(passes in proptest::collection::vec(
            proptest::collection::vec("[a-d]", 0..8), 1..4)
        ) {
            let mut known = Known::new();
            for names in &passes {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let mut once: Vec<&str> = Vec::new();
                for name in &names {
                    if !once.contains(name) {
                        once.push(name);
                    }
                }
                prop_assert_eq!(pass(&mut known, &names).0, once);
            }
        }
    }
}
