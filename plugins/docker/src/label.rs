//! Which of a container's Docker labels become labels of its series, and under what name.
//!
//! Every label on every series multiplies cost, so only those of Swarm and Compose pass unless a
//! user wants more. It must not know where the labels come from.

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// What the known dashboards and rules join on.
const DEFAULT: [&str; 9] = [
    "com.docker.stack.namespace",
    "com.docker.swarm.node.id",
    "com.docker.swarm.service.id",
    "com.docker.swarm.service.name",
    "com.docker.swarm.task.id",
    "com.docker.swarm.task.name",
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.compose.container-number",
];

/// Labels per container, and bytes per value: more is a mistake, not a label.
const MAX_LABELS: usize = 64;
const MAX_VALUE: usize = 1024;

/// Which labels pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LabelFilter {
    /// Every label.
    All,
    /// Those that match one of the patterns; `*` stands for any text.
    Matching(Vec<String>),
}

impl Default for LabelFilter {
    fn default() -> Self {
        LabelFilter::Matching(DEFAULT.map(str::to_owned).to_vec())
    }
}

impl LabelFilter {
    /// From a flag's value: `all`, `none`, `default`, or patterns between commas, of which
    /// `default` may be one.
    pub(crate) fn parse(text: &str) -> LabelFilter {
        LabelFilter::from_words(text.split(',').map(str::trim).filter(|word| !word.is_empty()))
    }

    fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> LabelFilter {
        let mut patterns = Vec::new();
        for word in words {
            match word {
                "all" => return LabelFilter::All,
                "none" => {}
                "default" => patterns.extend(DEFAULT.map(str::to_owned)),
                pattern => patterns.push(pattern.to_owned()),
            }
        }
        LabelFilter::Matching(patterns)
    }

    /// The pairs `(container_label_..., value)` of those that pass, ordered by Docker's name. Of
    /// two that come out alike the first wins, and an empty value is no label.
    pub(crate) fn apply(
        &self,
        labels: impl IntoIterator<Item = (String, String)>,
    ) -> Vec<(String, String)> {
        let mut kept: Vec<_> = labels
            .into_iter()
            .filter(|(key, value)| !key.is_empty() && !value.is_empty() && self.passes(key))
            .collect();
        kept.sort_unstable();
        let mut named: Vec<(String, String)> = Vec::with_capacity(kept.len());
        for (key, mut value) in kept {
            let name = label_name(&key);
            if named.len() < MAX_LABELS && !named.iter().any(|(known, _)| *known == name) {
                value.truncate(value.floor_char_boundary(MAX_VALUE));
                named.push((name, value));
            }
        }
        named
    }

    fn passes(&self, key: &str) -> bool {
        match self {
            LabelFilter::All => true,
            LabelFilter::Matching(patterns) => patterns.iter().any(|pattern| matches(pattern, key)),
        }
    }
}

impl<'de> Deserialize<'de> for LabelFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilterVisitor)
    }
}

struct FilterVisitor;

impl<'de> Visitor<'de> for FilterVisitor {
    type Value = LabelFilter;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("all, none, default or a list of label patterns")
    }

    fn visit_str<E>(self, text: &str) -> Result<LabelFilter, E> {
        Ok(LabelFilter::parse(text))
    }

    fn visit_unit<E>(self) -> Result<LabelFilter, E> {
        Ok(LabelFilter::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<LabelFilter, A::Error> {
        let mut words: Vec<String> = Vec::new();
        while let Some(word) = items.next_element()? {
            words.push(word);
        }
        Ok(LabelFilter::from_words(words.iter().map(String::as_str)))
    }
}

/// `container_label_` and the key, each character outside `[A-Za-z0-9_]` an underscore.
fn label_name(key: &str) -> String {
    let plain = key.chars().take(256).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    "container_label_".chars().chain(plain).collect()
}

/// Whether `text` is `pattern`, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or("");
    // The leftmost place for each part in the middle leaves the most room for those after it.
    for part in parts {
        match text.split_once(part) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apply(filter: &str, labels: &[(&str, &str)]) -> Vec<(String, String)> {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        LabelFilter::parse(filter).apply(labels)
    }

    fn names(filter: &str, labels: &[(&str, &str)]) -> Vec<String> {
        apply(filter, labels).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn swarm_and_compose_pass_by_default() {
        let labels = [
            ("com.docker.compose.service", "web"),
            ("maintainer", "somebody"),
            ("com.docker.swarm.task", ""),
        ];
        assert_eq!(names("default", &labels), ["container_label_com_docker_compose_service"]);
        assert_eq!(names("none", &labels), [""; 0]);
        assert_eq!(names("all", &labels).len(), 2, "an empty value is no label");
        assert_eq!(names("default, main*", &labels).len(), 2);
    }

    #[test]
    fn of_two_alike_the_first_wins() {
        let labels = apply("all", &[("a.b", "second"), ("a-b", "first")]);
        assert_eq!(labels, [("container_label_a_b".to_owned(), "first".to_owned())]);
    }

    #[test]
    fn patterns_match_whole_keys() {
        for (pattern, text, matched) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a.*", "a.b.c", true),
            ("*.c", "a.b.c", true),
            ("*.c", "a.b.cd", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*a", "a", false),
            ("*", "", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), matched, "{pattern} {text}");
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = "é".repeat(MAX_VALUE);
        assert_eq!(apply("all", &[("a", &long)])[0].1.len(), MAX_VALUE);
        let odd = format!("x{long}");
        assert_eq!(apply("all", &[("a", &odd)])[0].1.len(), MAX_VALUE - 1);
    }

    proptest! {
        #[test]
        fn names_are_always_legal(key: String, value: String) {
            for (name, _) in LabelFilter::All.apply([(key, value)]) {
                prop_assert!(vigie_core::metric::is_label_name(&name));
            }
        }

        #[test]
        fn a_pattern_matches_itself_and_more(a in "[a-z*.]{0,8}", b in "[a-z.]{0,8}") {
            prop_assert!(matches(&a, &a.replace('*', &b)));
            let anywhere = format!("*{b}*");
            let around = format!("{a}{b}{a}");
            prop_assert!(matches(&anywhere, &around));
        }
    }
}
