//! A plugin as a value: what it is called, what it offers, how its parts are made.
//!
//! One static per plugin is all the facade needs to name. It must not know who runs the parts.

use std::sync::Arc;

use crate::alert::AlertSink;
use crate::collect::{Bound, CollectorInfo, Paths};
use crate::config::{ConfigError, FlagDef, Flags, Node};
use crate::http::Route;
use crate::notify::NotifierDef;
use crate::storage::Storage;

/// A bundle of parts.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Plugin {
    /// Name, and its section in `vigie.yml`.
    pub name: &'static str,
    /// Version of the plugin.
    pub version: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// Flags that belong to no single collector.
    pub flags: &'static [FlagDef],
    /// What its collectors are, known before any is built.
    pub collectors: fn() -> Vec<CollectorInfo>,
    /// Kinds of notifiers.
    pub notifiers: &'static [NotifierDef],
    /// Further top-level sections of `vigie.yml` it reads, besides the one of its name.
    pub sections: &'static [&'static str],
    /// Makes its parts.
    pub build: fn(&Setup<'_>) -> Result<Parts, ConfigError>,
}

impl Plugin {
    /// A plugin without parts.
    #[must_use]
    pub const fn new(name: &'static str, version: &'static str, help: &'static str) -> Self {
        Plugin {
            name,
            version,
            help,
            flags: &[],
            collectors: Vec::new,
            notifiers: &[],
            sections: &[],
            build: |_| Ok(Parts::default()),
        }
    }

    /// Declares flags.
    #[must_use]
    pub const fn flags(mut self, flags: &'static [FlagDef]) -> Self {
        self.flags = flags;
        self
    }

    /// Declares collectors.
    #[must_use]
    pub const fn collectors(mut self, collectors: fn() -> Vec<CollectorInfo>) -> Self {
        self.collectors = collectors;
        self
    }

    /// Declares notifiers.
    #[must_use]
    pub const fn notifiers(mut self, notifiers: &'static [NotifierDef]) -> Self {
        self.notifiers = notifiers;
        self
    }

    /// Declares further sections.
    #[must_use]
    pub const fn sections(mut self, sections: &'static [&'static str]) -> Self {
        self.sections = sections;
        self
    }

    /// Says how the parts are made.
    #[must_use]
    pub const fn build(mut self, build: fn(&Setup<'_>) -> Result<Parts, ConfigError>) -> Self {
        self.build = build;
        self
    }
}

/// What a plugin's parts are made from.
#[non_exhaustive]
pub struct Setup<'a> {
    /// The whole `vigie.yml`; see [`Setup::section`].
    pub config: &'a Node,
    /// The values of all flags.
    pub flags: Arc<Flags>,
    /// Where the host's file systems are seen.
    pub paths: Paths,
    /// State of this plugin.
    pub storage: Storage,
    /// Where alerts are posted.
    pub alerts: Arc<dyn AlertSink>,
    /// The local router, where alerts are routed at all: for what shows and silences.
    #[cfg(feature = "runtime")]
    pub router: Option<crate::route::RouterHandle>,
}

impl<'a> Setup<'a> {
    /// A setup in memory and without a router; the fields are public to change.
    pub fn new(config: &'a Node, flags: Arc<Flags>, alerts: Arc<dyn AlertSink>) -> Self {
        let paths = Paths::from_flags(&flags);
        Setup {
            config,
            flags,
            paths,
            storage: Storage::memory(),
            alerts,
            #[cfg(feature = "runtime")]
            router: None,
        }
    }

    /// A top-level section of `vigie.yml`; nothing when it is not there.
    #[must_use]
    pub fn section(&self, name: &str) -> Node {
        let none = || Node::null(self.config.place.file.clone());
        self.config.get(name).cloned().unwrap_or_else(none)
    }
}

/// The parts of a plugin, ready to run.
#[derive(Default)]
#[non_exhaustive]
pub struct Parts {
    /// Collectors for the registry.
    pub collectors: Vec<Bound>,
    /// Tasks that run as long as vigie does.
    #[cfg(feature = "runtime")]
    pub services: Vec<Box<dyn super::Service>>,
    /// Paths it answers.
    pub routes: Vec<Route>,
    /// Lines to say once at start: what was found, what was not.
    pub notes: Vec<String>,
}
