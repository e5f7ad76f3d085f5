//! The thread that writes the journal, so that no slow disk ever holds up the router.
//!
//! Whatever waits when the disk is ready goes out in one write and one sync. What could not be
//! appended is not lost to the disk: the next snapshot has it. It must not know what the changes
//! mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::journal::Journal;
use super::machine::{Change, State};
use crate::storage::StorageError;

/// Writes that may wait; with more the disk is taken for broken.
const QUEUE: usize = 4096;

/// Why something is not safely stored.
#[derive(Clone, Debug)]
pub(super) struct StoreFailure {
    pub(super) what: String,
    pub(super) full: bool,
}

impl From<&StorageError> for StoreFailure {
    fn from(error: &StorageError) -> Self {
        StoreFailure { what: error.to_string(), full: error.is_full() }
    }
}

/// Resolves when the disk has it.
pub(super) type Stored = oneshot::Receiver<Result<(), StoreFailure>>;

enum Job {
    Append(Vec<Change>, Ack),
    Compact(Box<State>, Ack),
}

type Ack = oneshot::Sender<Result<(), StoreFailure>>;

/// What the thread lets others see.
#[derive(Debug, Default)]
struct Shared {
    length: AtomicU64,
    behind: AtomicBool,
}

/// Hands writes to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    ended: oneshot::Receiver<()>,
}

impl Writer {
    /// Starts the thread; `failures` counts writes that failed.
    pub(super) fn start(journal: Journal, failures: prometheus::IntCounter) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (end, ended) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        shared.length.store(journal.length(), Ordering::Relaxed);
        let thread = Thread { journal, shared: shared.clone(), failures };
        let spawned = std::thread::Builder::new().name("vigie-journal".into()).spawn(move || {
            thread.run(queue);
            // Nobody may wait any more.
            let _ = end.send(());
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "cannot start the journal's thread: nothing will be stored");
        }
        Writer { jobs, shared, ended }
    }

    /// Stores changes.
    pub(super) fn append(&self, changes: Vec<Change>) -> Stored {
        self.hand(|ack| Job::Append(changes, ack))
    }

    /// Replaces the log by snapshots.
    pub(super) fn compact(&self, state: State) -> Stored {
        // The state holds all that failed so far; what fails from now on says so again.
        self.shared.behind.store(false, Ordering::Relaxed);
        self.hand(|ack| Job::Compact(Box::new(state), ack))
    }

    /// Bytes of changes since the snapshots.
    pub(super) fn length(&self) -> u64 {
        self.shared.length.load(Ordering::Relaxed)
    }

    /// Whether the disk lacks changes, so that only a snapshot helps.
    pub(super) fn is_behind(&self) -> bool {
        self.shared.behind.load(Ordering::Relaxed)
    }

    /// Waits until all that was handed over is written and the files are closed.
    pub(super) async fn finish(self) {
        drop(self.jobs);
        // An error means that the thread never ran.
        let _ = self.ended.await;
    }

    fn hand(&self, job: impl FnOnce(Ack) -> Job) -> Stored {
        let (ack, stored) = oneshot::channel();
        if let Err(refused) = self.jobs.try_send(job(ack)) {
            self.shared.behind.store(true, Ordering::Relaxed);
            let (Job::Append(_, ack) | Job::Compact(_, ack)) = refused.into_inner();
            let what = "too many writes wait for the disk".to_owned();
            let _ = ack.send(Err(StoreFailure { what, full: false }));
        }
        stored
    }
}

struct Thread {
    journal: Journal,
    shared: Arc<Shared>,
    failures: prometheus::IntCounter,
}

impl Thread {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(mut job) = queue.blocking_recv() {
            let (mut changes, mut acks) = (Vec::new(), Vec::new());
            let snapshot = loop {
                match job {
                    Job::Append(more, ack) => {
                        changes.extend(more);
                        acks.push(ack);
                    }
                    Job::Compact(state, ack) => break Some((state, ack)),
                }
                match queue.try_recv() {
                    Ok(next) => job = next,
                    Err(_) => break None,
                }
            };
            if !acks.is_empty() {
                let outcome = self.journal.append(&changes);
                self.answer(outcome, acks);
            }
            if let Some((state, ack)) = snapshot {
                let outcome = self.journal.compact(&state);
                self.answer(outcome, vec![ack]);
            }
        }
    }

    fn answer(&self, outcome: Result<(), StorageError>, acks: Vec<Ack>) {
        self.shared.length.store(self.journal.length(), Ordering::Relaxed);
        let outcome = outcome.map_err(|error| {
            self.shared.behind.store(true, Ordering::Relaxed);
            self.failures.inc();
            tracing::error!(%error, "cannot store the router's state");
            StoreFailure::from(&error)
        });
        for ack in acks {
            // Whoever asked may have gone.
            let _ = ack.send(outcome.clone());
        }
    }
}
