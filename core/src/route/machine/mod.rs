//! The router itself, as a machine without clock, socket or file.
//!
//! Events and a time go in, deliveries and changes to store come out, and [`Machine::next_wakeup`]
//! says when to ask again; so every order of events can be tested exactly. It must not know tokio,
//! notifiers or where state is kept.

mod flush;
mod known;
mod restore;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use self::flush::Awaited;
use self::known::Known;
pub use self::snapshot::Counts;
use super::group::Group;
use super::inhibit::Inhibitor;
use super::nflog::{LogEntry, NotificationLog};
use super::plan::{Integration, Plan};
use super::silence::{PostedSilence, Silence, SilenceError};
use super::silences::{SilenceChange, Silences};
use super::view::View;
use crate::alert::{Alert, AlertError, Fingerprint, LabelSet, PostedAlert};
use crate::clock;
use crate::notify::Notification;

/// Alerts known at once; more are refused.
const MAX_ALERTS: usize = 200_000;
/// What ended long ago is forgotten this often (`--data.maintenance-interval`).
const MAINTENANCE: Duration = Duration::from_secs(15 * 60);

/// What outlives the program.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// All silences.
    pub silences: Vec<Arc<Silence>>,
    /// The notification log.
    pub log: Vec<Arc<LogEntry>>,
    /// All alerts.
    pub alerts: Vec<Arc<Alert>>,
}

/// A change of what outlives the program, in the order it happened.
#[derive(Clone, Debug)]
pub enum Change {
    /// A silence as it now is.
    Silence(Arc<Silence>),
    /// A notification was sent.
    Notified(Arc<LogEntry>),
    /// An alert as it now is.
    Alert(Arc<Alert>),
    /// An alert is no longer known.
    Gone(Fingerprint),
}

/// Names a delivery that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(u64);

/// A notification to be sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// To be handed back with the outcome.
    pub id: DeliveryId,
    /// Which integration of the notification's receiver.
    pub integration: Integration,
    /// What to send; the external URL is not filled in.
    pub notification: Notification,
    /// How long it may be tried.
    pub time_limit: Duration,
}

/// What became of posted alerts.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Posted {
    /// How many of those taken fire.
    pub firing: u64,
    /// How many of those taken are resolved.
    pub resolved: u64,
    /// Why others were refused.
    pub refused: Vec<AlertError>,
    /// How many there was no room for.
    pub dropped: usize,
}

/// Alerts that were left out of notifications, by what muted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suppressed {
    /// By inhibition.
    pub inhibited: u64,
    /// By a silence.
    pub silenced: u64,
}

/// The router.
#[derive(Debug)]
pub struct Machine {
    plan: Arc<Plan>,
    started_at: Timestamp,
    alerts: HashMap<Fingerprint, Known>,
    /// When firing alerts are taken for resolved.
    ends: BTreeSet<(Timestamp, Fingerprint)>,
    groups: HashMap<u64, Group>,
    group_ids: HashMap<(usize, LabelSet), u64>,
    /// When groups without deliveries under way are looked at.
    due: BTreeSet<(Timestamp, u64)>,
    inhibitor: Inhibitor,
    silences: Silences,
    next_silence: Option<Timestamp>,
    log: NotificationLog,
    ready: VecDeque<Delivery>,
    awaited: BTreeMap<DeliveryId, Awaited>,
    changes: Vec<Change>,
    suppressed: Suppressed,
    next_id: u64,
    maintenance: Timestamp,
    /// The latest time that was seen.
    latest: Timestamp,
    version: u64,
    view: Option<Arc<View>>,
}

impl Machine {
    /// Takes posted alerts; the valid ones of a batch are taken even when others are refused.
    pub fn post(&mut self, alerts: Vec<PostedAlert>, now: Timestamp) -> Posted {
        self.advance(now);
        let mut posted = Posted::default();
        for alert in alerts {
            match alert.receive(now, self.plan.resolve_timeout) {
                Ok(alert) if !self.has_room(&alert) => posted.dropped += 1,
                Ok(alert) => {
                    let resolved = alert.is_resolved(now);
                    *(if resolved { &mut posted.resolved } else { &mut posted.firing }) += 1;
                    self.admit(alert, now);
                }
                Err(error) => posted.refused.push(error),
            }
        }
        self.touch();
        posted
    }

    /// Works out what posting a silence changes; it stands only after [`Machine::silence`].
    ///
    /// # Errors
    /// When it cannot be as posted.
    pub fn set_silence(
        &self,
        posted: PostedSilence,
        new_id: String,
        now: Timestamp,
    ) -> Result<SilenceChange, SilenceError> {
        self.silences.set(posted, new_id, now)
    }

    /// Works out what expiring a silence changes; it stands only after [`Machine::silence`].
    ///
    /// # Errors
    /// When there is no such silence.
    pub fn expire_silence(&self, id: &str, now: Timestamp) -> Result<SilenceChange, SilenceError> {
        self.silences.expire(id, now)
    }

    /// Lets a change that was worked out, and meanwhile stored, stand.
    pub fn silence(&mut self, change: SilenceChange, now: Timestamp) {
        change.silences.into_iter().for_each(|silence| self.silences.apply(silence));
        self.next_silence = self.silences.next_change(now);
        self.touch();
    }

    /// The next notification to send, if one is due.
    pub fn poll(&mut self, now: Timestamp) -> Option<Delivery> {
        self.advance(now);
        while self.ready.is_empty() {
            let (_, group) = self.due.pop_first_if(now)?;
            self.flush(group, now);
        }
        self.ready.pop_front()
    }

    /// When [`Machine::poll`] may have something again.
    #[must_use]
    pub fn next_wakeup(&self) -> Timestamp {
        let due = self.due.first().map_or(self.maintenance, |(due, _)| *due);
        due.min(self.maintenance)
    }

    /// What happened since the last call that must be stored.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// How many alerts were left out since the last call.
    pub fn take_suppressed(&mut self) -> Suppressed {
        std::mem::take(&mut self.suppressed)
    }

    /// All that must be stored, at once.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> State {
        State {
            silences: self.silences.all(now),
            log: self.log.all(),
            alerts: self.alerts.values().map(|known| known.alert.clone()).collect(),
        }
    }

    /// What time alone changes: alerts end, silences begin and end, old things are forgotten.
    fn advance(&mut self, now: Timestamp) {
        if now < self.latest {
            self.set_back(now);
        }
        self.latest = now;
        while let Some((_, alert)) = self.ends.pop_first_if(now) {
            self.end(alert);
        }
        if self.next_silence.is_some_and(|next| next <= now) {
            self.next_silence = self.silences.next_change(now);
            self.touch();
        }
        if self.maintenance <= now {
            self.maintenance = clock::add(now, MAINTENANCE);
            self.log.collect(now);
            if self.silences.collect(now) {
                self.touch();
            }
        }
    }

    /// The wall clock was set back: no group may wait for a time that now is far away.
    fn set_back(&mut self, now: Timestamp) {
        self.maintenance = self.maintenance.min(clock::add(now, MAINTENANCE));
        for (due, id) in std::mem::take(&mut self.due) {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            let wait =
                if group.flushed { group.route.group_interval } else { group.route.group_wait };
            group.due = due.min(clock::add(now, wait));
            self.due.insert((group.due, id));
        }
    }

    /// The memory of a flood that is over goes back.
    fn shrink(&mut self) {
        if self.alerts.capacity() > 4 * self.alerts.len() + 1024 {
            self.alerts.shrink_to_fit();
            self.groups.shrink_to_fit();
            self.group_ids.shrink_to_fit();
        }
    }

    fn touch(&mut self) {
        self.version += 1;
        self.view = None;
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

trait PopFirstIf<T> {
    /// Takes the first item if its time has come.
    fn pop_first_if(&mut self, now: Timestamp) -> Option<(Timestamp, T)>;
}

impl<T: Ord> PopFirstIf<T> for BTreeSet<(Timestamp, T)> {
    fn pop_first_if(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        if self.first()?.0 <= now { self.pop_first() } else { None }
    }
}
