//! Multi-window burn rates.
//!
//! The fractions of the error budget and the windows are those of the SRE workbook (chapter 5); the
//! factors follow from the period and are never copied. It must not know objectives or alerts.

use std::time::Duration;

use vigie_core::config::format_duration;

const HOUR: Duration = Duration::from_secs(3600);

/// `(fraction of the budget, long window, severity)`.
const RULES: [(f64, Duration, &str); 4] = [
    (0.02, HOUR, "page"),
    (0.05, HOUR.saturating_mul(6), "page"),
    (0.10, HOUR.saturating_mul(24), "ticket"),
    (0.10, HOUR.saturating_mul(72), "ticket"),
];

/// A long and a short window that must both burn too fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// `page` or `ticket`.
    pub severity: &'static str,
    /// Shows that the burning matters.
    pub long: Duration,
    /// A twelfth of it: shows that it still burns.
    pub short: Duration,
    /// Burn rate above which it is too fast: 1 uses the budget up exactly in the period.
    pub factor: f64,
}

/// The pairs that make sense for a period in seconds and a target between 0 and 1.
#[must_use]
pub fn pairs(period: Duration, target: f64) -> Vec<Pair> {
    rules(period).filter(|pair| can_fire(pair, target)).collect()
}

/// What to tell about pairs that can never fire: the target is so loose that even errors alone do
/// not burn the budget that fast.
#[must_use]
pub fn warnings(period: Duration, target: f64) -> Vec<String> {
    let idle = rules(period).filter(|pair| !can_fire(pair, target));
    idle.map(|pair| {
        format!(
            "a burn rate of {:.1} over {} cannot happen with a target of {}%: that alert is off",
            pair.factor,
            format_duration(pair.long),
            (target * 1e6).round() / 1e4,
        )
    })
    .collect()
}

/// The largest burn rate is that of errors alone.
fn can_fire(pair: &Pair, target: f64) -> bool {
    pair.factor * (1.0 - target) < 1.0
}

/// Windows longer than the period say nothing about it.
fn rules(period: Duration) -> impl Iterator<Item = Pair> {
    RULES.into_iter().filter(move |(_, long, _)| *long < period).map(
        move |(fraction, long, severity)| Pair {
            severity,
            long,
            short: long / 12,
            factor: fraction * period.as_secs_f64() / long.as_secs_f64(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(days: u32, target: f64) -> Vec<String> {
        pairs(HOUR * 24 * days, target).iter().map(|pair| format!("{:.2}", pair.factor)).collect()
    }

    #[test]
    fn factors_follow_the_period() {
        assert_eq!(factors(30, 0.99), ["14.40", "6.00", "3.00", "1.00"]);
        assert_eq!(factors(7, 0.99), ["3.36", "1.40", "0.70", "0.23"]);
        assert_eq!(factors(1, 0.99), ["0.48", "0.20"], "only windows shorter than the period");
        let short: Vec<_> =
            pairs(HOUR * 720, 0.99).iter().map(|pair| format_duration(pair.short)).collect();
        assert_eq!(short, ["5m", "30m", "2h", "6h"]);
    }

    #[test]
    fn what_can_never_fire_is_left_out_and_told() {
        assert_eq!(factors(30, 0.93), ["6.00", "3.00", "1.00"], "14.4 x 7 % is above 100 %");
        let told = warnings(HOUR * 720, 0.93);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("a burn rate of 14.4 over 1h cannot happen"), "{told:?}");
        assert!(warnings(HOUR * 720, 0.99).is_empty());
    }
}
