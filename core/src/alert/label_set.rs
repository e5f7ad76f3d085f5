//! A set of labels, the identity of an alert.
//!
//! Sorted by name and immutable, because it is compared, hashed and printed far more often than
//! made. It must not know which labels are special.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Label names and values, sorted by name in byte order, names unique. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSet(Arc<[(Box<str>, Box<str>)]>);

impl LabelSet {
    /// From pairs; of a repeated name the last one counts.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        pairs.into_iter().collect()
    }

    /// The value of a label; empty when absent, which is the same thing.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0
            .binary_search_by(|(known, _)| known.as_ref().cmp(name))
            .map_or("", |index| &self.0[index].1)
    }

    /// Pairs in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set without labels of empty value.
    #[must_use]
    pub fn without_empty(&self) -> Self {
        if self.iter().all(|(_, value)| !value.is_empty()) {
            return self.clone();
        }
        self.iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for LabelSet {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let sorted: BTreeMap<Box<str>, Box<str>> =
            pairs.into_iter().map(|(n, v)| (n.as_ref().into(), v.as_ref().into())).collect();
        LabelSet(sorted.into_iter().collect())
    }
}

/// `{a="b", c="d"}` with Go's quoting, as Alertmanager prints group labels.
impl std::fmt::Display for LabelSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{name}={}", super::matcher::quote(value))?;
        }
        f.write_str("}")
    }
}

impl Serialize for LabelSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for LabelSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<String, String>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_unique() {
        let set = LabelSet::new([("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(set.to_string(), r#"{a="2", b="3"}"#);
        assert_eq!((set.get("b"), set.get("none"), set.len()), ("3", "", 2));
        assert_eq!(LabelSet::new([("a", ""), ("b", "x")]).without_empty().len(), 1);
    }
}
