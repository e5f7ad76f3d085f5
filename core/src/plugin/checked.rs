//! A sink that believes nothing.
//!
//! Samples of a loaded plugin pass here before they reach the page: names, kinds, label sets,
//! buckets and numbers are checked, what does not fit is dropped and counted. It must not know
//! how samples crossed the boundary.

use std::fmt::Display;

use crate::metric::{
    Desc, HistogramView, Kind, MetricSink, Sample, SummaryView, Value, is_label_name,
    is_metric_name,
};

/// Most labels of one sample.
pub(super) const LABELS: usize = 32;
/// Most buckets or quantiles of one sample.
pub(super) const POINTS: usize = 1_000;
/// Longest text: a help, a label value.
pub(super) const TEXT: usize = 64 << 10;
/// Most samples of one call.
const SAMPLES: u64 = 1_000_000;

/// Checks what passes on to another sink.
pub(super) struct Checked<'s> {
    sink: &'s mut dyn MetricSink,
    /// The kind of the current family, when it was taken.
    kind: Option<Kind>,
    taken: u64,
    refused: u64,
    first: Option<String>,
}

impl<'s> Checked<'s> {
    pub(super) fn new(sink: &'s mut dyn MetricSink) -> Self {
        Checked { sink, kind: None, taken: 0, refused: 0, first: None }
    }

    /// Counts something that could not even be read.
    pub(super) fn refuse(&mut self, why: impl Display) {
        self.refused += 1;
        self.first.get_or_insert_with(|| why.to_string());
    }

    /// Ends the current family, when the next one could not even be read.
    pub(super) fn no_family(&mut self) {
        self.kind = None;
    }

    /// What was refused, in one line; `None` when nothing was.
    pub(super) fn complaint(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(format!("{} samples or families refused, the first for {first}", self.refused))
    }
}

impl MetricSink for Checked<'_> {
    fn family(&mut self, desc: &Desc<'_>) {
        self.kind = None;
        if is_metric_name(desc.name) {
            self.kind = Some(desc.kind);
            self.sink.family(desc);
        } else {
            self.refuse(format_args!("the metric name {:?}", short(desc.name)));
        }
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let Some(kind) = self.kind else {
            return self.refuse("a sample without a family");
        };
        if self.taken >= SAMPLES {
            return self.refuse(format_args!("more than {SAMPLES} samples"));
        }
        match check(sample, kind) {
            Ok(()) => {
                self.taken += 1;
                self.sink.sample(sample);
            }
            Err(why) => self.refuse(why),
        }
    }
}

fn check(sample: &Sample<'_>, kind: Kind) -> Result<(), String> {
    check_labels(sample.labels, kind)?;
    Ok(check_value(&sample.value, kind)?)
}

fn check_labels(labels: &[(&str, &str)], kind: Kind) -> Result<(), String> {
    let own = match kind {
        Kind::Histogram => "le",
        Kind::Summary => "quantile",
        _ => "",
    };
    for (at, (name, _)) in labels.iter().enumerate() {
        if !is_label_name(name) || name.starts_with("__") || *name == own {
            return Err(format!("the label name {:?}", short(name)));
        }
        if labels.iter().take(at).any(|(earlier, _)| earlier == name) {
            return Err(format!("the label {:?} twice", short(name)));
        }
    }
    Ok(())
}

fn check_value(value: &Value<'_>, kind: Kind) -> Result<(), &'static str> {
    match (value, kind) {
        (Value::Histogram(view), Kind::Histogram) => check_buckets(view),
        (Value::Summary(view), Kind::Summary) => check_quantiles(view),
        (Value::U64(_) | Value::F64(_), Kind::Counter | Kind::Gauge | Kind::Untyped) => Ok(()),
        _ => Err("a value of another kind than its family"),
    }
}

fn check_buckets(view: &HistogramView<'_>) -> Result<(), &'static str> {
    let finite = view.buckets.iter().all(|(bound, _)| bound.is_finite());
    let ascending = view.buckets.windows(2).all(|pair| match pair {
        [(low, fewer), (high, more)] => low < high && fewer <= more,
        _ => true,
    });
    let counted = view.buckets.last().is_none_or(|(_, count)| *count <= view.count);
    if finite && ascending && counted { Ok(()) } else { Err("buckets that do not ascend") }
}

fn check_quantiles(view: &SummaryView<'_>) -> Result<(), &'static str> {
    let fit = view.quantiles.iter().all(|(quantile, _)| (0.0..=1.0).contains(quantile));
    if fit { Ok(()) } else { Err("a quantile outside 0..=1") }
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(usize, usize);

    impl MetricSink for Count {
        fn family(&mut self, _: &Desc<'_>) {
            self.0 += 1;
        }

        fn sample(&mut self, _: &Sample<'_>) {
            self.1 += 1;
        }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_said() {
        let mut count = Count::default();
        let mut sink = Checked::new(&mut count);
        let one = |labels| Sample::new(labels, Value::U64(1));
        sink.sample(&one(&[]));
        sink.family(&Desc { name: "a-b", help: "", kind: Kind::Gauge });
        sink.sample(&one(&[]));
        sink.family(&Desc { name: "a", help: "", kind: Kind::Gauge });
        sink.sample(&one(&[("x", "1"), ("y", "1")]));
        sink.sample(&one(&[("x", "1"), ("x", "2")]));
        sink.sample(&one(&[("__name__", "b")]));
        let histogram = HistogramView { buckets: &[(1.0, 1)], sum: 1.0, count: 1 };
        sink.sample(&Sample::new(&[], Value::Histogram(&histogram)));
        sink.family(&Desc { name: "h", help: "", kind: Kind::Histogram });
        sink.sample(&Sample::new(&[], Value::Histogram(&histogram)));
        sink.sample(&Sample::new(&[("le", "1")], Value::Histogram(&histogram)));
        for buckets in [&[(2.0, 1), (1.0, 1)][..], &[(1.0, 2)], &[(f64::NAN, 1)]] {
            let bad = HistogramView { buckets, ..histogram };
            sink.sample(&Sample::new(&[], Value::Histogram(&bad)));
        }
        let complaint = sink.complaint().unwrap();
        assert!(complaint.starts_with("10 samples") && complaint.contains("without a family"));
        assert_eq!((count.0, count.1), (2, 2));
    }
}
