//! The whole plugin over a small recorded host, against the exposition that was reviewed.
//!
//! `UPDATE=1 cargo test -p vigie-host golden` writes the file anew; a review then shows each changed
//! metric as a line. What only the running machine can tell (sizes, clock, kernel) is left out.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use vigie_core::collect::{Paths, Scrape, Setting};
use vigie_core::config::Flags;
use vigie_core::encode::{Format, TextSink, assemble};
use vigie_host::COLLECTORS;

/// Families that the running machine tells, not the tree.
const OF_THE_MACHINE: [&str; 2] = ["node_time_zone_offset_seconds", "node_uname_info"];

fn flags() -> Flags {
    let mut flags = Flags::new(COLLECTORS.iter().flat_map(|def| def.info.flags));
    for (name, value) in [
        ("collector.cpu.info", "true"),
        ("collector.cpu.info.flags-include", "^a"),
        ("collector.cpu.info.bugs-include", "spectre"),
        ("collector.netdev.label-ifalias", "true"),
        ("collector.netdev.device-exclude", "^veth"),
        ("collector.stat.softirq", "true"),
        ("collector.textfile.directory", "tests/tree/textfile"),
    ] {
        assert!(COLLECTORS.iter().any(|def| def.info.flags.iter().any(|flag| flag.name == name)));
        flags.set(name, vec![value.to_owned()]);
    }
    flags
}

fn exposition() -> String {
    let tree = Path::new("tests/tree");
    let mut paths = Paths::default();
    (paths.procfs, paths.sysfs) = (tree.join("proc"), tree.join("sys"));
    (paths.udev, paths.rootfs) = (tree.join("udev"), tree.join("rootfs"));
    let setting = Setting::new(paths, Arc::new(flags()), String::new());
    let now = UNIX_EPOCH + Duration::from_millis(1_700_000_123_250);
    let scrape = Scrape::new(now, Instant::now() + Duration::from_secs(60));
    let sink = |def: &&vigie_core::collect::CollectorDef| {
        let mut sink = TextSink::new(Format::Text);
        let mut collector = (def.build)(&setting).unwrap();
        collector.collect(&scrape, &mut sink).unwrap();
        sink
    };
    let sinks: Vec<_> = COLLECTORS.iter().map(sink).collect();
    let mut out = Vec::new();
    let conflicts = assemble(Format::Text, &sinks.iter().collect::<Vec<_>>(), &mut out);
    assert!(conflicts.is_empty(), "{conflicts:?}");
    String::from_utf8(out).unwrap()
}

/// Without what differs from machine to machine and from checkout to checkout.
fn settled(text: &str) -> String {
    let family = |line: &str| {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        name.split(['{', ' ']).next().unwrap_or_default().to_owned()
    };
    let mut settled = String::new();
    for line in text.lines().filter(|line| !OF_THE_MACHINE.contains(&family(line).as_str())) {
        match line.strip_prefix("node_textfile_mtime_seconds{").and_then(|l| l.rsplit_once(' ')) {
            Some((labels, _)) => settled += &format!("node_textfile_mtime_seconds{{{labels} 1\n"),
            None => settled += &format!("{line}\n"),
        }
    }
    settled
}

#[test]
fn golden() {
    let file = PathBuf::from("tests/golden.prom");
    let now = settled(&exposition());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    let reviewed = std::fs::read_to_string(&file).unwrap();
    for (line, (now, reviewed)) in now.lines().zip(reviewed.lines()).enumerate() {
        assert_eq!(now, reviewed, "line {} of {}", line + 1, file.display());
    }
    assert_eq!(now.len(), reviewed.len(), "one has more lines");
}

#[test]
fn every_family_shown_is_declared() {
    let declared: Vec<_> = COLLECTORS.iter().flat_map(|def| def.info.families).collect();
    for line in exposition().lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        // Names that depend on input are not declared.
        if name.starts_with("node_") && name != "node_memory_Balloon_bytes" {
            let doc = declared.iter().find(|doc| doc.name == name);
            assert_eq!(doc.map(|doc| doc.kind.as_str()), Some(kind), "{name}");
        }
    }
}

/// node_exporter has the kernel's names of memory fields, capitals included; the linter of
/// Prometheus would choose others.
fn is_a_name_of_the_kernel(complaint: &str) -> bool {
    complaint.starts_with("node_memory_") && complaint.ends_with("not 'camelCase'")
}

#[test]
fn promtool_has_no_complaint() {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.expect("promtool, which ./tests/run installs");
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), exposition().as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    let ours: Vec<_> = complaints.lines().filter(|line| !is_a_name_of_the_kernel(line)).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}
