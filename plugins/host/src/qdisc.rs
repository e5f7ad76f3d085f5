//! `qdisc`: what the queueing discipline of each interface did (rtnetlink RTM_GETQDISC).
//!
//! Only the discipline of the interface itself, whose numbers hold those of its children. A file may take the kernel's
//! place, for tests. It must not know what a discipline does.

use std::path::PathBuf;

use serde::Deserialize;
use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::filter::Filter;
use crate::known::Known;
use crate::namespace::Namespace;
use crate::netlink::Socket;
use crate::netlink::link::Names;
use crate::netlink::qdisc::{ROOT, Statistics, qdiscs};
use crate::parse::text;

const INCLUDE: &str = "collector.qdisc.device-include";
const EXCLUDE: &str = "collector.qdisc.device-exclude";
const FIXTURES: &str = "collector.qdisc.fixtures";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("qdisc", "Queueing disciplines of network interfaces.")
        .reads("rtnetlink RTM_GETQDISC")
        .off_by_default()
        .flags(&[
            FlagDef::text(
                INCLUDE,
                "",
                "Regular expression of interfaces to export; not with device-exclude.",
            )
            .aliases(&["collector.qdisk.device-include"]),
            FlagDef::text(
                EXCLUDE,
                "",
                "Regular expression of interfaces to leave out; not with device-include.",
            )
            .aliases(&["collector.qdisk.device-exclude"]),
            FlagDef::text(
                FIXTURES,
                "",
                "Directory whose results.json is read instead of asking the kernel, for tests.",
            ),
        ])
        .families(&FAMILIES),
    build: |setting| Ok(Box::new(Qdiscs::build(setting)?)),
};

/// A family and its number.
struct Column(Family<2>, fn(&Statistics) -> u64);

const LABELS: [&str; 2] = ["device", "kind"];

static COLUMNS: [Column; 7] = [
    Column(Family::counter("node_qdisc_bytes_total", "Bytes sent.", LABELS), |of| of.bytes),
    Column(Family::counter("node_qdisc_packets_total", "Packets sent.", LABELS), |of| of.packets),
    Column(Family::counter("node_qdisc_drops_total", "Packets dropped.", LABELS), |of| of.drops),
    Column(
        Family::counter("node_qdisc_requeues_total", "Packets put back into the queue.", LABELS),
        |of| of.requeues,
    ),
    Column(
        Family::counter("node_qdisc_overlimits_total", "Packets above the limit.", LABELS),
        |of| of.overlimits,
    ),
    Column(
        Family::gauge("node_qdisc_current_queue_length", "Packets in the queue.", LABELS),
        |of| of.queue_length,
    ),
    Column(Family::gauge("node_qdisc_backlog", "Bytes in the queue.", LABELS), |of| of.backlog),
];

static FAMILIES: [FamilyDoc; COLUMNS.len()] = {
    let mut all = [COLUMNS[0].0.doc(); COLUMNS.len()];
    let mut i = 1;
    while i < COLUMNS.len() {
        all[i] = COLUMNS[i].0.doc();
        i += 1;
    }
    all
};

struct Qdiscs {
    source: Source,
    filter: Filter,
    devices: Known<Device>,
}

enum Source {
    Netlink { socket: Socket, names: Names },
    File(PathBuf),
}

/// What is kept of an interface.
#[derive(Default)]
struct Device {
    admitted: bool,
    kind: String,
    statistics: Statistics,
}

impl Qdiscs {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let fixtures = setting.flags.text(FIXTURES);
        let source = if fixtures.is_empty() {
            let socket = Socket::route(Namespace::most_likely(&setting.paths));
            Source::Netlink { socket, names: Names::default() }
        } else {
            Source::File(PathBuf::from(fixtures).join("results.json"))
        };
        let filter = Filter::from_flags(&setting.flags, INCLUDE, EXCLUDE)?;
        Ok(Qdiscs { source, filter, devices: Known::new() })
    }

    fn update(&mut self) -> Result<(), CollectError> {
        let Qdiscs { source, filter, devices } = self;
        let mut take = |name: &str, parent: u32, kind: &[u8], statistics: Statistics| {
            if parent != 0 && parent != ROOT {
                return;
            }
            let new = |name: &str| Device { admitted: filter.admits(name), ..Device::default() };
            if let Some(device) = devices.meet(name.as_bytes(), new) {
                if device.kind.as_bytes() != kind {
                    device.kind = text(kind).into_owned();
                }
                device.statistics = statistics;
            }
        };
        match source {
            Source::Netlink { socket, names } => {
                let asked = names.update(socket).and_then(|()| {
                    qdiscs(socket, &mut |qdisc| {
                        if let Some(name) = names.get(qdisc.interface) {
                            take(name, qdisc.parent, qdisc.kind, qdisc.statistics);
                        }
                    })
                });
                asked.map_err(|e| CollectError::Other(format!("ask rtnetlink for qdiscs: {e}")))
            }
            Source::File(path) => {
                let file =
                    std::fs::read(&*path).map_err(|error| CollectError::read(&*path, error))?;
                let recorded: Vec<Recorded> = serde_json::from_slice(&file)
                    .map_err(|e| CollectError::parse(&*path, e.line(), e.to_string()))?;
                for one in recorded {
                    take(&one.iface_name, one.parent, one.kind.as_bytes(), one.statistics());
                }
                Ok(())
            }
        }
    }
}

impl Collector for Qdiscs {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.devices.begin();
        let result = self.update();
        self.devices.end();
        for Column(family, value) in &COLUMNS {
            let mut family = family.open(sink);
            for (name, device) in self.devices.iter().filter(|(_, device)| device.admitted) {
                family.emit([name, &device.kind], value(&device.statistics));
            }
        }
        result
    }
}

/// An entry of `results.json`, as node_exporter's own fixtures have it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Recorded {
    iface_name: String,
    parent: u32,
    kind: String,
    bytes: u64,
    packets: u64,
    drops: u64,
    requeues: u64,
    overlimits: u64,
    qlen: u64,
    backlog: u64,
}

impl Recorded {
    fn statistics(&self) -> Statistics {
        Statistics {
            bytes: self.bytes,
            packets: self.packets,
            drops: self.drops,
            requeues: self.requeues,
            overlimits: self.overlimits,
            queue_length: self.qlen,
            backlog: self.backlog,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    fn host(json: &str) -> Host {
        let host = Host::new(&[("qdisc/results.json", json)]);
        let directory = host.path("qdisc");
        host.flag(FIXTURES, &[&directory])
    }

    const RESULTS: &str = r#"[
        {"IfaceName": "wlan0", "Kind": "fq", "Bytes": 42, "Packets": 3, "Requeues": 1, "Later": {}},
        {"IfaceName": "wlan0", "Kind": "pfifo", "Parent": 65537, "Bytes": 1},
        {"IfaceName": "eth0", "Kind": "mq", "Parent": 4294967295, "Overlimits": 4, "Qlen": 5, "Backlog": 6}
    ]"#;

    #[test]
    fn only_the_discipline_of_the_interface_is_told() {
        let text = lines(&host(RESULTS), &DEF);
        for line in [
            "node_qdisc_bytes_total{device=\"wlan0\",kind=\"fq\"} 42\n",
            "node_qdisc_requeues_total{device=\"wlan0\",kind=\"fq\"} 1\n",
            "node_qdisc_overlimits_total{device=\"eth0\",kind=\"mq\"} 4\n",
            "node_qdisc_current_queue_length{device=\"eth0\",kind=\"mq\"} 5\n",
            "node_qdisc_backlog{device=\"eth0\",kind=\"mq\"} 6\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert_eq!(text.lines().count(), 2 * COLUMNS.len(), "{text}");
        let text = lines(&host(RESULTS).flag(INCLUDE, &["^w"]), &DEF);
        assert_eq!(text.lines().count(), COLUMNS.len(), "{text}");
    }

    #[test]
    fn a_broken_file_is_named() {
        let (text, result) = scrape(&mut *host("[\n{]").build(&DEF).unwrap());
        let error = result.unwrap_err().to_string();
        assert!(text.is_empty() && error.contains("qdisc/results.json:2: "), "{error}");
    }

    #[test]
    fn the_kernel_answers_each_time() {
        let mut collector = Host::new(&[]).build(&DEF).unwrap();
        for _ in 0..2 {
            scrape(&mut *collector).1.unwrap();
        }
    }
}
