//! `filesystem`: sizes of mounted file systems (PROC/1/mountinfo, statfs(2)).
//!
//! The mounts are those of the host's first process, so that a container sees the host's. It must
//! not know how a dead mount is kept from stopping the others: that is `statfs`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape, Setting,
};
use vigie_core::config::{FlagDef, Flags, parse_duration};
use vigie_core::metric::{Family, MetricSink, Value};

use crate::filter::Filter;
use crate::mountinfo::{self, Mount};
use crate::parse::lines;
use crate::statfs::{Answer, Asker, MayHang, Target, Usage, message, statfs};

const MOUNTS_INCLUDE: &str = "collector.filesystem.mount-points-include";
const MOUNTS_EXCLUDE: &str = "collector.filesystem.mount-points-exclude";
const TYPES_INCLUDE: &str = "collector.filesystem.fs-types-include";
const TYPES_EXCLUDE: &str = "collector.filesystem.fs-types-exclude";
const TIMEOUT: &str = "collector.filesystem.mount-timeout";
const WORKERS: &str = "collector.filesystem.stat-workers";

const DEFAULT_MOUNTS_EXCLUDE: &str =
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
const DEFAULT_TYPES_EXCLUDE: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|\
    devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|\
    securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("filesystem", "Sizes of mounted file systems.")
        .reads("PROC/1/mountinfo, statfs(2)")
        .flags(&[
            FlagDef::text(
                MOUNTS_EXCLUDE,
                DEFAULT_MOUNTS_EXCLUDE,
                "Regular expression of mount points to leave out; not with mount-points-include.",
            )
            .aliases(&["collector.filesystem.ignored-mount-points"]),
            FlagDef::text(
                MOUNTS_INCLUDE,
                "",
                "Regular expression of mount points to export; not with mount-points-exclude.",
            ),
            FlagDef::text(
                TYPES_EXCLUDE,
                DEFAULT_TYPES_EXCLUDE,
                "Regular expression of file system types to leave out; not with fs-types-include.",
            )
            .aliases(&["collector.filesystem.ignored-fs-types"]),
            FlagDef::text(
                TYPES_INCLUDE,
                "",
                "Regular expression of file system types to export; not with fs-types-exclude.",
            ),
            FlagDef::text(TIMEOUT, "5s", "How long a mount may take to answer."),
            FlagDef::text(WORKERS, "4", "How many dead mounts may each hold a thread."),
        ])
        .families(&[
            SIZE.doc(),
            FREE.doc(),
            AVAILABLE.doc(),
            FILES.doc(),
            FILES_FREE.doc(),
            PURGEABLE.doc(),
            READONLY.doc(),
            ERROR.doc(),
            MOUNT.doc(),
        ]),
    build: |setting| Ok(Box::new(Filesystem::build(setting)?)),
};

const fn gauge(name: &'static str, help: &'static str) -> Family<4> {
    Family::gauge(name, help, ["device", "device_error", "fstype", "mountpoint"])
}

static SIZE: Family<4> = gauge("node_filesystem_size_bytes", "Size of the file system.");
static FREE: Family<4> = gauge("node_filesystem_free_bytes", "Free space, root's share included.");
static AVAILABLE: Family<4> =
    gauge("node_filesystem_avail_bytes", "Free space for users other than root.");
static FILES: Family<4> = gauge("node_filesystem_files", "Inodes of the file system.");
static FILES_FREE: Family<4> = gauge("node_filesystem_files_free", "Free inodes.");
static PURGEABLE: Family<4> =
    gauge("node_filesystem_purgeable_bytes", "Space that the system may free; 0 on Linux.");
static READONLY: Family<4> =
    gauge("node_filesystem_readonly", "Whether the file system is mounted read-only.");
static ERROR: Family<4> = gauge(
    "node_filesystem_device_error",
    "Whether the file system could not be asked; label device_error says why.",
);
static MOUNT: Family<4> = Family::gauge(
    "node_filesystem_mount_info",
    "Device numbers of the file system; always 1.",
    ["device", "major", "minor", "mountpoint"],
);

struct Filesystem {
    file: FileReader,
    rootfs: PathBuf,
    mount_points: Filter,
    types: Filter,
    asker: Asker,
    /// The mount table the rows were made from: it seldom changes.
    table: Vec<u8>,
    rows: Vec<Row>,
    targets: Arc<[Target]>,
    answers: Vec<Answer>,
    broken: Option<(usize, String)>,
}

/// A mount that is reported.
struct Row {
    device: String,
    fs_type: String,
    mount_point: String,
    /// Where it is asked.
    path: PathBuf,
    /// Major and minor number; several where such mounts lie over one another, the one that is seen last.
    devices: Vec<[String; 2]>,
    readonly: bool,
}

impl Filesystem {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let flags = &setting.flags;
        let (patience, most_stuck) = (patience(flags)?, most_stuck(flags)?);
        Ok(Filesystem {
            file: FileReader::kept_open(setting.paths.proc_init("mountinfo")),
            rootfs: setting.paths.rootfs.clone(),
            mount_points: Filter::from_flags(flags, MOUNTS_INCLUDE, MOUNTS_EXCLUDE)?,
            types: Filter::from_flags(flags, TYPES_INCLUDE, TYPES_EXCLUDE)?,
            asker: Asker::new(Arc::new(statfs), patience, most_stuck),
            table: Vec::new(),
            rows: Vec::new(),
            targets: Arc::from([]),
            answers: Vec::new(),
            broken: None,
        })
    }

    /// Makes the rows anew when the mount table changed.
    fn update(&mut self) -> Result<(), CollectError> {
        let table = self.file.read()?;
        if table == self.table {
            return Ok(());
        }
        self.table.clear();
        self.table.extend_from_slice(table);
        let mut may_hang = MayHang::default();
        (self.rows, self.broken) = self.rows(&mut may_hang);
        let target = |row: &Row| Target {
            path: row.path.clone(),
            device: row.devices.last().map(|numbers| numbers.join(":")).unwrap_or_default(),
            may_hang: may_hang.at(&row.mount_point),
        };
        self.targets = self.rows.iter().map(target).collect();
        Ok(())
    }

    /// The mounts to report, each once, and the first line that was not understood.
    fn rows(&self, may_hang: &mut MayHang) -> (Vec<Row>, Option<(usize, String)>) {
        let mut rows: Vec<Row> = Vec::new();
        let mut broken = None;
        let mut seen = HashMap::new();
        for (line_number, line) in lines(&self.table) {
            match mountinfo::parse(line) {
                Ok(mount) => {
                    let row = self.row(&mount);
                    may_hang.note(&row.mount_point, &row.fs_type);
                    let key = (row.device.clone(), row.fs_type.clone(), row.mount_point.clone());
                    if !self.mount_points.admits(&row.mount_point)
                        || !self.types.admits(&row.fs_type)
                    {
                        continue;
                    }
                    let at = *seen.entry(key).or_insert(rows.len());
                    match rows.get_mut(at) {
                        Some(below) => below.cover(row),
                        None => rows.push(row),
                    }
                }
                Err(what) => {
                    broken.get_or_insert((line_number, what));
                }
            }
        }
        (rows, broken)
    }

    fn row(&self, mount: &Mount<'_>) -> Row {
        Row {
            device: mount.source.clone().into_owned(),
            fs_type: mount.fs_type.clone().into_owned(),
            mount_point: without_root(&mount.mount_point, &self.rootfs.to_string_lossy())
                .to_owned(),
            path: mount.path(&self.rootfs),
            devices: vec![[mount.major.to_owned(), mount.minor.to_owned()]],
            readonly: mount.readonly,
        }
    }
}

impl Collector for Filesystem {
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.update()?;
        self.asker
            .ask(&self.targets, &mut self.answers, scrape.deadline)
            .map_err(|error| CollectError::Other(format!("start a thread for statfs: {error}")))?;
        emit(&self.rows, &self.answers, sink);
        match &self.broken {
            Some((line, what)) => Err(CollectError::parse(self.file.path(), *line, what.clone())),
            None => Ok(()),
        }
    }
}

fn emit(rows: &[Row], answers: &[Answer], sink: &mut dyn MetricSink) {
    let mut errors = ERROR.open(sink);
    for (row, answer) in rows.iter().zip(answers) {
        errors.emit(row.labels(answer), answer.error().is_some());
    }
    let mut readonly = READONLY.open(sink);
    for (row, answer) in rows.iter().zip(answers) {
        readonly.emit(row.labels(answer), row.readonly);
    }
    for (family, value) in SIZES {
        let mut family = family.open(sink);
        for (row, answer) in rows.iter().zip(answers) {
            if let Answer::Usage(usage) = answer {
                family.emit(row.labels(answer), value(usage));
            }
        }
    }
    let mut mounts = MOUNT.open(sink);
    for (row, _) in rows.iter().zip(answers).filter(|(_, a)| a.error().is_none()) {
        for [major, minor] in &row.devices {
            mounts.emit([&row.device, major, minor, &row.mount_point], true);
        }
    }
}

type Read = fn(&Usage) -> Value<'static>;

static SIZES: [(&Family<4>, Read); 6] = [
    (&SIZE, |usage| bytes(usage.blocks, usage)),
    (&FREE, |usage| bytes(usage.blocks_free, usage)),
    (&AVAILABLE, |usage| bytes(usage.blocks_available, usage)),
    (&FILES, |usage| Value::U64(usage.files)),
    (&FILES_FREE, |usage| Value::U64(usage.files_free)),
    (&PURGEABLE, |_| Value::U64(0)),
];

fn bytes(blocks: u64, usage: &Usage) -> Value<'static> {
    let exact = blocks.checked_mul(usage.block_size).map(Value::U64);
    exact.unwrap_or(Value::F64(blocks as f64 * usage.block_size as f64))
}

impl Row {
    /// A mount over this one: it is the one that is asked.
    fn cover(&mut self, above: Row) {
        self.readonly = above.readonly;
        self.devices.retain(|device| !above.devices.contains(device));
        self.devices.extend(above.devices);
    }

    fn labels<'a>(&'a self, answer: &Answer) -> [&'a str; 4] {
        let error = answer.error().unwrap_or_default();
        [&self.device, error, &self.fs_type, &self.mount_point]
    }
}

impl Answer {
    /// The label `device_error`.
    fn error(&self) -> Option<&'static str> {
        match self {
            Answer::Usage(_) => None,
            Answer::Refused(errno) => Some(message(*errno)),
            Answer::Timeout => Some("mountpoint timeout"),
        }
    }
}

/// A mount point as the host names it.
fn without_root<'a>(mount_point: &'a str, rootfs: &str) -> &'a str {
    let rootfs = rootfs.trim_end_matches('/');
    match mount_point.strip_prefix(rootfs) {
        Some("") if !rootfs.is_empty() => "/",
        Some(stripped) if stripped.starts_with('/') => stripped,
        _ => mount_point,
    }
}

fn patience(flags: &Flags) -> Result<Duration, BuildError> {
    parse_duration(flags.text(TIMEOUT))
        .map_err(|error| flags.error(TIMEOUT, error.to_string()).into())
}

fn most_stuck(flags: &Flags) -> Result<usize, BuildError> {
    let text = flags.text(WORKERS);
    let wrong =
        || flags.error(WORKERS, format!("expected a number above 0, found {text:?}")).into();
    text.parse().ok().filter(|&number| number > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape, survives};
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt;

    fn mounts(host: &Host, lines: &[(&str, &str, &str)]) {
        let line = |(path, kind, options): &(&str, &str, &str)| {
            format!("36 35 98:7 / {} {options} shared:1 - {kind} /dev/x rw\n", host.path(path))
        };
        host.write("proc/1/mountinfo", lines.iter().map(line).collect::<String>());
    }

    #[test]
    fn a_mount_has_sizes() {
        let host = Host::new(&[("disk/x", "")]);
        mounts(&host, &[("disk", "ext4", "ro"), ("disk", "ext4", "ro"), ("disk", "sysfs", "rw")]);
        let text = lines(&host, &DEF);
        let labels =
            format!("{{device=\"/dev/x\",fstype=\"ext4\",mountpoint={:?}}}", host.path("disk"));
        for line in [
            format!("node_filesystem_device_error{labels} 0\n"),
            format!("node_filesystem_readonly{labels} 1\n"),
            format!("node_filesystem_size_bytes{labels} "),
            format!("node_filesystem_purgeable_bytes{labels} 0\n"),
        ] {
            assert!(text.contains(&line), "{line}{text}");
        }
        assert!(
            text.contains("node_filesystem_mount_info{device=\"/dev/x\",major=\"98\",minor=\"7\"")
        );
        assert_eq!(
            text.lines().count(),
            9,
            "double mounts and excluded types are left out: {text}"
        );
    }

    #[test]
    fn of_mounts_over_one_another_the_last_is_seen() {
        let host = Host::new(&[("disk/x", "")]);
        let disk = host.path("disk");
        let mount = |minor: u8, options: &str| {
            format!("36 35 0:{minor} / {disk} {options} - tmpfs tmpfs rw\n")
        };
        host.write("proc/1/mountinfo", [mount(7, "rw"), mount(8, "rw"), mount(7, "ro")].concat());
        let text = lines(&host, &DEF);
        let readonly =
            format!("readonly{{device=\"tmpfs\",fstype=\"tmpfs\",mountpoint={disk:?}}} 1\n");
        assert!(text.contains(&readonly), "{text}");
        let infos = text.lines().filter(|line| line.contains("_mount_info"));
        let minors: Vec<&str> = infos.map(|line| line.split('"').nth(5).unwrap()).collect();
        assert_eq!(minors, ["8", "7"]);
    }

    #[test]
    fn a_mount_is_asked_by_its_bytes_and_named_in_text() {
        let host = Host::new(&[]);
        let directory = host.dir.path().join("disk");
        let name = std::ffi::OsStr::from_bytes(b"a\\b\xe9");
        std::fs::create_dir_all(directory.join(name)).unwrap();
        let mut line = format!("36 35 98:7 / {}/", directory.display()).into_bytes();
        line.extend_from_slice(b"a\\134b\xe9 rw - ext4 /dev/x rw\n");
        host.write("proc/1/mountinfo", line);
        let text = lines(&host, &DEF);
        assert!(text.contains("a\\\\134b\u{fffd}\"} 0\n"), "{text}");
        assert!(text.contains("node_filesystem_size_bytes"), "{text}");
    }

    #[test]
    fn a_mount_that_refuses_says_why() {
        let host = Host::new(&[]);
        mounts(&host, &[("gone", "nfs", "rw")]);
        let text = lines(&host, &DEF);
        assert!(text.contains("node_filesystem_device_error{device=\"/dev/x\",device_error=\"no such file or directory\""));
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn a_bad_line_costs_itself_only_and_is_named_each_time() {
        let host =
            Host::new(&[("proc/1/mountinfo", "36 35 98:7\n1 1 0:1 / / rw - ext4 /dev/x rw\n")]);
        let mut collector = host.build(&DEF).unwrap();
        for _ in 0..2 {
            let (text, result) = scrape(&mut *collector);
            assert!(text.contains("mountpoint=\"/\""));
            let error = result.unwrap_err().to_string();
            assert!(
                error.contains("mountinfo:1: expected a mount, found \"36 35 98:7\""),
                "{error}"
            );
        }
    }

    #[test]
    fn the_root_prefix_goes_and_the_whole_is_the_root() {
        assert_eq!(without_root("/host/var", "/host"), "/var");
        assert_eq!(without_root("/host", "/host"), "/");
        assert_eq!(without_root("/var", "/host"), "/var");
        assert_eq!(without_root("/var", "/"), "/var");
        assert_eq!(without_root("/hostel/x", "/host"), "/hostel/x", "only a whole part of a path");
        assert_eq!(without_root("/host/var", "/host/"), "/var");
    }

    #[test]
    fn bad_flags_are_named() {
        for (flag, value) in
            [(TIMEOUT, "x"), (WORKERS, "0"), (MOUNTS_EXCLUDE, "("), (TYPES_INCLUDE, "[")]
        {
            let error = Host::new(&[]).flag(flag, &[value]).build(&DEF).err().unwrap();
            assert!(error.contains(flag), "{error}");
        }
        let both = Host::new(&[]).flag(MOUNTS_EXCLUDE, &["a"]).flag(MOUNTS_INCLUDE, &["b"]);
        assert!(both.build(&DEF).err().unwrap().contains("cannot go with"));
    }

    #[test]
    fn a_dead_mount_is_marked() {
        let row = Row {
            device: "nas:/x".into(),
            fs_type: "nfs4".into(),
            mount_point: "/nas".into(),
            path: "/nas".into(),
            devices: vec![["0".into(), "50".into()]],
            readonly: false,
        };
        let mut sink = crate::testing::Lines::default();
        emit(&[row], &[Answer::Timeout], &mut sink);
        assert_eq!(
            sink.text,
            "node_filesystem_device_error{device=\"nas:/x\",device_error=\"mountpoint timeout\",\
             fstype=\"nfs4\",mountpoint=\"/nas\"} 1\n\
             node_filesystem_readonly{device=\"nas:/x\",device_error=\"mountpoint timeout\",\
             fstype=\"nfs4\",mountpoint=\"/nas\"} 0\n"
        );
    }

    proptest! {
        #![proptest_config(crate::testing::with_files())]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            survives(&DEF, "proc/1/mountinfo", &bytes);
        }
    }
}
