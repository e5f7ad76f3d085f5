//! What the service leaves for the collector.
//!
//! A copy of everything that is exposed, of one moment, replaced whole after each look. It must not
//! know who reads it, nor how it came about.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::ledger::Ledger;
use crate::slo::Objective;
use crate::track::Standing;

/// Everything that is exposed.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Upper bounds of all histograms, in seconds.
    pub(crate) bounds: Vec<f64>,
    pub(crate) logs: Vec<LogView>,
    pub(crate) slos: Vec<SloView>,
}

/// One log.
#[derive(Clone, Debug)]
pub(crate) struct LogView {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) ledger: Ledger,
    pub(crate) lag: Duration,
    pub(crate) unread: u64,
}

/// One objective.
#[derive(Clone, Debug)]
pub(crate) struct SloView {
    pub(crate) objective: Arc<Objective>,
    pub(crate) standing: Standing,
    pub(crate) good: u64,
    pub(crate) bad: u64,
}

/// Where the latest snapshot lies; nothing until the logs have been read once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Option<Arc<Snapshot>>>>);

impl Shared {
    /// Says whether it is the first.
    pub(crate) fn put(&self, snapshot: Snapshot) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.replace(Arc::new(snapshot)).is_none()
    }

    pub(crate) fn get(&self) -> Option<Arc<Snapshot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
