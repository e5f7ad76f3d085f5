//! Alertmanager-compatible API and alert view.

use vigie_core::plugin::Plugin;

/// The plugin.
pub static PLUGIN: Plugin = Plugin::new(
    "alertmanager",
    env!("CARGO_PKG_VERSION"),
    "Alertmanager-compatible API and alert view",
);
