//! The lane: one thread that calls collectors one after the other, and its watch.
//!
//! A collector that hangs loses the lane: the scrape goes on without it on a fresh thread, and the
//! old thread ends when, if ever, the call returns. So there is at most one stuck thread per
//! collector, and no collector needs a watchdog. It must not know formats' contents or HTTP.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::registry::{Registry, SlotState, lock};
use super::{Filter, Scrape};
use crate::encode::Format;

/// Calls the collectors of one registry.
pub(super) struct Lane {
    registry: Arc<Registry>,
    worker: Mutex<Option<Worker>>,
}

/// What a run is to do.
pub(super) struct Order {
    pub(super) format: Format,
    pub(super) filter: Filter,
    /// When the whole run must be over.
    pub(super) deadline: Instant,
    /// Longest time for a collector that sets none itself.
    pub(super) limit: Duration,
}

/// The sending end of a waiting lane thread.
struct Worker(Sender<Shift>);

/// A run, and the number under which a thread may work on it.
struct Shift {
    run: Arc<Run>,
    owner: u32,
}

/// One pass over the registry.
struct Run {
    registry: Arc<Registry>,
    order: Order,
    now: SystemTime,
    /// The shortest time that any collector has.
    shortest: Duration,
    progress: Mutex<Progress>,
}

struct Progress {
    /// The thread that may go on; one that finds another number here was given up and ends.
    owner: u32,
    /// The next slot to call.
    next: usize,
    current: Option<Call>,
    outcomes: Vec<Outcome>,
    /// For the thread that finds no further slot.
    finish: Option<Finish>,
}

/// What becomes of the outcomes.
type Finish = Box<dyn FnOnce(&[Outcome]) + Send>;

/// The call under way.
#[derive(Clone, Copy)]
struct Call {
    slot: usize,
    since: Instant,
    until: Instant,
}

/// A slot's outcome in one run.
pub(super) type Outcome = (usize, SlotState, Duration);

impl Lane {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Lane { registry, worker: Mutex::new(None) }
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Calls every slot the order asks for and then, on the same thread, `finish`, whose answer is
    /// returned; `None` should it panic. One run at a time, and each awaited to its end: the caller
    /// sees to that.
    ///
    /// Whoever awaits is the watch: a timer instead of one more thread that would have to be woken.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        order: Order,
        finish: impl FnOnce(&[Outcome]) -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, mut answer) = oneshot::channel();
        // Nobody may be left to be told when the program ends.
        let finish = Box::new(move |outcomes: &[Outcome]| drop(tell.send(finish(outcomes))));
        let run = Arc::new(Run::new(self.registry.clone(), order, finish));
        self.hand_over(Shift { run: run.clone(), owner: 0 });
        loop {
            if let Ok(answer) = timeout_at(run.next_look().into(), &mut answer).await {
                return answer.ok();
            }
            if let Some(owner) = run.give_up() {
                // The thread keeps the stuck call to itself; the rest of the run gets a fresh one.
                *lock(&self.worker) = None;
                self.hand_over(Shift { run: run.clone(), owner });
            }
        }
    }

    /// Gives the run to the waiting thread, or to a new one where there is none.
    fn hand_over(&self, shift: Shift) {
        let mut worker = lock(&self.worker);
        let refused = match &*worker {
            Some(waiting) => waiting.0.send(shift).err().map(|error| error.0),
            None => Some(shift),
        };
        let Some(shift) = refused else { return };
        match Worker::spawn() {
            Ok(fresh) => {
                // A fresh thread waits for exactly this.
                drop(fresh.0.send(shift));
                *worker = Some(fresh);
            }
            Err(error) => {
                tracing::error!(%error, "cannot start a thread for the scrape");
                shift.run.finish();
            }
        }
    }
}

impl Worker {
    fn spawn() -> std::io::Result<Worker> {
        let (sender, shifts) = channel::<Shift>();
        thread::Builder::new().name("vigie-lane".into()).spawn(move || {
            while let Ok(shift) = shifts.recv() {
                if !shift.run.work(shift.owner) {
                    return;
                }
            }
        })?;
        Ok(Worker(sender))
    }
}

impl Run {
    fn new(registry: Arc<Registry>, order: Order, finish: Finish) -> Self {
        let limits = registry.slots().iter().filter_map(|slot| slot.bound.info.timeout);
        let shortest = limits.fold(order.limit, Duration::min).max(Duration::from_millis(1));
        let progress = Progress {
            owner: 0,
            next: 0,
            current: None,
            outcomes: Vec::with_capacity(registry.slots().len()),
            finish: Some(finish),
        };
        Run { registry, order, now: SystemTime::now(), shortest, progress: Mutex::new(progress) }
    }

    /// The thread's side: calls slot after slot. Returns false when it was given up.
    fn work(&self, owner: u32) -> bool {
        loop {
            let call = match self.begin(owner) {
                Begin::Call(call) => call,
                Begin::Done => {
                    self.finish();
                    return true;
                }
                Begin::GivenUp => return false,
            };
            let slot = &self.registry.slots()[call.slot];
            let state = match slot.take() {
                None => SlotState::Busy,
                Some(mut work) => {
                    let scrape = Scrape::new(self.now, call.until);
                    let state = work.run(&slot.bound, &scrape, self.order.format);
                    // The buffer goes back before anybody is told: whoever is told reads it.
                    slot.give_back(work);
                    state
                }
            };
            if !self.end(owner, call, &state) {
                return false;
            }
        }
    }

    fn begin(&self, owner: u32) -> Begin {
        let mut progress = lock(&self.progress);
        if progress.owner != owner {
            return Begin::GivenUp;
        }
        let slots = self.registry.slots();
        while let Some(slot) = slots.get(progress.next) {
            let at = progress.next;
            progress.next += 1;
            if !self.order.filter.takes(slot.bound.info.name) {
                continue;
            }
            let since = Instant::now();
            if since >= self.order.deadline {
                self.note(&mut progress, at, &SlotState::Skipped, Duration::ZERO);
                continue;
            }
            let limit = slot.bound.info.timeout.unwrap_or(self.order.limit);
            // The other half of what is left is for all that follow, should this one hang.
            let until = since + limit.min((self.order.deadline - since) / 2);
            let call = Call { slot: at, since, until };
            progress.current = Some(call);
            return Begin::Call(call);
        }
        Begin::Done
    }

    /// Notes the outcome of a call, unless it was given up meanwhile; then returns false.
    fn end(&self, owner: u32, call: Call, state: &SlotState) -> bool {
        let mut progress = lock(&self.progress);
        if progress.owner != owner {
            return false;
        }
        progress.current = None;
        self.note(&mut progress, call.slot, state, call.since.elapsed());
        true
    }

    /// The caller's side: until when no call can be late.
    fn next_look(&self) -> Instant {
        let now = Instant::now();
        // The later a call begins, the later it is late; past the deadline none begins.
        let half = self.order.deadline.saturating_duration_since(now) / 2;
        let next = now + if half.is_zero() { self.shortest } else { self.shortest.min(half) };
        lock(&self.progress).current.map_or(next, |call| call.until.min(next))
    }

    /// Gives up the call that is over its time and returns the number of the thread that shall go on.
    fn give_up(&self) -> Option<u32> {
        let mut progress = lock(&self.progress);
        let now = Instant::now();
        let call = progress.current.filter(|call| now >= call.until)?;
        progress.owner += 1;
        progress.current = None;
        self.note(&mut progress, call.slot, &SlotState::TimedOut, now - call.since);
        Some(progress.owner)
    }

    fn note(&self, progress: &mut Progress, at: usize, state: &SlotState, took: Duration) {
        let slot = &self.registry.slots()[at];
        progress.outcomes.push((at, state.clone(), took));
        let collector = slot.bound.info.name;
        // Once per change: a collector that fails at every scrape must not fill the disk.
        if slot.note(state.clone(), took) {
            match state.failure() {
                Some(_) => tracing::warn!(collector, reason = %state, "collector failed"),
                None => tracing::debug!(collector, %state, "collector"),
            }
        }
    }

    fn finish(&self) {
        let (outcomes, finish) = {
            let mut progress = lock(&self.progress);
            (std::mem::take(&mut progress.outcomes), progress.finish.take())
        };
        if let Some(finish) = finish {
            finish(&outcomes);
        }
    }
}

enum Begin {
    Call(Call),
    Done,
    GivenUp,
}
