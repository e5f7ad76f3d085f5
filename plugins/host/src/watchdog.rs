//! `watchdog`: the timers that restart a machine that hangs (SYS/class/watchdog).
//!
//! Drivers implement what their hardware can: every attribute is optional. It must not open a watchdog's device,
//! which would start the timer.

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::attribute::{Attribute, Unit, docs};
use crate::sysfs::{Attributes, Devices};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("watchdog", "Watchdog timers.")
        .needs("a watchdog device")
        .reads("SYS/class/watchdog")
        .families(&FAMILIES),
    build: |setting| {
        Ok(Box::new(Watchdog {
            devices: Devices::new(setting.paths.sys("class/watchdog")),
            attributes: Attributes::new(),
        }))
    },
};

const fn attribute(file: &'static str, name: &'static str, help: &'static str) -> Attribute {
    Attribute::new(file, Family::gauge(name, help, ["name"]), Unit::One)
}

/// Documentation/ABI/testing/sysfs-class-watchdog.
static ATTRIBUTES: [Attribute; 7] = [
    attribute(
        "access_cs0",
        "node_watchdog_access_cs0",
        "Whether the machine started from the second flash chip after the watchdog fired.",
    ),
    attribute("bootstatus", "node_watchdog_bootstatus", "Status bits at the last start."),
    attribute("fw_version", "node_watchdog_fw_version", "Version of the watchdog's firmware."),
    attribute(
        "nowayout",
        "node_watchdog_nowayout",
        "Whether the watchdog cannot be stopped once it is started.",
    ),
    attribute(
        "pretimeout",
        "node_watchdog_pretimeout_seconds",
        "Time before the restart at which a warning is given.",
    ),
    attribute("timeleft", "node_watchdog_timeleft_seconds", "Time left before the restart."),
    attribute(
        "timeout",
        "node_watchdog_timeout_seconds",
        "Time without a sign after which it restarts.",
    ),
];

/// Labels of the information that are files; `name` is the device.
const TEXTS: [&str; 5] = ["identity", "options", "pretimeout_governor", "state", "status"];

static INFO: Family<6> = Family::gauge(
    "node_watchdog_info",
    "What each watchdog is; always 1.",
    ["name", TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], TEXTS[4]],
);

static FAMILIES: [FamilyDoc; ATTRIBUTES.len() + 1] = docs(&[INFO.doc()], &ATTRIBUTES);

struct Watchdog {
    devices: Devices<()>,
    attributes: Attributes,
}

impl Collector for Watchdog {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.devices.list(|_, _| Some(())).map_err(CollectError::missing_is_no_data)?;
        for attribute in &ATTRIBUTES {
            let devices = self.devices.iter().map(|each| ([each.name.as_str()], &*each.path));
            attribute.emit(&mut self.attributes, devices, sink);
        }
        let mut info = INFO.open(sink);
        for device in self.devices.iter() {
            let texts = TEXTS.map(|file| self.attributes.text(&device.path, file));
            let [identity, options, governor, state, status] = texts.each_ref().map(String::as_str);
            info.emit([&device.name, identity, options, governor, state, status], true);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn every_attribute_is_optional_and_the_information_is_always_there() {
        let host = Host::new(&[
            ("sys/class/watchdog/watchdog0/timeout", "60\n"),
            ("sys/class/watchdog/watchdog0/timeleft/unreadable", ""),
            ("sys/class/watchdog/watchdog0/identity", "iTCO_wdt\n"),
            ("sys/class/watchdog/watchdog1/dev", "10:130\n"),
        ]);
        let expected = "node_watchdog_timeout_seconds{name=\"watchdog0\"} 60\n\
             node_watchdog_info{name=\"watchdog0\",identity=\"iTCO_wdt\"} 1\n\
             node_watchdog_info{name=\"watchdog1\"} 1\n";
        assert_eq!(lines(&host, &DEF), expected);
    }

    #[test]
    fn a_host_without_the_class_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
