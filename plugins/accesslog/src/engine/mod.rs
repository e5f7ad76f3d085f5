//! All logs and objectives together, as one value that is told the time.
//!
//! Whoever owns it reads, looks and stores; everything it knows goes into one checkpoint, so that
//! places, counters, windows and alerts are always of the same moment. It must not know tasks, nor
//! where alerts go.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigie_core::alert::PostedAlert;
use vigie_core::storage::{Storage, StorageError};

use crate::alerts::Alerts;
use crate::condition;
use crate::config::Config;
use crate::follow::{Follow, Stored};
use crate::ledger::Bounds;
use crate::slo::Objective;
use crate::snapshot::{LogView, SloView, Snapshot};
use crate::track::{Tracker, Windows};

/// The file of the checkpoint.
const FILE: &str = "checkpoint";
/// First word of its first line, with the version of the rest.
const MAGIC: &str = "vigie-accesslog-1";

/// Everything that is followed and judged.
#[derive(Debug)]
pub(crate) struct Engine {
    follows: Vec<Follow>,
    trackers: Vec<Tracker>,
    alerts: Alerts,
    bounds: Bounds,
    interval: Duration,
    /// When watching began, Unix milliseconds.
    began: i64,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    bounds: Bounds,
    logs: Vec<Stored>,
    objectives: Vec<SavedObjective>,
    alerts: Alerts,
}

#[derive(Serialize, Deserialize)]
struct SavedObjective {
    name: String,
    /// What it was about: windows of another promise are of no use.
    meaning: String,
    windows: Windows,
}

impl Engine {
    pub(crate) fn new(config: Config, now: i64) -> Self {
        let bounds = Bounds::new(config.objectives.iter().filter_map(|o| o.goal.limit()));
        Engine {
            follows: config.sources.into_iter().map(Follow::new).collect(),
            trackers: config.objectives.into_iter().map(Tracker::new).collect(),
            alerts: Alerts::default(),
            bounds,
            interval: config.interval,
            began: now,
        }
    }

    /// Takes up what an earlier run stored. A checkpoint that cannot be used is set aside.
    pub(crate) fn restore(&mut self, storage: &Storage) {
        let Some(bytes) = storage.read(FILE) else { return };
        match decode(&bytes) {
            Ok(saved) => self.take(saved),
            Err(reason) => storage.set_aside(FILE, &reason),
        }
    }

    fn take(&mut self, saved: Saved) {
        let same_bounds = saved.bounds == self.bounds;
        for stored in saved.logs {
            if let Some(follow) = self.follows.iter_mut().find(|f| f.source.name == stored.name) {
                follow.restore(stored, same_bounds);
            }
        }
        for stored in saved.objectives {
            let tracker = self.trackers.iter_mut().find(|tracker| {
                tracker.objective.name == stored.name
                    && meaning(&tracker.objective) == stored.meaning
            });
            if let Some(tracker) = tracker {
                tracker.restore(stored.windows);
            }
        }
        self.alerts = saved.alerts;
    }

    /// Stores places, counters, windows and alerts as they are now.
    ///
    /// # Errors
    /// When the file cannot be written; the old one then stands.
    pub(crate) fn store(&self, storage: &Storage) -> Result<(), StorageError> {
        if storage.dir().is_none() {
            return Ok(());
        }
        let saved = Saved {
            bounds: self.bounds.clone(),
            logs: self.follows.iter().map(Follow::stored).collect(),
            objectives: self.trackers.iter().map(saved_objective).collect(),
            alerts: self.alerts.clone(),
        };
        storage.write(FILE, &encode(&saved))
    }

    /// Reads what is new in every log; says whether that was everything.
    pub(crate) fn read(&mut self, now: i64) -> bool {
        let Engine { follows, trackers, bounds, .. } = self;
        let mut at_end = true;
        for follow in follows {
            at_end &= follow.read(now, bounds, trackers);
        }
        at_end
    }

    /// Lines read so far: whether something changed since the last checkpoint.
    pub(crate) fn lines(&self) -> u64 {
        self.follows.iter().map(|follow| follow.ledger.lines).sum()
    }

    /// Whether every log was read to its end since the start: until then figures and windows show
    /// the past.
    pub(crate) fn has_caught_up(&self) -> bool {
        self.follows.iter().all(Follow::has_caught_up)
    }

    /// Looks at everything at `now`: what is to be exposed and what is to be posted.
    pub(crate) fn look(&mut self, now: i64) -> (Snapshot, Vec<PostedAlert>) {
        let slos: Vec<SloView> =
            self.trackers.iter_mut().map(|tracker| slo_view(tracker, now, self.began)).collect();
        let mut conditions = Vec::new();
        for slo in &slos {
            condition::of_objective(slo, &mut conditions);
        }
        for follow in &self.follows {
            conditions.extend(follow.stale(now).map(|r| condition::of_log(&follow.source, &r)));
        }
        let posts = self.alerts.look(now, self.interval, conditions);
        let logs = self.follows.iter().map(log_view).collect();
        (Snapshot { bounds: self.bounds.seconds(), logs, slos }, posts)
    }

    /// All alerts of the last look have been taken.
    pub(crate) fn taken(&mut self, now: i64) {
        self.alerts.taken(now, self.interval);
    }
}

fn saved_objective(tracker: &Tracker) -> SavedObjective {
    SavedObjective {
        name: tracker.objective.name.clone(),
        meaning: meaning(&tracker.objective),
        windows: tracker.windows().clone(),
    }
}

fn meaning(objective: &Objective) -> String {
    let Objective { select, goal, client_aborts, proxy_answers, upgrade, .. } = objective;
    format!("{select:?} {goal:?} {client_aborts:?} {proxy_answers} {upgrade}")
}

fn slo_view(tracker: &mut Tracker, now: i64, began: i64) -> SloView {
    let standing = tracker.look(now, began);
    let (good, bad) = (tracker.windows().good, tracker.windows().bad);
    SloView { objective: Arc::clone(&tracker.objective), standing, good, bad }
}

fn log_view(follow: &Follow) -> LogView {
    LogView {
        name: follow.source.name.clone(),
        labels: follow.source.labels.clone(),
        ledger: follow.ledger.clone(),
        lag: follow.lag(),
        unread: follow.unread(),
    }
}

/// A line with a checksum, then JSON.
fn encode(saved: &Saved) -> Vec<u8> {
    // Maps with text keys, finite numbers: nothing that JSON could refuse.
    let json = serde_json::to_vec(saved).unwrap_or_default();
    let mut bytes = format!("{MAGIC} {:016x}\n", checksum(&json)).into_bytes();
    bytes.extend(json);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Saved, String> {
    let end = memchr::memchr(b'\n', bytes).ok_or("no first line")?;
    let (head, json) = (&bytes[..end], &bytes[end + 1..]);
    let expected = format!("{MAGIC} {:016x}", checksum(json));
    if head != expected.as_bytes() {
        return Err("the checksum does not fit".into());
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// FNV-1a over words of eight bytes: the checkpoint may have megabytes.
fn checksum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    words.fold(0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64, step)
}

#[cfg(test)]
mod tests;
