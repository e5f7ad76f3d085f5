//! The newest of something that a service makes and collectors read.
//!
//! Collectors are synchronous and must not wait for long, services are not; this cell stands
//! between them. It must not know what it holds.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A shared value that is replaced whole, with a count of how often.
#[derive(Debug, Default)]
pub(crate) struct Latest<T> {
    held: Mutex<Held<T>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Held<T> {
    value: Arc<T>,
    version: u64,
}

impl<T> Latest<T> {
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.lock().value)
    }

    /// How often a value was set.
    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    pub(crate) fn set(&self, value: T) {
        let value = Arc::new(value);
        let mut held = self.lock();
        held.value = value;
        held.version += 1;
        drop(held);
        self.changed.notify_all();
    }

    /// The value once it was set more often than `version`; nothing when that takes longer than
    /// `limit`.
    pub(crate) fn newer_than(&self, version: u64, limit: Duration) -> Option<Arc<T>> {
        let waited =
            self.changed.wait_timeout_while(self.lock(), limit, |held| held.version <= version);
        let (held, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (!timeout.timed_out()).then(|| Arc::clone(&held.value))
    }

    /// The lock is only ever held to copy or to replace an `Arc`, which leaves no half-made state
    /// behind even where the holder dies.
    fn lock(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_value_ends_the_wait() {
        let latest = Arc::new(Latest::<u32>::default());
        assert_eq!(latest.newer_than(0, Duration::ZERO), None, "nothing comes");
        let writer = Arc::clone(&latest);
        let thread = std::thread::spawn(move || writer.set(7));
        assert_eq!(latest.newer_than(0, Duration::from_secs(60)).as_deref(), Some(&7));
        thread.join().unwrap();
        assert_eq!((latest.version(), *latest.get()), (1, 7));
    }
}
