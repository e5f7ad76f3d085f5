//! A read that never returns costs one thread and nothing else.
//!
//! A FIFO without a writer stands in for a dead mount: opening it blocks as an NFS server that is gone
//! does; a plugin that never returns is the other case. The scrape still answers in time with everything
//! else, however often it is asked.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stand outside the tests")]

use std::path::Path;

use common::{SOON, Vigie, VigieBuilder, cdylib, wait_for};

/// Scrapes after the first one that got stuck.
const SCRAPES: usize = 30;
/// The runtime's pool of threads grows with the first requests; one stuck thread per scrape would be more.
const POOL: usize = 4;

fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// A vigie whose `procfs` is a copy that has a FIFO in the place of one file.
fn with_stuck(file: &str, dir: &Path) -> VigieBuilder {
    for name in ["loadavg", "meminfo", "stat", "diskstats"] {
        let text = std::fs::read(format!("/proc/{name}")).unwrap();
        std::fs::write(dir.join(name), text).unwrap();
    }
    std::fs::remove_file(dir.join(file)).unwrap();
    fifo(&dir.join(file));
    Vigie::with()
        .arg(format!("--path.procfs={}", dir.display()))
        .arg("--collector.disable-defaults")
        .arg("--collector.loadavg")
        .arg("--collector.meminfo")
        .arg("--collector.stat")
        .arg("--collector.time")
}

fn success(scrape: &str, collector: &str) -> f64 {
    let name = format!("node_scrape_collector_success{{collector=\"{collector}\"}} ");
    let line = scrape.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("no {name}in:\n{scrape}")).parse().unwrap()
}

#[test]
fn a_stuck_file_takes_one_collector_away_and_one_thread() {
    let dir = tempfile::tempdir().unwrap();
    let vigie = with_stuck("meminfo", dir.path()).start();
    let first = vigie.scrape();
    assert_eq!(success(&first, "meminfo"), 0.0, "the stuck one has failed");
    let threads = vigie.process.threads();
    for _ in 0..SCRAPES {
        let scrape = vigie.scrape();
        assert_eq!(success(&scrape, "meminfo"), 0.0);
        for healthy in ["loadavg", "stat", "time"] {
            assert_eq!(success(&scrape, healthy), 1.0, "{healthy}");
        }
        assert!(scrape.contains("\nnode_load1 ") && scrape.contains("\nnode_forks_total "));
        assert!(!scrape.contains("\nnode_memory_"));
    }
    assert!(vigie.process.threads() <= threads + POOL, "no thread per scrape");
    let scrape = vigie.scrape();
    let reasons: Vec<&str> =
        scrape.lines().filter(|line| line.starts_with("vigie_collector_failures_total{")).collect();
    let busy = reasons.iter().any(|line| line.contains("meminfo") && line.contains("busy"));
    assert!(busy, "{reasons:#?}");
}

#[test]
fn a_collector_comes_back_when_its_read_does() {
    let dir = tempfile::tempdir().unwrap();
    let vigie = with_stuck("meminfo", dir.path()).start();
    assert_eq!(success(&vigie.scrape(), "meminfo"), 0.0);
    // Whoever is stuck waits for a writer; the next one reads a plain file.
    let path = dir.path().join("meminfo");
    let content = std::fs::read("/proc/meminfo").unwrap();
    std::fs::write(dir.path().join("plain"), &content).unwrap();
    let writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    drop(writer);
    std::fs::rename(dir.path().join("plain"), &path).unwrap();
    wait_for("meminfo", SOON, || {
        let scrape = vigie.scrape();
        if success(&scrape, "meminfo") == 1.0 { Ok(()) } else { Err(scrape) }
    });
}

#[test]
fn a_fifo_among_the_text_files_is_no_reason_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    fifo(&dir.path().join("stuck.prom"));
    std::fs::write(dir.path().join("good.prom"), "my_metric 42\n").unwrap();
    let vigie = Vigie::with()
        .arg(format!("--collector.textfile.directory={}", dir.path().display()))
        .start();
    assert!(vigie.scrape().contains("\nnode_load1 "));
    let threads = vigie.process.threads();
    for _ in 0..SCRAPES {
        let scrape = vigie.scrape();
        assert!(scrape.contains("\nnode_load1 "), "{scrape}");
        assert_eq!(success(&scrape, "cpu"), 1.0);
    }
    assert!(vigie.process.threads() <= threads + POOL, "no thread per scrape");
}

#[test]
fn a_plugin_that_hangs_and_panics_costs_one_thread() {
    let vigie = Vigie::with()
        .arg(format!("--plugin={}", cdylib("vigie-hostile").display()))
        .arg("--no-collector.panics_in_build")
        .arg("--no-collector.refuses_to_build")
        .start();
    assert_eq!(success(&vigie.scrape(), "hangs"), 0.0);
    let threads = vigie.process.threads();
    for _ in 0..SCRAPES {
        let scrape = vigie.scrape();
        for hostile in ["hangs", "panics", "misnames"] {
            assert_eq!(success(&scrape, hostile), 0.0, "{hostile}");
        }
        for healthy in ["cpu", "works", "uname"] {
            assert_eq!(success(&scrape, healthy), 1.0, "{healthy}");
        }
    }
    assert!(vigie.process.threads() <= threads + POOL, "no thread per scrape");
}
