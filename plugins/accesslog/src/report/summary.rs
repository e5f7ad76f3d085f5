//! The figures of a report, as they are shown and written.
//!
//! The JSON form is `vigie.sla/1`: keys may be added, none change their meaning. It must not know
//! how lines were read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};
use vigie_core::clock::Timestamp;

use super::group::{Group, Scored};
use super::{Report, WorstWindow};
use crate::record::Malformed;
use crate::slo::Verdict;

/// A finished report.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Always `vigie.sla/1`.
    pub schema: &'static str,
    /// The format, `auto` when no line showed it.
    pub format: &'static str,
    /// All lines.
    pub lines: u64,
    /// Lines that are no request.
    pub malformed: u64,
    /// The same by reason; reasons without lines are left out.
    pub malformed_by_reason: BTreeMap<&'static str, u64>,
    /// Lines lost or filtered, by the proxy's own numbers.
    pub missing: u64,
    /// Requests of a format without durations.
    pub without_duration: u64,
    /// End of the first request, RFC 3339.
    pub first: Option<String>,
    /// End of the last request, RFC 3339.
    pub last: Option<String>,
    /// All requests.
    pub total: GroupSummary,
    /// By router; "" where none matched.
    pub routers: BTreeMap<String, GroupSummary>,
    /// By service; "" where the proxy answered.
    pub services: BTreeMap<String, GroupSummary>,
    /// The five minutes with the largest share of errors.
    pub worst_5m_errors: Option<WorstWindow>,
    /// The five minutes with the slowest mean.
    pub worst_5m_slow: Option<WorstWindow>,
    /// What was promised, and whether it was kept.
    pub objectives: Vec<ObjectiveSummary>,
    /// What was read.
    pub files: Vec<FileSummary>,
}

/// What `vigie sla` ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every objective is met, or none was given.
    Met,
    /// An objective is broken.
    Broken,
    /// There was no request to judge, or a file could not be read.
    Unusable,
}

impl Outcome {
    /// 0 met, 1 broken, 2 unusable input.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Outcome::Met => 0,
            Outcome::Broken => 1,
            Outcome::Unusable => 2,
        }
    }
}

impl Summary {
    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.total.requests == 0 || self.files.iter().any(|file| file.failed) {
            Outcome::Unusable
        } else if self.objectives.iter().any(|o| o.verdict == Verdict::Broken) {
            Outcome::Broken
        } else {
            Outcome::Met
        }
    }
}

/// Figures of one group of requests.
#[derive(Clone, Debug, Serialize)]
pub struct GroupSummary {
    /// How many.
    pub requests: u64,
    /// By status; `0` where there was no answer.
    pub codes: BTreeMap<String, u64>,
    /// Share of status 500 and above, 0 to 1.
    pub ratio_5xx: f64,
    /// Exchanges that were cut short.
    pub aborted: u64,
    /// Durations.
    pub duration_seconds: Durations,
    /// Seconds, and how many took at most so long; ascending.
    #[serde(serialize_with = "as_map")]
    pub within: Vec<(String, u64)>,
}

/// Durations in seconds; nothing where no line tells one. Percentiles are within 1 %.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Durations {
    pub mean: Option<f64>,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

/// An objective and whether it was kept.
#[derive(Clone, Debug, Serialize)]
pub struct ObjectiveSummary {
    /// Its name.
    pub name: String,
    /// Whether it was kept.
    pub verdict: Verdict,
    /// Requests it judged.
    pub events: u64,
    /// Those that broke the promise.
    pub bad: u64,
    /// What was reached: a share of good events, or seconds.
    pub value: Option<f64>,
    /// What was promised, in the same unit.
    pub objective: f64,
    /// Share of the error budget that is used, for objectives about shares; above 1 it is lost.
    pub budget_used: Option<f64>,
    /// Apdex, for objectives about a share under a threshold.
    pub apdex: Option<f64>,
}

/// One file.
#[derive(Clone, Debug, Serialize)]
pub struct FileSummary {
    /// As given.
    pub name: String,
    /// Lines read.
    pub lines: u64,
    /// Why it was not read, or not to its end.
    pub note: Option<String>,
    /// Whether that is a failure.
    pub failed: bool,
}

impl FileSummary {
    pub(super) fn read(name: &str, lines: u64) -> Self {
        FileSummary { name: name.to_owned(), lines, note: None, failed: false }
    }

    pub(super) fn skipped(name: &str, note: &str) -> Self {
        FileSummary { note: Some(note.to_owned()), ..FileSummary::read(name, 0) }
    }

    pub(super) fn failed(name: &str, lines: u64, error: &std::io::Error) -> Self {
        let note = Some(error.to_string());
        FileSummary { note, failed: true, ..FileSummary::read(name, lines) }
    }
}

pub(super) fn summarize(report: Report) -> Summary {
    let (worst_5m_errors, worst_5m_slow) = report.minutes.worst();
    let groups = &report.groups;
    let named = |groups: &[Group]| {
        groups.iter().map(|g| (g.name.to_string(), group(g, &report.groups.within))).collect()
    };
    Summary {
        schema: "vigie.sla/1",
        format: report.parser.name(),
        lines: report.lines,
        malformed: report.malformed.iter().sum(),
        malformed_by_reason: Malformed::ALL
            .iter()
            .map(|reason| (reason.as_str(), report.malformed[*reason as usize]))
            .filter(|(_, count)| *count > 0)
            .collect(),
        missing: report.gaps.missing_at_end(),
        without_duration: report.without_duration,
        first: report.first.map(time),
        last: report.last.map(time),
        total: group(&groups.total(), &groups.within),
        routers: named(&groups.routers.groups),
        services: named(&groups.services.groups),
        worst_5m_errors,
        worst_5m_slow,
        objectives: report.objectives.iter().map(objective).collect(),
        files: report.files,
    }
}

fn group(group: &Group, within: &[Duration]) -> GroupSummary {
    let errors: u64 = group.codes.iter().filter(|(code, _)| *code >= 500).map(|(_, n)| n).sum();
    let mut below = 0;
    let within = within.iter().zip(&group.buckets).map(|(bound, count)| {
        below += count;
        (bound.as_secs_f64().to_string(), below)
    });
    let quantile = |q| group.sketch.quantile(q);
    GroupSummary {
        requests: group.requests,
        codes: group.codes.iter().map(|(code, n)| (code.to_string(), *n)).collect(),
        ratio_5xx: errors as f64 / group.requests.max(1) as f64,
        aborted: group.aborted,
        within: within.collect(),
        duration_seconds: Durations {
            mean: (group.timed > 0).then(|| group.nanos as f64 / group.timed as f64 / 1e9),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: quantile(1.0),
        },
    }
}

fn objective(scored: &Scored) -> ObjectiveSummary {
    let goal = &scored.objective.goal;
    let budget_used = goal
        .target()
        .filter(|_| scored.events > 0)
        .map(|target| scored.bad as f64 / ((1.0 - target) * scored.events as f64));
    let limit = goal.limit().map_or(0.0, |limit| limit.as_secs_f64());
    ObjectiveSummary {
        name: scored.objective.name.clone(),
        verdict: scored.verdict(),
        events: scored.events,
        bad: scored.bad,
        value: scored.value(),
        objective: goal.target().unwrap_or(limit),
        budget_used,
        apdex: scored.apdex(),
    }
}

/// Unix milliseconds as RFC 3339.
pub(super) fn time(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| String::new(), |time| time.to_string())
}

fn as_map<S: Serializer>(pairs: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}
