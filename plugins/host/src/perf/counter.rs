//! A counter that never falls though the kernel counts only part of the time.
//!
//! A CPU has few counters and the kernel lets events take turns; what was counted is scaled up to the whole time. Scaled
//! as a whole such a sum falls whenever less happens in a turn, so each reading adds its own share. It must not know
//! which event is counted.

use std::fs::File;
use std::io::{self, Read};

use crate::sys::{PerfEvent, perf_event_open};

/// `PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING`.
const WITH_TIMES: u64 = 1 | 2;
/// The flag `exclude_hv`.
const WITHOUT_HYPERVISOR: u64 = 1 << 6;

/// A counter of one event on one CPU.
pub(super) struct Counter {
    cpu: String,
    file: File,
    sum: Sum,
    stands: bool,
}

impl Counter {
    /// The event as it is counted: only what this machine does, and how long it was counted.
    pub(super) fn attributes(kind: u32, config: u64) -> PerfEvent {
        PerfEvent::new(kind, config, WITH_TIMES, WITHOUT_HYPERVISOR)
    }

    pub(super) fn open(event: &PerfEvent, cpu: u32) -> io::Result<Self> {
        let file = perf_event_open(event, cpu)?;
        Ok(Counter { cpu: cpu.to_string(), file, sum: Sum::default(), stands: false })
    }

    pub(super) fn cpu(&self) -> &str {
        &self.cpu
    }

    /// Whether its time stood still at the last reading: a counter does not outlive its CPU, which may have gone and come
    /// back since, as all CPUs but the first do when a machine sleeps and wakes.
    pub(super) fn stands(&self) -> bool {
        self.stands
    }

    /// The events so far; nothing while none of the time was counted.
    pub(super) fn read(&mut self) -> Option<f64> {
        let before = self.sum.enabled;
        let total = self.read_on();
        self.stands = self.sum.enabled == before;
        total
    }

    fn read_on(&mut self) -> Option<f64> {
        let mut bytes = [0; 24];
        if self.file.read(&mut bytes).ok() != Some(bytes.len()) {
            return self.sum.total;
        }
        let mut words = bytes.chunks_exact(8).map(|word| word.try_into().map(u64::from_ne_bytes));
        let mut word = || words.next()?.ok();
        let reading = Reading { count: word()?, enabled: word()?, running: word()? };
        self.sum.add(reading);
        self.sum.total
    }
}

/// What read(2) of a counter gives.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reading {
    count: u64,
    /// Time since the counter was opened, in nanoseconds.
    enabled: u64,
    /// How much of it was counted.
    running: u64,
}

/// The scaled sum.
#[derive(Default)]
struct Sum {
    last: Reading,
    /// Of the last reading, which is not `last` when nothing was counted.
    enabled: u64,
    total: Option<f64>,
}

impl Sum {
    fn add(&mut self, now: Reading) {
        self.enabled = now.enabled;
        let since = |before: u64, now: u64| now.saturating_sub(before);
        let running = since(self.last.running, now.running);
        if running == 0 {
            return;
        }
        let count = since(self.last.count, now.count) as f64;
        let enabled = since(self.last.enabled, now.enabled).max(running);
        let scale = if enabled == running { 1.0 } else { enabled as f64 / running as f64 };
        self.total = Some(self.total.unwrap_or_default() + count * scale);
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn totals(readings: &[(u64, u64, u64)]) -> Vec<Option<f64>> {
        let mut sum = Sum::default();
        let mut total = |&(count, enabled, running): &(u64, u64, u64)| {
            sum.add(Reading { count, enabled, running });
            sum.total
        };
        readings.iter().map(&mut total).collect()
    }

    #[test]
    fn what_was_counted_is_scaled_to_the_whole_time() {
        assert_eq!(totals(&[(7, 10, 10), (9, 20, 20)]), [Some(7.0), Some(9.0)]);
        assert_eq!(totals(&[(100, 100, 50)]), [Some(200.0)]);
        assert_eq!(totals(&[(0, 10, 0), (3, 20, 5)]), [None, Some(12.0)]);
    }

    #[test]
    fn a_quiet_turn_does_not_make_the_sum_fall() {
        assert_eq!(totals(&[(100, 100, 50), (100, 150, 100)]), [Some(200.0), Some(200.0)]);
    }

    #[test]
    fn a_counter_whose_time_does_not_pass_stands() {
        let words = [[1u64, 10, 10], [2, 20, 10], [2, 20, 10]].concat();
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&path, bytes).unwrap();
        let file = File::open(&path).unwrap();
        let mut counter = Counter { cpu: "0".into(), file, sum: Sum::default(), stands: false };
        let mut read = || (counter.read(), counter.stands());
        assert_eq!([read(), read()], [(Some(1.0), false); 2], "it waited for its turn");
        assert_eq!([read(), read()], [(Some(1.0), true); 2], "at its end the file is empty");
    }

    proptest! {
        #[test]
        fn no_readings_make_the_sum_fall(
            readings in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..8),
        ) {
            let totals = totals(&readings);
            prop_assert!(totals.is_sorted(), "{totals:?}");
        }
    }
}
