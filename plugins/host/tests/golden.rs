//! Every collector over a small recorded host, against expositions that were reviewed.
//!
//! The host is `tests/fixtures/host`; what a collector shows of it stands in `golden/NAME.prom`, with the flags
//! of `golden/NAME.flags` where there are some, and `golden/NAME.VARIANT.{flags,prom}` show other flags.
//! `UPDATE=1 cargo test -p vigie-host --test golden` writes them anew; a review then shows each changed metric
//! as a line. `families.tsv` lists every family of node_exporter, and why a recorded host cannot show some.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the message")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use common::promtool_complaints;
use vigie_core::collect::{CollectorDef, Paths, Scrape, Setting};
use vigie_core::config::Flags;
use vigie_core::encode::{Format, TextSink, assemble};
use vigie_host::COLLECTORS;

const HOST: &str = "../../tests/fixtures/host";
const GOLDEN: &str = "tests/golden";

/// One collector with one set of flags.
struct Run {
    /// `NAME` or `NAME.VARIANT`.
    name: String,
    def: &'static CollectorDef,
}

/// The plain run of each collector, and its variants.
fn runs() -> Vec<Run> {
    let mut runs: Vec<Run> =
        COLLECTORS.iter().map(|def| Run { name: def.info.name.to_owned(), def }).collect();
    for entry in std::fs::read_dir(GOLDEN).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let (run, kind) = file.rsplit_once('.').unwrap();
        let name = run.split('.').next().unwrap();
        let Some(def) = COLLECTORS.iter().find(|def| def.info.name == name) else {
            panic!("{GOLDEN}/{file}: no collector has this name");
        };
        assert!(["flags", "prom"].contains(&kind), "{GOLDEN}/{file}: neither flags nor metrics");
        if kind == "flags" && run != name {
            runs.push(Run { name: run.to_owned(), def });
        }
    }
    runs
}

impl Run {
    /// One flag a line, as on the command line without its dashes; `HOST` stands for the recorded host.
    fn flags(&self) -> Flags {
        let mut flags = Flags::new(COLLECTORS.iter().flat_map(|def| def.info.flags));
        let file = format!("{GOLDEN}/{}.flags", self.name);
        let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in std::fs::read_to_string(&file).unwrap_or_default().lines() {
            let (name, value) = line.split_once('=').unwrap();
            assert!(self.def.info.flags.iter().any(|flag| flag.name == name), "{file}: {name}");
            given.entry(name.to_owned()).or_default().push(value.replace("HOST", HOST));
        }
        for (name, values) in given {
            flags.set(name, values);
        }
        flags
    }

    /// A collector that a recorded host shows nothing of may fail.
    fn sink(&self, unrecorded: &BTreeMap<String, String>) -> TextSink {
        let host = Path::new(HOST);
        let mut paths = Paths::default();
        (paths.procfs, paths.sysfs) = (host.join("proc"), host.join("sys"));
        (paths.udev, paths.rootfs) = (host.join("udev"), host.join("rootfs"));
        let setting = Setting::new(paths, Arc::new(self.flags()), String::new());
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_123_250);
        let scrape = Scrape::new(now, Instant::now() + Duration::from_secs(60));
        let mut sink = TextSink::new(Format::Text);
        let mut collector = (self.def.build)(&setting).unwrap();
        let result = collector.collect(&scrape, &mut sink);
        let families = self.def.info.families;
        let may_fail = families.iter().all(|family| unrecorded.contains_key(family.name));
        assert!(result.is_ok() || may_fail, "{}: {result:?}", self.name);
        sink
    }
}

/// The merged exposition.
fn exposition(sinks: &[TextSink]) -> String {
    let mut out = Vec::new();
    let conflicts = assemble(Format::Text, &sinks.iter().collect::<Vec<_>>(), &mut out);
    assert!(conflicts.is_empty(), "{conflicts:?}");
    String::from_utf8(out).unwrap()
}

/// Everything the plain runs show.
fn whole() -> String {
    let unrecorded = unrecorded();
    let plain = runs().into_iter().filter(|run| !run.name.contains('.'));
    exposition(&plain.map(|run| run.sink(&unrecorded)).collect::<Vec<_>>())
}

/// The name of the family or series that a line is about.
fn name_of(line: &str) -> &str {
    let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
    name.split(['{', ' ']).next().unwrap_or_default()
}

/// Gauges whose values are those of the machine and the checkout; 1 stands for each of them.
const OF_THE_MACHINE: [&str; 6] = [
    "node_filesystem_avail_bytes",
    "node_filesystem_files",
    "node_filesystem_files_free",
    "node_filesystem_free_bytes",
    "node_filesystem_size_bytes",
    "node_textfile_mtime_seconds",
];

/// Without what differs from machine to machine and from checkout to checkout.
fn settled(text: &str, unrecorded: &BTreeMap<String, String>) -> String {
    let mut settled = String::new();
    for line in text.lines().filter(|line| !unrecorded.contains_key(name_of(line))) {
        let is_settled = !line.starts_with('#') && OF_THE_MACHINE.contains(&name_of(line));
        match line.rsplit_once(' ').filter(|_| is_settled) {
            Some((series, _)) => settled += &format!("{series} 1\n"),
            None => settled += &format!("{line}\n"),
        }
    }
    settled.replace(HOST, "HOST")
}

#[test]
fn golden() {
    let unrecorded = unrecorded();
    let mut wrong = Vec::new();
    for run in runs() {
        let file = PathBuf::from(format!("{GOLDEN}/{}.prom", run.name));
        let now = settled(&exposition(&[run.sink(&unrecorded)]), &unrecorded);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &now).unwrap();
        }
        let reviewed = std::fs::read_to_string(&file).unwrap_or_default();
        let pairs = now.lines().zip(reviewed.lines());
        if let Some((line, (now, reviewed))) = pairs.enumerate().find(|(_, (a, b))| a != b) {
            wrong.push(format!("{}:{}: {reviewed}\nnow: {now}", file.display(), line + 1));
        } else if now.len() != reviewed.len() {
            wrong.push(format!("{}: one has more lines", file.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A row of `families.tsv`.
struct Listed {
    collector: String,
    family: String,
    kind: String,
    labels: BTreeSet<String>,
    /// Why a recorded host cannot show it; mostly empty.
    reason: String,
}

/// Every family that node_exporter 1.12.1 can show on Linux.
fn listed() -> Vec<Listed> {
    let text = std::fs::read_to_string("tests/families.tsv").unwrap();
    let row = |line: &str| {
        let mut cells = line.split('\t').map(str::to_owned);
        let mut cell = || cells.next().unwrap_or_default();
        let (collector, family, kind, labels) = (cell(), cell(), cell(), cell());
        let labels = labels.split(',').filter(|label| !label.is_empty()).map(str::to_owned);
        Listed { collector, family, kind, labels: labels.collect(), reason: cell() }
    };
    text.lines().skip(1).map(row).collect()
}

/// Families that only a running machine shows, with the reason.
fn unrecorded() -> BTreeMap<String, String> {
    let rows = listed().into_iter().filter(|row| !row.reason.is_empty());
    rows.map(|row| (row.family, row.reason)).collect()
}

#[test]
fn every_family_of_the_list_is_shown() {
    let unrecorded = unrecorded();
    let mut shown: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for run in runs() {
        note_families(&exposition(&[run.sink(&unrecorded)]), &mut shown);
    }
    let mut wrong = Vec::new();
    for row in listed() {
        if !COLLECTORS.iter().any(|def| def.info.name == row.collector) || !row.reason.is_empty() {
            continue;
        }
        match shown.get(&row.family) {
            None => wrong.push(format!("{}: {} is not shown", row.collector, row.family)),
            Some((kind, _)) if *kind != row.kind => {
                wrong.push(format!("{} is a {kind}, not a {}", row.family, row.kind));
            }
            Some((_, labels)) if !row.labels.is_subset(labels) => {
                let missing: Vec<_> = row.labels.difference(labels).collect();
                wrong.push(format!("{} never has the labels {missing:?}", row.family));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Adds the kind and the label names of each family of `text`.
fn note_families(text: &str, shown: &mut BTreeMap<String, (String, BTreeSet<String>)>) {
    let label = regex::Regex::new(r#"([a-z_A-Z0-9]+)="[^"]"#).unwrap();
    let mut family = String::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            name.clone_into(&mut family);
            shown.entry(family.clone()).or_default().0 = kind.to_owned();
        } else if !line.starts_with('#') {
            let labels = label.captures_iter(line).map(|found| found[1].to_owned());
            shown.get_mut(&family).unwrap().1.extend(labels);
        }
    }
}

#[test]
fn every_family_shown_is_declared() {
    let unrecorded = unrecorded();
    let mut wrong = Vec::new();
    for run in runs() {
        // Names that depend on input cannot be declared.
        let by_input: &[&str] = match run.def.info.name {
            "textfile" => &[""],
            "meminfo" => &["node_memory_"],
            "meminfo_numa" => &["node_memory_numa_"],
            "lnstat" => &["node_lnstat_"],
            "sysctl" => &["node_sysctl_"],
            "vmstat" => &["node_vmstat_"],
            "netstat" => &["node_netstat_"],
            "ethtool" => &["node_ethtool_"],
            "rapl" => &["node_rapl_"],
            "zfs" => &["node_zfs_"],
            "bcachefs" => &["node_bcachefs_"],
            "hwmon" => &["node_hwmon_"],
            "sockstat" => &["node_sockstat_"],
            _ => &[],
        };
        let text = exposition(&[run.sink(&unrecorded)]);
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            let doc = run.def.info.families.iter().find(|doc| doc.name == name);
            let is_free = by_input.iter().any(|prefix| name.starts_with(prefix));
            if doc.map_or(!is_free, |doc| doc.kind.as_str() != kind) {
                wrong.push(format!("{}: {name} is not declared as a {kind}", run.name));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn collectors_stand_in_order() {
    assert!(COLLECTORS.is_sorted_by_key(|def| def.info.name));
}

#[test]
fn promtool_has_no_complaint() {
    assert_eq!(promtool_complaints(whole().as_bytes()), [""; 0]);
}
