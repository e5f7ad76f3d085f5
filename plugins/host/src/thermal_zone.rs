//! `thermal_zone`: temperatures of thermal zones, and how hard the cooling devices work (SYS/class/thermal).
//!
//! A zone of a sleeping device answers with an error, which costs the series of that zone only. It must not know
//! what a zone lies in: the kernel tells its type and no more.

use std::path::Path;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::attribute::{Attribute, Unit, docs};
use crate::sysfs::{Attributes, Devices};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("thermal_zone", "Thermal zones and cooling devices.")
        .needs("thermal zones; virtual machines mostly have none")
        .reads("SYS/class/thermal")
        .families(&FAMILIES),
    build: |setting| {
        Ok(Box::new(ThermalZone {
            devices: Devices::new(setting.paths.sys("class/thermal")),
            attributes: Attributes::new(),
        }))
    },
};

static ZONE: [Attribute<2>; 1] = [Attribute::new(
    "temp",
    Family::gauge(
        "node_thermal_zone_temp",
        "Temperature of each thermal zone, degrees Celsius.",
        ["type", "zone"],
    ),
    Unit::Part(1000.0),
)];

static COOLING: [Attribute<2>; 2] = [
    Attribute::new(
        "cur_state",
        Family::gauge(
            "node_cooling_device_cur_state",
            "How hard each cooling device works, 0 for not at all.",
            ["type", "name"],
        ),
        Unit::One,
    ),
    Attribute::new(
        "max_state",
        Family::gauge(
            "node_cooling_device_max_state",
            "How hard each cooling device can work.",
            ["type", "name"],
        ),
        Unit::One,
    ),
];

static FAMILIES: [FamilyDoc; 3] = {
    let [zone] = docs(&[], &ZONE);
    docs(&[zone], &COOLING)
};

struct ThermalZone {
    devices: Devices<Kept>,
    attributes: Attributes,
}

struct Kept {
    is_zone: bool,
    /// The attribute `type`, and what follows the kind of device in its name.
    labels: [String; 2],
}

impl ThermalZone {
    fn emit(&mut self, are_zones: bool, of: &'static [Attribute<2>], sink: &mut dyn MetricSink) {
        for attribute in of {
            let devices = self.devices.iter().filter(|device| device.kept.is_zone == are_zones);
            let devices = devices
                .map(|each| (each.kept.labels.each_ref().map(String::as_str), each.path.as_path()));
            attribute.emit(&mut self.attributes, devices, sink);
        }
    }
}

impl Collector for ThermalZone {
    /// A host without thermal zones is no failure, not even where the kernel lacks the class.
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.devices.list_any(|name, path| find(name, path, &mut self.attributes))?;
        self.emit(true, &ZONE, sink);
        self.emit(false, &COOLING, sink);
        Ok(())
    }
}

fn find(name: &str, path: &Path, attributes: &mut Attributes) -> Option<Kept> {
    let zone = name.strip_prefix("thermal_zone");
    let number = zone.or_else(|| name.strip_prefix("cooling_device"))?;
    let labels = [attributes.text(path, "type"), number.to_owned()];
    Some(Kept { is_zone: zone.is_some(), labels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines};

    #[test]
    fn an_unreadable_zone_costs_its_own_series_only() {
        let host = Host::new(&[
            ("sys/class/thermal/thermal_zone0/type", "iwlwifi_1\n"),
            // Reading a directory fails, as a zone of a sleeping device does.
            ("sys/class/thermal/thermal_zone0/temp/x", ""),
            ("sys/class/thermal/thermal_zone1/type", "acpitz\n"),
            ("sys/class/thermal/thermal_zone1/temp", "-500\n"),
            ("sys/class/thermal/cooling_device12/type", "Fan\n"),
            ("sys/class/thermal/cooling_device12/cur_state", "3\n"),
        ]);
        let text = lines(&host, &DEF);
        let expected = "node_thermal_zone_temp{type=\"acpitz\",zone=\"1\"} -0.5\n\
             node_cooling_device_cur_state{type=\"Fan\",name=\"12\"} 3\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_host_without_the_class_has_none() {
        assert_eq!(lines(&Host::new(&[]), &DEF), "");
    }
}
