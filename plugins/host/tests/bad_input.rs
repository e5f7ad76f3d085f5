//! Every collector over a host whose files are broken, one after the other.
//!
//! Each file of `tests/fixtures/host` is replaced by what a dying disk, a newer kernel or another user's hand may
//! leave there, and no collector that opens it panics. It must not know which collector that is: the kernel tells.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the message")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vigie_core::collect::{CollectorDef, Paths, Scrape, Setting};
use vigie_core::config::Flags;
use vigie_core::metric::{Desc, MetricSink, Sample};
use vigie_host::COLLECTORS;

const HOST: &str = "../../tests/fixtures/host";

/// Notes which series are told, and which are told again.
#[derive(Default)]
struct Series {
    family: String,
    seen: BTreeSet<String>,
    twice: Vec<String>,
}

impl MetricSink for Series {
    fn family(&mut self, desc: &Desc<'_>) {
        desc.name.clone_into(&mut self.family);
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let mut labels: Vec<_> =
            sample.labels.iter().filter(|(_, value)| !value.is_empty()).collect();
        labels.sort();
        let series = format!("{}{labels:?}", self.family);
        if !self.seen.insert(series.clone()) {
            self.twice.push(series);
        }
    }
}

/// A copy of the recorded host that may be broken.
struct Copy {
    dir: tempfile::TempDir,
    /// Every file, and the collectors that open it.
    files: BTreeMap<PathBuf, Vec<&'static CollectorDef>>,
}

impl Copy {
    fn new() -> Self {
        let mut copy = Copy { dir: tempfile::tempdir().unwrap(), files: BTreeMap::new() };
        copy_tree(Path::new(HOST), copy.dir.path());
        list(copy.dir.path(), &mut copy.files);
        let mut watch = Watch::new(copy.files.keys());
        for def in COLLECTORS {
            copy.scrape(def);
            for file in watch.opened() {
                copy.files.entry(file).or_default().push(def);
            }
        }
        copy
    }

    fn setting(&self, def: &CollectorDef) -> Setting {
        let root = self.dir.path();
        let mut paths = Paths::default();
        (paths.procfs, paths.sysfs) = (root.join("proc"), root.join("sys"));
        (paths.udev, paths.rootfs) = (root.join("udev"), root.join("rootfs"));
        let mut flags = Flags::new(COLLECTORS.iter().flat_map(|def| def.info.flags));
        let given = format!("tests/golden/{}.flags", def.info.name);
        for line in std::fs::read_to_string(given).unwrap_or_default().lines() {
            let (name, value) = line.split_once('=').unwrap();
            let mut values = if flags.is_given(name) { flags.list(name).to_vec() } else { vec![] };
            values.push(value.replace("HOST", root.to_str().unwrap()));
            flags.set(name, values);
        }
        Setting::new(paths, Arc::new(flags), String::new())
    }

    /// Two scrapes, since what a collector remembers must survive too; the series that are told twice.
    fn scrape(&self, def: &CollectorDef) -> Vec<String> {
        let mut twice = Vec::new();
        let Ok(mut collector) = (def.build)(&self.setting(def)) else { return twice };
        for _ in 0..2 {
            let now = UNIX_EPOCH + Duration::from_secs(1_700_000_123);
            let scrape = Scrape::new(now, Instant::now() + Duration::from_secs(60));
            let mut series = Series::default();
            if let Err(error) = collector.collect(&scrape, &mut series) {
                assert!(!error.to_string().is_empty());
            }
            twice.append(&mut series.twice);
        }
        twice
    }

    /// Scrapes with each file broken by `damage`, one at a time, and whole again afterwards.
    fn with_each_file(&self, damage: impl Fn(&Path, &[u8])) {
        for (file, readers) in &self.files {
            let original = std::fs::read(file).unwrap();
            damage(file, &original);
            for def in readers {
                self.scrape(def);
            }
            if file.is_dir() && !file.is_symlink() {
                std::fs::remove_dir(file).unwrap();
            } else if file.is_symlink() {
                std::fs::remove_file(file).unwrap();
            }
            std::fs::write(file, original).unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}

/// Asks the kernel which files are opened.
struct Watch {
    inotify: Inotify,
    directories: Vec<(WatchDescriptor, PathBuf)>,
}

impl Watch {
    fn new<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Self {
        let inotify = Inotify::init().unwrap();
        let parents: BTreeSet<_> = files.map(|file| file.parent().unwrap().to_owned()).collect();
        let watch = |directory: PathBuf| {
            (inotify.watches().add(&directory, WatchMask::OPEN).unwrap(), directory)
        };
        let directories = parents.into_iter().map(watch).collect();
        Watch { inotify, directories }
    }

    /// The files that were opened since the last call.
    fn opened(&mut self) -> BTreeSet<PathBuf> {
        let mut opened = BTreeSet::new();
        let mut buffer = [0; 1 << 16];
        while let Ok(events) = self.inotify.read_events(&mut buffer) {
            for event in events {
                assert!(!event.mask.contains(EventMask::Q_OVERFLOW), "more files than the queue");
                let directory = self.directories.iter().find(|(known, _)| *known == event.wd);
                if let (Some((_, directory)), Some(name)) = (directory, event.name)
                    && !event.mask.contains(EventMask::ISDIR)
                {
                    opened.insert(directory.join(name));
                }
            }
        }
        opened
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&from, &to);
        } else if kind.is_symlink() {
            symlink(std::fs::read_link(&from).unwrap(), &to).unwrap();
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

fn list(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<&'static CollectorDef>>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            list(&entry.path(), files);
        } else if kind.is_file() {
            files.insert(entry.path(), Vec::new());
        }
    }
}

/// Scrapes with another text in place of each file.
fn with_each_text(text: impl Fn(&[u8]) -> Vec<u8>) {
    Copy::new().with_each_file(|file, original| std::fs::write(file, text(original)).unwrap());
}

/// Files without which node_exporter, compared over the same host, fails.
const FOR_NODE_EXPORTER: [&str; 5] =
    ["max_energy_range_uj", "policy", "related_cpus", "scaling_driver", "scaling_setspeed"];

#[test]
fn every_recorded_file_is_opened() {
    let copy = Copy::new();
    let is_ours = |path: &Path| !FOR_NODE_EXPORTER.iter().any(|name| path.ends_with(name));
    let unread = copy.files.iter().filter(|(path, by)| by.is_empty() && is_ours(path));
    let unread: Vec<_> = unread.collect();
    assert!(unread.is_empty(), "{unread:#?}");
}

#[test]
fn a_healthy_host_has_no_series_twice() {
    let copy = Copy::new();
    let twice: Vec<_> = COLLECTORS.iter().flat_map(|def| copy.scrape(def)).collect();
    assert_eq!(twice, [""; 0]);
}

#[test]
fn empty() {
    with_each_text(|_| Vec::new());
}

#[test]
fn cut_off_in_the_middle() {
    with_each_text(|text| text[..text.len() / 2].to_vec());
    with_each_text(|text| text[..text.len().saturating_sub(3)].to_vec());
}

#[test]
fn binary() {
    with_each_text(|text| text.iter().map(|byte| byte.wrapping_mul(167) ^ 0x95).collect());
    with_each_text(|_| vec![0; 300]);
}

#[test]
fn numbers_beyond_64_bits() {
    with_each_text(|text| replace_numbers(text, "18446744073709551616"));
    with_each_text(|text| replace_numbers(text, "18446744073709551615"));
    with_each_text(|text| replace_numbers(text, "-9223372036854775808"));
}

#[test]
fn columns_and_lines_of_a_newer_kernel() {
    with_each_text(|text| {
        let longer = text.split_inclusive(|&b| b == b'\n').map(|line| {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            [line, b" 42 novelty:7 0x9\n"].concat()
        });
        longer.chain([b"novelty 1 2 3\n".to_vec(), b"Novel: 5 kB\n".to_vec()]).flatten().collect()
    });
}

#[test]
fn every_line_twice() {
    with_each_text(|text| {
        text.split_inclusive(|&b| b == b'\n').flat_map(|line| [line, line].concat()).collect()
    });
}

#[test]
fn invalid_utf8() {
    with_each_text(|text| {
        let letters = text.iter().map(|&b| if b.is_ascii_lowercase() { 0xff } else { b });
        letters.collect()
    });
}

#[test]
fn a_line_of_a_megabyte_and_many_lines() {
    with_each_text(|text| [text, &vec![b'7'; 1 << 20]].concat());
    with_each_text(|text| [text, "8 9 10\n".repeat(20_000).as_bytes()].concat());
}

/// The files stand, but nobody may read them, or they have become directories, or lead nowhere.
#[test]
fn unreadable_files() {
    let copy = Copy::new();
    copy.with_each_file(|file, _| {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o0)).unwrap();
    });
    copy.with_each_file(|file, _| {
        std::fs::remove_file(file).unwrap();
        std::fs::create_dir(file).unwrap();
    });
    copy.with_each_file(|file, _| {
        std::fs::remove_file(file).unwrap();
        symlink("/nowhere/at/all", file).unwrap();
    });
}

/// A change at one place of the text.
#[derive(Clone, Debug)]
struct Change {
    at: prop::sample::Index,
    remove: usize,
    insert: Vec<u8>,
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let piece = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..4),
            "[ \t\n:|=,.()\\[\\]/-]{1,3}".prop_map(String::into_bytes),
            "(-|0x)?[0-9a-f]{1,20}".prop_map(String::into_bytes),
        ];
        (any::<prop::sample::Index>(), 0usize..12, piece).prop_map(|(at, remove, insert)| Change {
            at,
            remove,
            insert,
        })
    }

    fn apply(&self, text: &mut Vec<u8>) {
        let at = self.at.index(text.len() + 1);
        let end = text.len().min(at + self.remove);
        text.splice(at..end, self.insert.iter().copied());
    }
}

#[test]
fn any_small_change() {
    let copy = Copy::new();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(8));
    let changes = prop::collection::vec(Change::any(), 1..6);
    for (file, readers) in &copy.files {
        let original = std::fs::read(file).unwrap();
        let survived = runner.run(&changes, |changes| {
            let mut text = original.clone();
            changes.iter().for_each(|change| change.apply(&mut text));
            std::fs::write(file, text).unwrap();
            readers.iter().for_each(|def| drop(copy.scrape(def)));
            Ok(())
        });
        survived.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        std::fs::write(file, original).unwrap();
    }
}

fn replace_numbers(text: &[u8], by: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut in_number = false;
    for &byte in text {
        if byte.is_ascii_digit() {
            if !in_number {
                out.extend(by.as_bytes());
            }
            in_number = true;
        } else {
            out.push(byte);
            in_number = false;
        }
    }
    out
}
