//! Notifications by e-mail.

mod config;
mod email;
mod message;
mod smtp;

use vigie_core::plugin::Plugin;

/// The plugin.
pub static PLUGIN: Plugin = Plugin::new("email", env!("CARGO_PKG_VERSION"), "E-mail notifications")
    .notifiers(&[email::DEF]);
