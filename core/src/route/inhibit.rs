//! Inhibition: alerts that make others not worth a notification.
//!
//! Firing sources are indexed by the labels a rule wants equal, so that asking about an alert
//! costs one look-up per rule that targets it. It must not know silences or groups.

use std::collections::{BTreeSet, HashMap};

use super::tree::read_matchers;
use crate::alert::{Fingerprint, LabelSet, Matchers};
use crate::config::{ConfigError, Node};
use crate::metric::is_label_name;

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InhibitRule {
    /// For people (Alertmanager 0.30); may be empty.
    pub name: String,
    /// Alerts that inhibit.
    pub source: Matchers,
    /// Alerts that are inhibited.
    pub target: Matchers,
    /// Labels on which both must agree; absent equals empty.
    pub equal: Vec<Box<str>>,
}

const KEYS: [&str; 8] = [
    "name",
    "source_match",
    "source_match_re",
    "source_matchers",
    "target_match",
    "target_match_re",
    "target_matchers",
    "equal",
];

impl InhibitRule {
    /// Reads an item of `inhibit_rules`.
    ///
    /// # Errors
    /// With the place of what is wrong.
    pub fn read(node: &Node) -> Result<Self, ConfigError> {
        node.only_keys(KEYS)?;
        let mut rule = InhibitRule {
            name: node.get("name").map_or(Ok(""), Node::text)?.to_owned(),
            source: read_matchers(node, ["source_match", "source_match_re", "source_matchers"])?,
            target: read_matchers(node, ["target_match", "target_match_re", "target_matchers"])?,
            equal: Vec::new(),
        };
        for item in node.get("equal").map_or(Ok(&[][..]), Node::items)? {
            let name = item.text()?;
            if !is_label_name(name) {
                return Err(item.error("this is no label name"));
            }
            rule.equal.push(name.into());
        }
        Ok(rule)
    }
}

/// The values of a rule's `equal` labels.
type Equal = Box<[Box<str>]>;

/// What an alert is to one rule.
#[derive(Debug)]
struct Part {
    /// Index into the rules of the inhibitor that worked it out.
    rule: usize,
    equal: Equal,
    /// Whether it is on the other side as well.
    both: bool,
}

/// What an alert is to all rules; depends on its labels only.
#[derive(Debug, Default)]
pub(super) struct Roles {
    sources: Vec<Part>,
    targets: Vec<Part>,
}

/// Firing sources that agree on the `equal` labels.
#[derive(Debug, Default)]
struct Sources {
    /// Those that are no targets of the same rule.
    pure: BTreeSet<Fingerprint>,
    /// Those that are; they inhibit only targets that are no sources.
    both: BTreeSet<Fingerprint>,
}

#[derive(Debug)]
struct Indexed {
    rule: InhibitRule,
    firing: HashMap<Equal, Sources>,
}

/// All rules with their firing sources.
#[derive(Debug, Default)]
pub(super) struct Inhibitor(Vec<Indexed>);

impl Inhibitor {
    pub(super) fn new(rules: &[InhibitRule]) -> Self {
        let indexed = |rule: &InhibitRule| Indexed { rule: rule.clone(), firing: HashMap::new() };
        Inhibitor(rules.iter().map(indexed).collect())
    }

    /// Works out what an alert with these labels is to the rules.
    pub(super) fn roles(&self, labels: &LabelSet) -> Roles {
        let mut roles = Roles::default();
        for (index, Indexed { rule, .. }) in self.0.iter().enumerate() {
            let (source, target) = (rule.source.matches(labels), rule.target.matches(labels));
            let part = || Part {
                rule: index,
                equal: rule.equal.iter().map(|name| labels.get(name).into()).collect(),
                both: source && target,
            };
            if source {
                roles.sources.push(part());
            }
            if target {
                roles.targets.push(part());
            }
        }
        roles
    }

    /// An alert begins to fire.
    pub(super) fn enter(&mut self, alert: Fingerprint, roles: &Roles) {
        for part in &roles.sources {
            let sources = self.0[part.rule].firing.entry(part.equal.clone()).or_default();
            if part.both { &mut sources.both } else { &mut sources.pure }.insert(alert);
        }
    }

    /// An alert fires no more.
    pub(super) fn leave(&mut self, alert: Fingerprint, roles: &Roles) {
        for part in &roles.sources {
            let firing = &mut self.0[part.rule].firing;
            if let Some(sources) = firing.get_mut(&part.equal) {
                sources.pure.remove(&alert);
                sources.both.remove(&alert);
                if sources.pure.is_empty() && sources.both.is_empty() {
                    firing.remove(&part.equal);
                }
            }
        }
    }

    /// A source that inhibits an alert, of the first rule that has one.
    pub(super) fn source(&self, roles: &Roles) -> Option<Fingerprint> {
        roles.targets.iter().find_map(|part| {
            let sources = self.0[part.rule].firing.get(&part.equal)?;
            let both = sources.both.first().filter(|_| !part.both);
            sources.pure.first().or(both).copied()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_yaml;

    fn rule(text: &str) -> Result<InhibitRule, String> {
        let node = parse_yaml("a.yml", text).unwrap();
        InhibitRule::read(&node).map_err(|error| error.to_string())
    }

    fn labels(text: &str) -> LabelSet {
        Matchers::parse(text).unwrap().0.iter().map(|m| (m.name(), m.value())).collect()
    }

    /// Which of `all` is named as the source inhibiting `target`, when all fire.
    fn source<'a>(rule: &InhibitRule, all: &[&'a str], target: &str) -> Option<&'a str> {
        let mut inhibitor = Inhibitor::new(std::slice::from_ref(rule));
        for text in all {
            let set = labels(text);
            inhibitor.enter(Fingerprint::of(&set), &inhibitor.roles(&set));
        }
        let found = inhibitor.source(&inhibitor.roles(&labels(target)))?;
        all.iter().find(|text| Fingerprint::of(&labels(text)) == found).copied()
    }

    const CRITICAL: &str =
        "source_matchers: [sev=critical]\ntarget_match: {sev: warning}\nequal: [job, zone]";

    #[test]
    fn a_firing_source_with_equal_labels_inhibits() {
        let rule = rule(CRITICAL).unwrap();
        let source_text = "sev=critical,job=a";
        assert_eq!(source(&rule, &[source_text], "sev=warning,job=a"), Some(source_text));
        assert_eq!(source(&rule, &[source_text], "sev=warning,job=b"), None);
        assert_eq!(source(&rule, &[source_text], "sev=warning,job=a,zone=x"), None);
        assert_eq!(source(&rule, &[source_text], "sev=info,job=a"), None);
        assert_eq!(source(&rule, &["sev=critical,x=y"], "sev=warning"), Some("sev=critical,x=y"));
    }

    #[test]
    fn alerts_on_both_sides_do_not_inhibit_each_other() {
        let rule = rule("source_match: {a: x}\ntarget_match: {b: y}").unwrap();
        let both = "a=x,b=y";
        assert_eq!(source(&rule, &[both], both), None);
        assert_eq!(source(&rule, &[both, "a=x,b=y,c=z"], both), None);
        assert_eq!(source(&rule, &[both], "b=y"), Some(both));
        assert_eq!(source(&rule, &["a=x", both], both), Some("a=x"));
    }

    #[test]
    fn a_source_that_ends_inhibits_no_more() {
        let rule = rule(CRITICAL).unwrap();
        let mut inhibitor = Inhibitor::new(&[rule]);
        let set = labels("sev=critical");
        let (id, roles) = (Fingerprint::of(&set), inhibitor.roles(&set));
        inhibitor.enter(id, &roles);
        let target = inhibitor.roles(&labels("sev=warning"));
        assert_eq!(inhibitor.source(&target), Some(id));
        inhibitor.leave(id, &roles);
        assert_eq!(inhibitor.source(&target), None);
        assert!(inhibitor.0[0].firing.is_empty());
    }

    #[test]
    fn wrong_rules_name_their_line() {
        assert!(rule("source_matcher: [a=b]").unwrap_err().starts_with("a.yml:1:1: unknown key"));
        assert!(rule("equal: [a, b-c]").unwrap_err().starts_with("a.yml:1:12: this is no label"));
        assert!(rule("target_matchers: ['x']").unwrap_err().starts_with("a.yml:1:19: bad matcher"));
    }
}
