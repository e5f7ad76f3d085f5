//! `ethtool`: drivers of network interfaces, their own statistics, and what links they can make (ioctl SIOCETHTOOL).
//!
//! What a driver does not support is left out. It must not know how a question is put: that is `query`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use regex::Regex;
use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Desc, Family, FamilyDoc, Kind, MetricSink, Opened, Sample, Value};

use crate::filter::Filter;
use crate::namespace::Namespace;
use crate::sysfs::entries;

mod mode;
mod query;
mod statistic;

use mode::{CAPABILITIES, MODES, PORTS};
use query::{Asker, Driver, Link, Modes};
use statistic::{KNOWN, by_family};

const INCLUDE: &str = "collector.ethtool.device-include";
const EXCLUDE: &str = "collector.ethtool.device-exclude";
const METRICS: &str = "collector.ethtool.metrics-include";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new(
        "ethtool",
        "Drivers, statistics and link modes of network interfaces.",
    )
    .reads("SYS/class/net, ioctl SIOCETHTOOL")
    .off_by_default()
    .flags(&[
        FlagDef::text(
            INCLUDE,
            "",
            "Regular expression of interfaces to export; not with device-exclude.",
        ),
        FlagDef::text(
            EXCLUDE,
            "",
            "Regular expression of interfaces to leave out; not with device-include.",
        ),
        FlagDef::text(METRICS, ".*", "Regular expression of statistics to export."),
    ])
    .families(&FAMILIES),
    build: |setting| Ok(Box::new(Ethtool::build(setting)?)),
};

static INFO: Family<6> = Family::gauge(
    "node_ethtool_info",
    "The driver of each interface; always 1.",
    ["bus_info", "device", "driver", "expansion_rom_version", "firmware_version", "version"],
);
static PORT: Family<2> = Family::gauge(
    "node_network_supported_port_info",
    "Ports each interface has; always 1.",
    ["device", "type"],
);
static AUTONEGOTIATE: Family<1> = Family::gauge(
    "node_network_autonegotiate",
    "Whether the interface negotiates its speed.",
    ["device"],
);
static SUPPORTED: Family<3> = Family::gauge(
    "node_network_supported_speed_bytes",
    "Speeds the interface can have, in bytes per second.",
    ["device", "duplex", "mode"],
);
static ADVERTISED: Family<3> = Family::gauge(
    "node_network_advertised_speed_bytes",
    "Speeds the interface offers, in bytes per second.",
    ["device", "duplex", "mode"],
);

static FAMILIES: [FamilyDoc; 5 + 2 * CAPABILITIES.len() + KNOWN.len()] = {
    let mut all = [INFO.doc(); 5 + 2 * CAPABILITIES.len() + KNOWN.len()];
    all[1] = PORT.doc();
    all[2] = AUTONEGOTIATE.doc();
    all[3] = SUPPORTED.doc();
    all[4] = ADVERTISED.doc();
    let mut i = 0;
    while i < CAPABILITIES.len() {
        all[5 + 2 * i] = CAPABILITIES[i].supported.doc();
        all[6 + 2 * i] = CAPABILITIES[i].advertised.doc();
        i += 1;
    }
    let mut j = 0;
    while j < KNOWN.len() {
        all[5 + 2 * i + j] = KNOWN[j].1.doc();
        j += 1;
    }
    all
};

struct Ethtool {
    directory: PathBuf,
    namespace: Namespace,
    asker: Option<Asker>,
    filter: Filter,
    statistics: Option<Regex>,
}

/// What is known of an interface.
struct Device {
    name: String,
    driver: Option<Driver>,
    link: Option<Link>,
    statistics: BTreeMap<String, u64>,
}

impl Ethtool {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        Ok(Ethtool {
            directory: setting.paths.sys("class/net"),
            namespace: Namespace::most_likely(&setting.paths),
            asker: None,
            filter: Filter::from_flags(&setting.flags, INCLUDE, EXCLUDE)?,
            statistics: setting.flags.regex(METRICS)?,
        })
    }

    /// Asks for all interfaces; what fails for another reason than being unsupported is the error.
    fn devices(&mut self) -> Result<(Vec<Device>, Result<(), CollectError>), CollectError> {
        let mut names = entries(&self.directory).map_err(CollectError::missing_is_no_data)?;
        names.retain(|name| self.filter.admits(name) && self.directory.join(name).is_dir());
        let asker = match &mut self.asker {
            Some(asker) => asker,
            none => none.insert(Asker::open(&self.namespace).map_err(|error| {
                CollectError::Other(format!("open a socket for ethtool: {error}"))
            })?),
        };
        let mut result = Ok(());
        let devices = names.into_iter().map(|name| {
            let driver = supported(asker.driver(&name), &name, "driver", &mut result);
            let link = supported(asker.link(&name), &name, "link", &mut result);
            let all = supported(asker.statistics(&name), &name, "statistics", &mut result);
            let statistics = by_family(all.unwrap_or_default(), self.statistics.as_ref());
            Device { name, driver, link, statistics }
        });
        let devices = devices.collect();
        Ok((devices, result))
    }
}

/// Nothing for an interface that has gone, or whose driver does not know the question.
fn supported<T>(
    asked: io::Result<T>,
    device: &str,
    what: &str,
    result: &mut Result<(), CollectError>,
) -> Option<T> {
    let error = match asked {
        Ok(answer) => return Some(answer),
        Err(error) => error,
    };
    let is_gone = matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENODEV));
    if !is_gone && result.is_ok() {
        let what = format!("ask for the {what} of {device} by ethtool: {error}");
        *result = Err(CollectError::Other(what));
    }
    None
}

impl Collector for Ethtool {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let (devices, result) = self.devices()?;
        let mut family = INFO.open(sink);
        for (name, driver) in devices.iter().filter_map(|d| Some((&d.name, d.driver.as_ref()?))) {
            let Driver { bus, driver, expansion_rom, firmware, version } = driver;
            family.emit([bus, name, driver, expansion_rom, firmware, version], true);
        }
        let links: Vec<(&str, &Link)> =
            devices.iter().filter_map(|d| Some((d.name.as_str(), d.link.as_ref()?))).collect();
        emit_links(&links, sink);
        emit_statistics(&devices, sink);
        result
    }
}

fn emit_links(links: &[(&str, &Link)], sink: &mut dyn MetricSink) {
    let mut family = PORT.open(sink);
    for (name, link) in links {
        for (port, _) in PORTS.iter().filter(|(_, bit)| link.supported.has(*bit)) {
            family.emit([name, port], true);
        }
    }
    for capability in &CAPABILITIES {
        let mut family = capability.supported.open(sink);
        links
            .iter()
            .for_each(|(name, link)| family.emit([name], link.supported.has(capability.bit)));
        let mut family = capability.advertised.open(sink);
        links
            .iter()
            .for_each(|(name, link)| family.emit([name], link.advertised.has(capability.bit)));
    }
    let mut family = AUTONEGOTIATE.open(sink);
    links.iter().for_each(|(name, link)| family.emit([name], link.autonegotiate));
    emit_speeds(SUPPORTED.open(sink), links, |link| &link.supported);
    emit_speeds(ADVERTISED.open(sink), links, |link| &link.advertised);
}

fn emit_speeds(mut family: Opened<'_, 3>, links: &[(&str, &Link)], modes: fn(&Link) -> &Modes) {
    for (name, link) in links {
        for mode in MODES.iter().filter(|mode| modes(link).has(mode.bit)) {
            family.emit([name, mode.duplex, mode.name], mode.bytes_per_second());
        }
    }
}

fn emit_statistics(devices: &[Device], sink: &mut dyn MetricSink) {
    let mut families: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for device in devices {
        for (family, value) in &device.statistics {
            families.entry(family).or_default().push((&device.name, *value));
        }
    }
    for (name, samples) in families {
        // One help for all drivers, whatever they call the statistic.
        let help = "A statistic of the driver.";
        sink.family(&Desc { name, help, kind: Kind::Untyped });
        for (device, value) in samples {
            sink.sample(&Sample::new(&[("device", device)], Value::U64(value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines, lines};

    #[test]
    fn what_is_not_supported_is_left_out_and_the_rest_is_an_error() {
        let mut result = Ok(());
        for errno in [libc::EOPNOTSUPP, libc::ENODEV] {
            let refused = Err::<(), _>(io::Error::from_raw_os_error(errno));
            assert!(supported(refused, "eth0", "link", &mut result).is_none() && result.is_ok());
        }
        let refused = Err::<(), _>(io::Error::from_raw_os_error(libc::EPERM));
        assert!(supported(refused, "eth0", "link", &mut result).is_none());
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with("ask for the link of eth0 by ethtool: "), "{error}");
    }

    #[test]
    fn loopback_has_a_link_and_nothing_else() {
        let host = Host::new(&[("sys/class/net/lo/mtu", "65536\n"), ("sys/class/net/file", "")]);
        let text = lines(&host, &DEF);
        assert!(!text.contains("node_ethtool_info") && !text.contains("\"file\""), "{text}");
    }

    #[test]
    fn links_are_told_mode_by_mode() {
        let mut supported = Modes::default();
        [3, 5, 6, 7, 9, 13, 47].iter().for_each(|bit| supported.set(*bit));
        let mut advertised = Modes::default();
        [5, 6].iter().for_each(|bit| advertised.set(*bit));
        let link = Link { autonegotiate: true, supported, advertised };
        let mut sink = Lines::default();
        emit_links(&[("eth0", &link)], &mut sink);
        for line in [
            "node_network_supported_port_info{device=\"eth0\",type=\"TP\"} 1\n",
            "node_network_supported_port_info{device=\"eth0\",type=\"MII\"} 1\n",
            "node_network_autonegotiate_supported{device=\"eth0\"} 1\n",
            "node_network_pause_supported{device=\"eth0\"} 1\n",
            "node_network_pause_advertised{device=\"eth0\"} 0\n",
            "node_network_asymmetricpause_supported{device=\"eth0\"} 0\n",
            "node_network_autonegotiate{device=\"eth0\"} 1\n",
            "node_network_supported_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"100baseT\"} 12500000\n",
            "node_network_supported_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"2500baseT\"} 312500000\n",
            "node_network_advertised_speed_bytes{device=\"eth0\",duplex=\"full\",mode=\"1000baseT\"} 125000000\n",
        ] {
            assert!(sink.text.contains(line), "{line}{}", sink.text);
        }
        assert_eq!(sink.text.matches("advertised_speed_bytes").count(), 1);
    }
}
