//! The alerts of the access log, as a pure machine.
//!
//! It is told at each look what is wrong, and says what to post: new alerts at once, standing ones
//! again before they end by themselves, ended ones with their end. It must not know what takes the
//! posts, nor read a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigie_core::alert::{LabelSet, PostedAlert};
use vigie_core::clock::Timestamp;

use crate::window::millis;

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) labels: LabelSet,
    pub(crate) annotations: LabelSet,
}

/// The alerts that fire, and those whose end is still to be posted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Alerts {
    /// Pairs, since JSON has no keys of this kind.
    active: Vec<Active>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Active {
    labels: LabelSet,
    annotations: LabelSet,
    /// Unix milliseconds.
    since: i64,
    ended: Option<i64>,
    /// When it was last taken; not stored, so that a restart posts again.
    #[serde(skip)]
    posted: Option<i64>,
}

impl Alerts {
    /// What is to be posted at `now` (Unix milliseconds). A standing alert is posted every
    /// `interval` and ends by itself after four of them.
    pub(crate) fn look(
        &mut self,
        now: i64,
        interval: Duration,
        conditions: Vec<Condition>,
    ) -> Vec<PostedAlert> {
        let mut wrong: BTreeMap<LabelSet, LabelSet> =
            conditions.into_iter().map(|c| (c.labels, c.annotations)).collect();
        for active in &mut self.active {
            match wrong.remove(&active.labels) {
                Some(annotations) => {
                    if active.ended.take().is_some() {
                        (active.since, active.posted) = (now, None);
                    }
                    active.annotations = annotations;
                }
                None => {
                    active.ended.get_or_insert(now);
                }
            }
        }
        self.active.extend(wrong.into_iter().map(|(labels, annotations)| Active {
            labels,
            annotations,
            since: now,
            ended: None,
            posted: None,
        }));
        let due = self.active.iter().filter(|active| active.is_due(now, interval));
        due.map(|active| active.post(now, interval)).collect()
    }

    /// All that was due at `now` has been taken.
    pub(crate) fn taken(&mut self, now: i64, interval: Duration) {
        self.active.retain(|active| active.ended.is_none());
        for active in &mut self.active {
            if active.is_due(now, interval) {
                active.posted = Some(now);
            }
        }
    }
}

impl Active {
    fn is_due(&self, now: i64, interval: Duration) -> bool {
        let age = self.posted.map(|posted| now.saturating_sub(posted));
        self.ended.is_some() || age.is_none_or(|age| age < 0 || age >= millis(interval))
    }

    fn post(&self, now: i64, interval: Duration) -> PostedAlert {
        let ends = self.ended.unwrap_or_else(|| now.saturating_add(millis(interval * 4)));
        let time = |millis| Timestamp::from_millisecond(millis).ok();
        PostedAlert {
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            starts_at: time(self.since),
            ends_at: time(ends),
            generator_url: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(15);

    fn condition(name: &str) -> Condition {
        Condition {
            labels: LabelSet::new([("alertname", name)]),
            annotations: LabelSet::new([("summary", "x")]),
        }
    }

    /// `(name, start, end)` in seconds of what is posted.
    fn look(alerts: &mut Alerts, second: i64, names: &[&str]) -> Vec<(String, i64, i64)> {
        let conditions = names.iter().map(|name| condition(name)).collect();
        let posts = alerts.look(second * 1000, INTERVAL, conditions);
        let second = |time: Option<Timestamp>| time.unwrap().as_second();
        posts
            .iter()
            .map(|p| (p.labels.get("alertname").to_owned(), second(p.starts_at), second(p.ends_at)))
            .collect()
    }

    #[test]
    fn an_alert_is_posted_repeated_and_resolved() {
        let mut alerts = Alerts::default();
        assert_eq!(look(&mut alerts, 100, &["A"]), [("A".into(), 100, 160)]);
        alerts.taken(100_000, INTERVAL);
        assert_eq!(look(&mut alerts, 114, &["A"]), []);
        assert_eq!(look(&mut alerts, 115, &["A"]), [("A".into(), 100, 175)]);
        alerts.taken(115_000, INTERVAL);
        assert_eq!(look(&mut alerts, 116, &[]), [("A".into(), 100, 116)]);
        alerts.taken(116_000, INTERVAL);
        assert_eq!(look(&mut alerts, 117, &[]), []);
        assert_eq!(look(&mut alerts, 118, &["A"]), [("A".into(), 118, 178)]);
    }

    #[test]
    fn what_was_not_taken_is_posted_again() {
        let mut alerts = Alerts::default();
        look(&mut alerts, 100, &["A"]);
        assert_eq!(look(&mut alerts, 101, &["A"]), [("A".into(), 100, 161)]);
        alerts.taken(101_000, INTERVAL);
        look(&mut alerts, 102, &[]);
        assert_eq!(look(&mut alerts, 103, &[]), [("A".into(), 100, 102)], "with its true end");
        assert_eq!(look(&mut alerts, 104, &["A"]), [("A".into(), 104, 164)], "back before the end");
    }

    #[test]
    fn a_restart_neither_forgets_nor_restarts_an_alert() {
        let mut alerts = Alerts::default();
        look(&mut alerts, 100, &["A", "B"]);
        alerts.taken(100_000, INTERVAL);
        let stored = serde_json::to_string(&alerts).unwrap();
        let mut alerts: Alerts = serde_json::from_str(&stored).unwrap();
        let posted = look(&mut alerts, 103, &["A"]);
        assert_eq!(posted, [("A".into(), 100, 163), ("B".into(), 100, 103)]);
    }
}
