//! What is wrong, in the words of an alert.
//!
//! Names and labels of the alerts are decided here and documented in the guide on service levels.
//! It must not know when they are posted, nor to whom.

use vigie_core::alert::LabelSet;
use vigie_core::config::format_duration;

use crate::alerts::Condition;
use crate::burn::Pair;
use crate::config::Source;
use crate::slo::{Goal, Objective, Verdict};
use crate::snapshot::SloView;

/// Adds what is wrong with an objective.
pub(crate) fn of_objective(slo: &SloView, out: &mut Vec<Condition>) {
    let SloView { objective, standing, .. } = slo;
    if objective.alerts.burn {
        out.extend(standing.burning().map(|pair| burn(slo, pair)));
    }
    if objective.alerts.window && standing.window_broken {
        out.push(broken(objective, objective.window, &objective.severity, &reached(slo)));
    }
    let is_share = objective.goal.target().is_some();
    if objective.alerts.period && is_share && standing.verdict == Verdict::Broken {
        let share = 1.0 - standing.period.error_ratio();
        let reached = format!("{} of {} requests", percent(share), standing.period.events);
        out.push(broken(objective, objective.period, "ticket", &reached));
    }
    if standing.no_data {
        let silence = objective.no_data.unwrap_or_default();
        let summary = format!("{}: no request for {}", objective.name, format_duration(silence));
        out.push(condition("VigieSloNoData", objective, &objective.severity, &[], summary));
    }
}

/// A log whose file is away.
pub(crate) fn of_log(source: &Source, reason: &str) -> Condition {
    let own = source.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let fixed = [
        ("alertname", "VigieAccessLogStale"),
        ("severity", "ticket"),
        ("source", source.name.as_str()),
    ];
    let summary = format!("access log {} is not read: {reason}", source.path.display());
    Condition {
        labels: own.chain(fixed).collect(),
        annotations: LabelSet::new([("summary", summary)]),
    }
}

fn burn(slo: &SloView, pair: &Pair) -> Condition {
    let (long, short) = (format_duration(pair.long), format_duration(pair.short));
    let objective = &slo.objective;
    let budget = 1.0 - objective.goal.target().unwrap_or(0.0);
    let rate = |window| {
        let found = slo.standing.ratios.iter().find(|(length, _)| *length == window);
        found.map_or(0.0, |(_, ratio)| ratio / budget)
    };
    let summary = format!(
        "{}: the error budget burns {:.1} times too fast over {long} and {:.1} times over {short}",
        objective.name,
        rate(pair.long),
        rate(pair.short),
    );
    let windows = [("long", long.as_str()), ("short", short.as_str())];
    condition("VigieSloBurn", objective, pair.severity, &windows, summary)
}

fn broken(
    objective: &Objective,
    window: std::time::Duration,
    severity: &str,
    reached: &str,
) -> Condition {
    let window = format_duration(window);
    let promise = promise(&objective.goal);
    let summary = format!("{}: {reached} over {window}, promised {promise}", objective.name);
    condition("VigieSloBroken", objective, severity, &[("window", window.as_str())], summary)
}

fn condition(
    name: &str,
    objective: &Objective,
    severity: &str,
    more: &[(&str, &str)],
    summary: String,
) -> Condition {
    let own = objective.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let service = objective.select.service().map(|service| ("service", service));
    let fixed = [("alertname", name), ("severity", severity), ("slo", objective.name.as_str())];
    let labels = own.chain(service).chain(fixed).chain(more.iter().copied());
    Condition { labels: labels.collect(), annotations: LabelSet::new([("summary", summary)]) }
}

fn reached(slo: &SloView) -> String {
    let value = slo.standing.window_value.unwrap_or(0.0);
    match slo.objective.goal {
        Goal::Below { .. } => format!("{} fast enough", percent(value)),
        Goal::Errors { .. } => format!("{} without error", percent(value)),
        Goal::Mean(_) => format!("a mean of {:.0} ms", value * 1e3),
        Goal::Quantile { quantile, .. } => {
            format!("a p{} of {:.0} ms", quantile * 100.0, value * 1e3)
        }
    }
}

fn promise(goal: &Goal) -> String {
    let limit = format_duration(goal.limit().unwrap_or_default());
    match goal.target() {
        Some(target) if goal.limit().is_some() => format!("{} within {limit}", percent(target)),
        Some(target) => percent(target),
        None => format!("at most {limit}"),
    }
}

/// Rounded down: 99.996 % is not 100 %.
fn percent(share: f64) -> String {
    format!("{}%", (share * 1e4 + 1e-6).floor() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_rounded_up() {
        assert_eq!(percent(0.95), "95%");
        assert_eq!(percent(0.999_96), "99.99%");
        assert_eq!([percent(1.0), percent(0.0), percent(0.29)], ["100%", "0%", "29%"]);
    }
}
