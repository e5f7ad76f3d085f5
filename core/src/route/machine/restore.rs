//! How a machine begins, and how it takes a new plan.
//!
//! After a restart nothing may be told twice, forgotten or called resolved only because nobody
//! was there; after a reload groups go on where they stood. It must not know where state is kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::super::group::Group;
use super::super::inhibit::Inhibitor;
use super::super::nflog::NotificationLog;
use super::super::plan::Plan;
use super::super::silences::Silences;
use super::{MAINTENANCE, Machine, State, Suppressed};
use crate::alert::{Alert, Fingerprint};
use crate::clock;

impl Machine {
    /// A machine that goes on from `state`.
    #[must_use]
    pub fn new(plan: Arc<Plan>, state: State, now: Timestamp) -> Self {
        let mut machine = Machine {
            inhibitor: Inhibitor::new(&plan.inhibit_rules),
            started_at: now,
            alerts: HashMap::new(),
            ends: Default::default(),
            groups: HashMap::new(),
            group_ids: HashMap::new(),
            due: Default::default(),
            silences: Silences::default(),
            next_silence: None,
            log: NotificationLog::default(),
            ready: Default::default(),
            awaited: Default::default(),
            changes: Vec::new(),
            suppressed: Suppressed::default(),
            next_id: 0,
            maintenance: clock::add(now, MAINTENANCE),
            latest: now,
            version: 1,
            view: None,
            plan,
        };
        state.silences.into_iter().for_each(|silence| machine.silences.apply(silence));
        machine.next_silence = machine.silences.next_change(now);
        state.log.into_iter().for_each(|entry| machine.log.record(entry));
        for alert in state.alerts {
            let alert = given_time(alert, machine.plan.resolve_timeout, now);
            machine.place(alert.fingerprint(), &alert, now);
        }
        machine
    }

    /// Follows another plan from now on. Alerts, silences and log stay; a group that is still
    /// there keeps its timer and what is under way.
    pub fn reload(&mut self, plan: Arc<Plan>, now: Timestamp) {
        self.advance(now);
        self.inhibitor = Inhibitor::new(&plan.inhibit_rules);
        self.plan = plan;
        let old = std::mem::take(&mut self.groups);
        self.group_ids.clear();
        self.due.clear();
        let alerts: Vec<(Fingerprint, Arc<Alert>)> =
            self.alerts.iter().map(|(id, known)| (*id, known.alert.clone())).collect();
        for (id, alert) in alerts {
            self.alerts.remove(&id);
            self.place(id, &alert, now);
        }
        self.adopt(old, now);
        self.touch();
    }

    /// Lets new groups take over from old ones of the same key and receiver.
    fn adopt(&mut self, old: HashMap<u64, Group>, now: Timestamp) {
        let name = |group: &Group| (group.key.clone(), group.route.receiver.clone());
        let mut old: HashMap<_, _> =
            old.into_iter().map(|(id, group)| (name(&group), (id, group))).collect();
        let mut heirs = HashMap::new();
        self.due.clear();
        for (id, group) in &mut self.groups {
            if let Some((old_id, old)) = old.remove(&name(group)) {
                heirs.insert(old_id, *id);
                let latest = clock::add(now, group.route.group_interval);
                *group = Group {
                    due: if old.flushed { old.due.min(latest) } else { old.due.min(group.due) },
                    route: group.route.clone(),
                    members: std::mem::take(&mut group.members),
                    ..old
                };
            }
            if group.under_way == 0 {
                self.due.insert((group.due, *id));
            }
        }
        for awaited in self.awaited.values_mut() {
            // Ids are never used twice, so that one without an heir names nothing.
            awaited.group = heirs.get(&awaited.group).copied().unwrap_or(awaited.group);
        }
    }
}

/// A stored alert that fired when it was last posted is given time to be posted again: that its
/// end passed while nobody was there does not mean that it is over.
fn given_time(alert: Arc<Alert>, timeout: Duration, now: Timestamp) -> Arc<Alert> {
    let until = clock::add(now, timeout);
    if alert.is_resolved(alert.updated_at) || alert.ends_at >= until {
        return alert;
    }
    Arc::new(Alert { ends_at: until, timeout: true, ..Alert::clone(&alert) })
}
