//! Which chips there are and what they are called.
//!
//! The number in `hwmon3` depends on the order in which drivers were loaded, so the label is made from the device
//! the chip belongs to. It must not know sensors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::sysfs::Attributes;

/// A chip.
#[derive(Debug)]
pub(super) struct Chip {
    /// The label `chip`.
    pub(super) label: String,
    /// The driver's name, where it has one.
    pub(super) name: Option<String>,
    /// `hwmonN`.
    number: String,
    /// Where its files are: its own directory, and that of its device, where old drivers put them. Those of the
    /// device count where both have one.
    pub(super) directories: Vec<PathBuf>,
}

impl Chip {
    /// The chip `number` of the class; links are resolved, so that each read takes a short way.
    pub(super) fn find(number: &str, path: &Path) -> Option<Self> {
        let own = path.canonicalize().ok()?;
        let device = own.join("device").canonicalize().ok();
        let name = clean(&Attributes::new().text(&own, "name"));
        let from_device = device.as_deref().map(label_of).unwrap_or_default();
        let candidates = [from_device.as_str(), &name, number];
        let label = candidates.into_iter().find(|label| !label.is_empty())?.to_owned();
        Some(Chip {
            label,
            name: (!name.is_empty()).then_some(name),
            number: number.to_owned(),
            directories: [Some(own), device].into_iter().flatten().collect(),
        })
    }
}

/// The last two parts of a device's path: its kind or its parent, and its name.
fn label_of(device: &Path) -> String {
    let part = |path: Option<&Path>| {
        let name = path.and_then(Path::file_name).unwrap_or_default();
        clean(&name.to_string_lossy())
    };
    let (parent, name) = (part(device.parent()), part(Some(device)));
    if parent.is_empty() || name.is_empty() { name } else { format!("{parent}_{name}") }
}

/// Chips of one device would be one: those that share a label get their driver's name behind it, and those that
/// share that too their number.
pub(super) fn tell_apart(chips: &mut [Chip]) {
    lengthen_shared(chips, |chip| chip.name.clone());
    lengthen_shared(chips, |chip| Some(chip.number.clone()));
}

fn lengthen_shared(chips: &mut [Chip], addition: impl Fn(&Chip) -> Option<String>) {
    let mut used: HashMap<String, usize> = HashMap::new();
    for chip in &*chips {
        *used.entry(chip.label.clone()).or_default() += 1;
    }
    for chip in chips {
        if used.get(&chip.label).is_some_and(|count| *count > 1)
            && let Some(addition) = addition(chip)
        {
            chip.label = format!("{}_{addition}", chip.label);
        }
    }
}

/// Lower case, with `_` for what node_exporter does not allow in names.
pub(super) fn clean(name: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ':' || c == '_';
    let lower = name.to_lowercase();
    let replaced: String = lower.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
    replaced.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chips(given: &[(&str, Option<&str>)]) -> Vec<String> {
        let chip = |(at, (label, name)): (usize, &(&str, Option<&str>))| Chip {
            label: (*label).to_owned(),
            name: name.map(str::to_owned),
            number: format!("hwmon{at}"),
            directories: Vec::new(),
        };
        let mut chips: Vec<Chip> = given.iter().enumerate().map(chip).collect();
        tell_apart(&mut chips);
        chips.into_iter().map(|chip| chip.label).collect()
    }

    #[test]
    fn chips_of_one_device_are_told_apart() {
        assert_eq!(chips(&[("a", Some("x")), ("b", Some("x"))]), ["a", "b"]);
        assert_eq!(chips(&[("a", Some("x")), ("a", Some("y"))]), ["a_x", "a_y"]);
        let three = [("a", Some("x")), ("a", Some("x")), ("a", None)];
        assert_eq!(chips(&three), ["a_x_hwmon0", "a_x_hwmon1", "a"]);
        assert_eq!(chips(&[("a", None), ("a", None)]), ["a_hwmon0", "a_hwmon1"]);
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(clean("Power Meter\n"), "power_meter");
        assert_eq!(clean("0000:00:1c.0"), "0000:00:1c_0");
        assert_eq!(clean("_\u{e9}_"), "");
    }

    #[test]
    fn a_label_is_made_from_the_device() {
        let label = |path: &str| label_of(Path::new(path));
        assert_eq!(label("/sys/devices/platform/coretemp.0"), "platform_coretemp_0");
        assert_eq!(label("/x"), "x");
        assert_eq!(label("/"), "");
    }
}
