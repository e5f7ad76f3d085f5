//! A mount that never answers costs one thread, and no other metric.
//!
//! Upstream's oldest complaint: one dead NFS server and the whole scrape waits. Here the mount is
//! marked, everything else is answered scrape after scrape, and when the mount ends its thread does.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

use std::fs;

use common::{DeadMount, SOON, Vigie, wait_for};

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
