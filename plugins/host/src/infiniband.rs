//! `infiniband`: adapters and ports of InfiniBand and RoCE (SYS/class/infiniband).
//!
//! Which counters a port has depends on its driver: those that are missing, or that say they have no number, give no
//! series. It must not know the network interfaces on top.

use std::path::PathBuf;

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::filter::Filter;
use crate::parse::{float, number};
use crate::sysfs::{Attributes, entries};

mod counter;

use counter::COUNTERS;

const INCLUDE: &str = "collector.infiniband.device-include";
const EXCLUDE: &str = "collector.infiniband.device-exclude";

static INFO: Family<4> = Family::gauge(
    "node_infiniband_info",
    "What each adapter is; always 1.",
    ["device", "board_id", "firmware_version", "hca_type"],
);
static STATE: Family<2> = Family::gauge(
    "node_infiniband_state_id",
    "State of each port: 1 down, 2 initializing, 3 armed, 4 active, 5 active deferred.",
    ["device", "port"],
);
static PHYSICAL_STATE: Family<2> = Family::gauge(
    "node_infiniband_physical_state_id",
    "Physical state of each port: 1 sleep, 2 polling, 3 disabled, 4 training, 5 link up, 6 recovering, 7 testing.",
    ["device", "port"],
);
static RATE: Family<2> = Family::gauge(
    "node_infiniband_rate_bytes_per_second",
    "Signalling rate of each port.",
    ["device", "port"],
);

static FAMILIES: [FamilyDoc; COUNTERS.len() + 4] = {
    let mut all = [INFO.doc(); COUNTERS.len() + 4];
    all[1] = STATE.doc();
    all[2] = PHYSICAL_STATE.doc();
    all[3] = RATE.doc();
    let mut i = 0;
    while i < COUNTERS.len() {
        all[i + 4] = COUNTERS[i].0.doc();
        i += 1;
    }
    all
};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("infiniband", "Adapters and ports of InfiniBand.")
        .needs("an InfiniBand or RoCE adapter")
        .reads("SYS/class/infiniband/*")
        .flags(&[
            FlagDef::text(
                EXCLUDE,
                "",
                "Regular expression of adapters to leave out; not with device-include.",
            ),
            FlagDef::text(
                INCLUDE,
                "",
                "Regular expression of adapters to export; not with device-exclude.",
            ),
        ])
        .families(&FAMILIES),
    build: |setting| Ok(Box::new(Infiniband::build(setting)?)),
};

struct Infiniband {
    root: PathBuf,
    filter: Filter,
    attributes: Attributes,
}

/// A port of an adapter.
struct Port {
    device: String,
    number: String,
    directory: PathBuf,
}

impl Infiniband {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        Ok(Infiniband {
            root: setting.paths.sys("class/infiniband"),
            filter: Filter::from_flags(&setting.flags, INCLUDE, EXCLUDE)?,
            attributes: Attributes::new(),
        })
    }

    fn emit_devices(&mut self, devices: &[String], sink: &mut dyn MetricSink) {
        let mut info = INFO.open(sink);
        for device in devices {
            let directory = self.root.join(device);
            let [board, firmware, kind] = ["board_id", "fw_ver", "hca_type"]
                .map(|name| self.attributes.text(&directory, name));
            info.emit([device, &board, &firmware, &kind], true);
        }
    }

    fn emit_ports(&mut self, ports: &[Port], sink: &mut dyn MetricSink) {
        for (family, name) in [(&STATE, "state"), (&PHYSICAL_STATE, "phys_state")] {
            let mut family = family.open(sink);
            for port in ports {
                let state = self.attributes.optional(&port.directory, name).and_then(state);
                if let Some(state) = state {
                    family.emit([&port.device, &port.number], state);
                }
            }
        }
        let mut family = RATE.open(sink);
        for port in ports {
            let rate = self.attributes.optional(&port.directory, "rate").and_then(rate);
            if let Some(rate) = rate {
                family.emit([&port.device, &port.number], rate);
            }
        }
        for (family, file, unit) in &COUNTERS {
            let mut family = family.open(sink);
            for port in ports {
                if let Some(count) = self.attributes.number(&port.directory, file) {
                    family.emit([&port.device, &port.number], unit.value(count));
                }
            }
        }
    }
}

impl Collector for Infiniband {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut devices = entries(&self.root).map_err(CollectError::missing_is_no_data)?;
        devices.retain(|device| self.filter.admits(device));
        let mut ports = Vec::new();
        for device in &devices {
            let directory = self.root.join(device).join("ports");
            // An adapter that vanishes, or that has no ports, is no failure.
            for number in entries(&directory).unwrap_or_default() {
                let directory = directory.join(&number);
                ports.push(Port { device: device.clone(), number, directory });
            }
        }
        if !devices.is_empty() {
            self.emit_devices(&devices, sink);
            self.emit_ports(&ports, sink);
        }
        Ok(())
    }
}

/// `4: ACTIVE`
fn state(text: &[u8]) -> Option<u64> {
    number(text.split(|&byte| byte == b':').next()?.trim_ascii())
}

/// `2.5 Gb/sec (1X SDR)`, in bytes per second.
fn rate(text: &[u8]) -> Option<f64> {
    const BYTES_PER_GIGABIT: f64 = 125_000_000.0;
    let (gigabits, rest) = text.split_at(memchr::memchr(b' ', text)?);
    let is_rate = rest.trim_ascii_start().starts_with(b"Gb/sec");
    let gigabits = float(gigabits).filter(|gigabits| gigabits.is_finite() && is_rate)?;
    Some(gigabits * BYTES_PER_GIGABIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    fn host() -> Host {
        Host::new(&[
            ("sys/class/infiniband/mlx4_0/board_id", "SM_1141000001000\n"),
            ("sys/class/infiniband/mlx4_0/ports/1/state", "4: ACTIVE\n"),
            ("sys/class/infiniband/mlx4_0/ports/1/phys_state", "5: LinkUp\n"),
            ("sys/class/infiniband/mlx4_0/ports/1/rate", "2.5 Gb/sec (1X SDR)\n"),
            ("sys/class/infiniband/mlx4_0/ports/1/counters/VL15_dropped", "N/A (no PMA)\n"),
            ("sys/class/infiniband/mlx4_0/ports/1/counters/port_rcv_data", "1000\n"),
            (
                "sys/class/infiniband/mlx4_0/ports/1/counters_ext/port_xmit_data_64",
                "18446744073709551615\n",
            ),
            ("sys/class/infiniband/mlx4_0/ports/1/hw_counters/lifespan", "12\n"),
            ("sys/class/infiniband/irdma0/fw_ver", "1.52\n"),
        ])
    }

    #[test]
    fn ports_tell_what_they_have() {
        assert_eq!(
            lines(&host(), &DEF),
            "node_infiniband_info{device=\"irdma0\",firmware_version=\"1.52\"} 1\n\
             node_infiniband_info{device=\"mlx4_0\",board_id=\"SM_1141000001000\"} 1\n\
             node_infiniband_state_id{device=\"mlx4_0\",port=\"1\"} 4\n\
             node_infiniband_physical_state_id{device=\"mlx4_0\",port=\"1\"} 5\n\
             node_infiniband_rate_bytes_per_second{device=\"mlx4_0\",port=\"1\"} 312500000\n\
             node_infiniband_port_data_received_bytes_total{device=\"mlx4_0\",port=\"1\"} 4000\n\
             node_infiniband_legacy_data_transmitted_bytes_total{device=\"mlx4_0\",port=\"1\"} 73786976294838210000\n\
             node_infiniband_lifespan_seconds{device=\"mlx4_0\",port=\"1\"} 0.012\n"
        );
    }

    #[test]
    fn adapters_can_be_chosen() {
        assert!(!lines(&host().flag(EXCLUDE, &["^mlx"]), &DEF).contains("mlx4_0"));
        assert!(!lines(&host().flag(INCLUDE, &["mlx"]), &DEF).contains("irdma0"));
    }

    #[test]
    fn a_host_without_adapters_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }

    #[test]
    fn rates_and_states_that_are_none_are_left_out() {
        assert_eq!(rate(b"200 Gb/sec (4X HDR)"), Some(25e9));
        for bad in [&b""[..], b"40", b"inf Gb/sec", b"40 Mb/sec"] {
            assert_eq!(rate(bad), None);
        }
        assert_eq!((state(b"1: DOWN"), state(b"DOWN"), state(b"")), (Some(1), None, None));
    }
}
