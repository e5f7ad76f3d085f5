//! Writing the journal off the reactor, so that no slow disk ever holds up the router.
//!
//! Whatever waits when the disk is ready goes out in one write and one sync. What could not be
//! appended is not lost to the disk: the next snapshot has it. It must not know what the changes
//! mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::route::journal::Journal;
use crate::route::machine::{Change, State};
use crate::route::metrics::Metrics;
use crate::storage::StorageError;

/// Writes that may wait; with more the disk is taken for broken.
const QUEUE: usize = 4096;

/// Why something is not safely stored.
#[derive(Clone, Debug)]
pub(in crate::route) struct StoreFailure {
    pub(in crate::route) what: String,
    pub(in crate::route) full: bool,
}

impl From<&StorageError> for StoreFailure {
    fn from(error: &StorageError) -> Self {
        StoreFailure { what: error.to_string(), full: error.is_full() }
    }
}

/// Resolves when the disk has it.
pub(in crate::route) type Stored = oneshot::Receiver<Result<(), StoreFailure>>;

enum Job {
    Append(Vec<Change>, Ack),
    Compact(Box<State>, Ack),
}

type Ack = oneshot::Sender<Result<(), StoreFailure>>;

/// What the writing task lets others see.
#[derive(Debug, Default)]
struct Shared {
    length: AtomicU64,
    behind: AtomicBool,
}

/// Hands writes to the task that writes.
#[derive(Debug)]
pub(in crate::route) struct Writer {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Starts the task.
    pub(in crate::route) fn start(journal: Journal, metrics: Metrics) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        shared.length.store(journal.length(), Ordering::Relaxed);
        let task = tokio::spawn(write(journal, queue, shared.clone(), metrics));
        Writer { jobs, shared, task }
    }

    /// Stores changes.
    pub(in crate::route) fn append(&self, changes: Vec<Change>) -> Stored {
        self.hand(|ack| Job::Append(changes, ack))
    }

    /// Replaces the log by snapshots.
    pub(in crate::route) fn compact(&self, state: State) -> Stored {
        // The state holds all that failed so far; what fails from now on says so again.
        self.shared.behind.store(false, Ordering::Relaxed);
        self.hand(|ack| Job::Compact(Box::new(state), ack))
    }

    /// Bytes of changes since the snapshots.
    pub(in crate::route) fn length(&self) -> u64 {
        self.shared.length.load(Ordering::Relaxed)
    }

    /// Whether the disk lacks changes, so that only a snapshot helps.
    pub(in crate::route) fn is_behind(&self) -> bool {
        self.shared.behind.load(Ordering::Relaxed)
    }

    /// Waits until all that was handed over is written and the files are closed.
    pub(in crate::route) async fn finish(self) {
        drop(self.jobs);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the journal's writer ended early");
        }
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

/// Jobs that go to the disk at once.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    appended: Vec<Ack>,
    snapshot: Option<(Box<State>, Ack)>,
}

impl Batch {
    /// All that waits, up to and with the first snapshot.
    fn gather(first: Job, queue: &mut mpsc::Receiver<Job>) -> Self {
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Append(changes, ack) => {
                    batch.changes.extend(changes);
                    batch.appended.push(ack);
                }
                Job::Compact(state, ack) => {
                    batch.snapshot = Some((state, ack));
                    break;
                }
            }
            next = queue.try_recv().ok();
        }
        batch
    }

    fn write(self, journal: &mut Journal, shared: &Shared, metrics: &Metrics) {
        if !self.appended.is_empty() {
            let outcome = journal.append(&self.changes);
            answer(outcome, self.appended, shared, metrics);
        }
        if let Some((state, ack)) = self.snapshot {
            answer(journal.compact(&state), vec![ack], shared, metrics);
        }
        shared.length.store(journal.length(), Ordering::Relaxed);
    }
}

async fn write(
    mut journal: Journal,
    mut queue: mpsc::Receiver<Job>,
    shared: Arc<Shared>,
    metrics: Metrics,
) {
    while let Some(first) = queue.recv().await {
        let batch = Batch::gather(first, &mut queue);
        let (shared, metrics) = (shared.clone(), metrics.clone());
        let written = spawn_blocking(move || {
            batch.write(&mut journal, &shared, &metrics);
            journal
        });
        match written.await {
            Ok(returned) => journal = returned,
            // Without the journal every further write is answered as one to a broken disk.
            Err(_) => return,
        }
    }
}

fn answer(outcome: Result<(), StorageError>, acks: Vec<Ack>, shared: &Shared, metrics: &Metrics) {
    let outcome = outcome.map_err(|error| {
        shared.behind.store(true, Ordering::Relaxed);
        metrics.storage_failed();
        tracing::error!(%error, "cannot store the router's state");
        StoreFailure::from(&error)
    });
    for ack in acks {
        // Whoever asked may have gone.
        let _ = ack.send(outcome.clone());
    }
}
