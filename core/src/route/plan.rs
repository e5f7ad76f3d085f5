//! What the machine follows: tree, receivers, inhibition rules.
//!
//! The part of a configuration that decides; it is replaced whole on a reload. It must not know
//! notifiers beyond their kind.

use std::sync::Arc;
use std::time::Duration;

use super::inhibit::InhibitRule;
use super::tree::Tree;

/// Who is told, when and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The routing tree.
    pub tree: Tree,
    /// All receivers in the order of the configuration, names unique.
    pub receivers: Vec<Receiver>,
    /// Which alerts inhibit which.
    pub inhibit_rules: Vec<InhibitRule>,
    /// After which an alert posted without an end is taken for ended.
    pub resolve_timeout: Duration,
    /// The configuration with defaults filled in and secrets hidden.
    pub original: Arc<str>,
}

/// A named list of integrations.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its name.
    pub name: Arc<str>,
    /// What it tells people through.
    pub integrations: Vec<Integration>,
}

/// One item of a `<kind>_configs`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Integration {
    /// `webhook`, `email`, ...
    pub kind: Arc<str>,
    /// Its number among those of its kind in the receiver.
    pub index: u32,
    /// Whether it is told that alerts are resolved.
    pub send_resolved: bool,
}

impl Plan {
    /// A plan; without inhibition, with Alertmanager's resolve timeout of five minutes.
    #[must_use]
    pub fn new(tree: Tree, receivers: Vec<Receiver>) -> Self {
        Plan {
            tree,
            receivers,
            inhibit_rules: Vec::new(),
            resolve_timeout: Duration::from_secs(5 * 60),
            original: "".into(),
        }
    }

    /// The integrations of a receiver.
    #[must_use]
    pub fn integrations(&self, receiver: &str) -> &[Integration] {
        let found = self.receivers.iter().find(|known| *known.name == *receiver);
        found.map_or(&[], |receiver| &receiver.integrations)
    }
}
