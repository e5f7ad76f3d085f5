//! The thread that makes the calls, and how it is given up.
//!
//! It works through a list and says after each call how it went; who waits decides how long. It must
//! not know which mounts are known to be dead.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Answer, Stat, Target, answer};

/// A thread that makes the calls; it ends when its handle is dropped and its call has returned.
pub(super) struct Helper {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// The thread has left its last call.
    returned: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    work: Option<(Arc<[Target]>, Range<usize>)>,
    answers: Vec<Answer>,
    closed: bool,
}

impl Helper {
    pub(super) fn start(stat: Stat) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        // The call needs next to no stack.
        std::thread::Builder::new().name("statfs".to_owned()).stack_size(64 << 10).spawn(
            move || {
                theirs.serve(&stat);
                theirs.returned.store(true, Ordering::Release);
            },
        )?;
        Ok(Helper { shared })
    }

    /// Appends answers for `range`. When a mount takes longer than `limit`, the answers before it
    /// are appended and the thread is given up: the flag it will set is returned.
    pub(super) fn run(
        &self,
        targets: &Arc<[Target]>,
        range: Range<usize>,
        answers: &mut Vec<Answer>,
        limit: impl Fn() -> Duration,
    ) -> Option<Arc<AtomicBool>> {
        let mut state = self.shared.lock();
        state.answers.clear();
        state.work = Some((targets.clone(), range.clone()));
        self.shared.changed.notify_all();
        let mut answered = 0;
        let mut given_up = Instant::now() + limit();
        while state.answers.len() < range.len() {
            let left = given_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                answers.append(&mut state.answers);
                state.closed = true;
                return Some(self.shared.returned.clone());
            }
            state = self.shared.wait(state, left);
            if state.answers.len() > answered {
                answered = state.answers.len();
                given_up = Instant::now() + limit();
            }
        }
        answers.append(&mut state.answers);
        None
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, limit);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The life of the helper thread.
    fn serve(&self, stat: &Stat) {
        let mut state = self.lock();
        while !state.closed {
            let Some((targets, range)) = state.work.take() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            for target in targets.get(range).unwrap_or_default() {
                drop(state);
                let answer = answer(stat, target);
                state = self.lock();
                if state.closed {
                    return;
                }
                state.answers.push(answer);
            }
            self.changed.notify_all();
        }
    }
}
