//! Host metrics under node_exporter's names.

use vigie_core::plugin::Plugin;

/// The plugin.
pub static PLUGIN: Plugin =
    Plugin::new("host", env!("CARGO_PKG_VERSION"), "Host metrics under node_exporter's names");
