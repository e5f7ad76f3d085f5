//! A mount that never answers costs one thread, and no other metric.
//!
//! Upstream's oldest complaint: one dead NFS server and the whole scrape waits. Here the mount is
//! marked, everything else is answered scrape after scrape, and when the mount ends its thread does.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

use std::fs;

use common::{DeadMount, Query, SOON, Vigie, request, wait_for};

#[test]
fn a_dead_mount_holds_one_thread_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut dead = DeadMount::at(dir.path().join("nas"));
    let nas = dead.path().to_str().unwrap().to_owned();
    let proc = dir.path().join("proc");
    fs::create_dir_all(proc.join("1")).unwrap();
    fs::write(proc.join("loadavg"), "0.5 0.4 0.3 1/2 3\n").unwrap();
    let mounts = format!(
        "36 1 254:0 / / rw - ext4 /dev/vda rw\n37 36 0:90 / {nas} rw - nfs4 nas:/export rw\n\
         38 36 254:1 / {} rw - ext4 /dev/vdb rw\n",
        dir.path().display()
    );
    fs::write(proc.join("1/mountinfo"), mounts).unwrap();

    let vigie = Vigie::with()
        .arg(format!("--path.procfs={}", proc.display()))
        .arg("--collector.disable-defaults")
        .arg("--collector.filesystem")
        .arg("--collector.loadavg")
        .arg("--collector.filesystem.mount-timeout=200ms")
        .start();
    let error = |label: &str| {
        format!(
            "node_filesystem_device_error{{device=\"nas:/export\",device_error={label:?},\
             fstype=\"nfs4\",mountpoint={nas:?}}} 1\n"
        )
    };
    let mut threads = Vec::new();
    for _ in 0..200 {
        let text = vigie.scrape();
        for line in [
            error("mountpoint timeout").as_str(),
            "node_filesystem_size_bytes{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"} ",
            "node_filesystem_size_bytes{device=\"/dev/vdb\"",
            "node_scrape_collector_success{collector=\"filesystem\"} 1\n",
            "node_load1 0.5\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        threads.push(vigie.process.threads());
    }
    // The pool of the runtime may have grown at first; stuck threads would go on growing.
    assert!(threads[199] <= threads[20], "{threads:?}");

    dead.end();
    wait_for("the mount to be asked again", SOON, || {
        let text = vigie.scrape();
        if text.contains(&error("transport endpoint is not connected")) {
            Ok(())
        } else {
            Err(text)
        }
    });
}

/// Threads of the lane, of the runtime's pool and of helpers that are there for good.
const POOL: usize = 5;

/// Collectors without success.
fn failed(page: &str) -> Vec<&str> {
    let outcome = "node_scrape_collector_success{collector=\"";
    let outcomes = page.lines().filter_map(|line| line.strip_prefix(outcome));
    outcomes.filter_map(|line| line.strip_suffix("\"} 0")).collect()
}

/// Every collector is on, and whatever is not procfs is dead from the start.
#[test]
fn dead_paths_hold_a_thread_for_each_that_reads_them_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut dead = DeadMount::at(dir.path().join("dead"));
    let names = vigie::Catalogue::bundled().collectors().into_iter().map(|(_, info)| info.name);
    let on = |vigie: common::VigieBuilder, name| vigie.arg(format!("--collector.{name}"));
    let vigie = names.fold(Vigie::with(), on);
    let flags = ["path.sysfs", "path.rootfs", "path.udev.data", "collector.textfile.directory"];
    let at_dead = |flag: &str| format!("--{flag}={}", dead.path().display());
    let vigie = flags.iter().fold(vigie, |vigie, flag| vigie.arg(at_dead(flag))).start();
    let at_start = vigie.process.threads();
    // A client in a hurry, so that those that hang are soon known.
    let scrape = || {
        let query = Query::new("GET", "/metrics");
        let query = query.header("X-Prometheus-Scrape-Timeout-Seconds", "1");
        request(vigie.web, &query).unwrap().ok().text()
    };
    let healthy = ["filefd", "loadavg", "meminfo", "netdev", "netstat", "stat", "uname", "vmstat"];
    let waits = ["hwmon", "thermal_zone", "nvme", "netclass", "pcidevice", "rapl"];
    let mut known = 0;
    let page = wait_for("all that hang to be known", SOON, || {
        let page = scrape();
        let timeouts = page.matches("reason=\"timeout\"").count();
        let is_new = std::mem::replace(&mut known, timeouts) < timeouts;
        if is_new || healthy.iter().any(|name| failed(&page).contains(name)) {
            Err(format!("{:?}", failed(&page)))
        } else {
            Ok(page)
        }
    });
    assert!(waits.iter().all(|name| failed(&page).contains(name)), "{:?}", failed(&page));
    let threads = vigie.process.threads();
    for _ in 0..50 {
        let page = scrape();
        assert!(healthy.iter().all(|name| !failed(&page).contains(name)), "{:?}", failed(&page));
        assert!(page.contains("\nnode_load1 ") && page.contains("\nnode_memory_MemFree_bytes "));
    }
    assert!(vigie.process.threads() <= threads + POOL, "no thread per scrape");

    dead.end();
    wait_for("everybody to come back", SOON, || {
        scrape();
        let threads = vigie.process.threads();
        if threads <= at_start + POOL { Ok(()) } else { Err(threads) }
    });
}
