//! The worst five minutes of a log.
//!
//! Minutes are counted apart and joined at the end, since lines do not come in order. It must not
//! know routers or objectives.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::Record;

const MINUTE: i64 = 60_000;
/// Minutes in a window.
const WINDOW: i64 = 5;
/// More than two months; of a longer log the oldest minutes are forgotten.
const MAX_MINUTES: usize = 100_000;
/// Fewer requests than these make no window bad, unless there is no better one.
const ENOUGH: u64 = 20;

/// Five minutes and what happened in them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorstWindow {
    /// Start, RFC 3339.
    pub start: String,
    /// Requests that ended in it.
    pub requests: u64,
    /// Share of status 500 and above, 0 to 1.
    pub ratio_5xx: f64,
    /// Mean duration in seconds.
    pub mean_seconds: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    requests: u64,
    errors: u64,
    timed: u64,
    nanos: u128,
}

impl Cell {
    fn merge(&mut self, other: &Cell) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.timed += other.timed;
        self.nanos += other.nanos;
    }

    fn error_ratio(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors as f64 / self.requests as f64 }
    }

    fn mean(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.nanos as f64 / self.timed as f64 / 1e9)
    }
}

/// Counts per minute.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    cells: BTreeMap<i64, Cell>,
    /// The minute of the line before, not yet in `cells`.
    current: (i64, Cell),
}

impl Minutes {
    pub(super) fn add(&mut self, end: i64, record: &Record<'_>) {
        let minute = end.div_euclid(MINUTE);
        if minute != self.current.0 {
            self.flush();
            self.current.0 = minute;
        }
        let cell = &mut self.current.1;
        cell.requests += 1;
        cell.errors += u64::from(record.code >= 500);
        if let Some(duration) = record.duration {
            cell.timed += 1;
            cell.nanos += duration.as_nanos();
        }
    }

    /// The windows with the largest share of errors (if there was one) and the slowest mean.
    pub(super) fn worst(mut self) -> (Option<WorstWindow>, Option<WorstWindow>) {
        self.flush();
        let windows: Vec<(i64, Cell)> = self.cells.keys().map(|m| (*m, self.window(*m))).collect();
        let enough = windows.iter().map(|(_, w)| w.requests).max().unwrap_or(0).min(ENOUGH);
        let full = || windows.iter().filter(|(_, window)| window.requests >= enough);
        let errors = full()
            .filter(|(_, window)| window.errors > 0)
            .max_by(|a, b| a.1.error_ratio().total_cmp(&b.1.error_ratio()));
        let slow = full()
            .filter(|(_, window)| window.timed > 0)
            .max_by(|a, b| a.1.mean().unwrap_or(0.0).total_cmp(&b.1.mean().unwrap_or(0.0)));
        (errors.map(show), slow.map(show))
    }

    fn window(&self, minute: i64) -> Cell {
        let mut sum = Cell::default();
        self.cells.range(minute..minute + WINDOW).for_each(|(_, cell)| sum.merge(cell));
        sum
    }

    fn flush(&mut self) {
        let (minute, cell) = std::mem::take(&mut self.current);
        if cell.requests == 0 {
            return;
        }
        self.cells.entry(minute).or_default().merge(&cell);
        if self.cells.len() > MAX_MINUTES {
            self.cells.pop_first();
        }
    }
}

fn show((minute, window): &(i64, Cell)) -> WorstWindow {
    WorstWindow {
        start: super::summary::time(minute * MINUTE),
        requests: window.requests,
        ratio_5xx: window.error_ratio(),
        mean_seconds: window.mean(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn windows_join_minutes_in_any_order() {
        let mut minutes = Minutes::default();
        let mut add = |minute: i64, code, count| {
            for _ in 0..count {
                let duration = Some(Duration::from_millis(if code == 500 { 10 } else { 30 }));
                minutes.add(minute * MINUTE + 1, &Record { code, duration, ..Record::default() });
            }
        };
        add(0, 200, 100);
        add(12, 500, 10);
        add(10, 200, 90);
        add(100, 500, 1);
        let (errors, slow) = minutes.worst();
        let errors = errors.unwrap();
        // The windows that begin at minute 8 and 9 hold nothing else; windows start at a cell.
        assert_eq!((errors.start.as_str(), errors.requests), ("1970-01-01T00:10:00Z", 100));
        assert_eq!(errors.ratio_5xx, 0.1, "one lonely failure is no bad window");
        assert_eq!(slow.unwrap().mean_seconds, Some(0.03));
    }
}
