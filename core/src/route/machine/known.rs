//! The alerts the machine knows: how they come, join groups, end and go.
//!
//! What depends on an alert's labels alone is worked out once, when it comes. It must not know
//! what groups say.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::super::group::Group;
use super::super::hash::alert_hash;
use super::super::inhibit::Roles;
use super::super::nflog::LogKey;
use super::super::silences::Matched;
use super::super::tree::Route;
use super::super::view::AlertView;
use super::flush::Member;
use super::{Change, MAX_ALERTS, Machine};
use crate::alert::{Alert, Fingerprint};
use crate::clock;

/// For so long after the start old alerts wait like new ones: what inhibits or silences them may
/// not be there yet.
const START_GRACE: Duration = Duration::from_secs(60);
/// A re-post that only moves the end less than this is not stored: senders repeat themselves each
/// minute, and a restored alert is given time anyway.
const END_TOLERANCE: Duration = Duration::from_secs(15 * 60);

/// An alert and what it is to the rest.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) alert: Arc<Alert>,
    pub(super) firing: bool,
    /// Its hash in the notification log.
    pub(super) hash: u64,
    pub(super) routes: Vec<Arc<Route>>,
    /// Groups that hold it; one per route until a group has told of its end.
    pub(super) groups: Vec<u64>,
    pub(super) roles: Roles,
    pub(super) matched: Matched,
    pub(super) view: Option<Arc<AlertView>>,
}

impl Machine {
    pub(super) fn has_room(&self, alert: &Alert) -> bool {
        self.alerts.len() < MAX_ALERTS || self.alerts.contains_key(&alert.fingerprint())
    }

    /// Takes a valid alert: merges it with what is known, and lets it join its groups.
    pub(super) fn admit(&mut self, alert: Alert, now: Timestamp) {
        let id = alert.fingerprint();
        let known = self.alerts.get(&id).map(|known| known.alert.clone());
        let alert = match &known {
            Some(known) => {
                let mut merged = Alert::clone(known).merge(alert, now);
                // One copy of equal labels is enough.
                merged.labels = known.labels.clone();
                merged
            }
            None => alert,
        };
        let alert = Arc::new(alert);
        if known.is_none_or(|known| is_worth_storing(&known, &alert)) {
            self.changes.push(Change::Alert(alert.clone()));
        }
        self.place(id, &alert, now);
    }

    /// Puts an alert in its place, new or not.
    pub(super) fn place(&mut self, id: Fingerprint, alert: &Arc<Alert>, now: Timestamp) {
        let firing = !alert.is_resolved(now);
        let known = self.alerts.entry(id).or_insert_with(|| Known {
            alert: alert.clone(),
            firing: false,
            hash: alert_hash(&alert.labels),
            routes: self.plan.tree.routes_for(&alert.labels),
            groups: Vec::new(),
            roles: self.inhibitor.roles(&alert.labels),
            matched: Matched::default(),
            view: None,
        });
        match (known.firing, firing) {
            (false, true) => self.inhibitor.enter(id, &known.roles),
            (true, false) => self.inhibitor.leave(id, &known.roles),
            _ => {}
        }
        self.ends.remove(&(known.alert.ends_at, id));
        if firing {
            self.ends.insert((alert.ends_at, id));
        }
        (known.firing, known.alert, known.view) = (firing, alert.clone(), None);
        // In the steady state it is in all its groups already.
        if known.groups.len() < known.routes.len() {
            for route in known.routes.clone() {
                self.join(id, alert, &route, now);
            }
        }
    }

    fn join(&mut self, id: Fingerprint, alert: &Alert, route: &Arc<Route>, now: Timestamp) {
        let key = (route.index, route.group_by.group_labels(&alert.labels));
        let group_id = match self.group_ids.get(&key) {
            Some(group) => *group,
            None => {
                let group = self.new_group(route, &key.1, now);
                let group_id = self.next_id();
                self.due.insert((group.due, group_id));
                self.groups.insert(group_id, group);
                self.group_ids.insert(key, group_id);
                group_id
            }
        };
        let Some(group) = self.groups.get_mut(&group_id) else { return };
        group.members.insert(id);
        let waited = clock::add(alert.starts_at, route.group_wait) < now;
        let settled = clock::add(self.started_at, START_GRACE) <= now;
        if waited && settled && !group.flushed && group.under_way == 0 {
            self.due.remove(&(group.due, group_id));
            group.due = now;
            self.due.insert((now, group_id));
        }
        if let Some(known) = self.alerts.get_mut(&id).filter(|k| !k.groups.contains(&group_id)) {
            known.groups.push(group_id);
        }
    }

    /// A group waits `group_wait`; one that was told of firing alerts before, in an earlier life
    /// of the program, keeps its interval.
    fn new_group(
        &self,
        route: &Arc<Route>,
        labels: &crate::alert::LabelSet,
        now: Timestamp,
    ) -> Group {
        let due = clock::add(now, route.group_wait);
        let mut group = Group::new(route.clone(), labels.clone(), due);
        let told = self.plan.integrations(&route.receiver).iter().filter_map(|integration| {
            let entry =
                self.log.get(&LogKey::new(&group.key, &route.receiver, integration), now)?;
            (!entry.firing.is_empty()).then_some(entry.timestamp)
        });
        if let Some(told) = told.max() {
            group.flushed = true;
            group.due = due.max(clock::add(told, route.group_interval));
            group.notified_at = Some(told);
        }
        group
    }

    /// The time of an alert has come: it is resolved, and no source of inhibition any more.
    pub(super) fn end(&mut self, id: Fingerprint) {
        if let Some(known) = self.alerts.get_mut(&id) {
            known.firing = false;
            self.inhibitor.leave(id, &known.roles);
        }
        self.touch();
    }

    /// An alert leaves a group that has told of its end, unless it was posted again meanwhile;
    /// with the last group it is forgotten.
    pub(super) fn leave(&mut self, group_id: u64, (id, alert): &Member) {
        let Some(known) = self.alerts.get_mut(id) else { return };
        if !Arc::ptr_eq(&known.alert, alert) {
            return;
        }
        if let Some(group) = self.groups.get_mut(&group_id) {
            group.members.remove(id);
        }
        known.groups.retain(|group| *group != group_id);
        if known.groups.is_empty() {
            self.alerts.remove(id);
            self.changes.push(Change::Gone(*id));
        }
    }
}

/// Whether a restart needs to know of the difference.
fn is_worth_storing(old: &Alert, new: &Alert) -> bool {
    let ended = |alert: &Alert| alert.is_resolved(alert.updated_at);
    ended(old)
        || ended(new)
        || old.starts_at != new.starts_at
        || old.annotations != new.annotations
        || old.generator_url != new.generator_url
        || new.ends_at.duration_since(old.ends_at).unsigned_abs() > END_TOLERANCE
}
