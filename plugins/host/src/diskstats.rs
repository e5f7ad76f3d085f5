//! `diskstats`: what each block device did, and what it is (PROC/diskstats, SYS/block, udev).
//!
//! Devices are told apart by their names; what udev says of one is kept as long as its numbers stay. It must not
//! know file systems but for what udev says of them.

use std::path::{Path, PathBuf};

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Paths, Scrape,
    Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, FamilyDoc, MetricSink, Opened};

use crate::filter::Filter;
use crate::known::Known;
use crate::parse::{float, lines, number, shown, text, words};
use crate::sysfs::Attributes;
use crate::udev::Record;

mod column;

use column::COLUMNS;

const INCLUDE: &str = "collector.diskstats.device-include";
const EXCLUDE: &str = "collector.diskstats.device-exclude";
const DEFAULT_EXCLUDE: &str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("diskstats", "Reads, writes and times of block devices.")
        .reads("PROC/diskstats, SYS/block/*/queue/rotational, UDEV")
        .flags(&[
            FlagDef::text(
                EXCLUDE,
                DEFAULT_EXCLUDE,
                "Regular expression of block devices to leave out; not with device-include.",
            )
            .aliases(&["collector.diskstats.ignored-devices"]),
            FlagDef::text(
                INCLUDE,
                "",
                "Regular expression of block devices to export; not with device-exclude.",
            ),
        ])
        .families(&FAMILIES),
    build: |setting| Ok(Box::new(DiskStats::build(setting)?)),
};

static INFO: Family<9> = Family::gauge(
    "node_disk_info",
    "What each block device is; always 1.",
    ["device", "major", "minor", "model", "path", "revision", "rotational", "serial", "wwn"],
);
static FILESYSTEM: Family<5> = Family::gauge(
    "node_disk_filesystem_info",
    "The file system on each block device; always 1.",
    ["device", "type", "usage", "uuid", "version"],
);
static MAPPER: Family<6> = Family::gauge(
    "node_disk_device_mapper_info",
    "What each device of the device mapper is; always 1.",
    ["device", "lv_layer", "lv_name", "name", "uuid", "vg_name"],
);
static ATA: [(Family<1>, &str); 3] = [
    (
        Family::gauge(
            "node_disk_ata_write_cache",
            "Whether the disk has a write cache.",
            ["device"],
        ),
        "ID_ATA_WRITE_CACHE",
    ),
    (
        Family::gauge(
            "node_disk_ata_write_cache_enabled",
            "Whether the disk's write cache is on.",
            ["device"],
        ),
        "ID_ATA_WRITE_CACHE_ENABLED",
    ),
    (
        Family::gauge(
            "node_disk_ata_rotation_rate_rpm",
            "Rotations per minute, 0 for a disk that does not rotate.",
            ["device"],
        ),
        "ID_ATA_ROTATION_RATE_RPM",
    ),
];

static FAMILIES: [FamilyDoc; COLUMNS.len() + 6] = {
    let mut all = [INFO.doc(); COLUMNS.len() + 6];
    let mut i = 0;
    while i < COLUMNS.len() {
        all[i] = COLUMNS[i].0.doc();
        i += 1;
    }
    all[i + 1] = FILESYSTEM.doc();
    all[i + 2] = MAPPER.doc();
    all[i + 3] = ATA[0].0.doc();
    all[i + 4] = ATA[1].0.doc();
    all[i + 5] = ATA[2].0.doc();
    all
};

struct DiskStats {
    file: FileReader,
    filter: Filter,
    paths: Paths,
    /// Whether there is a udev database, after the first scrape.
    udev: Option<bool>,
    devices: Known<Device>,
    attributes: Attributes,
}

struct Device {
    major: String,
    minor: String,
    admitted: bool,
    /// Below SYS/block.
    directory: PathBuf,
    udev: Record,
    /// Columns the kernel printed, and how many.
    values: [u64; COLUMNS.len()],
    columns: usize,
}

impl DiskStats {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        Ok(DiskStats {
            file: FileReader::kept_open(setting.paths.proc("diskstats")),
            filter: Filter::from_flags(&setting.flags, INCLUDE, EXCLUDE)?,
            paths: setting.paths.clone(),
            udev: None,
            devices: Known::new(),
            attributes: Attributes::new(),
        })
    }

    /// Takes every line that is understood; the first that is not is the error.
    fn update(&mut self) -> Result<(), CollectError> {
        let mut error = None;
        self.devices.begin();
        for (line_number, line) in lines(self.file.read()?) {
            match parse(line) {
                Ok(Some(line)) => {
                    let make = |name: &str| Device::new(name, &line, &self.filter, &self.paths);
                    let Some(device) = self.devices.meet(line.name, make) else { continue };
                    // Another device has taken over the name.
                    if !device.has_numbers_of(&line) {
                        *device = make(&text(line.name));
                    }
                    (device.values, device.columns) = (line.values, line.columns);
                }
                Ok(None) => {}
                Err(what) => {
                    error.get_or_insert((line_number, what));
                }
            }
        }
        self.devices.end();
        match error {
            Some((line, what)) => Err(CollectError::parse(self.file.path(), line, what)),
            None => Ok(()),
        }
    }
}

impl Collector for DiskStats {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let result = self.update();
        if let Err(CollectError::Read { .. }) = result {
            return result;
        }
        emit_columns(&self.devices, sink);
        if *self.udev.get_or_insert_with(|| is_udev(&self.paths.udev)) {
            for (_, device) in self.devices.iter_mut().filter(|(_, device)| device.admitted) {
                device.udev.refresh();
            }
        }
        let mut info = INFO.open(sink);
        for (name, device) in admitted(&self.devices) {
            device.emit_info(name, &mut self.attributes, &mut info);
        }
        emit_properties(&self.devices, sink);
        result
    }
}

fn is_udev(database: &Path) -> bool {
    let is_there = database.is_dir();
    if !is_there {
        let path = database.display();
        tracing::info!("diskstats: no directory {path}: node_disk_info has no udev properties");
    }
    is_there
}

fn admitted(devices: &Known<Device>) -> impl Iterator<Item = (&str, &Device)> {
    devices.iter().filter(|(_, device)| device.admitted)
}

fn emit_columns(devices: &Known<Device>, sink: &mut dyn MetricSink) {
    for (column, (family, unit)) in COLUMNS.iter().enumerate() {
        let shown = || admitted(devices).filter(|(_, device)| column < device.columns);
        if shown().next().is_none() {
            return;
        }
        let mut family = family.open(sink);
        for (name, device) in shown() {
            family.emit([name], unit.value(device.values[column]));
        }
    }
}

fn emit_properties(devices: &Known<Device>, sink: &mut dyn MetricSink) {
    for (device_name, device) in admitted(devices) {
        let udev = |key| device.udev.get(key);
        if !udev("ID_FS_TYPE").is_empty() {
            let keys = ["ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_UUID", "ID_FS_VERSION"].map(udev);
            let [kind, usage, uuid, version] = keys;
            FILESYSTEM.emit(sink, [device_name, kind, usage, uuid, version], true);
        }
        if !udev("DM_NAME").is_empty() {
            let keys = ["DM_LV_LAYER", "DM_LV_NAME", "DM_NAME", "DM_UUID", "DM_VG_NAME"].map(udev);
            let [layer, volume, name, uuid, group] = keys;
            MAPPER.emit(sink, [device_name, layer, volume, name, uuid, group], true);
        }
        if !udev("ID_ATA").is_empty() {
            for (family, key) in &ATA {
                if let Some(value) = float(udev(key).as_bytes()) {
                    family.emit(sink, [device_name], value);
                }
            }
        }
    }
}

impl Device {
    fn new(name: &str, line: &Line<'_>, filter: &Filter, paths: &Paths) -> Self {
        let (major, minor) = (text(line.major).into_owned(), text(line.minor).into_owned());
        Device {
            admitted: filter.admits(name),
            // The kernel writes `!` in sysfs where a device name has a slash.
            directory: paths.sys("block").join(name.replace('/', "!")),
            udev: Record::new(paths.udev.join(format!("b{major}:{minor}"))),
            major,
            minor,
            values: line.values,
            columns: line.columns,
        }
    }

    fn has_numbers_of(&self, line: &Line<'_>) -> bool {
        self.minor.as_bytes() == line.minor && self.major.as_bytes() == line.major
    }

    fn emit_info(&self, name: &str, attributes: &mut Attributes, info: &mut Opened<'_, 9>) {
        // Not kept open: a host may have more disks than a process has descriptors.
        let rotational = attributes.number(&self.directory, "queue/rotational") == Some(1);
        let udev = |key| self.udev.get(key);
        let serials = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"].map(udev);
        let serial = serials.into_iter().find(|serial| !serial.is_empty()).unwrap_or_default();
        let values = [
            name,
            &self.major,
            &self.minor,
            udev("ID_MODEL"),
            udev("ID_PATH"),
            udev("ID_REVISION"),
            if rotational { "1" } else { "0" },
            serial,
            udev("ID_WWN"),
        ];
        info.emit(values, true);
    }
}

struct Line<'a> {
    major: &'a [u8],
    minor: &'a [u8],
    name: &'a [u8],
    values: [u64; COLUMNS.len()],
    columns: usize,
}

/// Fewer columns than any kernel since 2.6 prints are nothing: partitions once had four.
const FEWEST_COLUMNS: usize = 11;

fn parse(line: &[u8]) -> Result<Option<Line<'_>>, String> {
    let mut words = words(line);
    let (Some(major), Some(minor), Some(name)) = (words.next(), words.next(), words.next()) else {
        return Ok(None);
    };
    if number(major).is_none() || number(minor).is_none() {
        return Err(format!("expected device numbers, found {}", shown(line)));
    }
    let mut line = Line { major, minor, name, values: [0; COLUMNS.len()], columns: 0 };
    for (value, word) in line.values.iter_mut().zip(words) {
        *value = number(word).ok_or_else(|| format!("expected a count, found {}", shown(word)))?;
        line.columns += 1;
    }
    Ok((line.columns >= FEWEST_COLUMNS).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape, survives};
    use proptest::prelude::*;

    const STATS: &str = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n\
         8       0 sda 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960 0 9653880 82621804 68851 0 1925173784 11130 5 6\n\
       179       0 mmcblk0 192 3 1560 156 0 0 0 0 0 136 156\n\
         8       1 oldpart 1 2 3 4\n";

    #[test]
    fn columns_are_emitted_as_far_as_they_are_printed() {
        let text = lines(&Host::new(&[("proc/diskstats", STATS)]), &DEF);
        for line in [
            "node_disk_reads_completed_total{device=\"sda\"} 25354637\n",
            "node_disk_read_bytes_total{device=\"sda\"} 513713216512\n",
            "node_disk_read_time_seconds_total{device=\"sda\"} 18492.372\n",
            "node_disk_discarded_sectors_total{device=\"sda\"} 1925173784\n",
            "node_disk_flush_requests_time_seconds_total{device=\"sda\"} 0.006\n",
            "node_disk_io_time_weighted_seconds_total{device=\"mmcblk0\"} 0.156\n",
            "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",rotational=\"0\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("discards_completed_total{device=\"mmcblk0\"}"));
        assert!(!text.contains("loop0") && !text.contains("oldpart"), "{text}");
    }

    #[test]
    fn udev_tells_what_a_disk_is() {
        let host = Host::new(&[
            ("proc/diskstats", STATS),
            ("sys/block/sda/queue/rotational", "1\n"),
            (
                "udev/b8:0",
                "E:ID_MODEL=M\nE:ID_SERIAL=long\nE:ID_SERIAL_SHORT=short\nE:ID_ATA=1\n\
                 E:ID_ATA_ROTATION_RATE_RPM=5400\nE:ID_FS_TYPE=ext4\nE:ID_FS_UUID=u\nE:DM_NAME=vg-lv\n",
            ),
        ]);
        let text = lines(&host, &DEF);
        for line in [
            "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",model=\"M\",rotational=\"1\",serial=\"short\"} 1\n",
            "node_disk_filesystem_info{device=\"sda\",type=\"ext4\",uuid=\"u\"} 1\n",
            "node_disk_device_mapper_info{device=\"sda\",name=\"vg-lv\"} 1\n",
            "node_disk_ata_rotation_rate_rpm{device=\"sda\"} 5400\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("write_cache"));
    }

    #[test]
    fn an_include_alone_is_enough() {
        let host = Host::new(&[("proc/diskstats", STATS)]).flag(INCLUDE, &["^loop"]);
        let text = lines(&host, &DEF);
        assert!(text.contains("loop0") && !text.contains("sda"));
    }

    #[test]
    fn devices_come_and_go_and_bad_lines_cost_themselves_only() {
        let host = Host::new(&[("proc/diskstats", STATS)]);
        let mut collector = host.build(&DEF).unwrap();
        scrape(&mut *collector).1.unwrap();
        host.write("proc/diskstats", "8 0 sda 1 x\n8 16 sdb 7 0 0 0 0 0 0 0 0 0 0\n");
        let (text, result) = scrape(&mut *collector);
        assert!(text.starts_with("node_disk_reads_completed_total{device=\"sdb\"} 7\n"), "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("diskstats:1: expected a count, found \"x\""), "{error}");
    }

    #[test]
    fn a_name_is_told_once_and_follows_its_numbers() {
        let line = |minor, reads| format!("8 {minor} sda {reads} 0 0 0 0 0 0 0 0 0 0\n");
        let host =
            Host::new(&[("udev/b8:0", "E:ID_MODEL=Old\n"), ("udev/b8:16", "E:ID_MODEL=New\n")]);
        host.write("proc/diskstats", line(0, 1) + &line(16, 2));
        let mut collector = host.build(&DEF).unwrap();
        let (text, _) = scrape(&mut *collector);
        assert!(text.starts_with("node_disk_reads_completed_total{device=\"sda\"} 1\n"), "{text}");
        assert_eq!(text.matches("node_disk_info").count(), 1, "{text}");
        host.write("proc/diskstats", line(16, 3));
        let (text, _) = scrape(&mut *collector);
        assert!(text.contains("minor=\"16\",model=\"New\""), "{text}");
    }

    #[test]
    fn as_many_disks_as_there_may_be_are_told_without_a_descriptor_each() {
        let host = Host::new(&[("sys/block/d0/queue/rotational", "1\n")]);
        let line = |disk| format!("8 {disk} d{disk} 1 0 0 0 0 0 0 0 0 0 0\n");
        host.write("proc/diskstats", (0..20_000).map(line).collect::<String>());
        let mut collector = host.build(&DEF).unwrap();
        let (text, result) = scrape(&mut *collector);
        result.unwrap();
        assert!(text.contains(
            "node_disk_info{device=\"d0\",major=\"8\",minor=\"0\",rotational=\"1\"} 1\n"
        ));
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let open = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let kept: Vec<_> = open.filter(|path| path.starts_with(host.dir.path())).collect();
        assert_eq!(kept, [host.dir.path().join("proc/diskstats")]);
    }

    proptest! {
        #![proptest_config(crate::testing::with_files())]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            survives(&DEF, "proc/diskstats", &bytes);
        }

        #[test]
        fn any_numbers_are_survived(text in "([0-9]{1,3} 0 sd[a-c]( [0-9]{1,21}){9,19}\n){0,4}") {
            survives(&DEF, "proc/diskstats", text.as_bytes());
        }
    }
}
