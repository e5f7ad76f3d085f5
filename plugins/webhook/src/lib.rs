//! Notifications by HTTP POST: one file per service, one client for all of them.

mod client;
mod http_config;
mod tls;
mod webhook;

use vigie_core::notify::NotifierDef;
use vigie_core::plugin::Plugin;

/// The plugin.
pub static PLUGIN: Plugin =
    Plugin::new("webhook", env!("CARGO_PKG_VERSION"), "Webhook notifications").notifiers(NOTIFIERS);

/// A line per service.
const NOTIFIERS: &[NotifierDef] = &[webhook::DEF];
