//! E-mail notifications.

use vigie_core::plugin::Plugin;

/// The plugin.
pub static PLUGIN: Plugin = Plugin::new("email", env!("CARGO_PKG_VERSION"), "E-mail notifications");
