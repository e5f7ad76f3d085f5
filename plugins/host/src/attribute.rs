//! Attributes of sysfs that are metrics: one family each, one series per device that has the file.
//!
//! Collectors list their attributes as data, with the unit in which the kernel prints them. It must not know
//! which devices there are.

use std::path::Path;

use vigie_core::metric::{Family, FamilyDoc, MetricSink, Value};

use crate::sysfs::Attributes;

/// An attribute and its family.
#[derive(Debug)]
pub(crate) struct Attribute<const N: usize = 1> {
    /// The name of the file.
    pub(crate) file: &'static str,
    pub(crate) family: Family<N>,
    unit: Unit,
}

/// What one of a printed number is worth.
///
/// The arithmetic is node_exporter's, to the last bit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    /// As it is.
    One,
    /// So many make one of the family's unit.
    Part(f64),
    /// Nanoseconds that become seconds.
    Nanoseconds,
}

/// Millionths: microvolts, microamperes, microwatts.
pub(crate) const MICRO: Unit = Unit::Part(1e6);

impl Unit {
    fn value(self, number: i64) -> Value<'static> {
        match self {
            Unit::One => number.into(),
            Unit::Part(parts) => (number as f64 / parts).into(),
            Unit::Nanoseconds => (number as f64 * 1e-9).into(),
        }
    }
}

impl<const N: usize> Attribute<N> {
    /// The attribute `file`, shown as `family`.
    pub(crate) const fn new(file: &'static str, family: Family<N>, unit: Unit) -> Self {
        Attribute { file, family, unit }
    }

    /// One series for each device whose file can be read and is a number: labels and directory are given.
    pub(crate) fn emit<'d>(
        &self,
        attributes: &mut Attributes,
        devices: impl Iterator<Item = ([&'d str; N], &'d Path)>,
        sink: &mut dyn MetricSink,
    ) {
        let mut family = self.family.open(sink);
        for (labels, directory) in devices {
            if let Some(number) = attributes.signed(directory, self.file) {
                family.emit(labels, self.unit.value(number));
            }
        }
    }
}

/// The families of a table of attributes behind some others; `ALL` is the number of both.
pub(crate) const fn docs<const ALL: usize, const LABELS: usize>(
    others: &[FamilyDoc],
    attributes: &'static [Attribute<LABELS>],
) -> [FamilyDoc; ALL] {
    let mut all = [attributes[0].family.doc(); ALL];
    let mut i = 0;
    while i < others.len() {
        all[i] = others[i];
        i += 1;
    }
    while i < ALL {
        all[i] = attributes[i - others.len()].family.doc();
        i += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines};

    #[test]
    fn numbers_are_converted_and_what_is_none_costs_its_series_only() {
        let attribute = Attribute::new("v", Family::gauge("x_volts", "", ["device"]), MICRO);
        let host = Host::new(&[("a/v", "-12500000\n"), ("b/v", "n/a\n"), ("c/w", "1\n")]);
        let paths = ["a", "b", "c"].map(|name| (name, host.dir.path().join(name)));
        let devices = paths.iter().map(|(name, path)| ([*name], path.as_path()));
        let mut sink = Lines::default();
        attribute.emit(&mut Attributes::new(), devices, &mut sink);
        assert_eq!(sink.text, "x_volts{device=\"a\"} -12.5\n");
        let seconds = Unit::Nanoseconds.value(8_000_456);
        assert!(
            matches!(seconds, Value::F64(value) if value.to_string() == "0.008000456000000001")
        );
    }
}
