//! Whether a time server can be believed.
//!
//! The checks are those that RFC 5905 asks of a client, with the two limits that a user sets. It must not know how the
//! answer came.

use super::Exchange;

/// A server that is this many steps from a reference clock has no time.
const NO_STRATUM: u8 = 16;
/// The leap indicator of a server that is not synchronized.
const NOT_IN_SYNC: u8 = 3;
/// A clock must have been set within the longest time between two polls, 2^17 s.
const STALE: f64 = 131_072.0;
/// More distance than this is no time at all (MAXDISP).
const MOST_DISPERSION: f64 = 16.0;
const DAY: f64 = 86_400.0;

/// The limits, and the leap second that is near.
pub(super) struct Sanity {
    /// Seconds.
    most_distance: f64,
    /// Seconds.
    tolerance: f64,
    /// The midnight of a leap second, in seconds since 1970: servers take their announcement back right after it.
    leap: Option<f64>,
}

impl Sanity {
    pub(super) const fn new(most_distance: f64, tolerance: f64) -> Self {
        Sanity { most_distance, tolerance, leap: None }
    }

    /// Whether `exchange` is to be believed.
    pub(super) fn judge(&mut self, exchange: &Exchange) -> bool {
        let distance = f64::midpoint(exchange.round_trip(), exchange.answer.root_delay)
            + exchange.answer.root_dispersion;
        let tolerance = self.tolerance + self.smear(exchange);
        is_valid(exchange) && distance <= self.most_distance && certain_error(exchange) <= tolerance
    }

    /// Servers spread a leap second over the day before or after it: up to a second more is no error then.
    fn smear(&mut self, exchange: &Exchange) -> f64 {
        let now = exchange.answer.sent.seconds();
        if matches!(exchange.answer.leap, 1 | 2) {
            self.leap = Some((now / DAY).floor() * DAY + DAY);
        }
        let is_near = self.leap.is_some_and(|leap| (now - leap).abs() < DAY);
        if is_near { 1.0 } else { 0.0 }
    }
}

fn is_valid(exchange: &Exchange) -> bool {
    let answer = &exchange.answer;
    let age = answer.sent.since(answer.reference);
    (1..NO_STRATUM).contains(&answer.stratum)
        && answer.leap != NOT_IN_SYNC
        && (0.0..=STALE).contains(&age)
        && answer.root_delay / 2.0 + answer.root_dispersion <= MOST_DISPERSION
}

/// The clocks differ by at least so many seconds: a packet cannot arrive before it was sent.
fn certain_error(exchange: &Exchange) -> f64 {
    let there = exchange.sent.since(exchange.answer.received);
    let back = exchange.answer.sent.since(exchange.received);
    there.max(back).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Answer, Timestamp};
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    /// Ten minutes to midnight.
    const NOW: u64 = 1_699_999_800 / 86_400 * 86_400 + 85_800;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from(UNIX_EPOCH + Duration::from_secs(NOW))
            .after(Duration::from_secs_f64(seconds))
    }

    fn good() -> Exchange {
        let answer = Answer {
            stratum: 2,
            root_delay: 0.01,
            root_dispersion: 0.02,
            reference: at(0.0),
            received: at(100.0005),
            sent: at(100.0006),
            ..Answer::default()
        };
        Exchange { sent: at(100.0), received: at(100.001), answer }
    }

    fn judged(change: impl Fn(&mut Exchange)) -> bool {
        let mut exchange = good();
        change(&mut exchange);
        Sanity::new(3.466, 0.001).judge(&exchange)
    }

    #[test]
    fn each_check_can_fail() {
        assert!(judged(|_| ()));
        assert!(!judged(|it| it.answer.stratum = 0), "a kiss of death");
        assert!(!judged(|it| it.answer.stratum = 16));
        assert!(!judged(|it| it.answer.leap = 3));
        assert!(!judged(|it| it.answer.reference = Timestamp(0)), "never set");
        assert!(!judged(|it| it.answer.reference = at(101.0)), "set in the future");
        assert!(!judged(|it| it.answer.root_dispersion = 3.5), "too far from the root");
        assert!(!judged(|it| it.answer.root_delay = 33.0));
        assert!(!judged(|it| it.answer.sent = at(100.1)), "it answered after the answer came");
        assert!(!judged(|it| it.answer.received = at(99.9)));
    }

    #[test]
    fn a_leap_second_is_tolerated_for_a_day() {
        let mut sanity = Sanity::new(3.466, 0.001);
        let mut exchange = good();
        exchange.answer.received = at(99.5);
        assert!(!sanity.judge(&exchange));
        exchange.answer.leap = 1;
        assert!(sanity.judge(&exchange));
        exchange.answer.leap = 0;
        assert!(sanity.judge(&exchange), "the announcement is remembered");
        for time in [
            &mut exchange.sent,
            &mut exchange.received,
            &mut exchange.answer.sent,
            &mut exchange.answer.received,
            &mut exchange.answer.reference,
        ] {
            *time = time.after(Duration::from_secs(90_000));
        }
        assert!(!sanity.judge(&exchange), "a day later it is over");
    }
}
