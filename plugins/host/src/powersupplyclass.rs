//! `powersupplyclass`: batteries, chargers and mains (SYS/class/power_supply).
//!
//! A supply has the attributes its driver knows, and some refuse an answer now and then: each costs its own series
//! only. It must not know units beyond those of the kernel's table, which are data in `powersupplyclass/catalogue.rs`.

use regex::Regex;
use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::attribute::docs;
use crate::sysfs::{Attributes, Device, Devices, entries};

mod catalogue;

use catalogue::ATTRIBUTES;

const IGNORED: &str = "collector.powersupply.ignored-supplies";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("powersupplyclass", "Batteries, chargers and mains.")
        .needs("a battery or power supply that the kernel knows")
        .reads("SYS/class/power_supply")
        .flags(&[FlagDef::text(IGNORED, "^$", "Regular expression of supplies to leave out.")])
        .families(&FAMILIES),
    build: |setting| {
        Ok(Box::new(PowerSupplyClass {
            ignored: setting.flags.regex(IGNORED)?,
            supplies: Devices::new(setting.paths.sys("class/power_supply")),
            attributes: Attributes::new(),
        }))
    },
};

/// Labels of the information that are files; `power_supply` is the device.
const TEXTS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

static INFO: Family<{ TEXTS.len() + 1 }> =
    Family::gauge("node_power_supply_info", "What each supply is and does; always 1.", {
        let mut labels = ["power_supply"; TEXTS.len() + 1];
        let mut i = 0;
        while i < TEXTS.len() {
            labels[i + 1] = TEXTS[i];
            i += 1;
        }
        labels
    });

static FAMILIES: [FamilyDoc; ATTRIBUTES.len() + 1] = docs(&[INFO.doc()], &ATTRIBUTES);

struct PowerSupplyClass {
    ignored: Option<Regex>,
    /// With the names of its files, sorted: a supply has few of the many attributes.
    supplies: Devices<Vec<String>>,
    attributes: Attributes,
}

impl Collector for PowerSupplyClass {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let listed = self.supplies.list(|name, path| {
            let ignored = self.ignored.as_ref().is_some_and(|regex| regex.is_match(name));
            if ignored { None } else { entries(path).ok() }
        });
        listed.map_err(CollectError::missing_is_no_data)?;
        for attribute in &ATTRIBUTES {
            let supplies = self.supplies.iter().filter(|supply| has(supply, attribute.file));
            let supplies = supplies.map(|supply| ([supply.name.as_str()], &*supply.path));
            attribute.emit(&mut self.attributes, supplies, sink);
        }
        let mut info = INFO.open(sink);
        for supply in self.supplies.iter() {
            let texts = TEXTS.map(|file| match has(supply, file) {
                true => self.attributes.text(&supply.path, file),
                false => String::new(),
            });
            let mut values = [supply.name.as_str(); TEXTS.len() + 1];
            for (value, text) in values[1..].iter_mut().zip(&texts) {
                *value = text;
            }
            info.emit(values, true);
        }
        Ok(())
    }
}

fn has(supply: &Device<Vec<String>>, file: &str) -> bool {
    supply.kept.binary_search_by(|known| known.as_str().cmp(file)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn an_attribute_that_gives_no_answer_costs_its_own_series_only() {
        let host = Host::new(&[
            ("sys/class/power_supply/BAT0/type", "Battery\n"),
            ("sys/class/power_supply/BAT0/voltage_now", "12229000\n"),
            ("sys/class/power_supply/BAT0/current_now", "-642000\n"),
            ("sys/class/power_supply/BAT0/temp", "253\n"),
            // Reading a directory fails, as an attribute of a battery that was taken out does.
            ("sys/class/power_supply/BAT0/energy_now/x", ""),
            ("sys/class/power_supply/BAT0/capacity", "\n"),
            ("sys/class/power_supply/hid-mouse/online", "1\n"),
        ])
        .flag(IGNORED, &["^hid-"]);
        let expected = "node_power_supply_current_ampere{power_supply=\"BAT0\"} -0.642\n\
             node_power_supply_temp_celsius{power_supply=\"BAT0\"} 25.3\n\
             node_power_supply_voltage_volt{power_supply=\"BAT0\"} 12.229\n\
             node_power_supply_info{power_supply=\"BAT0\",type=\"Battery\"} 1\n";
        assert_eq!(lines(&host, &DEF), expected);
    }

    #[test]
    fn a_battery_that_is_put_in_again_is_looked_at_anew() {
        let host = Host::new(&[("sys/class/power_supply/BAT0/capacity", "5\n")]);
        let mut collector = host.build(&DEF).unwrap();
        assert!(scrape(&mut *collector).0.starts_with("node_power_supply_capacity"));
        let path = host.dir.path().join("sys/class/power_supply");
        std::fs::rename(path.join("BAT0"), host.dir.path().join("old")).unwrap();
        assert_eq!(scrape(&mut *collector).0, "");
        host.write("sys/class/power_supply/BAT0/present", "1\n");
        assert!(scrape(&mut *collector).0.starts_with("node_power_supply_present"));
    }

    #[test]
    fn a_host_without_the_class_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
