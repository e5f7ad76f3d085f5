//! The collectors that are on, each in a slot of its own.
//!
//! A slot keeps a collector together with its buffer and what became of it last; the lane borrows
//! the pair for one call. It must not know threads beyond the lock on a slot.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Bound, BuildError, CollectError, Collector, CollectorInfo, Scrape};
use crate::encode::{Format, TextSink};
use crate::http::Query;

/// A set of collectors, each called by one thread at a time.
pub struct Registry {
    slots: Vec<Slot>,
}

impl Registry {
    /// Builds every collector once.
    ///
    /// # Errors
    /// All collectors that cannot be built, by name; or a name given twice.
    pub fn new(collectors: Vec<Bound>) -> Result<Self, Vec<(String, BuildError)>> {
        let mut slots: Vec<Slot> = Vec::with_capacity(collectors.len());
        let mut errors = Vec::new();
        for bound in collectors {
            let name = bound.info.name;
            if slots.iter().any(|slot| slot.bound.info.name == name) {
                let what = BuildError::new("another collector has this name");
                errors.push((name.to_owned(), what));
                continue;
            }
            match (bound.build)() {
                Ok(collector) => slots.push(Slot::new(bound, collector)),
                Err(error) => errors.push((name.to_owned(), error)),
            }
        }
        if errors.is_empty() { Ok(Registry { slots }) } else { Err(errors) }
    }

    /// What each collector is, and what became of its last call.
    #[must_use]
    pub fn report(&self) -> Vec<(CollectorInfo, SlotReport)> {
        self.slots.iter().map(|slot| (slot.bound.info, slot.report())).collect()
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.slots.iter().map(|slot| slot.bound.info.name)).finish()
    }
}

/// A collector's place.
pub(super) struct Slot {
    pub(super) bound: Bound,
    /// `None` while a lane thread has it; for good when that thread never returns.
    work: Mutex<Option<Box<Work>>>,
    report: Mutex<SlotReport>,
}

/// What a lane thread borrows.
pub(super) struct Work {
    collector: Option<Box<dyn Collector>>,
    pub(super) sink: TextSink,
    rebuild: Rebuild,
}

/// What became of a collector's last call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlotReport {
    /// The outcome.
    pub state: SlotState,
    /// How long it took; until it was given up, for a hang.
    pub took: Duration,
}

/// The outcome of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SlotState {
    /// Not called yet.
    #[default]
    New,
    /// All samples are there.
    Ok,
    /// Nothing of the kind on this host, and what was looked for.
    NoData(String),
    /// It failed; samples pushed before that are kept.
    Failed {
        /// The label `reason`.
        reason: &'static str,
        /// The error.
        error: String,
    },
    /// It panicked and will be built anew.
    Panicked(String),
    /// It did not answer in time.
    TimedOut,
    /// An earlier call has not returned yet.
    Busy,
    /// The scrape's own time was over before its turn.
    Skipped,
}

impl SlotState {
    /// Whether `node_scrape_collector_success` is 1.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, SlotState::Ok)
    }

    /// The label `reason` of `vigie_collector_failures_total`; `None` for success and for no data.
    #[must_use]
    pub const fn failure(&self) -> Option<&'static str> {
        match self {
            SlotState::New | SlotState::Ok | SlotState::NoData(_) => None,
            SlotState::Failed { reason, .. } => Some(reason),
            SlotState::Panicked(_) => Some("panic"),
            SlotState::TimedOut => Some("timeout"),
            SlotState::Busy => Some("busy"),
            SlotState::Skipped => Some("skipped"),
        }
    }
}

/// For people: the reason in one line.
impl std::fmt::Display for SlotState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SlotState::New => f.write_str("not called yet"),
            SlotState::Ok => f.write_str("ok"),
            SlotState::NoData(what) => write!(f, "no data: {what}"),
            SlotState::Failed { error, .. } => f.write_str(error),
            SlotState::Panicked(what) => write!(f, "panicked: {what}"),
            SlotState::TimedOut => f.write_str("did not answer in time"),
            SlotState::Busy => f.write_str("still busy with an earlier scrape"),
            SlotState::Skipped => f.write_str("no time was left in the scrape"),
        }
    }
}

impl Slot {
    fn new(bound: Bound, collector: Box<dyn Collector>) -> Self {
        let work = Work {
            collector: Some(collector),
            sink: TextSink::default(),
            rebuild: Rebuild::default(),
        };
        Slot { bound, work: Mutex::new(Some(Box::new(work))), report: Mutex::default() }
    }

    pub(super) fn take(&self) -> Option<Box<Work>> {
        lock(&self.work).take()
    }

    pub(super) fn give_back(&self, work: Box<Work>) {
        *lock(&self.work) = Some(work);
    }

    pub(super) fn report(&self) -> SlotReport {
        lock(&self.report).clone()
    }

    /// Notes an outcome; returns whether it differs from the last one, so that logs stay short.
    pub(super) fn note(&self, state: SlotState, took: Duration) -> bool {
        let mut report = lock(&self.report);
        let changed = report.state != state;
        *report = SlotReport { state, took };
        changed
    }
}

impl Work {
    /// Calls the collector once. A panic empties the buffer and drops the collector.
    pub(super) fn run(&mut self, bound: &Bound, scrape: &Scrape, format: Format) -> SlotState {
        self.sink.reset(format);
        if self.collector.is_none() {
            match self.rebuild.attempt(bound) {
                Ok(collector) => self.collector = Some(collector),
                Err(state) => return state,
            }
        }
        let Some(collector) = &mut self.collector else { return SlotState::New };
        let sink = &mut self.sink;
        match catch_unwind(AssertUnwindSafe(|| collector.collect(scrape, sink))) {
            Ok(outcome) => {
                self.rebuild = Rebuild::default();
                state_of(outcome, self.sink.invalid())
            }
            Err(panic) => {
                let what = panic_text(&*panic);
                self.sink.reset(format);
                self.drop_collector();
                self.rebuild.postpone(what.clone());
                SlotState::Panicked(what)
            }
        }
    }

    /// A panicked object may panic again when it is dropped.
    fn drop_collector(&mut self) {
        let collector = self.collector.take();
        if catch_unwind(AssertUnwindSafe(move || drop(collector))).is_err() {
            tracing::debug!("a panicked collector panicked again while it was dropped");
        }
    }
}

fn state_of(outcome: Result<(), CollectError>, invalid: u64) -> SlotState {
    match outcome {
        Ok(()) if invalid == 0 => SlotState::Ok,
        Ok(()) => SlotState::Failed {
            reason: "invalid",
            error: format!("{invalid} samples with names that cannot be written were dropped"),
        },
        Err(CollectError::NoData(what)) => SlotState::NoData(what.into_owned()),
        Err(error) => SlotState::Failed { reason: error.kind(), error: error.to_string() },
    }
}

/// Building a panicked collector anew, later each time.
#[derive(Default)]
struct Rebuild {
    failures: u32,
    not_before: Option<Instant>,
    panic: String,
}

const LONGEST_WAIT: Duration = Duration::from_secs(300);

impl Rebuild {
    fn postpone(&mut self, panic: String) {
        let wait = Duration::from_secs(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures += 1;
        self.not_before = Some(Instant::now() + wait);
        self.panic = panic;
    }

    fn attempt(&mut self, bound: &Bound) -> Result<Box<dyn Collector>, SlotState> {
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return Err(SlotState::Panicked(self.panic.clone()));
        }
        let what = match catch_unwind(AssertUnwindSafe(|| (bound.build)())) {
            Ok(Ok(collector)) => return Ok(collector),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic_text(&*panic),
        };
        self.postpone(what.clone());
        Err(SlotState::Panicked(what))
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".into())
}

/// A poisoned lock here protects plain values only; what they say still holds.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which collectors a scrape asks for (`collect[]=`, `exclude[]=`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    names: Vec<String>,
    exclude: bool,
}

/// A filter that cannot be followed; node_exporter answers 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// Both parameters at once.
    #[error("collect[] and exclude[] cannot be used together")]
    Both,
    /// No such collector is on.
    #[error("{}", unknown(.name, .nearest.as_deref()))]
    Unknown {
        /// What was asked for, cut to 64 characters.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
    },
}

fn unknown(name: &str, nearest: Option<&str>) -> String {
    let hint = nearest.map(|nearest| format!("; did you mean {nearest:?}?")).unwrap_or_default();
    format!("missing or disabled collector: {name:?}{hint}")
}

impl Filter {
    /// Reads the parameters of a scrape.
    ///
    /// # Errors
    /// For both parameters at once, and for `collect[]` of a collector that is not in `registry`; to exclude one that
    /// is not there changes nothing.
    pub fn from_query(query: &Query, registry: &Registry) -> Result<Self, FilterError> {
        let names = |key| -> Vec<String> { query.all(key).map(str::to_owned).collect() };
        let (collect, exclude) = (names("collect[]"), names("exclude[]"));
        if !collect.is_empty() && !exclude.is_empty() {
            return Err(FilterError::Both);
        }
        let exclude_given = !exclude.is_empty();
        let mut names = if exclude_given { exclude } else { collect };
        let known = || registry.slots.iter().map(|slot| slot.bound.info.name);
        for name in names.iter().filter(|_| !exclude_given) {
            if !known().any(|k| k == name) {
                let nearest = crate::config::nearest(name, known()).map(str::to_owned);
                let name = name.chars().take(64).collect();
                return Err(FilterError::Unknown { name, nearest });
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(Filter { names, exclude: exclude_given })
    }

    /// Whether a collector is asked for.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        let named = self.names.iter().any(|known| known == name);
        (self.names.is_empty() && !self.exclude) || named != self.exclude
    }
}
