//! One sample, borrowed from wherever its parts lie.
//!
//! Samples are never stored in this form: a sink turns them into bytes, points or foreign types at
//! once, which is why nothing here owns memory. It must not know the family it belongs to.

/// One sample of the family that was opened last.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sample<'a> {
    /// Label pairs; an empty value is the same as an absent label.
    pub labels: &'a [(&'a str, &'a str)],
    /// The value.
    pub value: Value<'a>,
    /// Unix milliseconds, only where the source dictates them (bridged registries).
    pub timestamp_ms: Option<i64>,
}

impl<'a> Sample<'a> {
    /// A sample without a timestamp.
    #[must_use]
    pub const fn new(labels: &'a [(&'a str, &'a str)], value: Value<'a>) -> Self {
        Sample { labels, value, timestamp_ms: None }
    }

    /// The same sample at a given time.
    #[must_use]
    pub const fn at(mut self, timestamp_ms: Option<i64>) -> Self {
        self.timestamp_ms = timestamp_ms;
        self
    }
}

/// The value of a sample.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A whole number, printed exactly.
    U64(u64),
    /// A float, printed in the shortest form that reads back equal.
    F64(f64),
    /// A histogram.
    Histogram(&'a HistogramView<'a>),
    /// A summary.
    Summary(&'a SummaryView<'a>),
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Value::U64(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Value::U64(value.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::U64(value.into())
    }
}

impl From<i64> for Value<'_> {
    // Exact up to 2^53, as everywhere in the Prometheus data model.
    fn from(value: i64) -> Self {
        u64::try_from(value).map_or(Value::F64(value as f64), Value::U64)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Value::F64(value)
    }
}

impl<'a> From<&'a HistogramView<'a>> for Value<'a> {
    fn from(value: &'a HistogramView<'a>) -> Self {
        Value::Histogram(value)
    }
}

/// A histogram as it is exposed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistogramView<'a> {
    /// `(upper bound, cumulative count)`, ascending; the `+Inf` bucket is `count` and not listed.
    pub buckets: &'a [(f64, u64)],
    /// Sum of all observations.
    pub sum: f64,
    /// Number of all observations.
    pub count: u64,
}

/// A summary as it is exposed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SummaryView<'a> {
    /// `(quantile in 0..=1, value)`.
    pub quantiles: &'a [(f64, f64)],
    /// Sum of all observations.
    pub sum: f64,
    /// Number of all observations.
    pub count: u64,
}
