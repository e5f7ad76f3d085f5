//! How a notifier is found and built from a configuration.
//!
//! The section `<kind>_configs` of a receiver is handed over as nodes; the definition's own code
//! reads them. It must not know the keys inside.

use super::Notifier;
use crate::config::{ConfigError, Node};
use crate::template::Templates;

/// Makes a notifier from an item of its section.
pub type BuildNotifier = fn(&Node, &NotifierSetting<'_>) -> Result<Box<dyn Notifier>, ConfigError>;

/// A kind of notifier.
#[derive(Clone, Copy, Debug)]
pub struct NotifierDef {
    /// `webhook` for the key `webhook_configs`; the label `integration` of the metrics.
    pub kind: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// Keys of the section `global` that belong to this kind.
    pub globals: &'static [&'static str],
    /// Alertmanager's default of `send_resolved`.
    pub send_resolved: bool,
    /// Builds one from an item of `<kind>_configs`; the key `send_resolved` has been read already
    /// but is still in the node and must be accepted.
    pub build: BuildNotifier,
}

/// What a notifier is built with besides its own node.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NotifierSetting<'a> {
    /// The section `global`, or nothing.
    pub global: &'a Node,
    /// Default and user templates.
    pub templates: &'a Templates,
}

impl<'a> NotifierSetting<'a> {
    /// A setting.
    #[must_use]
    pub const fn new(global: &'a Node, templates: &'a Templates) -> Self {
        NotifierSetting { global, templates }
    }
}
