//! Access logs: request metrics and service levels.

use vigie_core::plugin::Plugin;

/// The plugin.
pub static PLUGIN: Plugin = Plugin::new(
    "accesslog",
    env!("CARGO_PKG_VERSION"),
    "Access logs: request metrics and service levels",
);
