//! What one log is counted into.
//!
//! Counters per service, code and method, histograms per service, and what went wrong on the way,
//! in a form that is stored together with the place in the file. It must not know objectives,
//! files or clocks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::{Aborted, Malformed, Record};

/// The methods that get a label of their own (RFC 9110 section 9, and PATCH of RFC 5789); all
/// others share `other`, since clients may invent any.
pub(crate) const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "other"];

/// Bounds that known dashboards ask for; those of the objectives are added.
const BOUNDS: [u64; 14] =
    [5, 10, 25, 50, 100, 200, 300, 500, 1_000, 1_200, 2_500, 5_000, 10_000, 30_000];

/// The upper bounds of all histograms, ascending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds(pub(crate) Vec<Duration>);

impl Bounds {
    /// The usual ones and every threshold of an objective, so that a share under it can be read
    /// from the histogram exactly.
    pub(crate) fn new(thresholds: impl Iterator<Item = Duration>) -> Self {
        let mut bounds: Vec<Duration> = BOUNDS.map(Duration::from_millis).to_vec();
        bounds.extend(thresholds.filter(|threshold| !threshold.is_zero()));
        bounds.sort_unstable();
        bounds.dedup();
        Bounds(bounds)
    }

    pub(crate) fn seconds(&self) -> Vec<f64> {
        self.0.iter().map(Duration::as_secs_f64).collect()
    }
}

/// Counters of one log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) services: BTreeMap<String, Tally>,
    pub(crate) lines: u64,
    /// By the order of [`Malformed::ALL`].
    pub(crate) malformed: [u64; Malformed::ALL.len()],
    pub(crate) missing: u64,
    /// By the order of [`Rotation::ALL`](crate::tail::Rotation).
    pub(crate) rotations: [u64; 3],
    /// Requests that found no room for a series.
    pub(crate) dropped: u64,
    series: usize,
}

/// Counters of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// `(code, index into METHODS, requests)`.
    pub(crate) requests: Vec<(u16, u8, u64)>,
    pub(crate) duration: Histogram,
    pub(crate) upstream: Histogram,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) client_before: u64,
    pub(crate) body_cut: u64,
}

/// A histogram over the ledger's bounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    /// How many fell between a bound and the one before; the last is beyond all bounds.
    pub(crate) buckets: Vec<u64>,
    pub(crate) seconds: f64,
    pub(crate) count: u64,
}

impl Histogram {
    fn observe(&mut self, bounds: &Bounds, duration: Duration) {
        self.buckets.resize(bounds.0.len() + 1, 0);
        let index = bounds.0.partition_point(|bound| *bound < duration);
        self.buckets[index] += 1;
        self.seconds += duration.as_secs_f64();
        self.count += 1;
    }
}

impl Ledger {
    /// Counts a request; at most `max_series` combinations of service, code and method are kept.
    pub(crate) fn add(&mut self, record: &Record<'_>, bounds: &Bounds, max_series: usize) {
        let method = METHODS.iter().position(|known| *known == record.method);
        let method = method.unwrap_or(METHODS.len() - 1) as u8;
        let tally = match self.services.get_mut(&*record.service) {
            Some(tally) => tally,
            None if self.series < max_series => {
                self.services.entry(record.service.to_string()).or_default()
            }
            None => {
                self.dropped += 1;
                return;
            }
        };
        let known = tally.requests.iter_mut().find(|(c, m, _)| (*c, *m) == (record.code, method));
        match known {
            Some((_, _, count)) => *count += 1,
            None if self.series < max_series => {
                tally.requests.push((record.code, method, 1));
                self.series += 1;
            }
            None => self.dropped += 1,
        }
        tally.add(record, bounds);
    }

    /// Histograms over other bounds cannot be continued: they begin anew, counters go on.
    pub(crate) fn forget_histograms(&mut self) {
        for tally in self.services.values_mut() {
            (tally.duration, tally.upstream) = Default::default();
        }
    }
}

impl Tally {
    fn add(&mut self, record: &Record<'_>, bounds: &Bounds) {
        if let Some(duration) = record.duration {
            self.duration.observe(bounds, duration);
        }
        if let Some(upstream) = record.upstream {
            self.upstream.observe(bounds, upstream);
        }
        let add = |sum: &mut u64, bytes: Option<u64>| *sum = sum.saturating_add(bytes.unwrap_or(0));
        add(&mut self.request_bytes, record.request_bytes);
        add(&mut self.response_bytes, record.response_bytes);
        match record.aborted {
            Some(Aborted::ClientBefore) => self.client_before += 1,
            Some(Aborted::BodyCut) => self.body_cut += 1,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(service: &str, method: &str, code: u16) -> Record<'static> {
        Record {
            service: service.to_owned().into(),
            method: method.to_owned().into(),
            code,
            duration: Some(Duration::from_millis(200)),
            response_bytes: Some(u64::MAX),
            ..Record::default()
        }
    }

    fn bounds() -> Bounds {
        Bounds::new([Duration::from_millis(150), Duration::ZERO].into_iter())
    }

    #[test]
    fn requests_are_counted_by_service_code_and_method() {
        let mut ledger = Ledger::default();
        for (service, method, code) in
            [("a", "GET", 200), ("a", "GET", 200), ("a", "BREW", 418), ("a", "STEEP", 418)]
        {
            ledger.add(&record(service, method, code), &bounds(), 10);
        }
        let tally = &ledger.services["a"];
        assert_eq!(tally.requests, [(200, 0, 2), (418, 9, 2)]);
        assert_eq!((tally.response_bytes, ledger.dropped), (u64::MAX, 0), "sums do not wrap");
    }

    #[test]
    fn thresholds_are_bounds_and_belong_to_the_lower_bucket() {
        let bounds = bounds();
        assert!(
            bounds.0.contains(&Duration::from_millis(150)) && !bounds.0.contains(&Duration::ZERO)
        );
        let mut ledger = Ledger::default();
        ledger.add(&record("a", "GET", 200), &bounds, 10);
        let at = bounds.0.iter().position(|b| *b == Duration::from_millis(200)).unwrap();
        assert_eq!(ledger.services["a"].duration.buckets[at], 1);
    }

    #[test]
    fn series_are_bounded() {
        let mut ledger = Ledger::default();
        for n in 0..50 {
            ledger.add(&record(&n.to_string(), "GET", 200), &bounds(), 5);
            ledger.add(&record("0", "GET", 200 + n), &bounds(), 5);
        }
        let series: usize = ledger.services.values().map(|t| t.requests.len()).sum();
        assert_eq!(series, 5);
        let counted: u64 =
            ledger.services.values().flat_map(|t| &t.requests).map(|(_, _, n)| n).sum();
        assert_eq!(counted + ledger.dropped, 100, "nothing goes unnoticed");
    }
}
