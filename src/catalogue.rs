//! Everything that can be switched on: plugins, their collectors, their flags.
//!
//! The command line, the configuration file and the documents all ask here, so none of them can
//! know a collector the others do not. It must not know which of them asks.

use vigie_core::collect::{CollectorInfo, PATH_FLAGS};
use vigie_core::config::{FlagDef, Flags};
use vigie_core::notify::NotifierDef;
use vigie_core::plugin::Plugin;

/// Flags of vigie itself; those of plugins and collectors are added by the [`Catalogue`].
pub const FLAGS: &[FlagDef] = &[
    FlagDef::list("web.listen-address", ":9100", "Address for metrics; repeatable."),
    FlagDef::text("web.telemetry-path", "/metrics", "Path for metrics."),
    FlagDef::list(
        "alerting.listen-address",
        ":9094",
        "Address for the alert API and view; repeatable, empty turns alerting off.",
    ),
    FlagDef::text("alerting.config.file", "", "An alertmanager.yml: routes and receivers."),
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
#[derive(Debug, Default)]
pub struct Catalogue {
    plugins: Vec<&'static Plugin>,
}

impl Catalogue {
    /// Adds a linked plugin.
    pub fn add(&mut self, plugin: &'static Plugin) {
        self.plugins.push(plugin);
    }

    /// Linked plugins.
    #[must_use]
    pub fn plugins(&self) -> &[&'static Plugin] {
        &self.plugins
    }

    /// Every collector, with the name of its plugin.
    #[must_use]
    pub fn collectors(&self) -> Vec<(&str, CollectorInfo)> {
        let of = |plugin: &&'static Plugin| {
            let name = plugin.name;
            (plugin.collectors)().into_iter().map(move |info| (name, info))
        };
        self.plugins.iter().flat_map(of).collect()
    }

    /// Every kind of notifier.
    pub fn notifiers(&self) -> impl Iterator<Item = &'static NotifierDef> {
        self.plugins.iter().flat_map(|plugin| plugin.notifiers)
    }

    /// Every flag but the switches `collector.NAME`, under a heading for people.
    #[must_use]
    pub fn flags(&self) -> Vec<(&str, FlagDef)> {
        let own = FLAGS.iter().chain(PATH_FLAGS).map(|flag| ("vigie", *flag));
        let plugins = self
            .plugins
            .iter()
            .flat_map(|plugin| plugin.flags.iter().map(|flag| (plugin.name, *flag)));
        let collectors = self
            .collectors()
            .into_iter()
            .flat_map(|(plugin, info)| info.flags.iter().map(move |flag| (plugin, *flag)));
        own.chain(plugins).chain(collectors).collect()
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
