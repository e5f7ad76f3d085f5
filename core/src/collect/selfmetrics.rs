//! What vigie says of its own scraping.
//!
//! Counters are `prometheus` types in a registry of the scraper's own, so that two instances in
//! one process do not share them. It must not know what the collectors collect.

use prometheus::{IntCounterVec, Opts, Registry as Prometheus};

use super::lane::Outcome;
use super::process;
use super::registry::Registry;
use crate::bridge;
use crate::encode::{Conflict, TextSink};
use crate::metric::Family;

static BUILD_INFO: Family<1> =
    Family::gauge("vigie_build_info", "Version of vigie; always 1.", ["version"]);

/// Counters of one scraper.
pub(super) struct SelfMetrics {
    registry: Prometheus,
    failures: IntCounterVec,
    conflicts: IntCounterVec,
}

impl SelfMetrics {
    pub(super) fn new() -> Self {
        let registry = Prometheus::new();
        let failures = counters(
            &registry,
            "vigie_collector_failures_total",
            "Scrapes in which a collector failed, by reason.",
            &["collector", "reason"],
        );
        let conflicts = counters(
            &registry,
            "vigie_exposition_conflicts_total",
            "Samples left out because another collector had the series, or the family as another type.",
            &["collector"],
        );
        SelfMetrics { registry, failures, conflicts }
    }

    pub(super) fn count(&self, registry: &Registry, outcomes: &[Outcome]) {
        for (at, state, _) in outcomes {
            if let Some(reason) = state.failure() {
                let collector = registry.slots()[*at].bound.info.name;
                self.failures.with_label_values(&[collector, reason]).inc();
            }
        }
    }

    pub(super) fn conflict(&self, collector: &str, conflict: &Conflict) {
        tracing::debug!(collector, ?conflict, "samples left out");
        self.conflicts.with_label_values(&[collector]).inc();
    }

    pub(super) fn write(&self, sink: &mut TextSink) {
        BUILD_INFO.emit(sink, [env!("CARGO_PKG_VERSION")], true);
        process::write(sink);
        bridge::write_families(&self.registry.gather(), sink);
    }
}

/// Names and labels are constants of this file, so neither step fails; if one did, the counter
/// would merely not be shown.
fn counters(registry: &Prometheus, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let made = IntCounterVec::new(Opts::new(name, help), labels);
    #[allow(clippy::expect_used, reason = "constant names and labels, checked by the tests")]
    let counter = made.expect("constant names are valid");
    if let Err(error) = registry.register(Box::new(counter.clone())) {
        tracing::error!(name, %error, "cannot register a counter");
    }
    counter
}
