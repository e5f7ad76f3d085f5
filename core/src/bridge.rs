//! The bridge to the `prometheus` crate, both ways.
//!
//! Any `prometheus::Registry` is a collector of ours, and any collector of ours can be registered
//! in one. It is for interoperation, never the hot path; it must not know what is measured.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use prometheus::proto;

use crate::collect::{Bound, CollectError, Collector, CollectorInfo, Scrape};
use crate::metric::{Desc, HistogramView, Kind, MetricSink, Sample, SummaryView, Value};

/// A collector that exposes everything in `registry`.
///
/// ```
/// let registry = prometheus::Registry::new();
/// let info = vigie_core::collect::CollectorInfo::new("service", "The service's own metrics.");
/// let bound = vigie_core::bridge::collector(info, registry);
/// assert_eq!(bound.info.name, "service");
/// ```
#[must_use]
pub fn collector(info: CollectorInfo, registry: prometheus::Registry) -> Bound {
    Bound::new(info, move || Ok(Box::new(Bridged(registry.clone()))))
}

struct Bridged(prometheus::Registry);

impl Collector for Bridged {
    fn collect(&mut self, _scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        write_families(&self.0.gather(), sink);
        Ok(())
    }
}

/// Pushes gathered families into a sink.
pub fn write_families(families: &[proto::MetricFamily], sink: &mut dyn MetricSink) {
    for family in families {
        let kind = kind_of(family.get_field_type());
        sink.family(&Desc { name: family.name(), help: family.help(), kind });
        for metric in family.get_metric() {
            write_metric(metric, kind, sink);
        }
    }
}

const fn kind_of(kind: proto::MetricType) -> Kind {
    match kind {
        proto::MetricType::COUNTER => Kind::Counter,
        proto::MetricType::GAUGE => Kind::Gauge,
        proto::MetricType::SUMMARY => Kind::Summary,
        proto::MetricType::HISTOGRAM => Kind::Histogram,
        proto::MetricType::UNTYPED => Kind::Untyped,
    }
}

fn write_metric(metric: &proto::Metric, kind: Kind, sink: &mut dyn MetricSink) {
    let labels: Vec<(&str, &str)> =
        metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
    // Zero stands for none in this model.
    let timestamp = Some(metric.timestamp_ms()).filter(|&time| time != 0);
    let mut push = |value: Value<'_>| sink.sample(&Sample::new(&labels, value).at(timestamp));
    match kind {
        Kind::Counter => push(Value::F64(metric.get_counter().get_value())),
        Kind::Gauge => push(Value::F64(metric.get_gauge().get_value())),
        Kind::Untyped => {
            // Legal input, though that crate's own encoder panics on it.
            #[allow(deprecated, reason = "the only way to read such a value")]
            push(Value::F64(metric.get_untyped().get_value()));
        }
        Kind::Histogram => {
            let histogram = metric.get_histogram();
            let buckets: Vec<(f64, u64)> = histogram
                .get_bucket()
                .iter()
                .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
                .collect();
            let (sum, count) = (histogram.get_sample_sum(), histogram.get_sample_count());
            push(Value::Histogram(&HistogramView { buckets: &buckets, sum, count }));
        }
        Kind::Summary => {
            let summary = metric.get_summary();
            let quantiles: Vec<(f64, f64)> =
                summary.get_quantile().iter().map(|q| (q.quantile(), q.value())).collect();
            let (sum, count) = (summary.sample_sum(), summary.sample_count());
            push(Value::Summary(&SummaryView { quantiles: &quantiles, sum, count }));
        }
    }
}

/// Puts one of vigie's own metrics into its registry. Names and labels of these are constants, so
/// neither step fails; if registering did, the metric would merely not be shown.
#[cfg(feature = "runtime")]
pub(crate) fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &prometheus::Registry,
    metric: Result<C, prometheus::Error>,
) -> C {
    #[allow(clippy::expect_used, reason = "constant names and labels, made by every test")]
    let metric = metric.expect("constant names are valid");
    if let Err(error) = registry.register(Box::new(metric.clone())) {
        tracing::error!(%error, "cannot register a metric");
    }
    metric
}

/// A collector of ours for a `prometheus::Registry`.
///
/// Its families are those it pushes at each gathering; untyped ones come out as gauges, because
/// that crate's encoder has no untyped. A call has no deadline here: the registry knows none.
pub struct Exported {
    collector: Mutex<Box<dyn Collector>>,
    desc: prometheus::core::Desc,
}

impl Exported {
    /// Wraps a collector; `name` need only be unique in the registry it goes to.
    ///
    /// # Errors
    /// When `name` is no metric name.
    pub fn new(name: &str, collector: Box<dyn Collector>) -> Result<Self, prometheus::Error> {
        let help = "A collector of vigie.".to_owned();
        let desc = prometheus::core::Desc::new(name.to_owned(), help, vec![], Default::default())?;
        Ok(Exported { collector: Mutex::new(collector), desc })
    }
}

impl prometheus::core::Collector for Exported {
    fn desc(&self) -> Vec<&prometheus::core::Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sink = FamilySink::default();
        let scrape = Scrape::new(SystemTime::now(), Instant::now() + Duration::from_secs(3600));
        match catch_unwind(AssertUnwindSafe(|| collector.collect(&scrape, &mut sink))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "collector failed"),
            Err(_) => tracing::warn!("collector panicked"),
        }
        // That crate merges families but refuses ones without a metric.
        sink.families.retain(|family| !family.get_metric().is_empty());
        sink.families
    }
}

/// Builds the other crate's families from samples.
#[derive(Default)]
struct FamilySink {
    families: Vec<proto::MetricFamily>,
    current: usize,
}

impl MetricSink for FamilySink {
    fn family(&mut self, desc: &Desc<'_>) {
        let known = self.families.iter().position(|family| family.name() == desc.name);
        self.current = known.unwrap_or_else(|| {
            let mut family = proto::MetricFamily::default();
            family.set_name(desc.name.to_owned());
            family.set_help(desc.help.to_owned());
            family.set_field_type(match desc.kind {
                Kind::Counter => proto::MetricType::COUNTER,
                Kind::Gauge | Kind::Untyped => proto::MetricType::GAUGE,
                Kind::Histogram => proto::MetricType::HISTOGRAM,
                Kind::Summary => proto::MetricType::SUMMARY,
            });
            self.families.push(family);
            self.families.len() - 1
        });
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let Some(family) = self.families.get_mut(self.current) else { return };
        let mut metric = proto::Metric::default();
        let pairs = sample.labels.iter().map(|(name, value)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        metric.set_label(pairs.collect());
        if let Some(time) = sample.timestamp_ms {
            metric.set_timestamp_ms(time);
        }
        match (sample.value, family.get_field_type()) {
            (Value::Histogram(view), _) => metric.set_histogram(histogram(view)),
            (Value::Summary(view), _) => metric.set_summary(summary(view)),
            (Value::U64(value), kind) => set_number(&mut metric, kind, value as f64),
            (Value::F64(value), kind) => set_number(&mut metric, kind, value),
        }
        family.mut_metric().push(metric);
    }
}

fn set_number(metric: &mut proto::Metric, kind: proto::MetricType, value: f64) {
    if kind == proto::MetricType::COUNTER {
        let mut counter = proto::Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
}

fn histogram(view: &HistogramView<'_>) -> proto::Histogram {
    let mut histogram = proto::Histogram::default();
    let buckets = view.buckets.iter().map(|&(bound, count)| {
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(count);
        bucket
    });
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_sum(view.sum);
    histogram.set_sample_count(view.count);
    histogram
}

fn summary(view: &SummaryView<'_>) -> proto::Summary {
    let mut summary = proto::Summary::default();
    let quantiles = view.quantiles.iter().map(|&(quantile, value)| {
        let mut q = proto::Quantile::default();
        q.set_quantile(quantile);
        q.set_value(value);
        q
    });
    summary.set_quantile(quantiles.collect());
    summary.set_sample_sum(view.sum);
    summary.set_sample_count(view.count);
    summary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Format, TextSink};
    use prometheus::{Encoder, HistogramOpts, TextEncoder};

    #[test]
    fn both_ways_give_the_same_page() {
        let inner = prometheus::Registry::new();
        let counter = prometheus::Counter::new("a_total", "A.").unwrap();
        let took = prometheus::Histogram::with_opts(
            HistogramOpts::new("took_seconds", "Took.").buckets(vec![0.5, 1.0]),
        );
        let took = took.unwrap();
        inner.register(Box::new(counter.clone())).unwrap();
        inner.register(Box::new(took.clone())).unwrap();
        counter.inc_by(2.0);
        took.observe(0.7);

        let outer = prometheus::Registry::new();
        let exported = Exported::new("bridged", Box::new(Bridged(inner.clone()))).unwrap();
        outer.register(Box::new(exported)).unwrap();
        let page = |registry: &prometheus::Registry| {
            let mut out = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(page(&outer), page(&inner));

        let mut sink = TextSink::new(Format::Text);
        write_families(&inner.gather(), &mut sink);
        assert_eq!(String::from_utf8(sink.to_exposition()).unwrap(), page(&inner));
    }
}
