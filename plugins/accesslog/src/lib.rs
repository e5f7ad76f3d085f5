//! Access logs: request metrics and service levels.
//!
//! A service follows the logs of a proxy live, counts requests, holds them against objectives and
//! posts an alert when one breaks; the same code reads whole files for a report. It must not know
//! who scrapes it, nor what becomes of an alert.

mod alerts;
pub mod burn;
pub mod format;
mod gaps;
mod ledger;
mod lines;
pub mod record;
pub mod report;
mod sketch;
pub mod slo;
pub mod tail;
mod track;
mod window;

use vigie_core::plugin::Plugin;

/// The plugin.
pub static PLUGIN: Plugin = Plugin::new(
    "accesslog",
    env!("CARGO_PKG_VERSION"),
    "Access logs: request metrics and service levels",
);
