//! Everything that can be switched on: plugins, their collectors, their flags.
//!
//! The command line, the configuration file and the documents all ask here, so none of them can
//! know a collector the others do not. It must not know which of them asks.

use std::path::Path;

use vigie_core::collect::{CollectorInfo, PATH_FLAGS};
use vigie_core::config::{ConfigError, FlagDef, Flags};
use vigie_core::notify::NotifierDef;
use vigie_core::plugin::{LoadedPlugin, Parts, Plugin, Setup};

use crate::Error;

/// Flags of vigie itself; those of plugins and collectors are added by the [`Catalogue`].
pub const FLAGS: &[FlagDef] = &[
    FlagDef::list("web.listen-address", ":9100", "Address for metrics; repeatable."),
    FlagDef::text("web.telemetry-path", "/metrics", "Path for metrics."),
    FlagDef::text(
        "web.max-requests",
        "40",
        "Most scrapes under way at once, 0 for any number; beyond, 503.",
    ),
    FlagDef::switch(
        "web.disable-exporter-metrics",
        false,
        "Leave out metrics about vigie itself (process_*, promhttp_*, vigie_*).",
    ),
    FlagDef::text(
        "web.config.file",
        "",
        "A file with TLS, users and headers of both ports, in exporter-toolkit's format.",
    ),
    FlagDef::switch(
        "web.systemd-socket",
        false,
        "Serve on the sockets systemd has opened: one named alerting for alerts, others for metrics.",
    ),
    FlagDef::text(
        "runtime.gomaxprocs",
        "1",
        "Taken and without effect, so that a unit of node_exporter needs no change.",
    ),
    FlagDef::list(
        "alerting.listen-address",
        ":9094",
        "Address for the alert API and view; repeatable, empty turns alerting off.",
    ),
    FlagDef::text("alerting.config.file", "", "An alertmanager.yml: routes and receivers."),
    FlagDef::text(
        "alerting.web.config.file",
        "",
        "The same for the alert API and view alone [default: --web.config.file].",
    ),
    FlagDef::text(
        "alerting.external-url",
        "",
        "Where people reach the alert view, for links in notifications.",
    ),
    FlagDef::text(
        "storage.path",
        "",
        "Directory for state [default: /var/lib/vigie, else the user's state directory].",
    ),
    FlagDef::switch(
        "collector.disable-defaults",
        false,
        "Switch off every collector that is not asked for by name.",
    ),
];

/// The plugins of one vigie.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    members: Vec<Member>,
}

/// A plugin, linked or from a file: both answer the same questions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member {
    Linked(&'static Plugin),
    Loaded(LoadedPlugin),
}

impl Member {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Member::Linked(plugin) => plugin.name,
            Member::Loaded(plugin) => plugin.name(),
        }
    }

    fn flags(self) -> &'static [FlagDef] {
        match self {
            Member::Linked(plugin) => plugin.flags,
            Member::Loaded(plugin) => plugin.flags(),
        }
    }

    /// Top-level sections of `vigie.yml` besides the one of its name.
    pub(crate) fn sections(self) -> Vec<String> {
        match self {
            Member::Linked(plugin) => plugin.sections.iter().map(ToString::to_string).collect(),
            Member::Loaded(plugin) => plugin.sections().to_vec(),
        }
    }

    pub(crate) fn collectors(self) -> Vec<CollectorInfo> {
        match self {
            Member::Linked(plugin) => (plugin.collectors)(),
            Member::Loaded(plugin) => plugin.collectors(),
        }
    }

    fn notifiers(self) -> &'static [NotifierDef] {
        match self {
            Member::Linked(plugin) => plugin.notifiers,
            Member::Loaded(_) => &[],
        }
    }

    pub(crate) fn build(self, setup: &Setup<'_>) -> Result<Parts, ConfigError> {
        match self {
            Member::Linked(plugin) => (plugin.build)(setup),
            Member::Loaded(plugin) => plugin.build(setup),
        }
    }
}

impl Catalogue {
    /// The plugins of this build.
    #[must_use]
    pub fn bundled() -> Self {
        let members = crate::BUNDLED.iter().copied().map(Member::Linked).collect();
        Catalogue { members }
    }

    /// Adds a linked plugin.
    pub fn add(&mut self, plugin: &'static Plugin) {
        self.members.push(Member::Linked(plugin));
    }

    /// Loads a plugin from a `.so` file.
    ///
    /// # Errors
    /// When the file is no plugin, or one for another version of the interface, or has the name of
    /// a plugin that is here already.
    pub fn load(&mut self, path: &Path) -> Result<(), Error> {
        let plugin = vigie_core::plugin::load(path).map_err(|e| Error::Plugin(e.to_string()))?;
        if self.members.iter().any(|member| member.name() == plugin.name()) {
            let (path, name) = (path.display(), plugin.name());
            return Err(Error::Plugin(format!("{path}: a plugin {name:?} is here already")));
        }
        self.members.push(Member::Loaded(plugin));
        Ok(())
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Every collector, with the name of its plugin.
    #[must_use]
    pub fn collectors(&self) -> Vec<(&'static str, CollectorInfo)> {
        let of = |member: &Member| {
            let name = member.name();
            member.collectors().into_iter().map(move |info| (name, info))
        };
        self.members.iter().flat_map(of).collect()
    }

    /// Every kind of notifier.
    pub fn notifiers(&self) -> impl Iterator<Item = &'static NotifierDef> {
        self.members.iter().flat_map(|member| member.notifiers())
    }

    /// Every flag but the switches `collector.NAME`, under a heading for people.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, FlagDef)> {
        let own = FLAGS.iter().chain(PATH_FLAGS).map(|flag| ("vigie", *flag));
        let of = |member: &Member| {
            let name = member.name();
            member.flags().iter().map(move |flag| (name, *flag))
        };
        let collectors = self
            .collectors()
            .into_iter()
            .flat_map(|(plugin, info)| info.flags.iter().map(move |flag| (plugin, *flag)));
        own.chain(self.members.iter().flat_map(of)).chain(collectors).collect()
    }

    /// All flags at their defaults, the switches `collector.NAME` included.
    #[must_use]
    pub fn defaults(&self) -> Flags {
        let mut flags = Flags::default();
        for (_, flag) in self.flags() {
            flags.declare(flag.name, flag.default);
        }
        for (_, info) in self.collectors() {
            flags.declare(switch_of(info.name), if info.enabled { "true" } else { "false" });
        }
        flags
    }
}

/// The flag that switches a collector.
pub(crate) fn switch_of(collector: &str) -> String {
    format!("collector.{collector}")
}

/// Whether a collector is on: asked for by name, or on by default and defaults not disabled.
pub(crate) fn is_on(flags: &Flags, info: &CollectorInfo) -> bool {
    let switch = switch_of(info.name);
    if flags.is_given(&switch) {
        return flags.switch(&switch);
    }
    info.enabled && !flags.switch("collector.disable-defaults")
}
