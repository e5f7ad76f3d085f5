//! `rapl`: energy that packages, cores and memory have used (SYS/class/powercap).
//!
//! The kernel's counters wrap, at `max_energy_range_uj`, as counters that restart do. It must not know which zones
//! there are: their names become metric names, or a label when asked to.

use std::collections::HashMap;
use std::io::ErrorKind;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Desc, Family, Kind, MetricSink, Sample};

use crate::parse;
use crate::sysfs::{Attributes, Devices};

const ZONE_LABEL: &str = "collector.rapl.enable-zone-label";

const HELP: &str = "Energy that each zone of this name has used.";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("rapl", "Energy used by the processor packages, cores and memory.")
        .needs("a CPU that counts its energy, and root: only root may read energy_uj")
        .reads("SYS/class/powercap/*/{name,energy_uj}")
        .flags(&[FlagDef::switch(
            ZONE_LABEL,
            false,
            "Export node_rapl_joules_total with the zone as a label, instead of a family per zone.",
        )])
        .families(&[PACKAGE.doc(), CORE.doc(), LABELLED.doc()]),
    build: |setting| Ok(Box::new(Rapl::new(setting))),
};

// The zones that nearly every processor has; others get families of the same shape.
static PACKAGE: Family<2> =
    Family::counter("node_rapl_package_joules_total", HELP, ["index", "path"]);
static CORE: Family<2> = Family::counter("node_rapl_core_joules_total", HELP, ["index", "path"]);
static LABELLED: Family<3> = Family::counter(
    "node_rapl_joules_total",
    "Energy that each zone has used.",
    ["index", "path", "rapl_zone"],
);

struct Rapl {
    zone_label: bool,
    /// The attribute `name` of each zone.
    devices: Devices<String>,
    /// One for each device.
    zones: Vec<Zone>,
    attributes: Attributes,
}

/// How a zone is shown.
#[derive(Debug, PartialEq)]
struct Zone {
    name: String,
    index: String,
    family: String,
}

impl Rapl {
    fn new(setting: &Setting) -> Self {
        Rapl {
            zone_label: setting.flags.switch(ZONE_LABEL),
            devices: Devices::new(setting.paths.sys("class/powercap")),
            zones: Vec::new(),
            attributes: Attributes::new(),
        }
    }
}

impl Collector for Rapl {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let changed = self.devices.list(|_, path| {
            // Control types have a directory too, without a name.
            self.attributes.optional(path, "name").map(|name| parse::text(name).into_owned())
        });
        if changed.map_err(CollectError::missing_is_no_data)? {
            self.zones = name_zones(self.devices.iter().map(|device| device.kept.as_str()));
        }
        let mut refused = None;
        for (device, zone) in self.devices.iter().zip(&self.zones) {
            let energy = match self.attributes.read(&device.path, "energy_uj") {
                Ok(text) => parse::number(text),
                Err(error) => {
                    if error.kind() == ErrorKind::PermissionDenied {
                        refused = Some(&device.path);
                    }
                    None
                }
            };
            if let Some(microjoules) = energy {
                let joules = microjoules as f64 / 1e6;
                zone.emit(&device.path.to_string_lossy(), joules, self.zone_label, sink);
            }
        }
        match refused {
            Some(path) => {
                Err(CollectError::no_data(format!("{}/energy_uj is for root only", path.display())))
            }
            None => Ok(()),
        }
    }
}

impl Zone {
    fn emit(&self, path: &str, joules: f64, zone_label: bool, sink: &mut dyn MetricSink) {
        if zone_label {
            LABELLED.emit(sink, [&self.index, path, &self.name], joules);
        } else {
            sink.family(&Desc { name: &self.family, help: HELP, kind: Kind::Counter });
            let labels = [("index", self.index.as_str()), ("path", path)];
            sink.sample(&Sample::new(&labels, joules.into()));
        }
    }
}

/// Zones called `package-1` are number 1 of `package`; one without a number follows the one of its name before it, in
/// the order of their directories.
fn name_zones<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Zone> {
    let mut used: HashMap<&str, u64> = HashMap::new();
    let zones = names.map(|whole| {
        let numbered = whole.split_once('-');
        let numbered = numbered.and_then(|(name, at)| Some((name, parse::number(at.as_bytes())?)));
        let (name, index) =
            numbered.unwrap_or_else(|| (whole, used.get(whole).copied().unwrap_or_default()));
        used.insert(name, index.saturating_add(1));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        Zone {
            name: name.to_owned(),
            index: index.to_string(),
            family: format!("node_rapl_{plain}_joules_total"),
        }
    });
    zones.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn zones_get_their_number_from_the_name_or_by_counting() {
        let names =
            ["package-0", "core", "package-1", "core", "package", "package-0-die-1", "psys"];
        let zones = name_zones(names.into_iter());
        let shown: Vec<_> = zones.iter().map(|z| (&*z.name, &*z.index, &*z.family)).collect();
        assert_eq!(
            shown,
            [
                ("package", "0", "node_rapl_package_joules_total"),
                ("core", "0", "node_rapl_core_joules_total"),
                ("package", "1", "node_rapl_package_joules_total"),
                ("core", "1", "node_rapl_core_joules_total"),
                ("package", "2", "node_rapl_package_joules_total"),
                ("package-0-die-1", "0", "node_rapl_package_0_die_1_joules_total"),
                ("psys", "0", "node_rapl_psys_joules_total"),
            ]
        );
    }

    #[test]
    fn an_unreadable_zone_costs_its_own_series_only() {
        let host = Host::new(&[
            ("sys/class/powercap/intel-rapl/enabled", "1\n"),
            ("sys/class/powercap/intel-rapl:0/name", "package-0\n"),
            ("sys/class/powercap/intel-rapl:0/energy_uj/x", ""),
            ("sys/class/powercap/intel-rapl:1/name", "package-1\n"),
            ("sys/class/powercap/intel-rapl:1/energy_uj", "1500000\n"),
        ]);
        let path = host.path("sys/class/powercap/intel-rapl:1");
        assert_eq!(
            lines(&host, &DEF),
            format!("node_rapl_package_joules_total{{index=\"1\",path=\"{path}\"}} 1.5\n")
        );
        let host = host.flag(ZONE_LABEL, &["true"]);
        assert!(lines(&host, &DEF).ends_with("rapl_zone=\"package\"} 1.5\n"));
    }

    #[test]
    fn a_host_without_powercap_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
