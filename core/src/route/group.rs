//! An aggregation group, and the question whether it has something to say.
//!
//! One group per route and group labels; what it says is decided against what was said last. It
//! must not know how alerts are muted or sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::nflog::LogEntry;
use super::tree::Route;
use crate::alert::{Alert, Fingerprint, LabelSet};
use crate::clock;
use crate::notify::Reason;

/// Alerts that are notified together.
#[derive(Debug)]
pub(super) struct Group {
    /// `{route}:{group labels}`.
    pub(super) key: Arc<str>,
    pub(super) route: Arc<Route>,
    pub(super) labels: LabelSet,
    pub(super) members: BTreeSet<Fingerprint>,
    /// When it is looked at next.
    pub(super) due: Timestamp,
    /// Whether it was looked at before, now or in an earlier life.
    pub(super) flushed: bool,
    /// Deliveries of the last look that are under way.
    pub(super) under_way: usize,
    /// Alerts that may leave once all deliveries of the last look succeeded.
    pub(super) leaving: Vec<(Fingerprint, Arc<Alert>)>,
    pub(super) notified_at: Option<Timestamp>,
    /// Whether a delivery of the last look failed.
    pub(super) failed: bool,
    /// The last failure since the last success.
    pub(super) failure: Option<String>,
}

impl Group {
    pub(super) fn new(route: Arc<Route>, labels: LabelSet, due: Timestamp) -> Self {
        Group {
            key: format!("{}:{labels}", route.key).into(),
            route,
            labels,
            members: BTreeSet::new(),
            due,
            flushed: false,
            under_way: 0,
            leaving: Vec::new(),
            notified_at: None,
            failed: false,
            failure: None,
        }
    }
}

/// What an integration wants to hear, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Whether it is told about resolved alerts.
    pub send_resolved: bool,
    /// Between equal notifications.
    pub repeat_interval: Duration,
}

/// Whether an integration is to be notified (Alertmanager's dedup stage). `firing` and `resolved`
/// are sorted hashes of the alerts that are not muted.
///
/// An alert that vanishes, as by a silence, is no reason; one that is resolved and was never told
/// about is none either. That all are resolved is a reason even without `send_resolved`, so that
/// the log forgets the firing ones.
#[must_use]
pub fn needs_notify(
    entry: Option<&LogEntry>,
    firing: &[u64],
    resolved: &[u64],
    wish: Wish,
    now: Timestamp,
) -> Option<Reason> {
    let Some(entry) = entry else {
        return (!firing.is_empty()).then_some(Reason::FirstNotification);
    };
    if !is_subset(firing, &entry.firing) {
        let first = entry.firing.is_empty();
        return Some(if first { Reason::FirstNotification } else { Reason::NewAlerts });
    }
    if firing.is_empty() {
        return (!entry.firing.is_empty()).then_some(Reason::AllResolved);
    }
    if wish.send_resolved && !is_subset(resolved, &entry.resolved) {
        return Some(Reason::SomeResolved);
    }
    // "At" counts as elapsed: with equal group and repeat intervals people expect every tick.
    let elapsed = clock::add(entry.timestamp, wish.repeat_interval) <= now;
    elapsed.then_some(Reason::RepeatInterval)
}

fn is_subset(part: &[u64], sorted: &[u64]) -> bool {
    part.iter().all(|hash| sorted.binary_search(hash).is_ok())
}

/// Alertmanager's order: by the labels `job` and `instance`, then by all labels.
pub(super) fn sort(alerts: &mut [(Fingerprint, Arc<Alert>)]) {
    fn key(alert: &Alert) -> (&str, &str, &LabelSet) {
        (alert.labels.get("job"), alert.labels.get("instance"), &alert.labels)
    }
    alerts.sort_by(|(_, a), (_, b)| key(a).cmp(&key(b)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::nflog::LogKey;

    fn entry(firing: &[u64], resolved: &[u64]) -> LogEntry {
        LogEntry {
            key: LogKey {
                group_key: "g".into(),
                receiver: "r".into(),
                integration: "i".into(),
                index: 0,
            },
            timestamp: Timestamp::UNIX_EPOCH,
            firing: firing.to_vec(),
            resolved: resolved.to_vec(),
            expires_at: Timestamp::MAX,
        }
    }

    #[test]
    fn each_reason_has_its_case() {
        let wish = |send_resolved| Wish { send_resolved, repeat_interval: Duration::from_secs(60) };
        let ask = |entry: Option<&LogEntry>, firing: &[u64], resolved: &[u64], send, second| {
            let now = Timestamp::from_second(second).unwrap();
            needs_notify(entry, firing, resolved, wish(send), now)
        };
        let told = Some(entry(&[1, 2], &[9]));
        let told = told.as_ref();
        assert_eq!(ask(None, &[1], &[], true, 0), Some(Reason::FirstNotification));
        assert_eq!(ask(None, &[], &[1], true, 0), None, "nobody heard of it");
        assert_eq!(ask(told, &[1, 2, 3], &[], true, 1), Some(Reason::NewAlerts));
        assert_eq!(ask(told, &[1], &[2, 9], true, 1), Some(Reason::SomeResolved));
        assert_eq!(ask(told, &[1], &[2, 9], false, 1), None);
        assert_eq!(ask(told, &[1], &[9], true, 1), None, "known as resolved");
        assert_eq!(ask(told, &[1], &[], true, 1), None, "2 vanished");
        assert_eq!(ask(told, &[], &[1, 2], true, 1), Some(Reason::AllResolved));
        assert_eq!(ask(told, &[], &[1, 2], false, 1), Some(Reason::AllResolved));
        assert_eq!(ask(told, &[1, 2], &[], true, 59), None);
        assert_eq!(ask(told, &[1, 2], &[], true, 60), Some(Reason::RepeatInterval));
        let over = Some(entry(&[], &[1]));
        assert_eq!(ask(over.as_ref(), &[], &[1], true, 90), None);
        assert_eq!(ask(over.as_ref(), &[1], &[], true, 1), Some(Reason::FirstNotification));
    }
}
