//! The clock, as something that can be handed in.
//!
//! Pure machines take the time as an argument; the rims around them ask a [`Clock`], so that a
//! test can script it. It must not know who asks.

use std::sync::Arc;

pub use jiff::Timestamp;

/// Tells the wall-clock time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// `time` moved by a duration, held at the ends of the calendar.
#[must_use]
pub fn add(time: Timestamp, duration: std::time::Duration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
