//! The router's own counters, under Alertmanager's names.
//!
//! One registry per router: two routers in one process count apart. It must not know how the
//! registry is shown.

use jiff::Timestamp;
use prometheus::{
    Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::driver::RouterHandle;
use super::hash::xxhash64;
use super::machine::{Counts, Posted, Suppressed};
use super::plan::Plan;
use crate::bridge::register;
use crate::notify::NotifyReason;

/// Every reason a series is shown for from the start.
const REASONS: [NotifyReason; 6] = [
    NotifyReason::ClientError,
    NotifyReason::ServerError,
    NotifyReason::AuthError,
    NotifyReason::RateLimited,
    NotifyReason::DeadlineExceeded,
    NotifyReason::Other,
];

/// All counters of a router.
#[derive(Clone)]
pub(super) struct Metrics {
    registry: Registry,
    storage_failures: IntCounter,
    alerts: IntGaugeVec,
    received: IntCounterVec,
    invalid: IntCounterVec,
    notifications: IntCounterVec,
    notifications_failed: IntCounterVec,
    requests: IntCounterVec,
    requests_failed: IntCounterVec,
    latency: HistogramVec,
    suppressed: IntCounterVec,
    silences: IntGaugeVec,
    groups: IntGauge,
    config_hash: Gauge,
    reload_successful: IntGauge,
    reloaded_at: Gauge,
    integrations: IntGauge,
    receivers: IntGauge,
    inhibition_rules: IntGauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(opts(name, help), labels))
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntGaugeVec::new(opts(name, help), labels))
        };
        let int =
            |name: &str, help: &str| register(&registry, IntGauge::with_opts(opts(name, help)));
        let gauge =
            |name: &str, help: &str| register(&registry, Gauge::with_opts(opts(name, help)));
        let latency = HistogramOpts::new(
            "alertmanager_notification_latency_seconds",
            "The latency of notifications in seconds.",
        );
        let latency = latency.buckets(vec![1.0, 5.0, 10.0, 15.0, 20.0]);
        let build = gauges(
            "alertmanager_build_info",
            "A metric with a constant '1' value labeled by the version of vigie.",
            &["version"],
        );
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let storage_failures =
            opts("vigie_storage_failures_total", "Writes of the router's state that failed.");
        let metrics = Metrics {
            alerts: gauges("alertmanager_alerts", "How many alerts by state.", &["state"]),
            received: counters(
                "alertmanager_alerts_received_total",
                "The total number of received alerts.",
                &["status", "version"],
            ),
            invalid: counters(
                "alertmanager_alerts_invalid_total",
                "The total number of received alerts that were invalid.",
                &["version"],
            ),
            notifications: counters(
                "alertmanager_notifications_total",
                "The total number of attempted notifications.",
                &["integration"],
            ),
            notifications_failed: counters(
                "alertmanager_notifications_failed_total",
                "The total number of failed notifications.",
                &["integration", "reason"],
            ),
            requests: counters(
                "alertmanager_notification_requests_total",
                "The total number of attempted notification requests.",
                &["integration"],
            ),
            requests_failed: counters(
                "alertmanager_notification_requests_failed_total",
                "The total number of failed notification requests.",
                &["integration"],
            ),
            latency: register(&registry, HistogramVec::new(latency, &["integration"])),
            suppressed: counters(
                "alertmanager_notifications_suppressed_total",
                "The total number of notifications suppressed for being silenced or inhibited.",
                &["reason"],
            ),
            silences: gauges("alertmanager_silences", "How many silences by state.", &["state"]),
            groups: int(
                "alertmanager_dispatcher_aggregation_groups",
                "Number of active aggregation groups",
            ),
            config_hash: gauge(
                "alertmanager_config_hash",
                "Hash of the currently loaded alertmanager configuration.",
            ),
            reload_successful: int(
                "alertmanager_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            ),
            reloaded_at: gauge(
                "alertmanager_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            ),
            integrations: int("alertmanager_integrations", "Number of configured integrations."),
            receivers: int("alertmanager_receivers", "Number of configured receivers."),
            inhibition_rules: int(
                "alertmanager_inhibition_rules",
                "Number of configured inhibition rules.",
            ),
            storage_failures: register(&registry, IntCounter::with_opts(storage_failures)),
            registry,
        };
        metrics.start_at_zero();
        metrics
    }

    fn start_at_zero(&self) {
        for status in ["firing", "resolved"] {
            self.received.with_label_values(&[status, "v2"]);
        }
        self.invalid.with_label_values(&["v2"]);
        for reason in ["inhibition", "silence"] {
            self.suppressed.with_label_values(&[reason]);
        }
        self.alerts.with_label_values(&["unprocessed"]);
        self.counted(Counts::default());
    }

    /// A plan is followed from `now` on.
    pub(super) fn loaded(&self, plan: &Plan, now: Timestamp) {
        let used = plan.tree.receivers();
        let integrations = used.iter().flat_map(|receiver| plan.integrations(receiver));
        self.integrations.set(as_i64(integrations.count()));
        self.receivers.set(as_i64(used.len()));
        self.inhibition_rules.set(as_i64(plan.inhibit_rules.len()));
        // 48 bits, which a float holds exactly.
        #[allow(clippy::cast_precision_loss, reason = "48 bits fit")]
        self.config_hash.set((xxhash64(plan.original.as_bytes()) >> 16) as f64);
        self.reload_successful.set(1);
        self.reloaded_at.set(now.as_duration().as_secs_f64());
        for integration in plan.receivers.iter().flat_map(|receiver| &receiver.integrations) {
            let kind = &*integration.kind;
            self.notifications.with_label_values(&[kind]);
            self.requests.with_label_values(&[kind]);
            self.requests_failed.with_label_values(&[kind]);
            self.latency.with_label_values(&[kind]);
            for reason in REASONS {
                self.notifications_failed.with_label_values(&[kind, reason.as_str()]);
            }
        }
    }

    /// A configuration was refused and the old one kept.
    pub(super) fn reload_failed(&self) {
        self.reload_successful.set(0);
    }

    pub(super) fn posted(&self, posted: &Posted) {
        self.received.with_label_values(&["firing", "v2"]).inc_by(posted.firing);
        self.received.with_label_values(&["resolved", "v2"]).inc_by(posted.resolved);
        self.invalid.with_label_values(&["v2"]).inc_by(posted.refused.len() as u64);
    }

    pub(super) fn suppressed(&self, suppressed: Suppressed) {
        self.suppressed.with_label_values(&["inhibition"]).inc_by(suppressed.inhibited);
        self.suppressed.with_label_values(&["silence"]).inc_by(suppressed.silenced);
    }

    pub(super) fn counted(&self, counts: Counts) {
        for (state, count) in [("active", counts.active), ("suppressed", counts.suppressed)] {
            self.alerts.with_label_values(&[state]).set(as_i64(count));
        }
        for (state, count) in [
            ("active", counts.silences_active),
            ("pending", counts.silences_pending),
            ("expired", counts.silences_expired),
        ] {
            self.silences.with_label_values(&[state]).set(as_i64(count));
        }
        self.groups.set(as_i64(counts.groups));
    }

    /// State could not be written.
    pub(super) fn storage_failed(&self) {
        self.storage_failures.inc();
    }

    /// One try of a notification, its duration and whether it failed.
    pub(super) fn request(&self, kind: &str, seconds: f64, failed: bool) {
        self.requests.with_label_values(&[kind]).inc();
        self.latency.with_label_values(&[kind]).observe(seconds);
        if failed {
            self.requests_failed.with_label_values(&[kind]).inc();
        }
    }

    /// A notification, after all tries.
    pub(super) fn notification(&self, kind: &str, failed: Option<NotifyReason>) {
        self.notifications.with_label_values(&[kind]).inc();
        if let Some(reason) = failed {
            self.notifications_failed.with_label_values(&[kind, reason.as_str()]).inc();
        }
    }
}

impl RouterHandle {
    /// The router's own metrics, under Alertmanager's names.
    #[must_use]
    pub fn metrics(&self) -> Registry {
        self.metrics.registry.clone()
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help)
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::RouteConfig;

    #[test]
    fn every_name_is_registered_once_and_starts_at_zero() {
        let metrics = Metrics::new();
        metrics.loaded(RouteConfig::none().plan(), Timestamp::UNIX_EPOCH);
        let families = metrics.registry.gather();
        let names: Vec<_> = families.iter().map(|family| family.name().to_owned()).collect();
        for name in [
            "alertmanager_alerts",
            "alertmanager_alerts_invalid_total",
            "alertmanager_build_info",
            "alertmanager_config_hash",
            "alertmanager_receivers",
            "alertmanager_silences",
            "vigie_storage_failures_total",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }
}
