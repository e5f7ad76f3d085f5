//! The command line, as a user meets it.
//!
//! Words in, text and exit status out; nothing here needs a network or another program but promtool.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stand outside the tests")]

use std::process::Output;

use common::{promtool_complaints, run_vigie};
use tempfile::TempDir;

/// Runs vigie and gives exit status, standard output and standard error.
fn vigie(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = run_vigie(args);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A directory with one file in it.
fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

#[test]
fn help_names_every_command_and_the_flags_of_node_exporter() {
    let (status, help, _) = vigie(&["--help"]);
    assert_eq!(status, 0);
    for command in ["serve", "collect", "check", "sla"] {
        assert!(help.contains(command), "{command} in:\n{help}");
    }
    let (status, help, _) = vigie(&["serve", "--help"]);
    assert_eq!(status, 0);
    for flag in [
        "--config.file",
        "--web.listen-address",
        "--web.telemetry-path",
        "--alerting.listen-address",
        "--accesslog.file",
        "--accesslog.format",
        "--storage.path",
        "--plugin",
        "--path.procfs",
        "--path.sysfs",
        "--path.rootfs",
        "--path.udev.data",
        "--collector.disable-defaults",
        "--collector.textfile.directory",
        "--log.level",
        "--log.format",
    ] {
        assert!(help.contains(flag), "{flag} in:\n{help}");
    }
}

#[test]
fn the_version_is_the_crates() {
    let (status, version, _) = vigie(&["--version"]);
    assert_eq!(status, 0);
    assert!(version.starts_with(concat!("vigie ", env!("CARGO_PKG_VERSION"))), "{version}");
}

#[test]
fn completions_know_the_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let (status, script, error) = vigie(&["completions", shell]);
        assert_eq!(status, 0, "{error}");
        assert!(script.contains("collector.disable-defaults"), "{shell}");
    }
}

#[test]
fn a_scrape_on_standard_output_pleases_promtool() {
    let (status, metrics, _) = vigie(&["collect"]);
    assert_eq!(status, 0);
    assert!(
        metrics.contains("\nnode_load1 ")
            && metrics.contains("\n# TYPE node_cpu_seconds_total counter\n")
    );
    let complaints = promtool_complaints(metrics.as_bytes());
    assert_eq!(complaints, [""; 0]);
}

#[test]
fn collectors_are_switched_as_in_node_exporter() {
    let (_, metrics, _) =
        vigie(&["collect", "--collector.disable-defaults", "--collector.loadavg"]);
    assert!(metrics.contains("\nnode_load1 ") && !metrics.contains("\nnode_memory_"));
    let (_, metrics, _) = vigie(&["collect", "--no-collector.loadavg"]);
    assert!(
        !metrics.contains("\nnode_load1 ") && metrics.contains("\nnode_memory_MemTotal_bytes ")
    );
}

#[test]
fn the_list_shows_every_collector() {
    let (status, list, _) = vigie(&["collect", "--list"]);
    assert_eq!(status, 0);
    let all = vigie::Catalogue::bundled().collectors();
    for (_, info) in all.into_iter().filter(|(plugin, _)| *plugin == "host") {
        let line = |line: &str| line.split(' ').next() == Some(info.name);
        assert!(list.lines().any(line), "{} in:\n{list}", info.name);
    }
    let (_, list, _) = vigie(&["collect", "--list", "--no-collector.cpu"]);
    let cpu = list.lines().find(|line| line.starts_with("cpu ")).unwrap();
    assert!(cpu.contains("off"), "{cpu}");
}

#[test]
fn the_list_explains_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let proc = format!("--path.procfs={}", dir.path().display());
    std::fs::write(dir.path().join("loadavg"), "1 2 3 4/5 6\n").unwrap();
    let (status, list, _) = vigie(&["collect", "--list", "--verbose", &proc]);
    assert_eq!(status, 0);
    let paragraph = |name: &str| {
        let head = format!("{name}: ");
        list.split("\n\n").find(|text| text.starts_with(&head)).unwrap().to_owned()
    };
    assert!(paragraph("loadavg").starts_with("loadavg: ok\n"), "{list}");
    let stat = paragraph("stat");
    assert!(stat.contains("cannot read") && stat.contains("reads PROC/stat: not on this host"));
    let (status, _, error) = vigie(&["collect", "--verbose"]);
    assert!(status != 0 && error.contains("--list"), "{error}");
}

#[test]
fn a_recorded_host_is_read_instead_of_this_one() {
    let proc = tempfile::tempdir().unwrap();
    std::fs::write(proc.path().join("loadavg"), "7.25 0.50 0.25 1/2 3\n").unwrap();
    let procfs = format!("--path.procfs={}", proc.path().display());
    let (_, metrics, _) =
        vigie(&["collect", &procfs, "--collector.disable-defaults", "--collector.loadavg"]);
    assert!(metrics.contains("\nnode_load1 7.25\n"), "{metrics}");
}

#[test]
fn unknown_words_are_refused_with_the_nearest_known_one() {
    for (args, expected) in [
        (&["collect", "--collector.cpuu"][..], "collector.cpu"),
        (&["colect"], "collect"),
        (&["serve", "--web.listen-adress=:0"], "web.listen-address"),
    ] {
        let (status, _, error) = vigie(args);
        assert!(status != 0 && error.contains(expected), "{args:?} gave {status}: {error}");
    }
}

#[test]
fn bad_flag_values_name_their_flag() {
    for flag in [
        "--web.listen-address=nowhere",
        "--alerting.listen-address=127.0.0.1:99999",
        "--collector.netdev.device-exclude=(",
        "--collector.filesystem.mount-points-exclude=[",
        "--log.level=loud",
        "--log.format=poem",
        "--plugin=no-such-file.so",
        "--config.file=no-such-file.yml",
        "--storage.path=/proc/vigie",
    ] {
        let anywhere = ["--web.listen-address=127.0.0.1:0", "--alerting.listen-address="];
        let (status, _, error) = vigie(&["serve", anywhere[0], anywhere[1], flag]);
        let name = flag.split('=').next().unwrap();
        let value = flag.split('=').nth(1).unwrap();
        assert!(status != 0, "{flag}");
        assert!(error.contains(name) || error.contains(value), "{flag}: {error}");
    }
    let (status, _, error) =
        vigie(&["collect", "--accesslog.file=/dev/null", "--accesslog.format=poem"]);
    assert!(status != 0 && error.contains("--accesslog.format"), "{error}");
}

#[test]
fn a_good_file_is_good() {
    let (_dir, path) = file("vigie.yml", "web:\n  telemetry_path: /metrics\n");
    let (status, out, error) = vigie(&["check", "config", &path]);
    assert_eq!(status, 0, "{out}{error}");
    let (_dir, path) = file("vigie.yml", "");
    assert_eq!(vigie(&["check", "config", &path]).0, 0, "every key has a default");
}

#[test]
fn a_bad_file_is_refused_with_its_place() {
    for (text, place, hint) in [
        ("webb: {}\n", ":1:1: ", "\"web\""),
        ("web:\n  telemetri_path: /m\n", ":2:3: ", "telemetry_path"),
        ("alerting:\n  config:\n    route:\n      recever: x\n", ":4:7: ", "receiver"),
        ("a: 1\na: 2\n", ":2:1: ", "a"),
        ("web: [1\n", ":", ""),
        ("slo:\n  - name: x\n    latency: {below: soon, target: 95%}\n", ":3:", "duration"),
    ] {
        let (_dir, path) = file("vigie.yml", text);
        let (status, said, _) = vigie(&["check", "config", &path]);
        assert_eq!(status, 1, "{text:?}: {said}");
        let expected = format!("vigie.yml{place}");
        assert!(said.contains(&expected) && said.contains(hint), "{text:?}: {said}");
    }
}

#[test]
fn what_is_no_text_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_kept, latin) = file("vigie.yml", b"web: \xff\n");
    for path in [dir.path().to_str().unwrap(), "no-such-file.yml", &latin] {
        let (status, said, _) = vigie(&["check", "config", path]);
        assert!(status == 1 && said.contains(path), "{path}: {said}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, _, error) =
        vigie(&["serve", &format!("--web.listen-address={address}"), "--alerting.listen-address="]);
    assert!(status != 0 && error.contains(&address), "{status}: {error}");
}

#[test]
fn the_service_level_of_a_file_is_reported() {
    let log = concat!(
        r#"127.0.0.1 - - [20/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "-" 1 "gallery@file" "http://127.0.0.1:1" 10ms"#,
        "\n",
        r#"127.0.0.1 - - [20/Nov/2026:10:00:01 +0000] "GET / HTTP/1.1" 502 12 "-" "-" 2 "gallery@file" "http://127.0.0.1:1" 30ms"#,
        "\nno log line at all\n",
    );
    let (_dir, path) = file("access.log", log);
    let (_, report, error) = vigie(&["sla", &path, "--format", "traefik-clf", "--output", "json"]);
    let report: serde_json::Value =
        serde_json::from_str(&report).unwrap_or_else(|_| panic!("{error}"));
    assert_eq!(
        (&report["schema"], &report["lines"], &report["malformed"]),
        (&"vigie.sla/1".into(), &3.into(), &1.into())
    );
    assert_eq!(report["total"]["requests"], 2);
    assert_eq!(report["total"]["ratio_5xx"], 0.5);
    assert_eq!(report["routers"]["gallery@file"]["codes"]["502"], 1);
    let (status, _, error) = vigie(&["sla", "no-such-file.log"]);
    assert!(status == 2 && error.contains("no-such-file.log"), "{status}: {error}");
}
