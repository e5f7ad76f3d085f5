//! `os`: which distribution the host runs (ROOTFS/etc/os-release, os-release(5)).
//!
//! The file changes with upgrades only, so it is read again when it is another one or its time of change differs. It
//! must not know the kernel: that is the collector `uname`.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{float, shown, text};

mod release;

use release::Release;

/// The labels and, below, the keys they come from.
static INFO: Family<12> = Family::gauge(
    "node_os_info",
    "The distribution, as os-release describes it; always 1.",
    [
        "build_id",
        "id",
        "id_like",
        "image_id",
        "image_version",
        "name",
        "pretty_name",
        "variant",
        "variant_id",
        "version",
        "version_codename",
        "version_id",
    ],
);
const KEYS: [&[u8]; 12] = [
    b"BUILD_ID",
    b"ID",
    b"ID_LIKE",
    b"IMAGE_ID",
    b"IMAGE_VERSION",
    b"NAME",
    b"PRETTY_NAME",
    b"VARIANT",
    b"VARIANT_ID",
    b"VERSION",
    b"VERSION_CODENAME",
    b"VERSION_ID",
];
static VERSION: Family<3> = Family::gauge(
    "node_os_version",
    "Version of the distribution, its first two parts as a number.",
    ["id", "id_like", "name"],
);
static SUPPORT_END: Family = Family::gauge(
    "node_os_support_end_timestamp_seconds",
    "Until when the distribution is supported, in Unix time.",
    [],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("os", "Distribution and its version.")
        .reads("ROOTFS/etc/os-release, ROOTFS/usr/lib/os-release")
        .families(&[INFO.doc(), VERSION.doc(), SUPPORT_END.doc()]),
    build: |setting| Ok(Box::new(Os { rootfs: setting.paths.rootfs.clone(), told: None })),
};

/// Below ROOTFS, that of the administrator first.
const FILES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

struct Os {
    rootfs: PathBuf,
    told: Option<Told>,
}

/// What tells that a file is the one that was read. Its time alone does not: where the system is an image, all files
/// have the same.
#[derive(PartialEq)]
struct Version {
    device: u64,
    inode: u64,
    modified: (i64, i64),
}

/// A file that was read, and what it says.
struct Told {
    path: PathBuf,
    version: Version,
    labels: [String; KEYS.len()],
    number: Option<f64>,
    /// Unix time.
    support_end: Option<i64>,
    /// The first line that was not understood.
    broken: Result<(), (usize, String)>,
}

impl Collector for Os {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let told = self.refresh()?;
        let values = told.labels.each_ref().map(String::as_str);
        INFO.emit(sink, values, true);
        if let Some(number) = told.number {
            let [_, id, id_like, _, _, name, ..] = values;
            VERSION.emit(sink, [id, id_like, name], number);
        }
        if let Some(seconds) = told.support_end {
            SUPPORT_END.emit(sink, [], seconds);
        }
        let broken = told.broken.clone();
        broken.map_err(|(line, what)| CollectError::parse(&told.path, line, what))
    }
}

impl Os {
    fn refresh(&mut self) -> Result<&Told, CollectError> {
        let (path, file) = self.find()?;
        let read = |told: Option<Told>| -> io::Result<Told> {
            let version = Version::of(&file.metadata()?);
            match told.filter(|told| told.path == path && told.version == version) {
                Some(told) => Ok(told),
                None => Told::read(path.clone(), &file, version),
            }
        };
        let told = read(self.told.take()).map_err(|error| CollectError::read(&path, error))?;
        Ok(self.told.insert(told))
    }

    /// The first file that is there.
    fn find(&self) -> Result<(PathBuf, File), CollectError> {
        for name in FILES {
            let path = self.rootfs.join(name);
            match self.open(name) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(CollectError::read(path, error)),
            }
        }
        Err(CollectError::no_data("there is no os-release"))
    }

    /// Links are followed as the host does: one that begins with `/` begins at ROOTFS, not at the root of a container.
    fn open(&self, name: &str) -> io::Result<File> {
        let how = OpenHow::new().flags(OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        let root = open(&self.rootfs, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        match openat2(root, name, how) {
            // Older kernels, sandboxes that do not know the call, and mounts that come and go meanwhile.
            Err(Errno::ENOSYS | Errno::EPERM | Errno::EAGAIN) => File::open(self.rootfs.join(name)),
            opened => Ok(File::from(opened?)),
        }
    }
}

impl Version {
    fn of(file: &Metadata) -> Self {
        let modified = (file.mtime(), file.mtime_nsec());
        Version { device: file.dev(), inode: file.ino(), modified }
    }
}

impl Told {
    fn read(path: PathBuf, file: &File, version: Version) -> io::Result<Self> {
        /// No distribution has more to say.
        const MOST: u64 = 1 << 20;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        let (release, broken) = Release::parse(&bytes);
        let labels = KEYS.map(|key| text(release.get(key)).into_owned());
        let number = leading_version(release.get(b"VERSION_ID"));
        let support_end = parse_date(release.get(b"SUPPORT_END"));
        let broken = broken.and(support_end.as_ref().map(drop).map_err(|what| (0, what.clone())));
        let support_end = support_end.ok().flatten();
        Ok(Told { path, version, labels, number, support_end, broken })
    }
}

/// `22.04.1` is 22.04; a version that does not begin with a number, or with 0, is none.
fn leading_version(version: &[u8]) -> Option<f64> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(version);
    let fraction = version.get(whole..)?.strip_prefix(b".").map_or(0, |rest| 1 + digits(rest));
    let number = float(version.get(..whole + fraction)?)?;
    (whole > 0 && number > 0.0).then_some(number)
}

/// The beginning of a day as `2027-12-31`, in Unix time; none for an empty one.
fn parse_date(date: &[u8]) -> Result<Option<i64>, String> {
    if date.is_empty() {
        return Ok(None);
    }
    let day = std::str::from_utf8(date).ok().and_then(|date| date.parse::<Date>().ok());
    let start = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    let start =
        start.ok_or_else(|| format!("expected SUPPORT_END=YYYY-MM-DD, found {}", shown(date)))?;
    Ok(Some(start.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::testing::{Host, scrape};
    use vigie_core::collect::{Paths, Setting};

    fn on(host: &Host) -> Box<dyn Collector> {
        let mut setting = Setting::default();
        setting.paths = Paths { rootfs: host.dir.path().to_owned(), ..Paths::default() };
        (DEF.build)(&setting).unwrap()
    }

    fn shown_of(file: &str) -> String {
        let host = Host::new(&[("usr/lib/os-release", file)]);
        let (text, result) = scrape(&mut *on(&host));
        result.unwrap();
        text
    }

    #[test]
    fn the_distribution_is_told() {
        let text = shown_of("NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\n");
        assert_eq!(
            text,
            "node_os_info{id=\"debian\",name=\"Debian GNU/Linux\",version_id=\"12\"} 1\n\
             node_os_version{id=\"debian\",name=\"Debian GNU/Linux\"} 12\n"
        );
    }

    #[test]
    fn versions_begin_with_a_number_or_are_none() {
        let version = |text: &str| leading_version(text.as_bytes());
        assert_eq!(version("22.04.1"), Some(22.04));
        assert_eq!(version("20231101"), Some(20_231_101.0));
        assert_eq!(version("9."), Some(9.0));
        for none in ["", "rolling", ".5", "0", "0.0"] {
            assert_eq!(version(none), None, "{none}");
        }
    }

    #[test]
    fn the_end_of_support_is_a_day() {
        let text = shown_of("ID=fedora\nSUPPORT_END=2024-05-14\n");
        assert!(text.ends_with("node_os_support_end_timestamp_seconds 1715644800\n"), "{text}");
        let host = Host::new(&[("etc/os-release", "ID=a\nSUPPORT_END=soon\n")]);
        let (text, result) = scrape(&mut *on(&host));
        assert_eq!(text, "node_os_info{id=\"a\"} 1\n");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("expected SUPPORT_END=YYYY-MM-DD, found \"soon\""), "{error}");
    }

    #[test]
    fn a_bad_line_is_named_at_each_scrape_and_costs_itself_only() {
        let host = Host::new(&[("etc/os-release", "ID=a\nNAME\n")]);
        let mut os = on(&host);
        for _ in 0..2 {
            let (text, result) = scrape(&mut *os);
            assert_eq!(text, "node_os_info{id=\"a\"} 1\n");
            let error = result.unwrap_err().to_string();
            assert!(error.ends_with("os-release:2: expected KEY=VALUE, found \"NAME\""), "{error}");
        }
    }

    #[test]
    fn the_file_in_etc_comes_first_and_an_upgrade_is_seen() {
        let host = Host::new(&[("usr/lib/os-release", "ID=vendor\n")]);
        let mut os = on(&host);
        assert!(scrape(&mut *os).0.contains("vendor"));
        host.write("etc/os-release", "ID=local\n");
        assert!(scrape(&mut *os).0.contains("local"));
        host.write("etc/os-release", "ID=upgraded\n");
        set_epoch(&host, "etc/os-release");
        assert!(scrape(&mut *os).0.contains("upgraded"));
        host.write("etc/new", "ID=replaced\n");
        set_epoch(&host, "etc/new");
        std::fs::rename(host.path("etc/new"), host.path("etc/os-release")).unwrap();
        assert!(scrape(&mut *os).0.contains("replaced"), "another file of the same time");
    }

    fn set_epoch(host: &Host, path: &str) {
        let file = File::options().append(true).open(host.path(path)).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }

    #[test]
    fn links_do_not_lead_out_of_the_host() {
        let host = Host::new(&[("usr/share/release", "ID=host\n"), ("etc/x", "")]);
        symlink("/usr/share", host.path("usr/lib")).unwrap();
        symlink("/usr/lib/release", host.path("etc/os-release")).unwrap();
        assert_eq!(scrape(&mut *on(&host)).0, "node_os_info{id=\"host\"} 1\n");
        std::fs::remove_file(host.path("etc/os-release")).unwrap();
        symlink("../usr/lib/release", host.path("etc/os-release")).unwrap();
        assert_eq!(scrape(&mut *on(&host)).0, "node_os_info{id=\"host\"} 1\n");
    }

    #[test]
    fn a_host_without_the_file_has_no_data() {
        let (_, result) = scrape(&mut *on(&Host::new(&[])));
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
