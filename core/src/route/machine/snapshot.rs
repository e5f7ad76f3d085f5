//! What the machine knows, as a picture for readers.
//!
//! Made anew only when something changed, and then from parts that are shared with the picture
//! before. It must not know how it is shown.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::group::Group;
use super::super::inhibit::Inhibitor;
use super::super::silence::SilenceState;
use super::super::silences::Silences;
use super::super::tree::receivers_of;
use super::super::view::{AlertState, AlertView, GroupView, View};
use super::Machine;
use super::known::Known;
use crate::alert::Fingerprint;

/// How much there is of what, at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Firing alerts that are notified.
    pub active: usize,
    /// Firing alerts that are silenced or inhibited.
    pub suppressed: usize,
    /// Aggregation groups.
    pub groups: usize,
    /// Silences that mute now.
    pub silences_active: usize,
    /// Silences that begin later.
    pub silences_pending: usize,
    /// Silences that are over.
    pub silences_expired: usize,
}

impl Machine {
    /// A picture of everything; the same one while nothing changes.
    pub fn view(&mut self, now: Timestamp) -> Arc<View> {
        self.advance(now);
        if let Some(view) = &self.view {
            return view.clone();
        }
        let mut alerts: Vec<Arc<AlertView>> = Vec::with_capacity(self.ends.len());
        for (id, known) in self.alerts.iter_mut().filter(|(_, known)| known.firing) {
            alerts.push(look(*id, known, &self.inhibitor, &self.silences, now));
        }
        alerts.sort_unstable_by_key(|alert| alert.fingerprint);
        let view = Arc::new(View {
            now,
            version: self.version,
            alerts,
            groups: self.group_views(),
            silences: self.silences.all(now),
            receivers: self.plan.receivers.iter().map(|r| r.name.to_string()).collect(),
            config: self.plan.original.clone(),
            started_at: self.started_at,
        });
        self.view = Some(view.clone());
        view
    }

    /// A number that grows with every change of what [`Machine::view`] shows.
    pub fn version(&mut self, now: Timestamp) -> u64 {
        self.advance(now);
        self.version
    }

    /// How much there is of what.
    pub fn counts(&mut self, now: Timestamp) -> Counts {
        self.advance(now);
        let mut counts = Counts { groups: self.groups.len(), ..Counts::default() };
        for known in self.alerts.values_mut().filter(|known| known.firing) {
            let muted = self.inhibitor.source(&known.roles).is_some()
                || self.silences.is_muting(&known.alert.labels, &mut known.matched, now);
            *(if muted { &mut counts.suppressed } else { &mut counts.active }) += 1;
        }
        counts.silences_active = self.silences.count(SilenceState::Active, now);
        counts.silences_pending = self.silences.count(SilenceState::Pending, now);
        counts.silences_expired = self.silences.count(SilenceState::Expired, now);
        counts
    }

    fn group_views(&self) -> Vec<GroupView> {
        let mut views: Vec<_> = self.groups.values().filter_map(|g| self.group_view(g)).collect();
        views.sort_by(|a, b| (&a.labels, &a.receiver).cmp(&(&b.labels, &b.receiver)));
        views
    }

    fn group_view(&self, group: &Group) -> Option<GroupView> {
        let firing = |id: &Fingerprint| self.alerts.get(id).filter(|known| known.firing);
        let members = group.members.iter().filter_map(firing);
        let alerts: Vec<_> = members.filter_map(|known| known.view.clone()).collect();
        if alerts.is_empty() {
            return None;
        }
        Some(GroupView {
            key: group.key.to_string(),
            receiver: group.route.receiver.clone(),
            labels: group.labels.clone(),
            alerts,
            notified_at: group.notified_at,
            failure: group.failure.clone(),
        })
    }
}

/// The picture of one alert; the last one again when it is the same.
fn look(
    id: Fingerprint,
    known: &mut Known,
    inhibitor: &Inhibitor,
    silences: &Silences,
    now: Timestamp,
) -> Arc<AlertView> {
    let silenced_by = silences.muting(&known.alert.labels, &mut known.matched, now);
    let inhibited_by: Vec<_> = inhibitor.source(&known.roles).into_iter().collect();
    let same = |view: &&Arc<AlertView>| {
        view.silenced_by == silenced_by && view.inhibited_by == inhibited_by
    };
    if let Some(view) = known.view.as_ref().filter(same) {
        return view.clone();
    }
    let active = silenced_by.is_empty() && inhibited_by.is_empty();
    let view = Arc::new(AlertView {
        alert: known.alert.clone(),
        fingerprint: id,
        state: if active { AlertState::Active } else { AlertState::Suppressed },
        silenced_by,
        inhibited_by,
        muted_by: Vec::new(),
        receivers: receivers_of(&known.routes),
    });
    known.view = Some(view.clone());
    view
}
