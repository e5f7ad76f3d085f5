//! Webhook notifications.

use vigie_core::plugin::Plugin;

/// The plugin.
pub static PLUGIN: Plugin =
    Plugin::new("webhook", env!("CARGO_PKG_VERSION"), "Webhook notifications");
