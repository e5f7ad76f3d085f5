//! Where collectors push their samples.
//!
//! One trait, many sinks: text, OpenMetrics, the bridge to the `prometheus` crate, the plugin ABI.
//! A sink must not know which collector speaks, nor fail: what cannot be written is its own worry.

use super::{Desc, Family, Sample, Value};

/// Takes samples. Infallible and object safe; every argument is borrowed for the call only.
pub trait MetricSink {
    /// Makes `desc` the current family. May be called again for a family opened before.
    fn family(&mut self, desc: &Desc<'_>);

    /// Adds a sample to the current family; without one the sample is dropped.
    fn sample(&mut self, sample: &Sample<'_>);
}

/// A family that is current in a sink; see [`Family::open`].
pub struct Opened<'s, const N: usize> {
    family: &'s Family<N>,
    sink: &'s mut dyn MetricSink,
}

impl<'s, const N: usize> Opened<'s, N> {
    pub(super) fn new(family: &'s Family<N>, sink: &'s mut dyn MetricSink) -> Self {
        sink.family(&family.desc());
        Opened { family, sink }
    }

    /// Pushes one sample; `values` are in the order of the family's label names.
    pub fn emit<'a>(&mut self, values: [&'a str; N], value: impl Into<Value<'a>>) {
        self.family.push(self.sink, values, value.into());
    }
}
