//! Container and Docker daemon metrics under cAdvisor's names.

use vigie_core::plugin::Plugin;

/// The plugin.
pub static PLUGIN: Plugin = Plugin::new(
    "docker",
    env!("CARGO_PKG_VERSION"),
    "Container and Docker daemon metrics under cAdvisor's names",
);
