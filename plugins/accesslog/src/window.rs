//! Sliding windows of counts.
//!
//! A ring holds one cell per step of time and only the cells in which something happened, so that
//! thirty days in minutes cost what the traffic costs. It must not know what is counted, nor read a
//! clock.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sketch::Sketch;
use crate::slo::Event;

/// What can be added up.
pub(crate) trait Cell: Default {
    /// Adds another cell.
    fn merge(&mut self, other: &Self);
}

/// Cells in the order of their time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ring<C> {
    /// Milliseconds per cell.
    step: i64,
    /// Milliseconds that are kept.
    span: i64,
    /// Number of the step since 1970, and what happened in it.
    cells: VecDeque<(i64, C)>,
}

impl<C: Cell> Ring<C> {
    /// Keeps `span` in steps of `step`; both at least a millisecond.
    pub(crate) fn new(step: Duration, span: Duration) -> Self {
        Ring { step: millis(step).max(1), span: millis(span).max(1), cells: VecDeque::new() }
    }

    /// Whether it was made with these measures: else what it holds is of no use.
    pub(crate) fn has_shape_of(&self, other: &Self) -> bool {
        (self.step, self.span) == (other.step, other.span)
    }

    /// The cell for something that ended at `at`, told at `now` (Unix milliseconds); `None` when
    /// that is too long ago. What claims to lie in the future counts for now.
    pub(crate) fn at(&mut self, at: i64, now: i64) -> Option<&mut C> {
        let at = at.min(now);
        if at <= now.saturating_sub(self.span) {
            return None;
        }
        self.forget(now);
        let slot = at.div_euclid(self.step);
        // Lines are nearly in order, so the place is nearly always the last.
        let behind = self.cells.iter().rev().take_while(|(known, _)| *known > slot).count();
        let place = self.cells.len() - behind;
        let found = place.checked_sub(1).filter(|i| self.cells[*i].0 == slot);
        let index = found.unwrap_or_else(|| {
            self.cells.insert(place, (slot, C::default()));
            place
        });
        Some(&mut self.cells[index].1)
    }

    /// The sum of the cells that began within `window` before `now`.
    pub(crate) fn sum(&self, now: i64, window: Duration) -> C {
        let since = now.saturating_sub(millis(window));
        let mut sum = C::default();
        let newest_first = self.cells.iter().rev().skip_while(|(slot, _)| slot * self.step > now);
        for (_, cell) in newest_first.take_while(|(slot, _)| slot * self.step > since) {
            sum.merge(cell);
        }
        sum
    }

    fn forget(&mut self, now: i64) {
        // One cell more than the span, as the oldest is only partly outside.
        let limit = now.saturating_sub(self.span).div_euclid(self.step);
        while self.cells.front().is_some_and(|(slot, _)| *slot < limit) {
            self.cells.pop_front();
        }
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Events of an objective about a share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) events: u64,
    pub(crate) bad: u64,
    /// Twice the sum of the Apdex.
    pub(crate) apdex: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, event: &Event) {
        self.events += 1;
        self.bad += u64::from(!event.good);
        self.apdex += event.apdex;
    }

    /// Share of bad events; 0 without events.
    pub(crate) fn error_ratio(&self) -> f64 {
        self.bad as f64 / self.events.max(1) as f64
    }
}

impl Cell for Counts {
    fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.bad += other.bad;
        self.apdex += other.apdex;
    }
}

/// Durations of an objective about a mean or a quantile.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Timings {
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    pub(crate) sketch: Sketch,
}

impl Timings {
    pub(crate) fn add(&mut self, event: &Event) {
        self.events += 1;
        self.seconds += event.duration.as_secs_f64();
        self.sketch.add(event.duration.as_secs_f64());
    }
}

impl Cell for Timings {
    fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.seconds += other.seconds;
        self.sketch.merge(&other.sketch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring() -> Ring<Counts> {
        Ring::new(Duration::from_secs(1), Duration::from_secs(60))
    }

    fn count(ring: &mut Ring<Counts>, at: i64, now: i64) -> bool {
        ring.at(at, now).map(|cell| cell.events += 1).is_some()
    }

    #[test]
    fn old_events_leave_the_window() {
        let mut ring = ring();
        for at in [0, 500, 9_000] {
            assert!(count(&mut ring, at + 100_000, 109_000));
        }
        let events = |now, seconds| ring.sum(now, Duration::from_secs(seconds)).events;
        assert_eq!((events(109_000, 60), events(109_000, 9), events(109_000, 10)), (3, 1, 3));
        assert_eq!(events(200_000, 60), 0);
    }

    #[test]
    fn late_and_future_events_find_their_place() {
        let mut ring = ring();
        assert!(count(&mut ring, 100_000, 100_000) && count(&mut ring, 97_000, 100_000));
        assert!(count(&mut ring, i64::MAX, 100_000), "the future is now");
        assert!(!count(&mut ring, 40_000, 100_000) && !count(&mut ring, i64::MIN, 100_000));
        assert_eq!(ring.cells.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [97, 100]);
        assert_eq!(ring.sum(100_000, Duration::from_secs(1)).events, 2);
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_events(
            events in proptest::collection::vec(0..50_000_i64, 1..200),
            window in 1..60_u64,
        ) {
            let now = 50_000;
            let mut ring = ring();
            events.iter().for_each(|at| { count(&mut ring, *at, now); });
            let since = now - window as i64 * 1000;
            let expected = events.iter().filter(|at| *at / 1000 * 1000 > since).count() as u64;
            prop_assert_eq!(ring.sum(now, Duration::from_secs(window)).events, expected);
        }
    }
}
