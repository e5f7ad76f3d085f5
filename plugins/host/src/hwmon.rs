//! `hwmon`: voltages, fans, temperatures, currents and power of hardware monitors (SYS/class/hwmon).
//!
//! Hundreds of files on a large server, so directories are listed only when the chips change, when a file vanished,
//! and once a minute for drivers that add sensors later; in between each number is one open, one read and one
//! close. It must not know chips: names and units follow from the names of the files.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, MetricSink, Sample};

use crate::filter::Filter;
use crate::sysfs::Devices;

mod catalogue;
mod chip;
mod metric;
mod reading;

use chip::Chip;
use reading::Readings;

const CHIP_INCLUDE: &str = "collector.hwmon.chip-include";
const CHIP_EXCLUDE: &str = "collector.hwmon.chip-exclude";
const SENSOR_INCLUDE: &str = "collector.hwmon.sensor-include";
const SENSOR_EXCLUDE: &str = "collector.hwmon.sensor-exclude";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("hwmon", "Sensors of hardware monitors.").needs("sensors with a driver; virtual machines mostly have none")
        .reads("SYS/class/hwmon")
        .flags(&[
            FlagDef::text(
                CHIP_INCLUDE,
                "",
                "Regular expression of chips to export; not with chip-exclude.",
            ),
            FlagDef::text(
                CHIP_EXCLUDE,
                "",
                "Regular expression of chips to leave out; not with chip-include.",
            ),
            FlagDef::text(
                SENSOR_INCLUDE,
                "",
                "Regular expression of sensors to export, matched against CHIP;SENSOR; not with sensor-exclude.",
            ),
            FlagDef::text(
                SENSOR_EXCLUDE,
                "",
                "Regular expression of sensors to leave out, matched against CHIP;SENSOR; not with sensor-include.",
            ),
        ])
        .families(&catalogue::FAMILIES),
    build: |setting| Ok(Box::new(Hwmon::build(setting)?)),
};

static CHIP_NAMES: Family<2> = Family::gauge(
    "node_hwmon_chip_names",
    "The driver's name of each chip; always 1.",
    ["chip", "chip_name"],
);
static SENSOR_LABEL: Family<3> = Family::gauge(
    "node_hwmon_sensor_label",
    "What each sensor measures, where the driver knows; always 1.",
    ["chip", "sensor", "label"],
);

/// Drivers may add sensors to a chip that is there already, as coretemp does for CPUs that come online.
const LISTED_FOR: Duration = Duration::from_secs(60);

struct Hwmon {
    chips: Filter,
    sensors: Filter,
    devices: Devices<()>,
    listing: Option<Listing>,
}

/// Everything to read, as found at some time.
struct Listing {
    at: SystemTime,
    chips: Vec<Chip>,
    readings: Readings,
}

impl Hwmon {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        Ok(Hwmon {
            chips: Filter::from_flags(&setting.flags, CHIP_INCLUDE, CHIP_EXCLUDE)?,
            sensors: Filter::from_flags(&setting.flags, SENSOR_INCLUDE, SENSOR_EXCLUDE)?,
            devices: Devices::new(setting.paths.sys("class/hwmon")),
            listing: None,
        })
    }

    fn list(&self, at: SystemTime) -> Listing {
        let mut chips: Vec<Chip> = self
            .devices
            .iter()
            .filter_map(|device| Chip::find(&device.name, &device.path))
            .collect();
        chip::tell_apart(&mut chips);
        chips.retain(|chip| self.chips.admits(&chip.label));
        let readings = Readings::list(&chips, &self.sensors);
        Listing { at, chips, readings }
    }
}

impl Collector for Hwmon {
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let listed = self.devices.list(|_, _| Some(()));
        let changed = listed.map_err(CollectError::missing_is_no_data)?;
        let listing = match self.listing.take() {
            Some(listing) if !changed && listing.is_fresh(scrape.now) => listing,
            _ => self.list(scrape.now),
        };
        let vanished = listing.emit(sink);
        self.listing = (!vanished).then_some(listing);
        Ok(())
    }
}

impl Listing {
    /// A clock that was set back makes it old too.
    fn is_fresh(&self, now: SystemTime) -> bool {
        now.duration_since(self.at).is_ok_and(|age| age < LISTED_FOR)
    }

    /// Tells whether a file was not there any more.
    fn emit(&self, sink: &mut dyn MetricSink) -> bool {
        let mut names = CHIP_NAMES.open(sink);
        for chip in &self.chips {
            if let Some(name) = &chip.name {
                names.emit([&chip.label, name], true);
            }
        }
        let mut labels = SENSOR_LABEL.open(sink);
        for sensor in &self.readings.labelled {
            labels.emit([&sensor.chip, &sensor.sensor, &sensor.label], true);
        }
        let mut vanished = false;
        for (metric, readings) in &self.readings.metrics {
            sink.family(&metric.desc());
            for reading in readings {
                match reading.value(metric.scale) {
                    Ok(Some(value)) => {
                        let labels = [("chip", &*reading.chip), ("sensor", &*reading.sensor)];
                        sink.sample(&Sample::new(&labels, value.into()));
                    }
                    Ok(None) => {}
                    // A chip may sleep, and a sensor be broken: that costs its own series only.
                    Err(error) => vanished |= error.kind() == ErrorKind::NotFound,
                }
            }
        }
        vanished
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines, lines, scrape};
    use std::os::unix::fs::symlink;
    use std::time::Instant;

    const CHIP: &str = "sys/class/hwmon/hwmon0";

    fn host() -> Host {
        Host::new(&[
            ("sys/class/hwmon/hwmon0/name", "k10temp\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "41250\n"),
            ("sys/class/hwmon/hwmon0/temp1_label", " Tctl\n"),
            ("sys/class/hwmon/hwmon0/temp2_input", "n/a\n"),
            ("sys/class/hwmon/hwmon0/fan1_input", "0\n"),
        ])
    }

    #[test]
    fn a_sensor_without_a_number_costs_its_own_series_only() {
        let expected = "node_hwmon_chip_names{chip=\"k10temp\",chip_name=\"k10temp\"} 1\n\
             node_hwmon_sensor_label{chip=\"k10temp\",sensor=\"temp1\",label=\" Tctl\"} 1\n\
             node_hwmon_fan_rpm{chip=\"k10temp\",sensor=\"fan1\"} 0\n\
             node_hwmon_temp_celsius{chip=\"k10temp\",sensor=\"temp1\"} 41.25\n";
        assert_eq!(lines(&host(), &DEF), expected);
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }

    #[test]
    fn filters_choose_chips_and_sensors() {
        let host = host();
        host.write("sys/class/hwmon/hwmon1/name", "nvme\n");
        host.write("sys/class/hwmon/hwmon1/temp1_input", "1000\n");
        let host = host.flag(CHIP_EXCLUDE, &["^nvme$"]).flag(SENSOR_INCLUDE, &["^k10temp;fan"]);
        let text = lines(&host, &DEF);
        assert!(!text.contains("nvme") && !text.contains("temp1"), "{text}");
        assert!(text.contains("node_hwmon_fan_rpm{chip=\"k10temp\",sensor=\"fan1\"} 0\n"));
        let host = host.flag(CHIP_INCLUDE, &["x"]);
        assert!(host.build(&DEF).err().unwrap().contains("cannot go with"));
    }

    #[test]
    fn files_beside_the_device_count_and_the_device_names_the_chip() {
        let host = Host::new(&[
            ("sys/devices/platform/applesmc.768/fan1_input", "2000\n"),
            ("sys/devices/platform/applesmc.768/power/control", "auto\n"),
            ("sys/devices/platform/applesmc.768/hwmon/hwmon0/fan1_input", "7\n"),
        ]);
        let root = host.dir.path().join("sys");
        std::fs::create_dir_all(root.join("class/hwmon")).unwrap();
        let chip = "devices/platform/applesmc.768/hwmon/hwmon0";
        symlink(format!("../../{chip}"), root.join("class/hwmon/hwmon0")).unwrap();
        symlink("../../../applesmc.768", root.join(chip).join("device")).unwrap();
        let expected = "node_hwmon_fan_rpm{chip=\"platform_applesmc_768\",sensor=\"fan1\"} 2000\n";
        assert_eq!(lines(&host, &DEF), expected);
    }

    #[test]
    fn a_listing_is_made_anew_when_a_file_vanished_and_once_a_minute() {
        let host = host();
        let mut collector = host.build(&DEF).unwrap();
        let start = SystemTime::UNIX_EPOCH;
        let mut at = |second| {
            let mut sink = Lines::default();
            let deadline = Instant::now() + LISTED_FOR;
            let now = start + Duration::from_secs(second);
            collector.collect(&Scrape::new(now, deadline), &mut sink).unwrap();
            sink.text
        };
        assert!(at(0).contains("sensor=\"temp1\"} 41.25\n"));
        host.write("sys/class/hwmon/hwmon0/temp3_input", "3000\n");
        assert!(!at(15).contains("temp3"), "the listing is kept");
        std::fs::remove_file(host.dir.path().join(CHIP).join("fan1_input")).unwrap();
        let text = at(30);
        assert!(!text.contains("fan1") && !text.contains("temp3"), "{text}");
        assert!(at(31).contains("sensor=\"temp3\"} 3\n"), "a file had vanished");
        host.write("sys/class/hwmon/hwmon0/temp4_input", "4000\n");
        assert!(!at(60).contains("temp4") && at(91).contains("temp4"));
        host.write("sys/class/hwmon/hwmon1/temp1_input", "5000\n");
        assert!(at(92).contains("chip=\"hwmon1\",sensor=\"temp1\"} 5\n"), "another chip");
    }
}
