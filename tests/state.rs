//! State that is torn, zeroed, flipped or a directory, and disks that take nothing more.
//!
//! vigie starts in every case, says which file and how much it kept, sets the bad one aside, and never
//! acknowledges what it could not keep.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside the tests")]

use std::fs;
use std::path::{Path, PathBuf};

use common::{Answer, Disk, Vigie, get, post};
use serde_json::{Value, json};

fn silence(vigie: &Vigie, value: &str) -> Answer {
    let body = json!({
        "matchers": [{ "name": "alertname", "value": value, "isRegex": false, "isEqual": true }],
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2999-01-01T00:00:00Z",
        "createdBy": "test", "comment": "kept",
    });
    post(vigie.alerting, "/api/v2/silences", &body).unwrap()
}

fn silences(vigie: &Vigie) -> Vec<Value> {
    get(vigie.alerting, "/api/v2/silences").unwrap().ok().json().as_array().unwrap().clone()
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Something that befalls a file.
type Harm = fn(&Path);

#[test]
fn an_acknowledged_silence_survives_kill_9() {
    let mut vigie = Vigie::start("");
    assert_eq!(silence(&vigie, "A").status, 200);
    vigie.process.kill();
    let vigie = vigie.again();
    assert_eq!(silences(&vigie).len(), 1);
}

#[test]
fn vigie_starts_on_any_state_and_says_what_it_set_aside() {
    let tear = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len().saturating_sub(3)]).unwrap();
    };
    let zero = |path: &Path| fs::write(path, vec![0; fs::read(path).unwrap().len()]).unwrap();
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 0x10;
        }
        fs::write(path, bytes).unwrap();
    };
    let garbage = |path: &Path| {
        let bytes = [fs::read(path).unwrap(), b"\xff\xff\xff\xffgarbage".to_vec()].concat();
        fs::write(path, bytes).unwrap();
    };
    let directory = |path: &Path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    };
    let harms: [(&str, Harm); 5] = [
        ("torn", tear),
        ("zeroed", zero),
        ("flipped", flip),
        ("with garbage", garbage),
        ("a directory", directory),
    ];
    for (what, harm) in harms {
        let mut vigie = Vigie::start("");
        assert_eq!(silence(&vigie, "A").status, 200);
        assert_eq!(silence(&vigie, "B").status, 200);
        vigie.process.kill();
        let kept: Vec<PathBuf> = files(&vigie.storage())
            .into_iter()
            .filter(|path| fs::metadata(path).is_ok_and(|file| file.len() > 0))
            .collect();
        assert!(!kept.is_empty(), "there is state to harm");
        kept.iter().for_each(|path| harm(path));
        let vigie = vigie.again();
        assert!(silences(&vigie).len() <= 2, "{what}");
        let log = vigie.process.output();
        let named = kept.iter().any(|path| log.contains(path.to_str().unwrap()));
        assert!(named, "{what}: no file of {kept:?} is named in:\n{log}");
        assert_eq!(silence(&vigie, "C").status, 200, "{what}: new state is kept again");
    }
}

#[test]
fn what_a_full_disk_cannot_keep_is_not_acknowledged() {
    let vigie = Vigie::with().disk(Disk).start();
    assert_eq!(silence(&vigie, "A").status, 200);
    let filler = Disk.fill(&vigie.process, &vigie.storage());
    // More than what is left of the last page of any file.
    let large = "x".repeat(8192);
    let refused = silence(&vigie, &large);
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert_eq!(get(vigie.alerting, "/-/healthy").unwrap().status, 200);
    assert_eq!(get(vigie.web, "/metrics").unwrap().status, 200);
    fs::remove_file(filler).unwrap();
    assert_eq!(silence(&vigie, &large).status, 200, "it recovers by itself");
    assert_eq!(silences(&vigie).len(), 2);
}
