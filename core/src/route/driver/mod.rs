//! The task that owns the machine: the thin rim between pure routing and the world.
//!
//! All causes of work are one enum; one owner means no locks and no ordering puzzles. It must not
//! decide anything about alerts.

mod deliver;
mod handle;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::deliver::{Failure, deliver, random};
pub use self::handle::RouterHandle;
use self::writer::{StoreFailure, Stored, Writer};
use crate::alert::PostedAlert;
use crate::clock::SharedClock;
use crate::notify::NotifyReason;
use crate::route::config::RouteConfig;
use crate::route::journal::Journal;
use crate::route::machine::{Delivery, DeliveryId, Machine, Posted};
use crate::route::metrics::Metrics;
use crate::route::plan::Integration;
use crate::route::silence::{PostedSilence, SilenceError};
use crate::route::silences::SilenceChange;
use crate::route::view::View;
use crate::storage::{Storage, StorageError};

/// Requests that may wait for the owner; further senders wait outside.
const QUEUE: usize = 256;
/// Notifications of one integration that are sent at once.
const AT_ONCE: usize = 32;
/// The wall clock is looked at this often at least, since it may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Gauges follow changes at this distance: counting is not free.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// Snapshots are written this often, so that the log stays short (Alertmanager's maintenance).
const SNAPSHOT_EVERY: Duration = Duration::from_secs(15 * 60);
/// And earlier when the log is longer than this many bytes.
const LONGEST_LOG: u64 = 64 << 20;
/// A snapshot that shortens the log or mends a failed write is tried after so long.
const MEND_EVERY: Duration = Duration::from_secs(5);
/// What is being sent may end for so long when the router stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Everything that makes the owner do something.
pub(super) enum Event {
    /// Alerts; answered with what became of them, and when that is stored.
    Post(Vec<PostedAlert>, oneshot::Sender<(Posted, Option<Stored>)>),
    View(oneshot::Sender<Arc<View>>),
    SetSilence(Box<PostedSilence>, oneshot::Sender<SilenceAnswer>),
    ExpireSilence(String, oneshot::Sender<SilenceAnswer>),
    Reload(Box<RouteConfig>, oneshot::Sender<()>),
    Stop(oneshot::Sender<()>),
}

type SilenceAnswer = Result<String, SilenceError>;

/// Starts routers.
#[derive(Clone, Copy, Debug)]
pub struct Router;

impl Router {
    /// Starts a router that goes on from what `storage` holds; call it within a tokio runtime.
    /// `external_url` is where a reader of a notification finds the view, without a trailing slash.
    ///
    /// # Errors
    /// When the state cannot be read and written.
    pub fn start(
        config: RouteConfig,
        storage: Storage,
        clock: SharedClock,
        external_url: String,
    ) -> Result<RouterHandle, StorageError> {
        let (journal, state) = Journal::open(storage)?;
        let metrics = Metrics::new();
        let now = clock.now();
        metrics.loaded(config.plan(), now);
        let machine = Machine::new(config.plan().clone(), state, now);
        let writer = Writer::start(journal, metrics.clone());
        let (events, queue) = mpsc::channel(QUEUE);
        let owner = Owner {
            machine,
            config,
            writer,
            clock,
            external_url,
            metrics: metrics.clone(),
            events: queue,
            sending: JoinSet::new(),
            ids: HashMap::new(),
            permits: HashMap::new(),
            storing: JoinSet::new(),
            counted: (0, Instant::now()),
            snapshot_at: Instant::now() + SNAPSHOT_EVERY,
            snapshot: None,
        };
        tokio::spawn(owner.run());
        Ok(RouterHandle { events, metrics })
    }
}

/// A silence that is being stored.
struct Storing {
    change: SilenceChange,
    outcome: Result<(), StoreFailure>,
    answer: oneshot::Sender<SilenceAnswer>,
}

struct Owner {
    machine: Machine,
    config: RouteConfig,
    writer: Writer,
    clock: SharedClock,
    external_url: String,
    metrics: Metrics,
    events: mpsc::Receiver<Event>,
    sending: JoinSet<Result<(), Failure>>,
    /// What the tasks of `sending` send.
    ids: HashMap<Id, (DeliveryId, String, Integration)>,
    permits: HashMap<(String, Integration), Arc<Semaphore>>,
    storing: JoinSet<Storing>,
    /// The version the gauges show, and when they were set.
    counted: (u64, Instant),
    snapshot_at: Instant,
    /// The snapshot that is being written.
    snapshot: Option<Stored>,
}

impl Owner {
    async fn run(mut self) {
        let stopped = loop {
            self.send_due();
            self.store();
            self.count();
            self.snapshot();
            let wake = self.next_wakeup();
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => {
                        if let Some(stopped) = self.handle_waiting(event) {
                            break Some(stopped);
                        }
                    }
                    // Nobody holds the router any more.
                    None => break None,
                },
                Some(sent) = self.sending.join_next_with_id() => self.sent(sent),
                Some(Ok(stored)) = self.storing.join_next() => self.stored(stored),
                () = sleep_until(wake) => {}
            }
        };
        self.finish().await;
        if let Some(stopped) = stopped {
            // Whoever asked may have gone.
            let _ = stopped.send(());
        }
    }

    /// Handles an event and those that wait behind it, so that a busy machine does not look at all
    /// due groups between any two; gives back a stop.
    fn handle_waiting(&mut self, first: Event) -> Option<oneshot::Sender<()>> {
        let mut handled = 1;
        let mut event = first;
        loop {
            match event {
                Event::Stop(stopped) => return Some(stopped),
                event => self.handle(event),
            }
            if handled == QUEUE {
                return None;
            }
            handled += 1;
            event = self.events.try_recv().ok()?;
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Post(alerts, answer) => {
                let posted = self.machine.post(alerts, now);
                self.metrics.posted(&posted);
                let changes = self.machine.take_changes();
                let stored = (!changes.is_empty()).then(|| self.writer.append(changes));
                let _ = answer.send((posted, stored));
            }
            Event::View(answer) => _ = answer.send(self.machine.view(now)),
            Event::SetSilence(silence, answer) => {
                let change = self.machine.set_silence(*silence, new_uuid(), now);
                self.store_silence(change, answer);
            }
            Event::ExpireSilence(id, answer) => {
                let change = self.machine.expire_silence(&id, now);
                self.store_silence(change, answer);
            }
            Event::Reload(config, answer) => {
                self.machine.reload(config.plan().clone(), now);
                self.metrics.loaded(config.plan(), now);
                self.config = *config;
                self.permits.clear();
                let _ = answer.send(());
            }
            // Taken before.
            Event::Stop(_) => {}
        }
    }

    /// A silence stands only once it is stored; meanwhile the router goes on.
    fn store_silence(
        &mut self,
        change: Result<SilenceChange, SilenceError>,
        answer: oneshot::Sender<SilenceAnswer>,
    ) {
        let change = match change {
            Ok(change) => change,
            Err(error) => {
                let _ = answer.send(Err(error));
                return;
            }
        };
        let stored = self.writer.append(change.changes());
        self.storing.spawn(async move {
            let gone = || Err(StoreFailure { what: "the writer has ended".into(), full: false });
            let outcome = stored.await.unwrap_or_else(|_| gone());
            Storing { change, outcome, answer }
        });
    }

    fn stored(&mut self, Storing { change, outcome, answer }: Storing) {
        let answered = match outcome {
            Ok(()) => {
                let id = change.id().to_owned();
                self.machine.silence(change, self.clock.now());
                Ok(id)
            }
            Err(StoreFailure { what, full }) => Err(SilenceError::Storage { what, full }),
        };
        let _ = answer.send(answered);
    }

    fn send_due(&mut self) {
        while let Some(mut delivery) = self.machine.poll(self.clock.now()) {
            delivery.notification.external_url.clone_from(&self.external_url);
            self.send(delivery);
        }
        self.metrics.suppressed(self.machine.take_suppressed());
    }

    fn send(&mut self, delivery: Delivery) {
        let receiver = delivery.notification.receiver.clone();
        let integration = delivery.integration.clone();
        let Some(notifier) = self.config.notifier(&receiver, &integration).cloned() else {
            // Only between a reload and the next look of a group that was due before it.
            let gone = Err("this integration is no longer configured".to_owned());
            self.machine.delivered(delivery.id, gone, self.clock.now());
            return;
        };
        let permits = self.permits.entry((receiver.clone(), integration.clone()));
        let permits = permits.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone();
        let (id, metrics) = (delivery.id, self.metrics.clone());
        let task = self
            .sending
            .spawn(async move { deliver(notifier, permits, &delivery, &metrics).await });
        self.ids.insert(task.id(), (id, receiver, integration));
    }

    fn sent(&mut self, sent: Result<(Id, Result<(), Failure>), JoinError>) {
        let (task, outcome) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                let what = "the notifier panicked".to_owned();
                (error.id(), Err(Failure { reason: NotifyReason::Other, what }))
            }
        };
        let Some((id, receiver, integration)) = self.ids.remove(&task) else { return };
        let reason = outcome.as_ref().err().map(|failure| failure.reason);
        self.metrics.notification(&integration.kind, reason);
        if let Err(failure) = &outcome {
            let integration = &*integration.kind;
            tracing::error!(receiver, integration, error = failure.what, "cannot notify");
        }
        let outcome = outcome.map_err(|failure| failure.what);
        self.machine.delivered(id, outcome, self.clock.now());
    }

    /// Stores what changed without anybody waiting for it.
    fn store(&mut self) {
        let changes = self.machine.take_changes();
        if !changes.is_empty() {
            drop(self.writer.append(changes));
        }
    }

    fn count(&mut self) {
        let (version, at) = self.counted;
        let now = self.clock.now();
        let current = self.machine.version(now);
        if current != version && at <= Instant::now() {
            self.metrics.counted(self.machine.counts(now));
            self.counted = (current, Instant::now() + COUNT_EVERY);
        }
    }

    fn snapshot(&mut self) {
        if self.snapshot.as_mut().is_some_and(|s| matches!(s.try_recv(), Err(TryRecvError::Empty)))
        {
            return;
        }
        let now = Instant::now();
        if self.writer.is_behind() || self.writer.length() > LONGEST_LOG {
            self.snapshot_at = self.snapshot_at.min(now + MEND_EVERY);
        }
        // A silence that is being stored stands in the log only, and must not be cleared with it.
        if self.snapshot_at > now || !self.storing.is_empty() {
            return;
        }
        self.snapshot_at = now + SNAPSHOT_EVERY;
        if self.writer.length() > 0 || self.writer.is_behind() {
            self.snapshot = Some(self.writer.compact(self.machine.state(self.clock.now())));
        }
    }

    fn next_wakeup(&mut self) -> Instant {
        let now = self.clock.now();
        let until = self.machine.next_wakeup().duration_since(now);
        let until = Duration::try_from(until).unwrap_or_default().min(LONGEST_SLEEP);
        let (version, at) = self.counted;
        let mut wake = Instant::now() + until;
        if self.storing.is_empty() {
            wake = wake.min(self.snapshot_at);
        }
        if self.machine.version(now) == version { wake } else { wake.min(at) }
    }

    /// Lets what is under way end, stores everything and closes the files.
    async fn finish(mut self) {
        self.events.close();
        let deadline = Instant::now() + LAST_WORDS;
        while let Ok(Some(sent)) = timeout_at(deadline, self.sending.join_next_with_id()).await {
            self.sent(sent);
        }
        self.sending.abort_all();
        while let Ok(Some(Ok(stored))) = timeout_at(deadline, self.storing.join_next()).await {
            self.stored(stored);
        }
        self.store();
        // A disk that does not answer must not keep the program from ending; the log has it all.
        let deadline = Instant::now() + LAST_WORDS;
        if self.storing.is_empty() {
            let stored = self.writer.compact(self.machine.state(self.clock.now()));
            drop(timeout_at(deadline, stored).await);
        }
        drop(timeout_at(deadline, self.writer.finish()).await);
    }
}

/// A random UUID (version 4).
fn new_uuid() -> String {
    let (high, low) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}
