//! Lost lines, found by the proxy's own request number.
//!
//! Traefik numbers every request from its start, so that a hole in the numbers is a line that was
//! lost or filtered away. Lines come in the order of completion, hence a hole is only counted when
//! it had time to close. It must not know files or clocks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// How long a request may be under way before its number counts as lost: Unix milliseconds.
const PATIENCE: i64 = 5 * 60_000;
/// Holes that are watched at once; more are counted at once.
const WATCHED: usize = 10_000;
/// Requests that may have been under way when the first line was read.
const UNDER_WAY: u64 = 1_000;
/// A number this low comes soon after a start.
const LOW: u64 = 100;

/// Watches the numbers of one proxy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Gaps {
    highest: Option<u64>,
    /// The first number read.
    first: u64,
    /// Numbers below `highest` that have not come yet, and since when they are awaited.
    open: BTreeMap<u64, i64>,
    /// Numbers given up, so that a late one is not taken for a restart.
    given_up: BTreeSet<u64>,
    missing: u64,
}

impl Gaps {
    /// Takes the number of the next line, written at `now` (Unix milliseconds).
    pub(crate) fn see(&mut self, number: u64, now: i64) {
        let Some(highest) = self.highest else {
            (self.highest, self.first) = (Some(number), number);
            return;
        };
        if number > highest {
            self.open_between(highest + 1, number, now);
            self.highest = Some(number);
        } else if self.was_under_way(number) {
            return;
        } else if self.open.remove(&number).is_none() && !self.given_up.remove(&number) {
            self.restart(number, now);
        }
        self.give_up_before(now.saturating_sub(PATIENCE));
    }

    /// Lines known to be missing.
    #[must_use]
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// Lines missing when no more will come.
    #[must_use]
    pub(crate) fn missing_at_end(&self) -> u64 {
        self.missing + self.open.len() as u64
    }

    /// Whether the request began before the first that was read, and only ended later.
    fn was_under_way(&self, number: u64) -> bool {
        number > LOW && number < self.first && self.first - number <= UNDER_WAY
    }

    /// The numbers `from..to` have not come.
    fn open_between(&mut self, from: u64, to: u64, now: i64) {
        let room = (WATCHED - self.open.len().min(WATCHED)) as u64;
        // The newest are the likeliest to come still.
        let watched = to.saturating_sub(room).max(from);
        self.missing += watched - from;
        self.open.extend((watched..to).map(|number| (number, now)));
    }

    /// The proxy began to count anew: what was awaited will not come.
    fn restart(&mut self, number: u64, now: i64) {
        self.missing += self.open.len() as u64;
        self.open.clear();
        self.given_up.clear();
        (self.highest, self.first) = (Some(number), 1);
        if number <= LOW {
            self.open_between(1, number, now);
        }
    }

    fn give_up_before(&mut self, limit: i64) {
        // Holes open in the order of their numbers, so the lowest is the oldest.
        while let Some(entry) = self.open.first_entry() {
            if *entry.get() > limit {
                return;
            }
            let (number, _) = entry.remove_entry();
            self.missing += 1;
            self.given_up.insert(number);
            if self.given_up.len() > WATCHED {
                self.given_up.pop_first();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(numbers: &[u64]) -> Gaps {
        let mut gaps = Gaps::default();
        numbers.iter().for_each(|number| gaps.see(*number, 0));
        gaps
    }

    #[test]
    fn a_hole_counts_when_it_had_time_to_close() {
        let mut gaps = after(&[5, 6, 9]);
        assert_eq!((gaps.missing(), gaps.missing_at_end()), (0, 2));
        gaps.see(8, PATIENCE - 1);
        gaps.see(10, PATIENCE);
        assert_eq!((gaps.missing(), gaps.missing_at_end()), (1, 1));
        gaps.see(7, PATIENCE + 1);
        assert_eq!(gaps.missing(), 1, "a late line is no restart, and stays counted");
    }

    #[test]
    fn a_fall_is_a_restart() {
        let gaps = after(&[100, 101, 103, 2, 1, 3]);
        assert_eq!((gaps.missing(), gaps.missing_at_end()), (1, 1), "102 never came");
        assert_eq!(after(&[7, 8, 5_000, 1, 2]).missing(), 4_991);
    }

    #[test]
    fn requests_under_way_at_the_first_line_are_no_restart() {
        let gaps = after(&[1_000, 998, 1_001, 999, 1_002]);
        assert_eq!(gaps.missing_at_end(), 0);
    }

    #[test]
    fn a_huge_jump_costs_no_memory() {
        let gaps = after(&[1, u64::MAX]);
        assert_eq!(gaps.missing_at_end(), u64::MAX - 2);
        assert_eq!(gaps.open.len(), WATCHED);
    }

    proptest! {
        #[test]
        fn what_is_left_out_is_missing(
            keys in proptest::collection::vec(0..30_u64, 1..500),
            lost in proptest::collection::btree_set(2..400_u64, 0..50),
        ) {
            // Numbers 1.. in a completion order that shuffles neighbours.
            let mut order: Vec<(u64, u64)> =
                keys.iter().zip(1..).map(|(delay, number)| (number + delay, number)).collect();
            order.sort_unstable();
            let kept: Vec<u64> =
                order.iter().map(|(_, n)| *n).filter(|n| !lost.contains(n)).collect();
            prop_assume!(kept.first() == Some(&1));
            let highest = kept.iter().max().copied().unwrap_or(0);
            let expected = highest - kept.len() as u64;
            prop_assert_eq!(after(&kept).missing_at_end(), expected);
        }
    }
}
