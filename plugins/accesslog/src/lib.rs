//! Access logs: request metrics and service levels.
//!
//! A service follows the logs of a proxy live, counts requests, holds them against objectives and
//! posts an alert when one breaks; the same code reads whole files for a report. It must not know
//! who scrapes it, nor what becomes of an alert.

mod alerts;
pub mod burn;
mod collector;
mod condition;
pub mod config;
mod engine;
mod follow;
pub mod format;
mod gaps;
mod ledger;
mod lines;
pub mod record;
pub mod report;
mod service;
mod sketch;
pub mod slo;
mod snapshot;
mod tail;
mod track;
mod watch;
mod window;

use vigie_core::collect::Bound;
use vigie_core::config::{ConfigError, FlagDef};
use vigie_core::plugin::{Parts, Plugin, Setup};

use config::Config;
use service::Follower;
use snapshot::Shared;

/// The plugin.
pub static PLUGIN: Plugin = Plugin::new(
    "accesslog",
    env!("CARGO_PKG_VERSION"),
    "Access logs: request metrics and service levels",
)
.flags(FLAGS)
.sections(&["slo"])
.collectors(|| vec![collector::INFO])
.build(build);

const FLAGS: &[FlagDef] = &[
    FlagDef::list("accesslog.file", "", "Access log to follow; may be given several times."),
    FlagDef::text(
        "accesslog.format",
        format::AUTO,
        "Format of the logs of --accesslog.file: auto, traefik-json or traefik-clf.",
    ),
];

/// Without a log to follow the plugin has no parts.
fn build(setup: &Setup<'_>) -> Result<Parts, ConfigError> {
    let config = Config::read(&setup.section("accesslog"), &setup.section("slo"), &setup.flags)?;
    let mut parts = Parts::default();
    // Not notes: `vigie check` shows these as well.
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if config.sources.is_empty() {
        return Ok(parts);
    }
    for source in &config.sources {
        parts.notes.push(format!(
            "following {} ({}), {} objectives",
            source.path.display(),
            source.parser.name(),
            config.objectives.len()
        ));
    }
    let shared = Shared::default();
    let shown = shared.clone();
    parts.collectors.push(Bound::new(collector::INFO, move || {
        Ok(Box::new(collector::AccessLog(shown.clone())))
    }));
    parts.services.push(Box::new(Follower {
        config,
        storage: setup.storage.clone(),
        alerts: setup.alerts.clone(),
        shared,
    }));
    Ok(parts)
}
