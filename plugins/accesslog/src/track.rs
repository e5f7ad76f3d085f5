//! An objective held against the requests as they come.
//!
//! Events fall into windows, and a look at a time tells whether the promise is kept, how fast the
//! error budget burns and what to alert about. It must not know files, sockets or the clock.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::burn::{self, Pair};
use crate::record::Record;
use crate::slo::{Goal, Objective, Verdict};
use crate::window::{Counts, Ring, Timings};

/// Windows up to this length are counted by the second, longer ones by the minute.
const FINE: Duration = Duration::from_secs(600);
/// Cells of a window of means or quantiles.
const TIMING_CELLS: u32 = 60;

/// An objective and its windows.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    pub(crate) objective: Arc<Objective>,
    pairs: Vec<Pair>,
    windows: Windows,
    /// Whether the threshold was broken at the last look: a small site may then have fewer events
    /// than it took to break it.
    broken: bool,
}

/// What outlives a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Windows {
    seconds: Ring<Counts>,
    minutes: Ring<Counts>,
    timings: Ring<Timings>,
    pub(crate) good: u64,
    pub(crate) bad: u64,
    /// End of the newest event, Unix milliseconds.
    last: Option<i64>,
}

/// What a look at an objective shows.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// Over the period for shares, over the window for means and quantiles.
    pub(crate) verdict: Verdict,
    /// Over the window: what the threshold's alert is about.
    pub(crate) window_broken: bool,
    /// Reached over the window: share of good events, or seconds; nothing without events.
    pub(crate) window_value: Option<f64>,
    /// Share of bad events over the period, and how many there were; for shares only.
    pub(crate) period: Counts,
    /// Left of the error budget; negative when overdrawn. For shares only.
    pub(crate) budget_remaining: Option<f64>,
    /// Error ratio per window length, for shares only.
    pub(crate) ratios: Vec<(Duration, f64)>,
    /// The pairs of windows, and whether both burn too fast.
    pub(crate) burns: Vec<(Pair, bool)>,
    /// Whether nothing came for as long as was asked to tell.
    pub(crate) no_data: bool,
}

impl Standing {
    /// The pairs that burn too fast.
    pub(crate) fn burning(&self) -> impl Iterator<Item = &Pair> {
        self.burns.iter().filter(|(_, burns)| *burns).map(|(pair, _)| pair)
    }
}

impl Tracker {
    pub(crate) fn new(objective: Objective) -> Self {
        let pairs = match objective.goal.target() {
            Some(target) => burn::pairs(objective.period, target),
            None => Vec::new(),
        };
        let windows = Windows::new(&objective);
        Tracker { objective: Arc::new(objective), pairs, windows, broken: false }
    }

    /// Continues with what was stored, if it was stored for windows of the same measures.
    pub(crate) fn restore(&mut self, stored: Windows) {
        let fits = self.windows.seconds.has_shape_of(&stored.seconds)
            && self.windows.minutes.has_shape_of(&stored.minutes)
            && self.windows.timings.has_shape_of(&stored.timings);
        if fits {
            self.windows = stored;
        }
    }

    pub(crate) fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Takes a request that was read at `now` from the log `source`.
    pub(crate) fn observe(&mut self, now: i64, source: &str, record: &Record<'_>) {
        let Some(event) = self.objective.judge(source, record) else { return };
        let at = record.end.unwrap_or(now).min(now);
        let windows = &mut self.windows;
        windows.last = windows.last.max(Some(at));
        let count = if event.good { &mut windows.good } else { &mut windows.bad };
        *count += 1;
        if self.objective.goal.target().is_some() {
            for ring in [&mut windows.seconds, &mut windows.minutes] {
                if let Some(cell) = ring.at(at, now) {
                    cell.add(&event);
                }
            }
        } else if let Some(cell) = windows.timings.at(at, now) {
            cell.add(&event);
        }
    }

    /// How things stand at `now`; `since` is when watching began, for the lack of data.
    pub(crate) fn look(&mut self, now: i64, since: i64) -> Standing {
        let mut standing = match self.objective.goal.target() {
            Some(target) => self.look_at_share(now, target),
            None => self.look_at_durations(now),
        };
        self.broken = standing.window_broken;
        let silent = now.saturating_sub(self.windows.last.unwrap_or(since).max(since));
        let asked = self.objective.no_data.map(crate::window::millis);
        standing.no_data = asked.is_some_and(|asked| silent >= asked);
        standing
    }

    fn look_at_share(&self, now: i64, target: f64) -> Standing {
        let window = self.counts(now, self.objective.window);
        let period = self.counts(now, self.objective.period);
        let budget = 1.0 - target;
        let enough = |counts: &Counts, events| counts.events >= events;
        let is_broken = |counts: &Counts| counts.error_ratio() > budget;
        let begun = enough(&window, self.objective.min_events) || self.broken && window.bad > 0;
        Standing {
            verdict: verdict(enough(&period, self.objective.min_events), is_broken(&period)),
            window_broken: !self.objective.window.is_zero() && begun && is_broken(&window),
            window_value: (window.events > 0).then(|| 1.0 - window.error_ratio()),
            period,
            budget_remaining: Some(1.0 - period.error_ratio() / budget),
            ratios: self.ratios(now),
            burns: self.pairs.iter().map(|p| (p.clone(), self.burns(now, p, budget))).collect(),
            no_data: false,
        }
    }

    fn burns(&self, now: i64, pair: &Pair, budget: f64) -> bool {
        let min_events = self.objective.min_events;
        // The short window is a twelfth of the long one, so a twelfth of the events proves enough.
        [(pair.long, min_events), (pair.short, min_events.div_ceil(12))].into_iter().all(
            |(window, events)| {
                let counts = self.counts(now, window);
                counts.events >= events && counts.error_ratio() / budget > pair.factor
            },
        )
    }

    fn ratios(&self, now: i64) -> Vec<(Duration, f64)> {
        let mut windows: Vec<Duration> =
            self.pairs.iter().flat_map(|pair| [pair.long, pair.short]).collect();
        windows.extend([self.objective.window, self.objective.period]);
        windows.retain(|window| !window.is_zero());
        windows.sort_unstable();
        windows.dedup();
        windows.into_iter().map(|w| (w, self.counts(now, w).error_ratio())).collect()
    }

    fn counts(&self, now: i64, window: Duration) -> Counts {
        let fine = window <= FINE;
        let ring = if fine { &self.windows.seconds } else { &self.windows.minutes };
        ring.sum(now, window)
    }

    fn look_at_durations(&self, now: i64) -> Standing {
        let timings = self.windows.timings.sum(now, self.objective.window);
        let value = match self.objective.goal {
            Goal::Quantile { quantile, .. } => timings.sketch.quantile(quantile),
            _ => (timings.events > 0).then(|| timings.seconds / timings.events as f64),
        };
        let limit = self.objective.goal.limit().unwrap_or(Duration::MAX).as_secs_f64();
        let enough = timings.events >= self.objective.min_events;
        let over = value.is_some_and(|value| value > limit);
        Standing {
            verdict: verdict(enough, over),
            window_broken: over && (enough || self.broken),
            window_value: value,
            period: Counts::default(),
            budget_remaining: None,
            ratios: Vec::new(),
            burns: Vec::new(),
            no_data: false,
        }
    }
}

fn verdict(enough: bool, broken: bool) -> Verdict {
    match (enough, broken) {
        (false, _) => Verdict::NoTraffic,
        (true, true) => Verdict::Broken,
        (true, false) => Verdict::Met,
    }
}

impl Windows {
    fn new(objective: &Objective) -> Self {
        let second = Duration::from_secs(1);
        let longest = objective.period.max(objective.window);
        Windows {
            seconds: Ring::new(second, FINE),
            minutes: Ring::new(second * 60, longest),
            timings: Ring::new((objective.window / TIMING_CELLS).max(second), objective.window),
            good: 0,
            bad: 0,
            last: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slo::Codes;
    use crate::slo::tests::objective;

    const NOW: i64 = 1_795_191_000_000;

    fn errors(window: u64, min_events: u64) -> Tracker {
        let goal = Goal::Errors { codes: Codes::parse(["5xx"]).unwrap(), target: 0.99 };
        let window = Duration::from_secs(window);
        Tracker::new(Objective { window, min_events, ..objective(goal) })
    }

    fn feed(tracker: &mut Tracker, at: i64, code: u16, count: u64) {
        for _ in 0..count {
            let duration = Some(Duration::from_millis(if code < 500 { 100 } else { 400 }));
            let record = Record { end: Some(at), code, duration, ..Record::default() };
            tracker.observe(at, "log", &record);
        }
    }

    #[test]
    fn a_short_window_breaks_and_heals_within_seconds() {
        let mut tracker = errors(10, 5);
        feed(&mut tracker, NOW, 200, 10);
        assert!(!tracker.look(NOW, NOW).window_broken);
        feed(&mut tracker, NOW + 2_000, 502, 3);
        let standing = tracker.look(NOW + 2_000, NOW);
        assert!(standing.window_broken && standing.window_value.unwrap() < 0.8);
        // Few good events: the bad ones are still in the window.
        feed(&mut tracker, NOW + 9_000, 200, 1);
        assert!(tracker.look(NOW + 11_000, NOW).window_broken, "fewer than five, but still bad");
        assert!(!tracker.look(NOW + 13_000, NOW).window_broken, "the bad ones have left");
    }

    #[test]
    fn few_events_prove_nothing() {
        let mut tracker = errors(10, 5);
        feed(&mut tracker, NOW, 500, 4);
        let standing = tracker.look(NOW, NOW);
        assert!(!standing.window_broken && standing.burning().next().is_none());
        assert_eq!(standing.verdict, Verdict::NoTraffic);
        feed(&mut tracker, NOW, 500, 1);
        assert!(tracker.look(NOW, NOW).window_broken);
    }

    fn name(pair: &Pair) -> String {
        format!("{} {}", pair.severity, vigie_core::config::format_duration(pair.long))
    }

    #[test]
    fn a_fast_burn_needs_both_windows() {
        let mut tracker = errors(0, 10);
        // 20 % errors for an hour: a burn rate of 20.
        for minute in 0..60 {
            feed(&mut tracker, NOW + minute * 60_000, 200, 8);
            feed(&mut tracker, NOW + minute * 60_000, 500, 2);
        }
        let end = NOW + 59 * 60_000 + 1;
        let burning = |tracker: &mut Tracker, now| {
            let standing = tracker.look(now, NOW);
            standing.burning().map(name).collect::<Vec<_>>()
        };
        assert_eq!(burning(&mut tracker, end), ["page 1h", "page 6h", "ticket 1d", "ticket 3d"]);
        // Five healthy minutes: the short window of the first pair is clean.
        for minute in 60..65 {
            feed(&mut tracker, NOW + minute * 60_000, 200, 10);
        }
        let end = NOW + 64 * 60_000 + 1;
        assert_eq!(burning(&mut tracker, end), ["page 6h", "ticket 1d", "ticket 3d"]);
        let standing = tracker.look(end, NOW);
        assert_eq!(standing.verdict, Verdict::Broken);
        let remaining = standing.budget_remaining.unwrap();
        assert!((remaining - (1.0 - 120.0 / 650.0 / 0.01)).abs() < 1e-9, "{remaining}");
    }

    #[test]
    fn means_and_quantiles_are_judged_over_their_window() {
        let limit = Duration::from_millis(200);
        for (goal, slow) in [(Goal::Mean(limit), 6), (Goal::Quantile { quantile: 0.9, limit }, 3)] {
            let window = Duration::from_secs(10);
            let mut tracker = Tracker::new(Objective { window, ..objective(goal) });
            feed(&mut tracker, NOW, 200, 10);
            assert_eq!(tracker.look(NOW, NOW).verdict, Verdict::Met);
            feed(&mut tracker, NOW + 1_000, 500, slow);
            let standing = tracker.look(NOW + 1_000, NOW);
            assert_eq!((standing.verdict, standing.window_broken), (Verdict::Broken, true));
            assert!(standing.window_value.unwrap() > 0.2);
            assert_eq!(tracker.look(NOW + 20_000, NOW).verdict, Verdict::NoTraffic);
        }
    }

    #[test]
    fn silence_is_told_only_when_asked() {
        let mut tracker = errors(10, 1);
        assert!(!tracker.look(NOW + 1_000_000, NOW).no_data);
        let no_data = Some(Duration::from_secs(60));
        tracker.objective = Arc::new(Objective { no_data, ..(*tracker.objective).clone() });
        assert!(
            !tracker.look(NOW + 59_999, NOW).no_data && tracker.look(NOW + 60_000, NOW).no_data
        );
        feed(&mut tracker, NOW + 60_000, 200, 1);
        assert!(!tracker.look(NOW + 60_001, NOW).no_data);
    }

    #[test]
    fn windows_outlive_a_restart_unless_their_shape_changed() {
        let mut tracker = errors(10, 1);
        feed(&mut tracker, NOW, 500, 3);
        let stored = serde_json::to_string(tracker.windows()).unwrap();
        let mut again = errors(10, 1);
        again.restore(serde_json::from_str(&stored).unwrap());
        assert_eq!((again.look(NOW, NOW).period.bad, again.windows.bad), (3, 3));
        let period = Duration::from_secs(86_400 * 7);
        let mut other = Tracker::new(Objective { period, ..(*again.objective).clone() });
        other.restore(serde_json::from_str(&stored).unwrap());
        assert_eq!(other.look(NOW, NOW).period.bad, 0);
    }
}
