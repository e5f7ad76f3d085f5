//! `rate_limit`: a token bucket for all requests of a server together.
//!
//! The time is an argument, so that a test does not wait. It must not know what a request asks.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One token comes each `interval`, at most `burst` are kept, each request takes one.
#[derive(Debug)]
pub(super) struct RateLimit {
    interval: Duration,
    burst: u32,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl RateLimit {
    /// Full at first. An interval of nothing is no limit: do not make one then.
    pub(super) fn new(interval: Duration, burst: u32, now: Instant) -> Self {
        let bucket = Mutex::new(Bucket { tokens: f64::from(burst), filled: now });
        RateLimit { interval, burst, bucket }
    }

    /// Takes a token, if there is one.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(bucket.filled);
        bucket.filled = bucket.filled.max(now);
        let come = passed.as_secs_f64() / self.interval.as_secs_f64();
        bucket.tokens = (bucket.tokens + come).min(f64::from(self.burst));
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_per_interval() {
        let start = Instant::now();
        let limit = RateLimit::new(Duration::from_secs(2), 3, start);
        let at = |tenths: u64| limit.allows(start + Duration::from_millis(100 * tenths));
        assert_eq!([at(0), at(0), at(0), at(0)], [true, true, true, false]);
        assert_eq!([at(19), at(21), at(22)], [false, true, false]);
        assert_eq!([at(500), at(500), at(500), at(500)], [true, true, true, false]);
    }

    proptest! {
        #[test]
        fn never_more_than_a_burst_and_the_tokens_of_the_time(
            steps in prop::collection::vec(0u64..3000, 1..200),
            burst in 1u32..20,
        ) {
            let start = Instant::now();
            let limit = RateLimit::new(Duration::from_secs(1), burst, start);
            let (mut now, mut allowed) = (0, 0);
            for step in steps {
                now += step;
                allowed += u64::from(limit.allows(start + Duration::from_millis(now)));
            }
            prop_assert!(allowed <= u64::from(burst) + now / 1000);
        }
    }
}
