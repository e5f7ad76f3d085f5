//! Logs, objectives, alerts and checkpoints together, with a scripted clock.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use vigie_core::config::{Flags, Node, parse_yaml};

use super::*;

const NOW: i64 = 1_795_191_000_000;

fn config(dir: &Path, slo: &str) -> Config {
    let path = dir.join("access.log");
    let accesslog = format!("[{{name: web, path: '{}'}}]", path.display());
    let node = |text: &str| parse_yaml("vigie.yml", text).unwrap();
    let slo = if slo.is_empty() { Node::null("vigie.yml") } else { node(slo) };
    Config::read(&node(&accesslog), &slo, &Flags::default()).unwrap()
}

/// A line that ended at `at`, `millis` long.
fn write(dir: &Path, number: u64, at: i64, code: u16, millis: i64) {
    let path = dir.join("access.log");
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let start = vigie_core::clock::Timestamp::from_millisecond(at - millis).unwrap();
    writeln!(
        file,
        r#"{{"DownstreamStatus":{code},"Duration":{},"RequestCount":{number},"RequestMethod":"GET","ServiceName":"gallery@docker","StartUTC":"{start}"}}"#,
        millis * 1_000_000
    )
    .unwrap();
}

fn requests(snapshot: &Snapshot) -> u64 {
    let tallies = snapshot.logs.iter().flat_map(|log| log.ledger.services.values());
    tallies.flat_map(|tally| &tally.requests).map(|(_, _, count)| count).sum()
}

const SLO: &str = "{interval: 1s, objectives: [{name: fast, select: {service: gallery@docker}, latency: {below: 200ms, target: 95%}, window: 10s, min_events: 5, labels: {team: photos}}]}";

#[test]
fn a_slow_backend_is_told_within_seconds_and_healed_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = Engine::new(config(dir.path(), SLO), NOW);
    for n in 0..10 {
        write(dir.path(), n, NOW, 200, 50);
    }
    assert!(engine.read(NOW) && engine.has_caught_up());
    assert_eq!(engine.look(NOW).1, []);
    for n in 10..14 {
        write(dir.path(), n, NOW + 1_000, 200, 500);
    }
    engine.read(NOW + 1_000);
    let (snapshot, posts) = engine.look(NOW + 1_000);
    assert_eq!(requests(&snapshot), 14);
    let labels = posts[0].labels.to_string();
    assert_eq!(
        labels,
        r#"{alertname="VigieSloBroken", service="gallery@docker", severity="page", slo="fast", team="photos", window="10s"}"#
    );
    assert_eq!(
        posts[0].annotations.get("summary"),
        "fast: 71.42% fast enough over 10s, promised 95% within 200ms"
    );
    engine.taken(NOW + 1_000);
    for n in 14..30 {
        write(dir.path(), n, NOW + 12_000, 200, 50);
    }
    engine.read(NOW + 12_000);
    let posts = engine.look(NOW + 12_000).1;
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].ends_at.unwrap().as_millisecond(), NOW + 12_000);
}

#[test]
fn a_crash_loses_no_line_and_counts_none_twice() {
    let dir = tempfile::tempdir().unwrap();
    let state = tempfile::tempdir().unwrap();
    let storage = Storage::open(state.path()).unwrap();
    let mut engine = Engine::new(config(dir.path(), SLO), NOW);
    for n in 1..=4 {
        write(dir.path(), n, NOW, 200, 500);
    }
    engine.read(NOW);
    engine.store(&storage).unwrap();
    for n in 5..=6 {
        write(dir.path(), n, NOW, 500, 500);
    }
    engine.read(NOW);
    drop(engine);
    // Rotated while down; number 8 is never written.
    fs::rename(dir.path().join("access.log"), dir.path().join("access.log.1")).unwrap();
    write(dir.path(), 7, NOW, 200, 500);
    write(dir.path(), 9, NOW, 200, 500);
    let mut engine = Engine::new(config(dir.path(), SLO), NOW + 1);
    engine.restore(&storage);
    assert!(!engine.has_caught_up());
    engine.read(NOW + 1);
    let (snapshot, posts) = engine.look(NOW + 1);
    assert_eq!((requests(&snapshot), snapshot.logs[0].ledger.lines), (8, 8));
    assert_eq!((snapshot.slos[0].good, snapshot.slos[0].bad), (0, 8));
    assert_eq!(posts.len(), 1, "the window is restored as well");
    let duration = &snapshot.logs[0].ledger.services["gallery@docker"].duration;
    assert_eq!((duration.count, duration.seconds), (8, 4.0));
}

#[test]
fn a_log_that_moved_keeps_its_counters_and_reads_no_strangers() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let storage = Storage::open(state.path()).unwrap();
    let mut engine = Engine::new(config(dir.path(), ""), NOW);
    write(dir.path(), 1, NOW, 200, 500);
    engine.read(NOW);
    engine.store(&storage).unwrap();
    let other = tempfile::tempdir().unwrap();
    write(other.path(), 2, NOW, 200, 500);
    fs::rename(other.path().join("access.log"), other.path().join("access.log.1")).unwrap();
    write(other.path(), 3, NOW, 200, 500);
    let mut engine = Engine::new(config(other.path(), ""), NOW);
    engine.restore(&storage);
    engine.read(NOW);
    assert_eq!(requests(&engine.look(NOW).0), 2, "not what was rotated before");
}

#[test]
fn other_thresholds_begin_histograms_anew_and_keep_counters() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let storage = Storage::open(state.path()).unwrap();
    let mut engine = Engine::new(config(dir.path(), ""), NOW);
    write(dir.path(), 1, NOW, 200, 500);
    engine.read(NOW);
    engine.store(&storage).unwrap();
    let slo = "[{name: odd, latency: {below: 123ms, target: 95%}}]";
    let mut engine = Engine::new(config(dir.path(), slo), NOW);
    engine.restore(&storage);
    engine.read(NOW);
    let (snapshot, _) = engine.look(NOW);
    assert!(snapshot.bounds.contains(&0.123));
    assert_eq!(requests(&snapshot), 1);
    assert_eq!(snapshot.logs[0].ledger.services["gallery@docker"].duration.count, 0);
}

#[test]
fn a_damaged_checkpoint_is_set_aside() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let storage = Storage::open(state.path()).unwrap();
    let mut engine = Engine::new(config(dir.path(), SLO), NOW);
    write(dir.path(), 1, NOW, 200, 500);
    engine.read(NOW);
    engine.store(&storage).unwrap();
    let good = storage.read(FILE).unwrap();
    assert!(decode(&good).is_ok());
    let mut damaged: Vec<Vec<u8>> =
        vec![Vec::new(), vec![0; good.len()], good[..good.len() / 2].into()];
    damaged.extend((0..good.len()).step_by(37).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    }));
    for bytes in damaged {
        assert!(decode(&bytes).is_err());
    }
    storage.write(FILE, &good[1..]).unwrap();
    let mut engine = Engine::new(config(dir.path(), SLO), NOW);
    engine.restore(&storage);
    assert!(state.path().join("checkpoint.bad-0").exists());
    engine.read(NOW);
    assert_eq!(requests(&engine.look(NOW).0), 1, "read from the beginning");
}

#[test]
fn bad_lines_are_counted_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = b"nonsense\n{\"level\":\"info\"}\n\xff\n".to_vec();
    bytes.extend(vec![b'x'; (1 << 20) + 1]);
    bytes.push(b'\n');
    fs::write(dir.path().join("access.log"), bytes).unwrap();
    write(dir.path(), 1, NOW, 200, 5);
    let mut engine = Engine::new(config(dir.path(), ""), NOW);
    assert!(engine.read(NOW));
    let snapshot = engine.look(NOW).0;
    // By reason: too long, not UTF-8, not of the format, not a request.
    assert_eq!(snapshot.logs[0].ledger.malformed, [1, 0, 2, 1]);
    assert_eq!((snapshot.logs[0].ledger.lines, requests(&snapshot)), (5, 1));
}

#[test]
fn a_file_that_stays_away_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = Engine::new(config(dir.path(), ""), NOW);
    engine.read(NOW);
    assert_eq!(engine.look(NOW).1, []);
    engine.read(NOW + 300_000);
    let posts = engine.look(NOW + 300_000).1;
    assert_eq!(posts[0].labels.get("alertname"), "VigieAccessLogStale");
    assert_eq!(posts[0].labels.get("source"), "web");
    engine.taken(NOW + 300_000);
    write(dir.path(), 1, NOW, 200, 5);
    engine.read(NOW + 301_000);
    let posts = engine.look(NOW + 301_000).1;
    assert_eq!(posts[0].ends_at.unwrap().as_millisecond(), NOW + 301_000);
    fs::remove_file(dir.path().join("access.log")).unwrap();
    fs::create_dir(dir.path().join("access.log")).unwrap();
    engine.read(NOW + 302_000);
    engine.read(NOW + 900_000);
    let summary = engine.look(NOW + 900_000).1;
    let summary = summary.last().unwrap().annotations.get("summary").to_owned();
    assert!(summary.ends_with("is not read: it is a directory"), "{summary}");
}
