//! What a file of a chip measures (Documentation/hwmon/sysfs-interface.rst).
//!
//! A name such as `temp1_crit_alarm` holds the type of sensor, its number and a property; family, unit and scale
//! follow from type and property. It must not read a value.

use std::borrow::Cow;

use vigie_core::metric::{Desc, Kind};

use super::catalogue;
use super::chip::clean;
use crate::parse;

const TYPES: [&str; 14] = [
    "beep_enable",
    "cpu",
    "curr",
    "energy",
    "fan",
    "freq",
    "humidity",
    "in",
    "intrusion",
    "power",
    "pwm",
    "temp",
    "update_interval",
    "vrm",
];

/// The parts of a file name: `temp1_crit_alarm` is property `crit_alarm` of sensor 1 of type `temp`.
#[derive(Debug, PartialEq)]
pub(super) struct FileName<'n> {
    pub(super) kind: &'static str,
    /// 0 when there is none.
    number: u64,
    /// Empty when there is none.
    pub(super) property: &'n str,
}

impl<'n> FileName<'n> {
    /// Nothing for files that belong to no sensor.
    pub(super) fn parse(name: &'n str) -> Option<Self> {
        let digit = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
        let (kind, rest) = name.split_at_checked(digit)?;
        let kind = TYPES.into_iter().find(|known| *known == kind)?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, rest) = rest.split_at_checked(end)?;
        let property = match rest.strip_prefix('_') {
            Some("") => return None,
            Some(property) => property,
            None if rest.is_empty() => "",
            None => return None,
        };
        let number = if number.is_empty() { 0 } else { parse::number(number.as_bytes())? };
        Some(FileName { kind, number, property })
    }

    /// The label `sensor`.
    pub(super) fn sensor(&self) -> String {
        format!("{}{}", self.kind, self.number)
    }
}

/// A family of which only sensors of one type and property are members.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: String,
    help: Cow<'static, str>,
    kind: Kind,
    pub(super) scale: Scale,
}

/// What one of a printed number is worth; the arithmetic is node_exporter's, to the last bit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    One,
    Thousandths,
    Millionths,
    /// 1 for the text `1`, else 0.
    Switch,
}

impl Metric {
    /// The family of a property of sensors of a type; nothing where there is none. `has_bare` tells that the
    /// sensor has a file without property too, whose family has the plain name then.
    pub(super) fn of(kind: &str, property: &str, has_bare: bool) -> Option<Self> {
        let whole_chip = match (kind, property) {
            ("beep_enable", "") => Some(("beep_enabled", Scale::Switch)),
            ("update_interval", "") => Some(("update_interval_seconds", Scale::Thousandths)),
            ("vrm", "") => Some(("voltage_regulator_version", Scale::One)),
            ("beep_enable" | "update_interval" | "vrm", _) | (_, "label") => return None,
            _ => None,
        };
        let (name, scale) = match whole_chip {
            Some((name, scale)) => (format!("node_hwmon_{name}"), scale),
            None => {
                let (unit, scale) = unit_of(kind, property);
                let property = match property {
                    "" => String::new(),
                    "input" if !has_bare => String::new(),
                    other => format!("_{}", clean(other)),
                };
                (format!("node_hwmon_{kind}{property}{unit}"), scale)
            }
        };
        let help = catalogue::help(&name).map_or_else(
            || format!("What the {kind} sensors say of {property}.").into(),
            Cow::Borrowed,
        );
        let kind = if name.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
        Some(Metric { name, help, kind, scale })
    }

    pub(super) fn desc(&self) -> Desc<'_> {
        Desc { name: &self.name, help: &self.help, kind: self.kind }
    }
}

/// The end of the family's name, and the scale. Alarms of a sensor are plain numbers, those of one of its limits
/// are scaled like the limit.
fn unit_of(kind: &str, property: &str) -> (&'static str, Scale) {
    match (kind, property) {
        (_, "fault" | "alarm") => ("", Scale::One),
        (_, "beep") => ("_enabled", Scale::One),
        ("in" | "cpu", _) => ("_volts", Scale::Thousandths),
        ("temp", "type") => ("", Scale::One),
        ("temp", _) => ("_celsius", Scale::Thousandths),
        ("curr", _) => ("_amps", Scale::Thousandths),
        ("energy", _) => ("_joule_total", Scale::Millionths),
        ("power", "accuracy") => ("", Scale::Millionths),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            ("_seconds", Scale::Thousandths)
        }
        ("power", _) => ("_watt", Scale::Millionths),
        ("humidity", _) => ("", Scale::Millionths),
        ("fan", "input" | "min" | "max" | "target") => ("_rpm", Scale::One),
        ("freq", "input") => (MEGAHERTZ, Scale::Millionths),
        _ => ("", Scale::One),
    }
}

const MEGAHERTZ: &str = "_freq_mhz";

impl Metric {
    /// Frequencies are known by what they are the frequency of, not by the number of their sensor.
    pub(super) fn is_named_by_label(&self) -> bool {
        self.name.ends_with(MEGAHERTZ)
    }
}

impl Scale {
    /// Nothing for text that is no number.
    pub(super) fn value(self, text: &[u8]) -> Option<f64> {
        match self {
            Scale::One => parse::float(text),
            Scale::Thousandths => Some(parse::float(text)? * 0.001),
            Scale::Millionths => Some(parse::float(text)? / 1e6),
            Scale::Switch => Some(if text == b"1" { 1.0 } else { 0.0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_taken_apart() {
        let parts = |name| FileName::parse(name).map(|f| (f.sensor(), f.property.to_owned()));
        for (name, sensor, property) in [
            ("temp1_crit_alarm", "temp1", "crit_alarm"),
            ("in0_input", "in0", "input"),
            ("pwm01", "pwm1", ""),
            ("pwm1_auto_point1_pwm", "pwm1", "auto_point1_pwm"),
            ("beep_enable", "beep_enable0", ""),
            ("update_interval", "update_interval0", ""),
            ("power", "power0", ""),
        ] {
            assert_eq!(parts(name), Some((sensor.to_owned(), property.to_owned())), "{name}");
        }
        for name in
            ["name", "uevent", "temp1x", "temp1_", "power_state", "1", "in\u{661}_input", ""]
        {
            assert_eq!(parts(name), None, "{name}");
        }
        assert_eq!(parts("temp99999999999999999999_input"), None);
    }

    #[test]
    fn units_follow_from_type_and_property() {
        let name = |kind, property| Metric::of(kind, property, false).unwrap().name;
        for (kind, property, expected) in [
            ("temp", "input", "node_hwmon_temp_celsius"),
            ("temp", "crit_alarm", "node_hwmon_temp_crit_alarm_celsius"),
            ("temp", "alarm", "node_hwmon_temp_alarm"),
            ("temp", "type", "node_hwmon_temp_type"),
            ("in", "beep", "node_hwmon_in_beep_enabled"),
            ("power", "average", "node_hwmon_power_average_watt"),
            ("energy", "input", "node_hwmon_energy_joule_total"),
            ("fan", "fault", "node_hwmon_fan_fault"),
            ("pwm", "", "node_hwmon_pwm"),
            ("curr", "Max-X", "node_hwmon_curr_max_x_amps"),
            ("freq", "input", "node_hwmon_freq_freq_mhz"),
            ("freq", "max", "node_hwmon_freq_max"),
        ] {
            assert_eq!(name(kind, property), expected);
        }
        let metric = Metric::of("temp", "input", true).unwrap();
        assert_eq!(
            metric.name, "node_hwmon_temp_input_celsius",
            "the bare file has the plain name"
        );
        assert!(Metric::of("temp", "label", false).is_none());
        assert!(Metric::of("vrm", "x", false).is_none());
    }

    #[test]
    fn numbers_are_scaled() {
        assert_eq!(Scale::Thousandths.value(b"950"), Some(0.950_000_000_000_000_1));
        assert_eq!(Scale::Millionths.value(b"90000"), Some(0.09));
        assert_eq!(Scale::Switch.value(b"2"), Some(0.0));
        assert_eq!(Scale::One.value(b""), None);
    }
}
