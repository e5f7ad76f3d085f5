//! One look at a group: the stages in their order, on one page.
//!
//! Inhibited? Silenced? Then, per integration: has it something new to hear? A success is logged,
//! and only then may resolved alerts go. It must not know how a notification is sent.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::super::group::{self, Wish, needs_notify};
use super::super::nflog::{LogEntry, LogKey};
use super::super::plan::Integration;
use super::super::tree::Route;
use super::{Change, Delivery, DeliveryId, Machine};
use crate::alert::{Alert, Fingerprint, LabelSet};
use crate::clock;
use crate::notify::{Notification, Reason};

/// A delivery is tried for at least this long.
const MIN_TIME_LIMIT: Duration = Duration::from_secs(10);

/// A delivery whose outcome is awaited.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) group: u64,
    /// What the log will say after a success.
    entry: LogEntry,
}

/// An alert in a group, and its number.
pub(in crate::route) type Member = (Fingerprint, Arc<Alert>);

/// What a group has to say at one time.
struct Flush {
    group: u64,
    key: Arc<str>,
    route: Arc<Route>,
    labels: LabelSet,
    now: Timestamp,
    /// Alerts that are not muted, sorted as they are sent.
    alerts: Vec<Member>,
    /// Their hashes, sorted.
    firing: Vec<u64>,
    resolved: Vec<u64>,
}

impl Machine {
    /// Looks at a group.
    pub(super) fn flush(&mut self, group: u64, now: Timestamp) {
        let Some(mut flush) = self.open(group, now) else { return };
        self.drop_inhibited(&mut flush);
        self.drop_silenced(&mut flush);
        self.hash(&mut flush);
        // A group that is muted whole has nothing to say, not even that all is well.
        if !flush.alerts.is_empty() {
            let plan = self.plan.clone();
            for integration in plan.integrations(&flush.route.receiver) {
                let key = LogKey::new(&flush.key, &flush.route.receiver, integration);
                let wish = Wish {
                    send_resolved: integration.send_resolved,
                    repeat_interval: flush.route.repeat_interval,
                };
                let told = self.log.get(&key, now);
                if let Some(reason) = needs_notify(told, &flush.firing, &flush.resolved, wish, now)
                {
                    self.deliver(&flush, integration, key, reason);
                }
            }
        }
        self.close(group, now);
    }

    /// Takes the outcome of a delivery: nothing, or an error text without secrets. A success is
    /// logged; after a failure the group's next look tries again.
    pub fn delivered(&mut self, id: DeliveryId, outcome: Result<(), String>, now: Timestamp) {
        let Some(Awaited { group: group_id, entry }) = self.awaited.remove(&id) else { return };
        let group = self.groups.get_mut(&group_id);
        match (outcome, group) {
            (Ok(()), group) => {
                if let Some(group) = group {
                    group.under_way -= 1;
                    group.notified_at = Some(now);
                }
                self.record(entry);
            }
            (Err(error), Some(group)) => {
                group.under_way -= 1;
                group.failed = true;
                group.failure = Some(format!("{}: {error}", entry.key.integration));
            }
            (Err(_), None) => {}
        }
        self.close(group_id, now);
        self.touch();
    }

    /// Re-arms the group's timer and takes a picture of its alerts.
    fn open(&mut self, id: u64, now: Timestamp) -> Option<Flush> {
        let group = self.groups.get_mut(&id)?;
        group.due = clock::add(now, group.route.group_interval);
        group.flushed = true;
        group.failed = false;
        let known = |id: &Fingerprint| Some((*id, self.alerts.get(id)?.alert.clone()));
        let mut alerts: Vec<Member> = group.members.iter().filter_map(known).collect();
        group::sort(&mut alerts);
        let ended = |(_, alert): &&Member| alert.is_resolved(now);
        group.leaving = alerts.iter().filter(ended).cloned().collect();
        Some(Flush {
            group: id,
            key: group.key.clone(),
            route: group.route.clone(),
            labels: group.labels.clone(),
            now,
            alerts,
            firing: Vec::new(),
            resolved: Vec::new(),
        })
    }

    fn drop_inhibited(&mut self, flush: &mut Flush) {
        let before = flush.alerts.len();
        flush.alerts.retain(|(id, _)| {
            let known = self.alerts.get(id);
            known.is_none_or(|known| self.inhibitor.source(&known.roles).is_none())
        });
        self.suppressed.inhibited += (before - flush.alerts.len()) as u64;
    }

    fn drop_silenced(&mut self, flush: &mut Flush) {
        let before = flush.alerts.len();
        flush.alerts.retain(|(id, alert)| {
            let Some(known) = self.alerts.get_mut(id) else { return true };
            !self.silences.is_muting(&alert.labels, &mut known.matched, flush.now)
        });
        self.suppressed.silenced += (before - flush.alerts.len()) as u64;
    }

    fn hash(&self, flush: &mut Flush) {
        for (id, alert) in &flush.alerts {
            let Some(known) = self.alerts.get(id) else { continue };
            let resolved = alert.is_resolved(flush.now);
            if resolved { &mut flush.resolved } else { &mut flush.firing }.push(known.hash);
        }
        flush.firing.sort_unstable();
        flush.resolved.sort_unstable();
    }

    /// Makes a delivery; where nothing is left to send, only the log learns of it.
    fn deliver(&mut self, flush: &Flush, integration: &Integration, key: LogKey, reason: Reason) {
        let entry = LogEntry {
            key,
            timestamp: flush.now,
            firing: flush.firing.clone(),
            resolved: flush.resolved.clone(),
            expires_at: LogEntry::expiry(flush.now, flush.route.repeat_interval),
        };
        if flush.firing.is_empty() && !integration.send_resolved {
            self.record(entry);
            return;
        }
        let receiver = flush.route.receiver.to_string();
        let mut notification =
            Notification::new(receiver, flush.key.to_string(), reason, flush.now);
        notification.group_labels = flush.labels.clone();
        let alerts = flush.alerts.iter().map(|(_, alert)| alert);
        let wanted =
            |alert: &&Arc<Alert>| integration.send_resolved || !alert.is_resolved(flush.now);
        notification.alerts = alerts.filter(wanted).cloned().collect();
        let id = DeliveryId(self.next_id());
        self.awaited.insert(id, Awaited { group: flush.group, entry });
        if let Some(group) = self.groups.get_mut(&flush.group) {
            group.under_way += 1;
        }
        self.ready.push_back(Delivery {
            id,
            integration: integration.clone(),
            notification,
            time_limit: flush.route.group_interval.max(MIN_TIME_LIMIT),
        });
    }

    fn record(&mut self, entry: LogEntry) {
        let entry = Arc::new(entry);
        self.log.record(entry.clone());
        self.changes.push(Change::Notified(entry));
    }

    /// Once all deliveries have ended: after a success resolved alerts leave, and an empty group
    /// goes; any other waits for its next look.
    fn close(&mut self, id: u64, now: Timestamp) {
        let Some(group) = self.groups.get_mut(&id).filter(|group| group.under_way == 0) else {
            return;
        };
        let leaving = std::mem::take(&mut group.leaving);
        if !group.failed {
            let mended = group.failure.take().is_some();
            if mended {
                self.touch();
            }
            leaving.iter().for_each(|member| self.leave(id, member));
        }
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.members.is_empty() {
            let key = (group.route.index, group.labels.clone());
            self.group_ids.remove(&key);
            self.groups.remove(&id);
            self.shrink();
            self.touch();
        } else {
            group.due = group.due.max(now);
            self.due.insert((group.due, id));
        }
    }
}
