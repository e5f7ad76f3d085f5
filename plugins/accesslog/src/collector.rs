//! The families of the access logs and the objectives.
//!
//! It shows the copy that the service left and nothing else, so that a scrape never waits for a
//! file. It must not know how lines are read or judged.

use vigie_core::collect::{CollectError, Collector, CollectorInfo, Scrape};
use vigie_core::config::format_duration;
use vigie_core::metric::{Family, FamilyDoc, HistogramView, MetricSink, Sample, Value};

use crate::ledger::{Histogram, METHODS, Tally};
use crate::record::{Aborted, Malformed};
use crate::slo::Verdict;
use crate::snapshot::{LogView, Shared, SloView, Snapshot};
use crate::tail::Rotation;

/// The collector, for `--collector.accesslog` and the list.
pub(crate) static INFO: CollectorInfo = CollectorInfo::new(
    "accesslog",
    "Requests of the followed access logs, and how well objectives are kept.",
)
.reads("the files of --accesslog.file and of the section accesslog")
.families(FAMILIES);

static REQUESTS: Family<4> = Family::counter(
    "vigie_accesslog_requests_total",
    "Requests by backend service (empty: answered by the proxy), status code and method.",
    ["source", "service", "code", "method"],
);
static DURATION: Family<2> = Family::histogram(
    "vigie_accesslog_request_duration_seconds",
    "Time from the request's first byte to the answer's last.",
    ["source", "service"],
);
static UPSTREAM: Family<2> = Family::histogram(
    "vigie_accesslog_upstream_duration_seconds",
    "The part of it spent waiting for the backend.",
    ["source", "service"],
);
static RESPONSE_BYTES: Family<2> = Family::counter(
    "vigie_accesslog_response_bytes_total",
    "Bytes of answers' bodies.",
    ["source", "service"],
);
static REQUEST_BYTES: Family<2> = Family::counter(
    "vigie_accesslog_request_bytes_total",
    "Bytes of requests' bodies.",
    ["source", "service"],
);
static ABORTED: Family<3> = Family::counter(
    "vigie_accesslog_aborted_total",
    "Exchanges cut short: the client left before the answer, or the body was cut.",
    ["source", "service", "by"],
);
static LINES: Family<1> = Family::counter("vigie_accesslog_lines_total", "Lines read.", ["source"]);
static PARSE_ERRORS: Family<2> = Family::counter(
    "vigie_accesslog_parse_errors_total",
    "Lines that are no request of the expected format.",
    ["source", "reason"],
);
static MISSING: Family<1> = Family::counter(
    "vigie_accesslog_missing_lines_total",
    "Lines lost or filtered away, by the proxy's own request numbers.",
    ["source"],
);
static LAG: Family<1> = Family::gauge(
    "vigie_accesslog_lag_seconds",
    "Time since everything in the log had been read; 0 when it is.",
    ["source"],
);
static UNREAD: Family<1> = Family::gauge(
    "vigie_accesslog_unread_bytes",
    "Bytes in the log that are not read yet, half lines included.",
    ["source"],
);
static ROTATIONS: Family<2> =
    Family::counter("vigie_accesslog_rotations_total", "Rotations noticed.", ["source", "kind"]);
static DROPPED: Family<1> = Family::counter(
    "vigie_accesslog_series_dropped_total",
    "Requests not counted by service, code and method because max_series is reached.",
    ["source"],
);
static OBJECTIVE: Family<1> =
    Family::gauge("vigie_slo_objective_ratio", "Share of good events that is promised.", ["slo"]);
static OBJECTIVE_SECONDS: Family<1> = Family::gauge(
    "vigie_slo_objective_seconds",
    "Duration that is promised: threshold, mean or quantile.",
    ["slo"],
);
static VALUE_SECONDS: Family<1> = Family::gauge(
    "vigie_slo_value_seconds",
    "Mean or quantile that was reached over the objective's window.",
    ["slo"],
);
static EVENTS: Family<2> =
    Family::counter("vigie_slo_events_total", "Requests that were judged.", ["slo", "verdict"]);
static ERROR_RATIO: Family<2> =
    Family::gauge("vigie_slo_error_ratio", "Share of bad events over a window.", ["slo", "window"]);
static BURN_RATE: Family<2> = Family::gauge(
    "vigie_slo_burn_rate",
    "How fast the error budget is used up over a window; 1 lasts exactly for the period.",
    ["slo", "window"],
);
static BURNING: Family<4> = Family::gauge(
    "vigie_slo_burning",
    "Whether the error budget burns too fast over a long and a short window: what VigieSloBurn is \
     about.",
    ["slo", "severity", "long", "short"],
);
static BUDGET: Family<1> = Family::gauge(
    "vigie_slo_error_budget_remaining_ratio",
    "Share of the period's error budget that is left; negative when overdrawn.",
    ["slo"],
);
static MET: Family<1> = Family::gauge(
    "vigie_slo_met",
    "Whether the promise is kept: over the period for shares, over the window otherwise. Absent \
     while there are too few events.",
    ["slo"],
);
static APDEX: Family<1> = Family::gauge(
    "vigie_slo_apdex",
    "Apdex over the period: fast answers, and half of those up to four times the threshold.",
    ["slo"],
);

const FAMILIES: &[FamilyDoc] = &[
    REQUESTS.doc(),
    DURATION.doc(),
    UPSTREAM.doc(),
    RESPONSE_BYTES.doc(),
    REQUEST_BYTES.doc(),
    ABORTED.doc(),
    LINES.doc(),
    PARSE_ERRORS.doc(),
    MISSING.doc(),
    LAG.doc(),
    UNREAD.doc(),
    ROTATIONS.doc(),
    DROPPED.doc(),
    OBJECTIVE.doc(),
    OBJECTIVE_SECONDS.doc(),
    VALUE_SECONDS.doc(),
    EVENTS.doc(),
    ERROR_RATIO.doc(),
    BURN_RATE.doc(),
    BURNING.doc(),
    BUDGET.doc(),
    MET.doc(),
    APDEX.doc(),
];

/// Shows the snapshot that lies in `Shared`.
pub(crate) struct AccessLog(pub(crate) Shared);

impl Collector for AccessLog {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        // Counters restored halfway would look like a restart to whoever scrapes them.
        let Some(snapshot) = self.0.get() else {
            return Err(CollectError::no_data("the access logs are being read up to their ends"));
        };
        let Snapshot { bounds, logs, slos } = &*snapshot;
        let mut logs_out = LogWriter { sink, buckets: Vec::new(), bounds };
        logs_out.requests(logs);
        logs_out.histogram(&DURATION, logs, |tally| &tally.duration);
        logs_out.histogram(&UPSTREAM, logs, |tally| &tally.upstream);
        logs_out.tally(&RESPONSE_BYTES, logs, |tally| tally.response_bytes);
        logs_out.tally(&REQUEST_BYTES, logs, |tally| tally.request_bytes);
        logs_out.aborted(logs);
        logs_out.states(logs);
        write_slos(sink, slos);
        Ok(())
    }
}

/// Writes families of logs; a log's own labels follow those of the family.
struct LogWriter<'s> {
    sink: &'s mut dyn MetricSink,
    buckets: Vec<(f64, u64)>,
    bounds: &'s [f64],
}

impl LogWriter<'_> {
    fn requests(&mut self, logs: &[LogView]) {
        self.sink.family(&REQUESTS.desc());
        for log in logs {
            for (service, tally) in &log.ledger.services {
                for (code, method, count) in &tally.requests {
                    let code = code.to_string();
                    let method = METHODS.get(usize::from(*method)).copied().unwrap_or("other");
                    let labels = [("service", &**service), ("code", &code), ("method", method)];
                    self.sample(log, &labels, Value::U64(*count));
                }
            }
        }
    }

    fn histogram(
        &mut self,
        family: &'static Family<2>,
        logs: &[LogView],
        of: impl Fn(&Tally) -> &Histogram,
    ) {
        self.sink.family(&family.desc());
        for log in logs {
            for (service, tally) in &log.ledger.services {
                let histogram = of(tally);
                if histogram.count == 0 {
                    continue;
                }
                let mut buckets = std::mem::take(&mut self.buckets);
                let mut below = 0;
                buckets.clear();
                buckets.extend(self.bounds.iter().zip(&histogram.buckets).map(|(bound, count)| {
                    below += count;
                    (*bound, below)
                }));
                let (sum, count) = (histogram.seconds, histogram.count);
                let view = HistogramView { buckets: &buckets, sum, count };
                self.sample(log, &[("service", service)], Value::Histogram(&view));
                self.buckets = buckets;
            }
        }
    }

    fn tally(&mut self, family: &'static Family<2>, logs: &[LogView], of: impl Fn(&Tally) -> u64) {
        self.sink.family(&family.desc());
        for log in logs {
            for (service, tally) in &log.ledger.services {
                self.sample(log, &[("service", service)], Value::U64(of(tally)));
            }
        }
    }

    fn aborted(&mut self, logs: &[LogView]) {
        self.sink.family(&ABORTED.desc());
        for log in logs {
            for (service, tally) in &log.ledger.services {
                let by = [
                    (Aborted::ClientBefore, tally.client_before),
                    (Aborted::BodyCut, tally.body_cut),
                ];
                for (by, count) in by {
                    let labels = [("service", &**service), ("by", by.as_str())];
                    self.sample(log, &labels, Value::U64(count));
                }
            }
        }
    }

    fn states(&mut self, logs: &[LogView]) {
        self.state(&LINES, logs, |log| Value::U64(log.ledger.lines));
        self.sink.family(&PARSE_ERRORS.desc());
        for log in logs {
            for (reason, count) in Malformed::ALL.iter().zip(log.ledger.malformed) {
                self.sample(log, &[("reason", reason.as_str())], Value::U64(count));
            }
        }
        self.state(&MISSING, logs, |log| Value::U64(log.ledger.missing));
        self.state(&LAG, logs, |log| Value::F64(log.lag.as_secs_f64()));
        self.state(&UNREAD, logs, |log| Value::U64(log.unread));
        self.sink.family(&ROTATIONS.desc());
        for log in logs {
            for (kind, count) in Rotation::ALL.iter().zip(log.ledger.rotations) {
                self.sample(log, &[("kind", kind.as_str())], Value::U64(count));
            }
        }
        self.state(&DROPPED, logs, |log| Value::U64(log.ledger.dropped));
    }

    fn state(
        &mut self,
        family: &'static Family<1>,
        logs: &[LogView],
        of: impl Fn(&LogView) -> Value<'static>,
    ) {
        self.sink.family(&family.desc());
        for log in logs {
            self.sample(log, &[], of(log));
        }
    }

    fn sample(&mut self, log: &LogView, labels: &[(&str, &str)], value: Value<'_>) {
        let own = log.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = std::iter::once(("source", log.name.as_str()))
            .chain(labels.iter().copied())
            .chain(own)
            .collect();
        self.sink.sample(&Sample::new(&all, value));
    }
}

fn write_slos(sink: &mut dyn MetricSink, slos: &[SloView]) {
    each(sink, &OBJECTIVE, slos, |slo| slo.objective.goal.target());
    each(sink, &OBJECTIVE_SECONDS, slos, |slo| slo.objective.goal.limit().map(|l| l.as_secs_f64()));
    each(sink, &VALUE_SECONDS, slos, |slo| {
        let is_share = slo.objective.goal.target().is_some();
        slo.standing.window_value.filter(|_| !is_share)
    });
    let mut events = EVENTS.open(sink);
    for slo in slos {
        events.emit([&slo.objective.name, "good"], slo.good);
        events.emit([&slo.objective.name, "bad"], slo.bad);
    }
    let mut ratios = ERROR_RATIO.open(sink);
    for slo in slos {
        for (window, ratio) in &slo.standing.ratios {
            ratios.emit([&slo.objective.name, &format_duration(*window)], *ratio);
        }
    }
    let mut rates = BURN_RATE.open(sink);
    for slo in slos {
        let budget = 1.0 - slo.objective.goal.target().unwrap_or(0.0);
        for (window, ratio) in &slo.standing.ratios {
            rates.emit([&slo.objective.name, &format_duration(*window)], *ratio / budget);
        }
    }
    let mut burning = BURNING.open(sink);
    for slo in slos {
        for (pair, burns) in &slo.standing.burns {
            let (long, short) = (format_duration(pair.long), format_duration(pair.short));
            burning.emit([&slo.objective.name, pair.severity, &long, &short], *burns);
        }
    }
    each(sink, &BUDGET, slos, |slo| slo.standing.budget_remaining);
    each(sink, &MET, slos, |slo| match slo.standing.verdict {
        Verdict::Met => Some(1.0),
        Verdict::Broken => Some(0.0),
        Verdict::NoTraffic => None,
    });
    each(sink, &APDEX, slos, |slo| {
        let period = slo.standing.period;
        let has_threshold = slo.objective.goal.target().and(slo.objective.goal.limit()).is_some();
        (has_threshold && period.events > 0)
            .then(|| period.apdex as f64 / 2.0 / period.events as f64)
    });
}

/// One sample per objective that has the value.
fn each(
    sink: &mut dyn MetricSink,
    family: &'static Family<1>,
    slos: &[SloView],
    of: impl Fn(&SloView) -> Option<f64>,
) {
    let mut family = family.open(sink);
    for slo in slos {
        if let Some(value) = of(slo) {
            family.emit([&slo.objective.name], value);
        }
    }
}
