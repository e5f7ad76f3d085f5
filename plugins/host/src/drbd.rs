//! `drbd`: replicated block devices of DRBD 8 (PROC/drbd).
//!
//! Words of the form `key:value` belong to the device whose number came last; words that are not known are
//! headings or newer than this table. It must not know DRBD 9, which speaks netlink.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::parse::{count, each_line, number, scaled, words};
use crate::rows::{Reading, Rows};

/// A number and its family.
struct Figure {
    key: &'static [u8],
    family: Family<1>,
    /// What the number counts.
    unit: u64,
}

const KIB: u64 = 1024;

/// In the order of the file (https://linbit.com/drbd-user-guide/users-guide-drbd-8-4/, performance indicators).
static FIGURES: [Figure; 12] = [
    counter(b"ns", "node_drbd_network_sent_bytes_total", "Bytes sent to the peer.", KIB),
    // KiB too, but node_exporter's dashboards expect the bare number.
    counter(b"nr", "node_drbd_network_received_bytes_total", "KiB received from the peer.", 1),
    counter(b"dw", "node_drbd_disk_written_bytes_total", "Bytes written to the disk.", KIB),
    counter(b"dr", "node_drbd_disk_read_bytes_total", "Bytes read from the disk.", KIB),
    counter(b"al", "node_drbd_activitylog_writes_total", "Updates of the activity log.", 1),
    counter(b"bm", "node_drbd_bitmap_writes_total", "Updates of the bitmap.", 1),
    gauge(b"lo", "node_drbd_local_pending", "Requests that the disk has not answered.", 1),
    gauge(b"pe", "node_drbd_remote_pending", "Requests that the peer has not answered.", 1),
    gauge(b"ua", "node_drbd_remote_unacknowledged", "Requests of the peer not yet answered.", 1),
    gauge(b"ap", "node_drbd_application_pending", "Requests of programs not yet answered.", 1),
    gauge(b"ep", "node_drbd_epochs", "Epochs between write barriers.", 1),
    gauge(b"oos", "node_drbd_out_of_sync_bytes", "Bytes that the peer lacks.", KIB),
];
static CONNECTED: Family<1> =
    Family::gauge("node_drbd_connected", "Whether the peer is connected.", ["device"]);
static IS_PRIMARY: Family<2> = Family::gauge(
    "node_drbd_node_role_is_primary",
    "Whether a node is primary.",
    ["device", "node"],
);
static IS_UP_TO_DATE: Family<2> = Family::gauge(
    "node_drbd_disk_state_is_up_to_date",
    "Whether the disk of a node is up to date.",
    ["device", "node"],
);

const fn counter(key: &'static [u8], name: &'static str, help: &'static str, unit: u64) -> Figure {
    Figure { key, family: Family::counter(name, help, ["device"]), unit }
}

const fn gauge(key: &'static [u8], name: &'static str, help: &'static str, unit: u64) -> Figure {
    Figure { key, family: Family::gauge(name, help, ["device"]), unit }
}

static FAMILIES: [FamilyDoc; FIGURES.len() + 3] = {
    let mut all = [CONNECTED.doc(); FIGURES.len() + 3];
    let mut i = 0;
    while i < FIGURES.len() {
        all[i] = FIGURES[i].family.doc();
        i += 1;
    }
    all[i] = IS_PRIMARY.doc();
    all[i + 1] = IS_UP_TO_DATE.doc();
    all
};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("drbd", "Replicated block devices of DRBD 8.")
        .needs("DRBD 8")
        .reads("PROC/drbd")
        .off_by_default()
        .families(&FAMILIES),
    build: |setting| {
        let file = FileReader::new(setting.paths.proc("drbd"));
        Ok(Box::new(Drbd { file, devices: Rows::default() }))
    },
};

struct Drbd {
    file: FileReader,
    devices: Rows<Device>,
}

/// What is not told is none.
struct Device {
    name: String,
    states: States,
}

#[derive(Default)]
struct States {
    counts: [Option<u64>; FIGURES.len()],
    connected: Option<bool>,
    primary: Option<Sides>,
    up_to_date: Option<Sides>,
}

/// Of this node and of the peer.
type Sides = [bool; 2];
const NODES: [&str; 2] = ["local", "remote"];

impl Collector for Drbd {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.file.read().map_err(CollectError::missing_is_no_data)?;
        let mut devices = self.devices.reading();
        let mut inside = false;
        let result = each_line(file, |line| {
            words(line).map(|word| take(word, &mut devices, &mut inside)).fold(Ok(()), Result::and)
        });
        drop(devices);
        self.emit(sink);
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

impl Drbd {
    fn emit(&self, sink: &mut dyn MetricSink) {
        for (index, figure) in FIGURES.iter().enumerate() {
            let mut family = figure.family.open(sink);
            for device in self.devices.iter() {
                if let Some(count) = device.states.counts[index] {
                    family.emit([&device.name], scaled(count, figure.unit));
                }
            }
        }
        let mut family = CONNECTED.open(sink);
        for device in self.devices.iter() {
            if let Some(connected) = device.states.connected {
                family.emit([&device.name], connected);
            }
        }
        self.emit_sides(&IS_PRIMARY, sink, |states| states.primary);
        self.emit_sides(&IS_UP_TO_DATE, sink, |states| states.up_to_date);
    }

    fn emit_sides(
        &self,
        family: &Family<2>,
        sink: &mut dyn MetricSink,
        sides: impl Fn(&States) -> Option<Sides>,
    ) {
        let mut family = family.open(sink);
        for device in self.devices.iter() {
            for (node, side) in NODES.iter().zip(sides(&device.states).into_iter().flatten()) {
                family.emit([&device.name, node], side);
            }
        }
    }
}

/// `0:` begins a device, unless it was met before; `inside` is whether one is under way.
fn take(word: &[u8], devices: &mut Reading<'_, Device>, inside: &mut bool) -> Result<(), String> {
    let Some(colon) = memchr::memchr(b':', word) else { return Ok(()) };
    let (key, value) = (&word[..colon], &word[colon + 1..]);
    if let (Some(minor), true) = (number(key), value.is_empty()) {
        let make = || Device { name: format!("drbd{minor}"), states: States::default() };
        let device = devices.row(key, make);
        *inside = device.map(|device| device.states = States::default()).is_some();
        return Ok(());
    }
    let Some(device) = devices.last().filter(|_| *inside) else { return Ok(()) };
    device.states.take(key, value)
}

impl States {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        match key {
            b"cs" => self.connected = Some(value == b"Connected"),
            b"ro" => self.primary = Some(sides(value, b"Primary")),
            b"ds" => self.up_to_date = Some(sides(value, b"UpToDate")),
            _ => {
                if let Some(index) = FIGURES.iter().position(|figure| figure.key == key) {
                    self.counts[index] = Some(count(Some(value))?);
                }
            }
        }
        Ok(())
    }
}

/// `Primary/Secondary`
fn sides(value: &[u8], wanted: &[u8]) -> Sides {
    let mut sides = value.split(|&byte| byte == b'/').map(|side| side == wanted);
    [sides.next().unwrap_or(false), sides.next().unwrap_or(false)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const FILE: &str = "version: 8.4.3 (api:1/proto:86-101)\nsrcversion: 1A9F77B1CA5FF92235C2213\n\n\
        \x201: cs:Connected ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----\n\
        \x20   ns:17324442 nr:10961011 dw:28263641 dr:149 al:3 bm:0 lo:1 pe:2 ua:4 ap:5 ep:6 wo:d oos:12\n\
        \t[>....................] sync'ed:  0.1% (3/4)K\n\
        \x2010: cs:WFConnection ro:Secondary/Unknown\n";

    #[test]
    fn devices_come_out() {
        let text = lines(&Host::new(&[("proc/drbd", FILE)]), &DEF);
        for line in [
            "node_drbd_network_sent_bytes_total{device=\"drbd1\"} 17740228608",
            "node_drbd_network_received_bytes_total{device=\"drbd1\"} 10961011",
            "node_drbd_activitylog_writes_total{device=\"drbd1\"} 3",
            "node_drbd_out_of_sync_bytes{device=\"drbd1\"} 12288",
            "node_drbd_connected{device=\"drbd1\"} 1",
            "node_drbd_connected{device=\"drbd10\"} 0",
            "node_drbd_node_role_is_primary{device=\"drbd1\",node=\"local\"} 1",
            "node_drbd_node_role_is_primary{device=\"drbd1\",node=\"remote\"} 0",
            "node_drbd_disk_state_is_up_to_date{device=\"drbd1\",node=\"remote\"} 0",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
        assert_eq!(text.matches("drbd10").count(), 3, "{text}");
    }

    #[test]
    fn a_bad_word_costs_itself_only() {
        let host = Host::new(&[("proc/drbd", "ns:7\n0: ns:x nr:5\n0: nr:6\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_drbd_network_received_bytes_total{device=\"drbd0\"} 5\n");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("drbd:2: expected a count, found \"x\""), "{error}");
    }

    #[test]
    fn a_host_without_drbd_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
