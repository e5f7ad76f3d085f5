//! A metric family as its author declares it.
//!
//! A family carries the number of its labels in its type, so that a sample with one too many does
//! not compile. It must not know values: those live in samples only.

use super::{Kind, MetricSink, Opened, Sample, Value};

/// A family with a fixed set of label names, meant to be a `static`.
///
/// ```
/// use vigie_core::metric::Family;
/// static READS: Family<1> =
///     Family::counter("node_disk_reads_completed_total", "Reads completed.", ["device"]);
/// assert_eq!(READS.doc().labels, ["device"]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Family<const N: usize = 0> {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    labels: [&'static str; N],
}

impl<const N: usize> Family<N> {
    /// A family of any kind.
    #[must_use]
    pub const fn new(
        kind: Kind,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        Family { name, help, kind, labels }
    }

    /// A counter.
    #[must_use]
    pub const fn counter(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        Self::new(Kind::Counter, name, help, labels)
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self::new(Kind::Gauge, name, help, labels)
    }

    /// A histogram; `le` is not among `labels`.
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        Self::new(Kind::Histogram, name, help, labels)
    }

    /// A family without a type, as node_exporter has some.
    #[must_use]
    pub const fn untyped(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Self {
        Self::new(Kind::Untyped, name, help, labels)
    }

    /// Name, help and kind, as a sink takes them.
    #[must_use]
    pub const fn desc(&self) -> Desc<'static> {
        Desc { name: self.name, help: self.help, kind: self.kind }
    }

    /// What the documentation says of this family.
    #[must_use]
    pub const fn doc(&'static self) -> FamilyDoc {
        FamilyDoc { name: self.name, help: self.help, kind: self.kind, labels: &self.labels }
    }

    /// Pushes one sample into `sink`; to push many, [open](MetricSink) the family once.
    pub fn emit<'a>(
        &self,
        sink: &mut dyn MetricSink,
        values: [&'a str; N],
        value: impl Into<Value<'a>>,
    ) {
        sink.family(&self.desc());
        self.push(sink, values, value.into());
    }

    /// Makes this the current family of `sink` and returns a handle that takes its samples.
    pub fn open<'s>(&'s self, sink: &'s mut dyn MetricSink) -> Opened<'s, N> {
        Opened::new(self, sink)
    }

    pub(super) fn push(&self, sink: &mut dyn MetricSink, values: [&str; N], value: Value<'_>) {
        let labels: [(&str, &str); N] = std::array::from_fn(|i| (self.labels[i], values[i]));
        sink.sample(&Sample::new(&labels, value));
    }
}

/// Name, help and kind of a family, borrowed: what a sink is told before samples come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Desc<'a> {
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    pub name: &'a str,
    /// One sentence for people, unescaped.
    pub help: &'a str,
    /// The kind.
    pub kind: Kind,
}

/// A family as listed in the documentation and in [`CollectorInfo`](crate::collect::CollectorInfo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyDoc {
    /// Metric name.
    pub name: &'static str,
    /// Help text.
    pub help: &'static str,
    /// The kind.
    pub kind: Kind,
    /// Label names in the order they are written.
    pub labels: &'static [&'static str],
}
