//! Inside a container vigie sees the host, as Swarm's global services run it.
//!
//! A real daemon runs the very program under test with the host's `/proc`, `/sys` and `/` bind-mounted, and what it shows
//! must be what it shows beside the container. It must not look at containers' own figures.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stand outside the tests")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use common::{Docker, run_vigie};

/// What names a thing of the host, one family per kind of thing: these must be equal in and beside the container.
const INVENTORY: [&str; 6] = [
    "node_network_receive_bytes_total",
    "node_network_transmit_packets_total",
    "node_filesystem_size_bytes",
    "node_disk_reads_completed_total",
    "node_cpu_seconds_total",
    "node_boot_time_seconds",
];

/// The paths of a container that `examples/swarm/stack.yml` has too.
const PATHS: [&str; 3] =
    ["--path.procfs=/host/proc", "--path.sysfs=/host/sys", "--path.rootfs=/rootfs"];

/// The tests' own daemon comes with mounts and interfaces of containers that begin and end.
const FLAGS: [&str; 3] = [
    "--docker.socket=",
    "--collector.netdev.device-exclude=^(veth|lab)",
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|tmp|run)($|/)|/docker/|/overlay2/",
];

/// Series of the inventory, without their values.
fn inventory(text: &str) -> BTreeSet<&str> {
    let series = text.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0));
    let name =
        |series: &str| series.split('{').next().is_some_and(|name| INVENTORY.contains(&name));
    series.filter(|series| name(series)).collect()
}

/// `vigie collect` in a container: the image has nothing but busybox, so loader and libraries are the host's.
fn in_container(docker: &Docker, options: &[&str]) -> String {
    let vigie = env!("CARGO_BIN_EXE_vigie");
    let (loader, libraries) = loader_of(vigie);
    let mut args = vec!["run", "--rm", "-v", "/:/rootfs:ro"];
    args.extend(["-v", "/proc:/host/proc:ro", "-v", "/sys:/host/sys:ro"]);
    args.extend(options);
    let program = format!("/rootfs{vigie}");
    args.extend([
        &docker.image,
        loader.as_str(),
        "--library-path",
        &libraries,
        &program,
        "collect",
    ]);
    args.extend(PATHS.iter().chain(&FLAGS));
    docker.run(&args)
}

/// The dynamic loader of a program and the directories of its libraries, below `/rootfs`.
fn loader_of(program: &str) -> (String, String) {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    // Links of the host that begin at `/` lead nowhere below `/rootfs`.
    let files: Vec<_> = words.map(|word| std::fs::canonicalize(word).unwrap()).collect();
    let directory = |file: &PathBuf| format!("/rootfs{}", file.parent().unwrap().display());
    let directories: BTreeSet<String> = files.iter().map(directory).collect();
    let loader = files.iter().find(|file| file.to_string_lossy().contains("/ld-")).unwrap();
    let directories = directories.into_iter().collect::<Vec<_>>().join(":");
    (format!("/rootfs{}", loader.display()), directories)
}

#[test]
fn the_host_is_seen_from_a_container() {
    let docker = Docker::start();
    let output = run_vigie(["collect"].iter().chain(&FLAGS));
    let beside = String::from_utf8(output.stdout).unwrap();
    for options in [&[][..], &["--pid", "host"], &["--network", "host", "--hostname", "node-7"]] {
        let inside = in_container(&docker, options);
        let (inside_has, beside_has) = (inventory(&inside), inventory(&beside));
        assert!(beside_has.len() > 10, "{beside_has:?}");
        let missing: Vec<_> = beside_has.difference(&inside_has).collect();
        let strange: Vec<_> = inside_has.difference(&beside_has).collect();
        assert!(
            missing.is_empty() && strange.is_empty(),
            "{options:?}: -{missing:#?} +{strange:#?}"
        );
        for failed in failures(&inside) {
            assert!(failures(&beside).contains(&failed), "{options:?}: {failed} fails inside only");
        }
    }
    let named = in_container(&docker, &["--hostname", "node-7"]);
    assert!(named.contains("nodename=\"node-7\""), "uname is that of the container");
}

/// Collectors without success.
fn failures(text: &str) -> BTreeSet<&str> {
    let series =
        text.lines().filter_map(|line| line.strip_prefix("node_scrape_collector_success{"));
    series.filter_map(|line| line.strip_suffix("\"} 0")?.strip_prefix("collector=\"")).collect()
}
