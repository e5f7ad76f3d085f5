//! One log: the file that is followed, and all that is counted from it.
//!
//! Place in the file and counters change together and are stored together, so that a crash loses
//! no line and counts none twice. It must not know the other logs, nor when it is called.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Source;
use crate::gaps::Gaps;
use crate::ledger::{Bounds, Ledger};
use crate::lines::Line;
use crate::record::{Malformed, Record};
use crate::tail::{Checkpoint, Tail};
use crate::track::Tracker;
use crate::window::millis;

/// Bytes read before others get a turn.
const BUDGET: usize = 8 << 20;

/// A log and its counters.
#[derive(Debug)]
pub(crate) struct Follow {
    pub(crate) source: Source,
    tail: Tail,
    gaps: Gaps,
    pub(crate) ledger: Ledger,
    /// Why the file cannot be read.
    trouble: Option<String>,
    /// Since when it is away or cannot be read.
    away_since: Option<i64>,
    /// When everything had last been read.
    caught_up: Option<i64>,
    behind: Duration,
}

/// What outlives a restart.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) name: String,
    path: PathBuf,
    checkpoint: Checkpoint,
    gaps: Gaps,
    ledger: Ledger,
}

impl Follow {
    pub(crate) fn new(source: Source) -> Self {
        Follow {
            tail: Tail::new(&source.path, source.start),
            source,
            gaps: Gaps::default(),
            ledger: Ledger::default(),
            trouble: None,
            away_since: None,
            caught_up: None,
            behind: Duration::ZERO,
        }
    }

    /// Goes on where an earlier run stopped; `same_bounds` when histograms can go on too.
    /// A log that has moved to another path begins there anew; its counters go on.
    pub(crate) fn restore(&mut self, stored: Stored, same_bounds: bool) {
        if stored.path == self.source.path {
            self.restore_place(stored.checkpoint);
            self.gaps = stored.gaps;
        }
        self.ledger = stored.ledger;
        if !same_bounds {
            self.ledger.forget_histograms();
        }
    }

    fn restore_place(&mut self, checkpoint: Checkpoint) {
        for place in self.tail.restore(checkpoint) {
            tracing::warn!(
                file = %self.source.path.display(), offset = place.offset,
                "a log file that was read before is gone: what was written to it since is lost"
            );
        }
    }

    pub(crate) fn stored(&self) -> Stored {
        Stored {
            name: self.source.name.clone(),
            path: self.source.path.clone(),
            checkpoint: self.tail.checkpoint(),
            gaps: self.gaps.clone(),
            ledger: self.ledger.clone(),
        }
    }

    /// Reads what is new, within limits; says whether that was everything.
    pub(crate) fn read(&mut self, now: i64, bounds: &Bounds, trackers: &mut [Tracker]) -> bool {
        let missing_before = self.gaps.missing();
        let Follow { source, tail, gaps, ledger, .. } = self;
        let (step, outcome) = tail.step(now, BUDGET, &mut |line| {
            ledger.lines += 1;
            let parsed = match line {
                Line::Whole(line) => source.parser.parse(line),
                Line::TooLong => Err(Malformed::TooLong),
            };
            match parsed {
                Ok(record) => {
                    count(&record, now, gaps);
                    ledger.add(&record, bounds, source.max_series);
                    for tracker in &mut *trackers {
                        tracker.observe(now, &source.name, &record);
                    }
                }
                Err(reason) => ledger.malformed[reason as usize] += 1,
            }
        });
        self.ledger.missing += self.gaps.missing() - missing_before;
        for rotation in step.rotations {
            self.ledger.rotations[rotation as usize] += 1;
            let (file, kind) = (self.source.path.display(), rotation.as_str());
            tracing::info!(%file, kind, "the access log was rotated");
        }
        self.note_trouble(now, outcome.err().map(|error| error.to_string()));
        self.note_lag(now, step.at_end);
        step.at_end
    }

    /// How long the file has been away at `now`, and why, when that is longer than allowed.
    pub(crate) fn stale(&self, now: i64) -> Option<String> {
        let away = now.saturating_sub(self.away_since?);
        (away >= millis(self.source.stale))
            .then(|| self.trouble.clone().unwrap_or_else(|| "there is no such file".into()))
    }

    /// How long ago everything had been read; zero when it is.
    pub(crate) fn lag(&self) -> Duration {
        self.behind
    }

    pub(crate) fn unread(&self) -> u64 {
        self.tail.unread()
    }

    /// Whether the file was read to its end since the start.
    pub(crate) fn has_caught_up(&self) -> bool {
        self.caught_up.is_some()
    }

    /// Logs a trouble once, and its end.
    fn note_trouble(&mut self, now: i64, trouble: Option<String>) {
        if trouble != self.trouble {
            let file = self.source.path.display();
            match &trouble {
                Some(reason) => tracing::warn!(%file, reason, "cannot read the access log"),
                None => tracing::info!(%file, "the access log can be read again"),
            }
        }
        self.trouble = trouble;
        let away = self.trouble.is_some() || !self.tail.is_present();
        self.away_since = away.then(|| self.away_since.unwrap_or(now));
    }

    fn note_lag(&mut self, now: i64, at_end: bool) {
        if at_end {
            self.caught_up = Some(now);
        }
        let behind = now.saturating_sub(self.caught_up.unwrap_or(now));
        self.behind = Duration::from_millis(behind.try_into().unwrap_or(0));
    }
}

fn count(record: &Record<'_>, now: i64, gaps: &mut Gaps) {
    if let Some(number) = record.number {
        gaps.see(number, record.end.unwrap_or(now).min(now));
    }
}
