//! A page of metrics that others have exposed, ready to be shown again.
//!
//! The families keep their names, types and order, and the lines of a histogram or summary are one
//! metric, so that any sink can take them. It must not know where the page came from.

use crate::metric::{Desc, HistogramView, Kind, MetricSink, Sample, SummaryView, Value};

/// A whole page of metrics; see [`Exposition::parse`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    /// In the order they first occur; none is without metrics.
    pub families: Vec<ExposedFamily>,
}

/// One family of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct ExposedFamily {
    /// Metric name.
    pub name: String,
    /// Help text, unescaped; `None` without a `# HELP` line.
    pub help: Option<String>,
    /// Type; untyped without a `# TYPE` line.
    pub kind: Kind,
    pub(super) metrics: Vec<Metric>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    pub(super) labels: Vec<(String, String)>,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) value: Exposed,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Exposed {
    Number(f64),
    /// Buckets of a histogram, ascending and without the one of infinity.
    Histogram {
        buckets: Vec<(f64, u64)>,
        sum: f64,
        count: u64,
    },
    Summary {
        quantiles: Vec<(f64, f64)>,
        sum: f64,
        count: u64,
    },
}

impl Exposition {
    /// Pushes every family whose name `keep` likes.
    pub fn emit(&self, keep: impl Fn(&str) -> bool, sink: &mut dyn MetricSink) {
        for family in self.families.iter().filter(|family| keep(&family.name)) {
            family.emit(family.help.as_deref().unwrap_or_default(), |_| true, sink);
        }
    }
}

impl ExposedFamily {
    /// Pushes the metrics whose index `keep` likes, under the help text given.
    pub fn emit(&self, help: &str, keep: impl Fn(usize) -> bool, sink: &mut dyn MetricSink) {
        sink.family(&Desc { name: &self.name, help, kind: self.kind });
        let mut labels = Vec::new();
        for (_, metric) in self.metrics.iter().enumerate().filter(|(index, _)| keep(*index)) {
            labels.clear();
            labels.extend(metric.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            metric.emit(&labels, sink);
        }
    }

    /// What tells each metric from the others of the family: its labels, by name, without those
    /// that are empty.
    pub fn identities(&self) -> impl Iterator<Item = Vec<(&str, &str)>> {
        self.metrics.iter().map(|metric| identity(&metric.labels))
    }

    /// Whether the page dictates the time of any sample.
    #[must_use]
    pub fn has_timestamps(&self) -> bool {
        self.metrics.iter().any(|metric| metric.timestamp_ms.is_some())
    }
}

pub(super) fn identity(labels: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut pairs: Vec<_> = pairs.filter(|(_, value)| !value.is_empty()).collect();
    pairs.sort_unstable();
    pairs
}

impl Metric {
    fn emit(&self, labels: &[(&str, &str)], sink: &mut dyn MetricSink) {
        let mut push = |value: Value<'_>| {
            sink.sample(&Sample::new(labels, value).at(self.timestamp_ms));
        };
        match &self.value {
            Exposed::Number(value) => push(number(*value)),
            Exposed::Histogram { buckets, sum, count } => {
                push(Value::Histogram(&HistogramView { buckets, sum: *sum, count: *count }));
            }
            Exposed::Summary { quantiles, sum, count } => {
                push(Value::Summary(&SummaryView { quantiles, sum: *sum, count: *count }));
            }
        }
    }
}

/// Whole numbers stay whole as far as a float tells them apart.
fn number(value: f64) -> Value<'static> {
    let whole = (0.0..9_007_199_254_740_992.0).contains(&value) && value.fract() == 0.0;
    if whole && value.is_sign_positive() { Value::U64(value as u64) } else { Value::F64(value) }
}
