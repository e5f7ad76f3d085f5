//! The files to read at each scrape, by family.
//!
//! Listing is the expensive part and is done rarely; a reading is a path with the labels of its series. It must
//! not know units: those belong to the metric.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::chip::{Chip, clean};
use super::metric::{FileName, Metric, Scale};
use crate::filter::Filter;
use crate::parse;
use crate::sysfs::{entries, read_once};

/// No value of a sensor is longer.
const LONGEST: usize = 128;

/// The files of all chips.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// Each family once, by name.
    pub(super) metrics: Vec<(Metric, Vec<Reading>)>,
    pub(super) labelled: Vec<Labelled>,
}

/// A file, and the labels of its series.
#[derive(Debug)]
pub(super) struct Reading {
    path: PathBuf,
    pub(super) chip: String,
    pub(super) sensor: String,
}

/// A sensor whose driver says what it measures.
#[derive(Debug)]
pub(super) struct Labelled {
    pub(super) chip: String,
    pub(super) sensor: String,
    pub(super) label: String,
}

impl Readings {
    /// Lists the directories of `chips`.
    pub(super) fn list(chips: &[Chip], admitted: &Filter) -> Self {
        let mut list = Lister::default();
        for chip in chips {
            for (sensor, files) in sensors_of(chip) {
                if admitted.admits(&format!("{};{sensor}", chip.label)) {
                    list.add(&chip.label, &sensor, files);
                }
            }
        }
        Readings { metrics: list.metrics.into_values().collect(), labelled: list.labelled }
    }
}

impl Reading {
    /// Nothing when it is no number. One read(2): some drivers answer a second one with an error, or block.
    pub(super) fn value(&self, scale: Scale) -> io::Result<Option<f64>> {
        let mut buffer = [0; LONGEST];
        Ok(scale.value(read_once(&self.path, &mut buffer)?.trim_ascii()))
    }
}

/// The files of a sensor, by property.
#[derive(Default)]
struct Files {
    kind: &'static str,
    by_property: BTreeMap<String, PathBuf>,
}

/// The sensors of a chip, by name; files in a later directory replace those of an earlier one.
fn sensors_of(chip: &Chip) -> BTreeMap<String, Files> {
    let mut sensors: BTreeMap<String, Files> = BTreeMap::new();
    for directory in &chip.directories {
        for name in entries(directory).unwrap_or_default() {
            let path = directory.join(&name);
            // A device has a directory `power`.
            if let Some(parts) = FileName::parse(&name).filter(|_| path.is_file()) {
                let files = sensors.entry(parts.sensor()).or_default();
                files.kind = parts.kind;
                files.by_property.insert(parts.property.to_owned(), path);
            }
        }
    }
    sensors
}

#[derive(Default)]
struct Lister {
    metrics: BTreeMap<String, (Metric, Vec<Reading>)>,
    labelled: Vec<Labelled>,
    /// Family, chip and sensor of every series so far.
    series: HashSet<[String; 3]>,
}

impl Lister {
    fn add(&mut self, chip: &str, sensor: &str, files: Files) {
        let label = files.by_property.get("label").and_then(|path| read_label(path));
        let has_bare = files.by_property.contains_key("");
        for (property, path) in files.by_property {
            let Some(metric) = Metric::of(files.kind, &property, has_bare) else { continue };
            let sensor = match &label {
                Some(label) if metric.is_named_by_label() => clean(label),
                None if metric.is_named_by_label() => continue,
                _ => sensor.to_owned(),
            };
            if self.series.insert([metric.name.clone(), chip.to_owned(), sensor.clone()]) {
                self.add_reading(metric, Reading { path, chip: chip.to_owned(), sensor });
            }
        }
        let (chip, sensor) = (chip.to_owned(), sensor.to_owned());
        self.labelled.extend(label.map(|label| Labelled { chip, sensor, label }));
    }

    fn add_reading(&mut self, metric: Metric, reading: Reading) {
        match self.metrics.entry(metric.name.clone()) {
            Entry::Vacant(entry) => {
                entry.insert((metric, vec![reading]));
            }
            Entry::Occupied(mut entry) => entry.get_mut().1.push(reading),
        }
    }
}

/// A label as the driver wrote it, blanks included.
fn read_label(path: &Path) -> Option<String> {
    let mut buffer = [0; LONGEST];
    let text = read_once(path, &mut buffer).ok()?;
    Some(parse::text(text).trim_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use crate::hwmon::DEF;
    use crate::testing::{Host, lines};

    fn text(files: &[(&str, &str)]) -> String {
        let host = Host::new(&[("sys/class/hwmon/hwmon0/uevent", "")]);
        for (path, text) in files {
            host.write(&format!("sys/class/hwmon/hwmon0/{path}"), text);
        }
        lines(&host, &DEF)
    }

    #[test]
    fn a_frequency_is_named_by_its_label() {
        let text = text(&[
            ("freq1_input", "214000000\n"),
            ("freq1_label", "s clk\n"),
            ("freq2_input", "1\n"),
            ("freq3_input", "5000000\n"),
            ("freq3_label", "s-clk\n"),
        ]);
        assert!(text.contains("node_hwmon_freq_freq_mhz{chip=\"hwmon0\",sensor=\"s_clk\"} 214\n"));
        assert_eq!(
            text.matches("freq_mhz").count(),
            1,
            "no label no series, and none twice: {text}"
        );
    }

    #[test]
    fn a_bare_file_has_the_plain_name() {
        let text = text(&[("fan1", "7\n"), ("fan1_input", "8\n"), ("pwm1", "69\n")]);
        for line in [
            "node_hwmon_fan{chip=\"hwmon0\",sensor=\"fan1\"} 7\n",
            "node_hwmon_fan_input_rpm{chip=\"hwmon0\",sensor=\"fan1\"} 8\n",
            "node_hwmon_pwm{chip=\"hwmon0\",sensor=\"pwm1\"} 69\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn chips_have_switches_and_versions_of_their_own() {
        let text = text(&[("beep_enable", "1\n"), ("vrm", "120\n"), ("update_interval", "1500\n")]);
        for line in [
            "node_hwmon_beep_enabled{chip=\"hwmon0\",sensor=\"beep_enable0\"} 1\n",
            "node_hwmon_voltage_regulator_version{chip=\"hwmon0\",sensor=\"vrm0\"} 120\n",
            "node_hwmon_update_interval_seconds{chip=\"hwmon0\",sensor=\"update_interval0\"} 1.5\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
