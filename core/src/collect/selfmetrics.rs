//! What vigie says of its own scraping.
//!
//! Counters are `prometheus` types in a registry of the scraper's own, so that two instances in
//! one process do not share them. It must not know what the collectors collect.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry as Prometheus};

use super::lane::Outcome;
use super::process::OwnProcess;
use super::registry::{Registry, lock};
use crate::bridge;
use crate::encode::{Conflict, TextSink};
use crate::metric::Family;

static BUILD_INFO: Family<1> =
    Family::gauge("vigie_build_info", "Version of vigie; always 1.", ["version"]);

/// vigie's own metrics; one for all scrapers of an instance, so that a reload resets nothing.
#[derive(Debug)]
pub struct SelfMetrics {
    registry: Prometheus,
    process: OwnProcess,
    others: Mutex<Vec<Prometheus>>,
    failures: IntCounterVec,
    conflicts: IntCounterVec,
    reload_failures: IntCounter,
    reload_ok: IntGauge,
    reload_time: Gauge,
    requests: IntCounterVec,
    in_flight: IntGauge,
}

impl Default for SelfMetrics {
    fn default() -> Self {
        SelfMetrics::new()
    }
}

impl SelfMetrics {
    /// All counters at zero; the configuration counts as loaded now.
    #[must_use]
    pub fn new() -> Self {
        let registry = Prometheus::new();
        let metrics = SelfMetrics {
            failures: bridge::register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "vigie_collector_failures_total",
                        "Scrapes in which a collector failed, by reason.",
                    ),
                    &["collector", "reason"],
                ),
            ),
            conflicts: bridge::register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "vigie_exposition_conflicts_total",
                        "Samples left out because another collector had the series, or the family as \
                     another type.",
                    ),
                    &["collector"],
                ),
            ),
            reload_failures: bridge::register(
                &registry,
                IntCounter::new(
                    "vigie_config_reload_failures_total",
                    "Configurations that were refused; the old one stayed.",
                ),
            ),
            reload_ok: bridge::register(
                &registry,
                IntGauge::new(
                    "vigie_config_last_reload_successful",
                    "Whether the last configuration was taken.",
                ),
            ),
            reload_time: bridge::register(
                &registry,
                Gauge::new(
                    "vigie_config_last_reload_success_timestamp_seconds",
                    "When a configuration was last taken, Unix time.",
                ),
            ),
            requests: bridge::register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "promhttp_metric_handler_requests_total",
                        "Scrapes by the status code of their answer.",
                    ),
                    &["code"],
                ),
            ),
            in_flight: bridge::register(
                &registry,
                IntGauge::new(
                    "promhttp_metric_handler_requests_in_flight",
                    "Scrapes being answered now.",
                ),
            ),
            others: Mutex::default(),
            process: OwnProcess::new(),
            registry,
        };
        metrics.reloaded(true);
        // A rate needs a zero to begin with.
        for code in ["200", "500", "503"] {
            metrics.requests.with_label_values(&[code]).reset();
        }
        metrics
    }

    /// Shows the metrics of another part of vigie, such as the router's, beside its own.
    pub fn add(&self, registry: Prometheus) {
        lock(&self.others).push(registry);
    }

    /// Notes whether a configuration was taken.
    pub fn reloaded(&self, taken: bool) {
        self.reload_ok.set(i64::from(taken));
        if taken {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.reload_time.set(now.as_secs_f64());
        } else {
            self.reload_failures.inc();
        }
    }

    /// A request for metrics has come, and is answered when what is returned is dropped.
    #[must_use]
    pub fn request(self: &Arc<Self>) -> InFlight {
        self.in_flight.inc();
        InFlight(self.clone())
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
        self.process.write(sink);
        bridge::write_families(&self.registry.gather(), sink);
        self.write_lasting(sink, |_| true);
    }

    /// Without what is about vigie's own work: the version stays, as node_exporter's does, and so do
    /// the router's metrics, which are about alerts.
    pub(super) fn write_subject(&self, sink: &mut TextSink) {
        self.write_lasting(sink, |name| !name.starts_with("vigie_"));
    }

    fn write_lasting(&self, sink: &mut TextSink, wanted: impl Fn(&str) -> bool) {
        BUILD_INFO.emit(sink, [env!("CARGO_PKG_VERSION")], true);
        for other in &*lock(&self.others) {
            let mut families = other.gather();
            families.retain(|family| wanted(family.name()));
            bridge::write_families(&families, sink);
        }
    }
}

/// A request for metrics that is being answered.
#[derive(Debug)]
pub struct InFlight(Arc<SelfMetrics>);

impl InFlight {
    /// Notes the status code of the answer.
    pub fn answered(&self, code: &str) {
        self.0.requests.with_label_values(&[code]).inc();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}
