//! `btrfs`: space, commits and devices of btrfs file systems (SYS/fs/btrfs, and the file systems themselves).
//!
//! Sysfs tells how space is given to block groups; how full and how healthy each device is tells only the mounted
//! file system, by ioctl(2). It must not know sizes as users see them: those are the collector `filesystem`.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape, Setting,
};
use vigie_core::metric::{Family, MetricSink, Value};

use crate::mountinfo;
use crate::parse::{lines, number, words};
use crate::statfs::MayHang;
use crate::sysfs::{Attributes, entries_if_any};

mod device;

use device::{Device, ERRORS, Filesystem};

static INFO: Family<2> =
    Family::gauge("node_btrfs_info", "The label of each btrfs; always 1.", ["label", "uuid"]);
static GLOBAL_RESERVE: Family<1> = Family::gauge(
    "node_btrfs_global_rsv_size_bytes",
    "Space kept for the file system's own emergencies.",
    ["uuid"],
);
static RESERVED: Family<2> = Family::gauge(
    "node_btrfs_reserved_bytes",
    "Space promised to writes under way.",
    ["block_group_type", "uuid"],
);
static USED: Family<3> = profile("node_btrfs_used_bytes", "Used space of the block groups.");
static SIZE: Family<3> = profile("node_btrfs_size_bytes", "Space given to the block groups.");
static RATIO: Family<3> =
    profile("node_btrfs_allocation_ratio", "Bytes on disk for each byte of data.");
static DEVICE_SIZE: Family<3> = device("node_btrfs_device_size_bytes", "Size of the device.");
static DEVICE_UNUSED: Family<3> = device(
    "node_btrfs_device_unused_bytes",
    "Space of the device that is not given to any block group.",
);
static DEVICE_ERRORS: Family<4> = Family::counter(
    "node_btrfs_device_errors_total",
    "Errors of the device since its counters were reset.",
    ["btrfs_dev_uuid", "device", "type", "uuid"],
);

const NO_COMMITS: &[u8] = b"commits 0\nlast_commit_ms 0\nmax_commit_ms 0\ntotal_commit_ms 0\n";

/// The lines of `commit_stats`: a count, and times in milliseconds.
static COMMITS: [(&str, Family<1>); 4] = [
    ("commits", Family::counter("node_btrfs_commits_total", "Commits.", ["uuid"])),
    (
        "last_commit_ms",
        Family::gauge("node_btrfs_last_commit_seconds", "Time of the last commit.", ["uuid"]),
    ),
    (
        "max_commit_ms",
        Family::gauge("node_btrfs_max_commit_seconds", "Time of the longest commit.", ["uuid"]),
    ),
    (
        "total_commit_ms",
        Family::counter("node_btrfs_commit_seconds_total", "Time of all commits.", ["uuid"]),
    ),
];

const fn profile(name: &'static str, help: &'static str) -> Family<3> {
    Family::gauge(name, help, ["block_group_type", "mode", "uuid"])
}

const fn device(name: &'static str, help: &'static str) -> Family<3> {
    Family::gauge(name, help, ["btrfs_dev_uuid", "device", "uuid"])
}

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("btrfs", "Space, commits and devices of btrfs file systems.")
        .needs("a mounted btrfs")
        .reads("SYS/fs/btrfs, PROC/1/mountinfo, ioctl(2)")
        .families(&[
            INFO.doc(),
            GLOBAL_RESERVE.doc(),
            COMMITS[0].1.doc(),
            COMMITS[1].1.doc(),
            COMMITS[2].1.doc(),
            COMMITS[3].1.doc(),
            RESERVED.doc(),
            USED.doc(),
            SIZE.doc(),
            RATIO.doc(),
            DEVICE_SIZE.doc(),
            DEVICE_UNUSED.doc(),
            DEVICE_ERRORS.doc(),
        ]),
    build: |setting| Ok(Box::new(Btrfs::new(setting))),
};

struct Btrfs {
    directory: PathBuf,
    mounts: FileReader,
    rootfs: PathBuf,
    /// The mount table that `mounted` was made from: it seldom changes.
    table: Vec<u8>,
    mounted: Vec<Mounted>,
    attributes: Attributes,
}

/// A place where a file system can be asked.
struct Mounted {
    source: String,
    path: PathBuf,
}

/// What names a file system: its directory in sysfs, and the label.
struct Name {
    fsid: String,
    uuid: String,
}

impl Btrfs {
    fn new(setting: &Setting) -> Self {
        Btrfs {
            directory: setting.paths.sys("fs/btrfs"),
            mounts: FileReader::kept_open(setting.paths.proc_init("mountinfo")),
            rootfs: setting.paths.rootfs.clone(),
            table: Vec::new(),
            mounted: Vec::new(),
            attributes: Attributes::new(),
        }
    }
}

impl Collector for Btrfs {
    /// A host without btrfs has no series; that is no failure, as with node_exporter.
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let names = self.names()?;
        if names.is_empty() {
            return Ok(());
        }
        for name in &names {
            self.emit_space(name, sink)?;
        }
        let mut told = self.ask_mounted();
        for name in &names {
            match told.remove(&name.fsid) {
                Some(devices) => emit_devices(&name.uuid, &devices, sink),
                None => self.emit_sizes(name, sink)?,
            }
        }
        Ok(())
    }
}

impl Btrfs {
    /// The mounted file systems. The label is the UUID of the metadata, which stays when the file system's own is
    /// changed; two that share it are told apart by their own.
    fn names(&mut self) -> Result<Vec<Name>, CollectError> {
        let directories = entries_if_any(&self.directory)?;
        let mut met = HashSet::new();
        let mut names = Vec::new();
        // What is not named by a UUID is about the module.
        for fsid in directories.into_iter().filter(|name| name.contains('-')) {
            let metadata = self.attributes.text(&self.directory.join(&fsid), "metadata_uuid");
            let is_own = metadata.is_empty() || !met.insert(metadata.clone());
            let uuid = if is_own { fsid.clone() } else { metadata };
            names.push(Name { fsid, uuid });
        }
        Ok(names)
    }

    fn emit_space(&mut self, name: &Name, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let directory = self.directory.join(&name.fsid);
        let uuid = &name.uuid;
        INFO.emit(sink, [&self.attributes.text(&directory, "label"), uuid], true);
        if let Some(size) = self.attributes.number(&directory, "allocation/global_rsv_size") {
            GLOBAL_RESERVE.emit(sink, [uuid], size);
        }
        let commits = self.attributes.optional(&directory, "commit_stats");
        // Older kernels do not tell, and node_exporter shows 0.
        emit_commits(commits.unwrap_or(NO_COMMITS), uuid, sink);
        let devices = entries_if_any(&directory.join("devices"))?.len();
        let allocation = directory.join("allocation");
        for kind in entries_if_any(&allocation)? {
            let directory = allocation.join(&kind);
            let Some(reserved) = self.attributes.number(&directory, "bytes_reserved") else {
                continue;
            };
            RESERVED.emit(sink, [&kind, uuid], reserved);
            self.emit_profiles(&directory, [&kind, uuid], devices, sink)?;
        }
        Ok(())
    }

    /// Block groups of one type, by how they are spread over the devices.
    fn emit_profiles(
        &mut self,
        directory: &Path,
        [kind, uuid]: [&str; 2],
        devices: usize,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        for mode in entries_if_any(directory)? {
            let directory = directory.join(&mode);
            // Attributes of the type stand among its profiles.
            let Some(used) = self.attributes.number(&directory, "used_bytes") else { continue };
            USED.emit(sink, [kind, &mode, uuid], used);
            if let Some(size) = self.attributes.number(&directory, "total_bytes") {
                SIZE.emit(sink, [kind, &mode, uuid], size);
            }
            if let Some(ratio) = ratio(&mode, devices) {
                RATIO.emit(sink, [kind, &mode, uuid], ratio);
            }
        }
        Ok(())
    }

    /// Devices of every file system that answers, by its UUID. One that is mounted often is asked until it does;
    /// one that refuses shows what sysfs says.
    fn ask_mounted(&mut self) -> HashMap<String, Vec<Device>> {
        self.list_mounted();
        let mut told = HashMap::new();
        let mut sources = HashSet::new();
        for Mounted { source, path } in &self.mounted {
            if sources.contains(source) {
                continue;
            }
            match Filesystem::open(path).and_then(|file| Ok((file.fsid(), file.devices()?))) {
                Ok((fsid, devices)) => {
                    sources.insert(source);
                    told.insert(fsid, devices);
                }
                Err(error) => tracing::debug!("btrfs: cannot ask {}: {error}", path.display()),
            }
        }
        told
    }

    /// Lists the mounts anew when the table changed. Only those are asked to which the way cannot hang: btrfs
    /// itself answers from memory.
    fn list_mounted(&mut self) {
        // Without a table nobody can be asked, and sysfs is enough.
        let table = self.mounts.read().unwrap_or_default();
        if table == self.table {
            return;
        }
        self.table = table.to_vec();
        let mut may_hang = MayHang::default();
        let mounts = || lines(&self.table).filter_map(|(_, line)| mountinfo::parse(line).ok());
        mounts().for_each(|mount| may_hang.note(&mount.mount_point, &mount.fs_type));
        let ours = mounts().filter(|mount| mount.fs_type == "btrfs");
        let ours = ours.filter(|mount| !may_hang.at(&mount.mount_point)).map(|mount| Mounted {
            path: mount.path(&self.rootfs),
            source: mount.source.into_owned(),
        });
        self.mounted = ours.collect();
    }

    /// Sizes of devices as sysfs knows them, where the file system does not answer.
    fn emit_sizes(&mut self, name: &Name, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let devices = self.directory.join(&name.fsid).join("devices");
        for device in entries_if_any(&devices)? {
            if let Some(sectors) = self.attributes.number(&devices.join(&device), "size") {
                DEVICE_SIZE.emit(sink, ["", &device, &name.uuid], sectors as f64 * 512.0);
            }
        }
        Ok(())
    }
}

fn emit_commits(file: &[u8], uuid: &str, sink: &mut dyn MetricSink) {
    for (key, family) in &COMMITS {
        let value = |line| {
            let mut words = words(line);
            let is_it = words.next() == Some(key.as_bytes());
            is_it.then(|| words.next().and_then(number)).flatten()
        };
        // A line that is cut is no number: a counter does not go back for it.
        let Some(value) = lines(file).find_map(|(_, line)| value(line)) else { continue };
        let is_time = key.ends_with("_ms");
        let value = if is_time { Value::F64(value as f64 / 1000.0) } else { Value::U64(value) };
        family.emit(sink, [uuid], value);
    }
}

fn emit_devices(uuid: &str, devices: &[Device], sink: &mut dyn MetricSink) {
    for device in devices {
        let labels = [device.uuid.as_str(), &device.name, uuid];
        DEVICE_SIZE.emit(sink, labels, device.size);
        DEVICE_UNUSED.emit(sink, labels, device.size.saturating_sub(device.used));
        for (kind, count) in ERRORS.iter().zip(&device.errors) {
            DEVICE_ERRORS.emit(sink, [&device.uuid, &device.name, kind, uuid], *count);
        }
    }
}

/// Bytes on disk for a byte of data (mkfs.btrfs(8), "profiles"); `None` for a profile not known here.
fn ratio(mode: &str, devices: usize) -> Option<f64> {
    let striped = |parity: usize| {
        let data = devices.checked_sub(parity).filter(|&data| data > 0)?;
        Some(devices as f64 / data as f64)
    };
    match mode {
        "single" | "raid0" => Some(1.0),
        "dup" | "raid1" | "raid10" => Some(2.0),
        "raid1c3" => Some(3.0),
        "raid1c4" => Some(4.0),
        "raid5" => striped(1),
        "raid6" => striped(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, paths};

    const FSID: &str = "0abb23a9-579b-43e6-ad30-227ef47fcb9d";

    fn host(files: &[(&str, &str)]) -> Host {
        let host = Host::new(&[("sys/fs/btrfs/features/raid56", "0\n")]);
        for (name, text) in files {
            host.write(&format!("sys/fs/btrfs/{FSID}/{name}"), text);
        }
        host
    }

    #[test]
    fn what_sysfs_says_comes_out() {
        let text = lines(
            &host(&[
                ("label", "fixture\n"),
                (
                    "commit_stats",
                    "commits 258051\nlast_commit_ms 1000\nmax_commit_ms 51462\nnew 1\n",
                ),
                ("allocation/global_rsv_size", "16777216\n"),
                ("allocation/data/bytes_reserved", "7\n"),
                ("allocation/data/raid5/used_bytes", "808189952\n"),
                ("allocation/data/raid5/total_bytes", "2147483648\n"),
                ("devices/sda/size", "20971520\n"),
                ("devices/sdb/size", "20971520\n"),
                ("devices/sdc/missing", "1\n"),
            ]),
            &DEF,
        );
        let uuid = format!("uuid={FSID:?}");
        let data = format!("{{block_group_type=\"data\",mode=\"raid5\",{uuid}}}");
        assert_eq!(
            text,
            format!(
                "node_btrfs_info{{label=\"fixture\",{uuid}}} 1\n\
                 node_btrfs_global_rsv_size_bytes{{{uuid}}} 16777216\n\
                 node_btrfs_commits_total{{{uuid}}} 258051\n\
                 node_btrfs_last_commit_seconds{{{uuid}}} 1\n\
                 node_btrfs_max_commit_seconds{{{uuid}}} 51.462\n\
                 node_btrfs_reserved_bytes{{block_group_type=\"data\",{uuid}}} 7\n\
                 node_btrfs_used_bytes{data} 808189952\n\
                 node_btrfs_size_bytes{data} 2147483648\n\
                 node_btrfs_allocation_ratio{data} 1.5\n\
                 node_btrfs_device_size_bytes{{device=\"sda\",{uuid}}} 10737418240\n\
                 node_btrfs_device_size_bytes{{device=\"sdb\",{uuid}}} 10737418240\n"
            )
        );
    }

    #[test]
    fn two_file_systems_of_one_metadata_uuid_stay_apart() {
        let host = host(&[("metadata_uuid", "aaaa-1\n")]);
        host.write("sys/fs/btrfs/1abb-2/metadata_uuid", "aaaa-1\n");
        let text = lines(&host, &DEF);
        let infos: Vec<&str> = text.lines().filter(|line| line.contains("_info")).collect();
        let expected = ["node_btrfs_info{uuid=\"aaaa-1\"} 1", "node_btrfs_info{uuid=\"1abb-2\"} 1"];
        assert_eq!(infos, expected);
    }

    #[test]
    fn a_mount_that_is_no_btrfs_after_all_shows_sysfs() {
        let host = host(&[("devices/sda/size", "2\n")]);
        let mount = format!("36 35 0:7 / {} rw - btrfs /dev/sda rw\n", host.path("proc"));
        host.write("proc/1/mountinfo", mount);
        assert!(lines(&host, &DEF).ends_with(
            "_size_bytes{device=\"sda\",uuid=\"0abb23a9-579b-43e6-ad30-227ef47fcb9d\"} 1024\n"
        ));
    }

    #[test]
    fn what_lies_behind_a_mount_that_may_hang_is_not_asked() {
        let host = Host::new(&[(
            "proc/1/mountinfo",
            "1 1 0:7 / / rw - ext4 /dev/sda rw\n2 1 0:8 / /nas rw - nfs4 nas:/ rw\n\
             3 2 0:9 / /nas/disk rw - btrfs /dev/sdb rw\n4 1 0:10 / /pool rw - btrfs /dev/sdc rw\n",
        )]);
        let setting = Setting::new(paths(host.dir.path()), Default::default(), String::new());
        let mut btrfs = Btrfs::new(&setting);
        btrfs.list_mounted();
        let sources: Vec<_> = btrfs.mounted.iter().map(|mounted| &mounted.source).collect();
        assert_eq!(sources, ["/dev/sdc"]);
    }

    #[test]
    fn ratios_follow_the_profiles() {
        assert_eq!(ratio("raid6", 4), Some(2.0));
        assert_eq!(ratio("raid6", 2), None);
        assert_eq!(ratio("raid5", 0), None);
        assert_eq!(ratio("raid1c4", 9), Some(4.0));
        assert_eq!(ratio("raid9", 9), None);
    }

    #[test]
    fn devices_that_answer_have_errors_and_free_space() {
        let device = Device {
            name: "sda".into(),
            uuid: "u".into(),
            size: 10,
            used: 4,
            errors: vec![0, 1, 2, 3, 4],
        };
        let mut sink = crate::testing::Lines::default();
        emit_devices("f", &[device], &mut sink);
        let labels = "btrfs_dev_uuid=\"u\",device=\"sda\"";
        assert!(sink.text.contains(&format!("_unused_bytes{{{labels},uuid=\"f\"}} 6\n")));
        let last = format!("_errors_total{{{labels},type=\"generation\",uuid=\"f\"}} 4\n");
        assert!(sink.text.ends_with(&last), "{}", sink.text);
    }

    #[test]
    fn a_host_without_btrfs_has_no_series() {
        assert_eq!(lines(&Host::new(&[]), &DEF), "");
    }
}
