//! `pcidevice`: PCI devices, their links, power states and virtual functions (SYS/bus/pci/devices).
//!
//! What a device is cannot change while it is there and is read once; its place in the tree follows from the link
//! in the bus directory. It must not know names of vendors but from a file of them, and only when asked to.

use std::path::Path;

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::attribute::{Attribute, Unit, docs};
use crate::parse;
use crate::sysfs::{Attributes, Device, Devices};

mod ids;
mod location;

use ids::{IdFile, Numbers};
use location::Location;

const NAMES: &str = "collector.pcidevice.names";
const IDS_FILE: &str = "collector.pcidevice.idsfile";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("pcidevice", "PCI devices, their links and power states.")
        .reads("SYS/bus/pci/devices")
        .off_by_default()
        .flags(&[
            FlagDef::switch(
                NAMES,
                false,
                "Add the names of vendors, devices and classes to node_pcidevice_info.",
            ),
            FlagDef::text(
                IDS_FILE,
                "",
                "The file pci.ids with the names; empty for the usual places below --path.rootfs.",
            ),
        ])
        .families(&FAMILIES),
    build: |setting| Ok(Box::new(PciDevice::build(setting)?)),
};

/// Where a device is: the labels of every family.
const PLACE: [&str; 4] = ["segment", "bus", "device", "function"];

static INFO: Family<19> = Family::gauge(
    "node_pcidevice_info",
    "What each PCI device is and which bridge it lies behind; always 1.",
    [
        PLACE[0],
        PLACE[1],
        PLACE[2],
        PLACE[3],
        "parent_segment",
        "parent_bus",
        "parent_device",
        "parent_function",
        "class_id",
        "vendor_id",
        "device_id",
        "subsystem_vendor_id",
        "subsystem_device_id",
        "revision",
        "class_name",
        "vendor_name",
        "device_name",
        "subsystem_vendor_name",
        "subsystem_device_name",
    ],
);

/// Speed and width of the link to a device; -1 for devices without one.
static LINKS: [(&str, Family<4>); 4] = [
    (
        "current_link_speed",
        Family::gauge(
            "node_pcidevice_current_link_transfers_per_second",
            "Transfers per second of each device's link, -1 without a link.",
            PLACE,
        ),
    ),
    (
        "current_link_width",
        Family::gauge(
            "node_pcidevice_current_link_width",
            "Lanes of each device's link, -1 without a link.",
            PLACE,
        ),
    ),
    (
        "max_link_speed",
        Family::gauge(
            "node_pcidevice_max_link_transfers_per_second",
            "Transfers per second that each device can do, -1 without a link.",
            PLACE,
        ),
    ),
    (
        "max_link_width",
        Family::gauge(
            "node_pcidevice_max_link_width",
            "Lanes that each device has, -1 without a link.",
            PLACE,
        ),
    ),
];

const fn gauge(file: &'static str, name: &'static str, help: &'static str) -> Attribute<4> {
    Attribute::new(file, Family::gauge(name, help, PLACE), Unit::One)
}

/// Documentation/ABI/testing/sysfs-bus-pci.
static ATTRIBUTES: [Attribute<4>; 6] = [
    gauge(
        "d3cold_allowed",
        "node_pcidevice_d3cold_allowed",
        "Whether each device may lose its power while it is not used.",
    ),
    gauge(
        "sriov_drivers_autoprobe",
        "node_pcidevice_sriov_drivers_autoprobe",
        "Whether virtual functions get a driver by themselves.",
    ),
    gauge("sriov_numvfs", "node_pcidevice_sriov_numvfs", "Virtual functions of each device."),
    gauge(
        "sriov_totalvfs",
        "node_pcidevice_sriov_totalvfs",
        "Virtual functions that each device can have.",
    ),
    gauge(
        "sriov_vf_total_msix",
        "node_pcidevice_sriov_vf_total_msix",
        "Interrupt vectors for the virtual functions of each device.",
    ),
    gauge(NUMA_NODE, "node_pcidevice_numa_node", "The memory node each device is near to."),
];

const NUMA_NODE: &str = "numa_node";
/// How the files of virtual functions begin (single root I/O virtualization).
const SRIOV: &str = "sriov_";

static POWER_STATE: Family<5> = Family::gauge(
    "node_pcidevice_power_state",
    "Power state of each device, 1 for the one it is in.",
    [PLACE[0], PLACE[1], PLACE[2], PLACE[3], "state"],
);

/// drivers/pci/pci.c: pci_power_names.
const POWER_STATES: [&str; 7] = ["error", "D0", "D1", "D2", "D3hot", "D3cold", "unknown"];

static FAMILIES: [FamilyDoc; ATTRIBUTES.len() + 6] = docs(
    &[
        INFO.doc(),
        LINKS[0].1.doc(),
        LINKS[1].1.doc(),
        LINKS[2].1.doc(),
        LINKS[3].1.doc(),
        POWER_STATE.doc(),
    ],
    &ATTRIBUTES,
);

struct PciDevice {
    devices: Devices<Kept>,
    attributes: Attributes,
    names: Option<IdFile>,
}

/// What cannot change while a device is there.
struct Kept {
    place: Location,
    parent: Location,
    numbers: Numbers,
    /// Of class, vendor, device, and the board's; empty unless asked for.
    names: Option<[String; 5]>,
    /// Which files of `ATTRIBUTES` there are.
    files: [bool; ATTRIBUTES.len()],
}

impl PciDevice {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let names = setting.flags.switch(NAMES);
        Ok(PciDevice {
            devices: Devices::new(setting.paths.sys("bus/pci/devices")),
            attributes: Attributes::new(),
            names: names.then(|| IdFile::find(setting, IDS_FILE)).transpose()?,
        })
    }
}

impl Collector for PciDevice {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let listed = self.devices.list(|name, path| Kept::find(name, path, &mut self.attributes));
        let changed = listed.map_err(CollectError::missing_is_no_data)?;
        if let Some(file) = self.names.as_ref().filter(|_| changed) {
            let nameless = self.devices.iter_mut().filter(|device| device.kept.names.is_none());
            file.name(nameless.map(|device| (&device.kept.numbers, &mut device.kept.names)));
        }
        self.emit_info(sink);
        self.emit_links(sink);
        for (at, attribute) in ATTRIBUTES.iter().enumerate() {
            let devices = self.devices.iter().filter(|device| device.kept.files[at]);
            let devices = devices.map(|device| (device.kept.place.labels(), device.path.as_path()));
            attribute.emit(&mut self.attributes, devices, sink);
            if attribute.file.starts_with(SRIOV) {
                self.emit_none(&attribute.family, at, sink);
            }
        }
        self.emit_power_states(sink);
        Ok(())
    }
}

impl PciDevice {
    fn emit_info(&self, sink: &mut dyn MetricSink) {
        let mut info = INFO.open(sink);
        for Device { kept, .. } in self.devices.iter() {
            let [segment, bus, device, function] = kept.place.labels();
            let [parent_segment, parent_bus, parent_device, parent_function] = kept.parent.labels();
            let numbers = kept.numbers.labels();
            let [class, vendor, model, board_vendor, board, revision] =
                numbers.each_ref().map(String::as_str);
            let names =
                kept.names.as_ref().map_or([""; 5], |names| names.each_ref().map(String::as_str));
            let labels = [
                segment,
                bus,
                device,
                function,
                parent_segment,
                parent_bus,
                parent_device,
                parent_function,
                class,
                vendor,
                model,
                board_vendor,
                board,
                revision,
                names[0],
                names[1],
                names[2],
                names[3],
                names[4],
            ];
            info.emit(labels, true);
        }
    }

    fn emit_links(&mut self, sink: &mut dyn MetricSink) {
        for (file, family) in &LINKS {
            let mut family = family.open(sink);
            for device in self.devices.iter() {
                let text = self.attributes.optional(&device.path, file).unwrap_or_default();
                let number = parse::words(text).next().and_then(parse::float);
                let value = match number {
                    Some(gigatransfers) if file.ends_with("_speed") => gigatransfers * 1e9,
                    Some(lanes) => lanes,
                    None => -1.0,
                };
                family.emit(device.kept.place.labels(), value);
            }
        }
    }

    /// A device that has no virtual functions has none of them, as node_exporter says it.
    fn emit_none(&self, family: &Family<4>, file: usize, sink: &mut dyn MetricSink) {
        let mut family = family.open(sink);
        for device in self.devices.iter().filter(|device| !device.kept.files[file]) {
            family.emit(device.kept.place.labels(), 0_u64);
        }
    }

    fn emit_power_states(&mut self, sink: &mut dyn MetricSink) {
        let mut family = POWER_STATE.open(sink);
        for device in self.devices.iter() {
            let Some(state) = self.attributes.optional(&device.path, "power_state") else {
                continue;
            };
            let [segment, bus, number, function] = device.kept.place.labels();
            for each in POWER_STATES {
                family.emit([segment, bus, number, function, each], each.as_bytes() == state);
            }
        }
    }
}

impl Kept {
    fn find(name: &str, path: &Path, attributes: &mut Attributes) -> Option<Self> {
        let place = Location::parse(name)?;
        let real = path.canonicalize().ok();
        let parent = real.as_deref().and_then(Path::parent).and_then(Path::file_name);
        let parent = parent.and_then(|name| Location::parse(name.to_str()?));
        // Boards without memory nodes say -1, which is not a node.
        let has_node = attributes.number(path, NUMA_NODE).is_some();
        let files = ATTRIBUTES.each_ref().map(|attribute| match attribute.file {
            NUMA_NODE => has_node,
            other => path.join(other).is_file(),
        });
        Some(Kept {
            place,
            parent: parent.unwrap_or_default(),
            numbers: Numbers::read(path, attributes),
            names: None,
            files,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};
    use std::os::unix::fs::symlink;

    fn host() -> Host {
        let host = Host::new(&[]);
        let root = "sys/devices/pci0000:00";
        for (path, text) in [
            ("0000:00:01.0/class", "0x060400\n"),
            ("0000:00:01.0/numa_node", "-1\n"),
            ("0000:00:01.0/max_link_speed", "Unknown\n"),
            ("0000:00:01.0/0000:0a:00.1/class", "0x030000\n"),
            ("0000:00:01.0/0000:0a:00.1/vendor", "0x1002\n"),
            ("0000:00:01.0/0000:0a:00.1/current_link_speed", "2.5 GT/s PCIe\n"),
            ("0000:00:01.0/0000:0a:00.1/current_link_width", "8\n"),
            ("0000:00:01.0/0000:0a:00.1/power_state", "D3hot\n"),
        ] {
            host.write(&format!("{root}/{path}"), text);
        }
        let bus = host.dir.path().join("sys/bus/pci/devices");
        std::fs::create_dir_all(&bus).unwrap();
        for device in ["0000:00:01.0", "0000:00:01.0/0000:0a:00.1"] {
            let name = device.rsplit('/').next().unwrap();
            symlink(format!("../../../devices/pci0000:00/{device}"), bus.join(name)).unwrap();
        }
        host
    }

    #[test]
    fn devices_know_their_bridges_and_links() {
        let text = lines(&host(), &DEF);
        let device = "segment=\"0000\",bus=\"0a\",device=\"00\",function=\"1\"";
        for line in [
            format!(
                "node_pcidevice_info{{{device},parent_segment=\"0000\",parent_bus=\"00\",parent_device=\"01\",parent_function=\"0\",class_id=\"0x030000\",vendor_id=\"0x1002\"}} 1\n"
            ),
            format!("node_pcidevice_current_link_transfers_per_second{{{device}}} 2500000000\n"),
            format!("node_pcidevice_current_link_width{{{device}}} 8\n"),
            format!("node_pcidevice_max_link_width{{{device}}} -1\n"),
            format!("node_pcidevice_power_state{{{device},state=\"D3hot\"}} 1\n"),
            format!("node_pcidevice_power_state{{{device},state=\"D0\"}} 0\n"),
        ] {
            assert!(text.contains(&line), "{line}{text}");
        }
        assert!(text.contains("parent_segment=\"*\",parent_bus=\"*\",parent_device=\"*\",parent_function=\"*\",class_id=\"0x060400\""));
        assert!(!text.contains("numa_node") && !text.contains("_name"), "{text}");
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }

    #[test]
    fn names_come_from_a_file_when_asked_for() {
        let host = host();
        host.write("pci.ids", "1002  AMD\nC 03  Display controller\n\t00  VGA controller\n");
        let file = host.path("pci.ids");
        let host = host.flag(NAMES, &["true"]).flag(IDS_FILE, &[&file]);
        let text = lines(&host, &DEF);
        assert!(text.contains("class_name=\"VGA controller\",vendor_name=\"AMD\""), "{text}");
        let host = host.flag(IDS_FILE, &["/nowhere"]);
        let error = host.build(&DEF).err().unwrap();
        assert!(
            error.starts_with("--collector.pcidevice.idsfile: cannot read /nowhere: "),
            "{error}"
        );
    }
}
