//! Every collector over a host whose files are broken, one after the other.
//!
//! Each file of `tests/fixtures/host` is replaced by what a dying disk, a newer kernel or another user's hand may
//! leave there, and no collector that opens it panics. It must not know which collector that is: the kernel tells.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the message")]

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use recorded::Copy;
use vigie_core::collect::{CollectError, CollectorDef, Scrape};
use vigie_core::metric::{Desc, MetricSink, Sample};
use vigie_host::COLLECTORS;

mod recorded;

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

/// What came of two scrapes.
#[derive(Default)]
struct Outcome {
    /// Series that were told twice.
    twice: Vec<String>,
    errors: Vec<CollectError>,
}

/// Two scrapes, since what a collector remembers must survive too.
fn scrape(copy: &Copy, def: &CollectorDef) -> Outcome {
    let mut outcome = Outcome::default();
    let Ok(mut collector) = (def.build)(&copy.setting(def)) else { return outcome };
    for _ in 0..2 {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_123);
        let scrape = Scrape::new(now, Instant::now() + Duration::from_secs(60));
        let mut series = Series::default();
        outcome.errors.extend(collector.collect(&scrape, &mut series).err());
        outcome.twice.append(&mut series.twice);
    }
    outcome
}

/// A failure says which file it met. That there is no data says what is not there, which can be more than a file.
fn assert_named(file: &Path, def: &CollectorDef, errors: &[CollectError]) {
    let (path, name) = (file.to_str().unwrap(), def.info.name);
    for error in errors.iter().filter(|error| error.kind() != "no_data") {
        // Where the first process may not be read, the own one is.
        let error = error.to_string().replace("/proc/self/", "/proc/1/");
        assert!(error.contains(path), "{name}: {path} is not named: {error}");
    }
}

/// Scrapes with each file broken by `damage`, one at a time, and whole again afterwards.
fn with_each_file(copy: &Copy, damage: impl Fn(&Path, &[u8])) {
    for (file, readers) in &copy.files {
        let original = std::fs::read(file).unwrap();
        damage(file, &original);
        for def in readers {
            assert_named(file, def, &scrape(copy, def).errors);
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

/// Scrapes with another text in place of each file.
fn with_each_text(text: impl Fn(&[u8]) -> Vec<u8>) {
    with_each_file(&Copy::new(), |file, original| std::fs::write(file, text(original)).unwrap());
}

/// Files without which node_exporter, compared over the same host, fails.
const FOR_NODE_EXPORTER: [&str; 23] = [
    "clone_alignment",
    "extended_iref",
    "global_rsv_reserved",
    "link_layer",
    "max_energy_range_uj",
    "md/array_state",
    "md/chunk_size",
    "md/metadata_version",
    "md/sync_action",
    "md/sync_completed",
    "md/uuid",
    "mounts",
    "node_guid",
    "node_name",
    "nodesize",
    "nvme0/address",
    "nvme1/address",
    "policy",
    "quota_override",
    "related_cpus",
    "scaling_driver",
    "scaling_setspeed",
    "sectorsize",
];

/// Of an interface that is left out.
const OF_NO_INTEREST: &str = "veth4f2a91c/ifindex";

#[test]
fn every_recorded_file_is_opened() {
    let copy = Copy::new();
    let of_others = || FOR_NODE_EXPORTER.iter().chain([&OF_NO_INTEREST]);
    let is_ours = |path: &Path| !of_others().any(|name| path.ends_with(name));
    let unread = copy.files.iter().filter(|(path, by)| by.is_empty() && is_ours(path));
    let unread: Vec<_> = unread.collect();
    assert!(unread.is_empty(), "{unread:#?}");
}

#[test]
fn a_healthy_host_has_no_series_twice() {
    let copy = Copy::new();
    let twice: Vec<_> = COLLECTORS.iter().flat_map(|def| scrape(&copy, def).twice).collect();
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
fn a_line_of_a_megabyte() {
    with_each_text(|text| [text, &vec![b'7'; 1 << 20]].concat());
}

/// A file of each collector that reads procfs, again and again until it has a million lines; an attribute of sysfs never
/// has more than a page. Work that grows with the square would not end.
#[test]
fn a_million_lines() {
    const LINES: usize = 1_000_000;
    let copy = Copy::new();
    for def in COLLECTORS {
        let is_its = |(file, by): &(&PathBuf, &Vec<&CollectorDef>)| {
            file.components().any(|part| part.as_os_str() == "proc")
                && by.iter().any(|by| by.info.name == def.info.name)
        };
        let Some((file, _)) = copy.files.iter().find(is_its) else { continue };
        let original = std::fs::read(file).unwrap();
        let lines = original.iter().filter(|&&byte| byte == b'\n').count().max(1);
        std::fs::write(file, original.repeat(LINES / lines)).unwrap();
        let mut collector = (def.build)(&copy.setting(def)).unwrap();
        let scrape = Scrape::new(UNIX_EPOCH, Instant::now() + Duration::from_secs(60));
        let errors: Vec<_> =
            collector.collect(&scrape, &mut Series::default()).err().into_iter().collect();
        assert_named(file, def, &errors);
        std::fs::write(file, original).unwrap();
    }
}

/// The files stand, but nobody may read them, or they have become directories, or lead nowhere.
#[test]
fn unreadable_files() {
    let copy = Copy::new();
    with_each_file(&copy, |file, _| {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o0)).unwrap();
    });
    with_each_file(&copy, |file, _| {
        std::fs::remove_file(file).unwrap();
        std::fs::create_dir(file).unwrap();
    });
    with_each_file(&copy, |file, _| {
        std::fs::remove_file(file).unwrap();
        symlink("/nowhere/at/all", file).unwrap();
    });
}

/// Devices and processes come and go while they are listed and read.
#[test]
fn files_that_come_and_go() {
    let copy = Copy::new();
    let failures =
        |def: &&CollectorDef| scrape(&copy, def).errors.iter().map(ToString::to_string).collect();
    let healthy = || COLLECTORS.iter().map(failures).collect::<Vec<Vec<String>>>();
    let before = healthy();
    let stop = AtomicBool::new(false);
    let files: Vec<&PathBuf> = copy.files.keys().collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each third file is away for a moment, in an order that no collector reads in.
            for at in (0..).map(|step: usize| step.wrapping_mul(7919) % files.len()) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let away = files[at].with_extension("away");
                std::fs::rename(files[at], &away).unwrap();
                std::thread::yield_now();
                std::fs::rename(&away, files[at]).unwrap();
            }
        });
        for _ in 0..20 {
            COLLECTORS.iter().for_each(|def| drop(scrape(&copy, def)));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(healthy(), before, "all is well again");
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
            readers.iter().for_each(|def| drop(scrape(&copy, def)));
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
