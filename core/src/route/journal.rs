//! What the router keeps on disk: snapshots in Alertmanager's formats and a log of changes since.
//!
//! A change is appended and synced before anybody is told that it stands; snapshots replace the
//! log now and then. What is damaged is set aside, every whole record is kept. It must not know
//! who waits for a write.

use std::collections::HashMap;
use std::sync::Arc;

use super::RETENTION;
use super::machine::{Change, State};
use super::nflog::{LogEntry, LogKey};
use super::silence::Silence;
use super::wire::{Decoded, decode_log, decode_silences, encode_log_entry, encode_silence};
use crate::alert::{Alert, Fingerprint};
use crate::storage::{Log, Storage, StorageError};

/// Snapshot of silences, in Alertmanager's format.
const SILENCES: &str = "silences";
/// Snapshot of the notification log, in Alertmanager's format.
const NFLOG: &str = "nflog";
/// Snapshot of alerts: a line each, CRC-32 in hex, a space, JSON.
const ALERTS: &str = "alerts";
/// Changes since the snapshots.
const CHANGES: &str = "changes";

/// The files, open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    storage: Storage,
    log: Log,
}

impl Journal {
    /// Reads what there is, keeping every whole record.
    pub(super) fn open(storage: Storage) -> Result<(Self, State), StorageError> {
        let mut kept = Kept::default();
        let silences = load(&storage, SILENCES, decode_silences);
        let entries = load(&storage, NFLOG, decode_log);
        let alerts = load(&storage, ALERTS, decode_alerts);
        let whole = silences.whole && entries.whole && alerts.whole;
        silences.records.into_iter().for_each(|silence| kept.silence(silence.into()));
        entries.records.into_iter().for_each(|entry| kept.entry(entry.into()));
        alerts.records.into_iter().for_each(|alert| kept.alert(alert.into()));
        let (log, recovered) = Log::open(&storage, CHANGES)?;
        let changes = recovered.records.iter().filter_map(|record| decode_change(record));
        changes.for_each(|change| kept.apply(change));
        let state = kept.into_state();
        let mut journal = Journal { storage, log };
        if !whole {
            // The damaged file was moved away: what it still said must stand in a new one.
            journal.compact(&state)?;
        }
        Ok((journal, state))
    }

    /// Appends changes and waits until the disk has them.
    pub(super) fn append(&mut self, changes: &[Change]) -> Result<(), StorageError> {
        let records: Vec<Vec<u8>> = changes.iter().map(encode_change).collect();
        self.log.append(&records)
    }

    /// Writes snapshots and empties the log. At any moment files and log together say all: the
    /// log only repeats what newer snapshots say, in the order it happened.
    pub(super) fn compact(&mut self, state: &State) -> Result<(), StorageError> {
        let mut bytes = Vec::new();
        state.silences.iter().for_each(|silence| encode_silence(silence, RETENTION, &mut bytes));
        self.storage.write(SILENCES, &bytes)?;
        bytes.clear();
        state.log.iter().for_each(|entry| encode_log_entry(entry, &mut bytes));
        self.storage.write(NFLOG, &bytes)?;
        bytes.clear();
        state.alerts.iter().for_each(|alert| encode_alert_line(alert, &mut bytes));
        self.storage.write(ALERTS, &bytes)?;
        self.log.clear()
    }

    /// Bytes of changes since the snapshots.
    pub(super) const fn length(&self) -> u64 {
        self.log.length()
    }
}

/// The latest of each thing.
#[derive(Default)]
struct Kept {
    silences: HashMap<String, Arc<Silence>>,
    log: HashMap<LogKey, Arc<LogEntry>>,
    alerts: HashMap<Fingerprint, Arc<Alert>>,
}

impl Kept {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Silence(silence) => self.silence(silence),
            Change::Notified(entry) => self.entry(entry),
            Change::Alert(alert) => self.alert(alert),
            Change::Gone(id) => drop(self.alerts.remove(&id)),
        }
    }

    fn silence(&mut self, silence: Arc<Silence>) {
        self.silences.insert(silence.id.clone(), silence);
    }

    fn entry(&mut self, entry: Arc<LogEntry>) {
        self.log.insert(entry.key.clone(), entry);
    }

    fn alert(&mut self, alert: Arc<Alert>) {
        self.alerts.insert(alert.fingerprint(), alert);
    }

    fn into_state(self) -> State {
        State {
            silences: self.silences.into_values().collect(),
            log: self.log.into_values().collect(),
            alerts: self.alerts.into_values().collect(),
        }
    }
}

struct Loaded<T> {
    records: Vec<T>,
    whole: bool,
}

fn load<T>(storage: &Storage, name: &str, decode: fn(&[u8]) -> Decoded<T>) -> Loaded<T> {
    let Some(bytes) = storage.read(name) else { return Loaded { records: vec![], whole: true } };
    let Decoded { records, refused, damaged_at } = decode(&bytes);
    for why in &refused {
        tracing::error!(file = name, why, "a record cannot be used");
    }
    let whole = refused.is_empty() && damaged_at.is_none();
    if !whole {
        let kept = records.len();
        let reason = match damaged_at {
            Some(offset) => format!("damaged at byte {offset}; {kept} records kept"),
            None => format!("{} records cannot be used; {kept} records kept", refused.len()),
        };
        storage.set_aside(name, &reason);
    }
    Loaded { records, whole }
}

fn encode_change(change: &Change) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    match change {
        Change::Silence(silence) => {
            bytes.push(b'S');
            encode_silence(silence, RETENTION, &mut bytes);
        }
        Change::Notified(entry) => {
            bytes.push(b'N');
            encode_log_entry(entry, &mut bytes);
        }
        Change::Alert(alert) => {
            bytes.push(b'A');
            bytes.extend(json(alert));
        }
        Change::Gone(id) => {
            bytes.push(b'G');
            bytes.extend(id.0.to_le_bytes());
        }
    }
    bytes
}

/// The checksum held, so that what cannot be read was written by a newer version.
fn decode_change(record: &[u8]) -> Option<Change> {
    let (kind, payload) = record.split_first()?;
    let change = match kind {
        b'S' => decode_silences(payload).records.pop().map(|s| Change::Silence(s.into())),
        b'N' => decode_log(payload).records.pop().map(|e| Change::Notified(e.into())),
        b'A' => serde_json::from_slice(payload).ok().map(|a: Alert| Change::Alert(a.into())),
        b'G' => payload.try_into().ok().map(|id| Change::Gone(Fingerprint(u64::from_le_bytes(id)))),
        _ => None,
    };
    if change.is_none() {
        tracing::error!(file = CHANGES, "a record cannot be used");
    }
    change
}

fn encode_alert_line(alert: &Alert, out: &mut Vec<u8>) {
    let json = json(alert);
    out.extend(format!("{:08x} ", crc(&json)).into_bytes());
    out.extend(json);
    out.push(b'\n');
}

fn decode_alerts(bytes: &[u8]) -> Decoded<Alert> {
    let mut decoded = Decoded { records: Vec::new(), refused: Vec::new(), damaged_at: None };
    let mut offset = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match decode_alert_line(line) {
            Some(alert) => decoded.records.push(alert),
            None => _ = decoded.damaged_at.get_or_insert(offset),
        }
        offset += line.len();
    }
    decoded
}

fn decode_alert_line(line: &[u8]) -> Option<Alert> {
    let (sum, json) = line.strip_suffix(b"\n")?.split_at_checked(9)?;
    let sum = std::str::from_utf8(sum).ok()?.strip_suffix(' ')?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    (crc(json) == sum).then(|| serde_json::from_slice(json).ok())?
}

/// An alert is texts and times, which JSON always has.
fn json(alert: &Alert) -> Vec<u8> {
    serde_json::to_vec(alert).unwrap_or_default()
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::alert::{LabelSet, Matchers};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn alert(name: &str) -> Arc<Alert> {
        Arc::new(Alert {
            labels: LabelSet::new([("alertname", name), ("text", "a \"b\"\nc")]),
            annotations: LabelSet::new([("summary", "é")]),
            starts_at: at(1),
            ends_at: at(2),
            updated_at: at(1),
            generator_url: "http://x".into(),
            timeout: true,
        })
    }

    fn silence(id: &str) -> Arc<Silence> {
        Arc::new(Silence {
            id: id.into(),
            matchers: Matchers::parse("a=b").unwrap(),
            starts_at: at(1),
            ends_at: at(2),
            updated_at: at(1),
            created_by: "me".into(),
            comment: "why".into(),
            annotations: LabelSet::default(),
        })
    }

    fn entry(group: &str) -> Arc<LogEntry> {
        Arc::new(LogEntry {
            key: LogKey {
                group_key: group.into(),
                receiver: "r".into(),
                integration: "webhook".into(),
                index: 1,
            },
            timestamp: at(3),
            firing: vec![1, 2],
            resolved: vec![],
            expires_at: LogEntry::expiry(at(3), Duration::from_secs(60)),
        })
    }

    fn open(dir: &Path) -> (Journal, State) {
        Journal::open(Storage::open(dir).unwrap()).unwrap()
    }

    /// What a state holds, in short.
    fn short(state: &State) -> (Vec<String>, Vec<String>, Vec<String>) {
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        (
            sorted(state.silences.iter().map(|silence| silence.id.clone()).collect()),
            sorted(state.log.iter().map(|entry| entry.key.group_key.to_string()).collect()),
            sorted(state.alerts.iter().map(|alert| alert.name().to_owned()).collect()),
        )
    }

    fn names(texts: [&[&str]; 3]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let [a, b, c] = texts.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
        (a, b, c)
    }

    fn all() -> Vec<Change> {
        vec![
            Change::Silence(silence("s1")),
            Change::Notified(entry("g1")),
            Change::Alert(alert("A")),
            Change::Alert(alert("B")),
            Change::Gone(alert("B").fingerprint()),
        ]
    }

    #[test]
    fn what_was_appended_or_compacted_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, state) = open(dir.path());
        assert_eq!(short(&state), names([&[], &[], &[]]));
        journal.append(&all()).unwrap();
        drop(journal);
        let (mut journal, state) = open(dir.path());
        assert_eq!(short(&state), names([&["s1"], &["g1"], &["A"]]));
        assert_eq!((&state.alerts[0], &state.log[0]), (&alert("A"), &entry("g1")));
        journal.compact(&state).unwrap();
        assert_eq!(journal.length(), 0);
        journal.append(&[Change::Silence(silence("s2"))]).unwrap();
        let (_, again) = open(dir.path());
        assert_eq!(short(&again), names([&["s1", "s2"], &["g1"], &["A"]]));
        assert_eq!(again.alerts, state.alerts);
    }

    #[test]
    fn a_stop_between_snapshots_and_log_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        journal.append(&all()).unwrap();
        let log = fs::read(dir.path().join(CHANGES)).unwrap();
        let (mut journal, state) = open(dir.path());
        journal.compact(&state).unwrap();
        fs::write(dir.path().join(CHANGES), log).unwrap();
        assert_eq!(short(&open(dir.path()).1), short(&state));
    }

    #[test]
    fn damage_costs_only_what_it_hit_and_is_set_aside() {
        for damage in ["torn", "zeroed", "flipped", "directory"] {
            let dir = tempfile::tempdir().unwrap();
            let (mut journal, _) = open(dir.path());
            let state = State {
                silences: vec![silence("s1"), silence("s2")],
                log: vec![entry("g1"), entry("g2")],
                alerts: vec![alert("A"), alert("B")],
            };
            journal.compact(&state).unwrap();
            journal.append(&[Change::Silence(silence("s3"))]).unwrap();
            for file in [SILENCES, NFLOG, ALERTS] {
                let path = dir.path().join(file);
                let mut bytes = fs::read(&path).unwrap();
                let length = bytes.len();
                match damage {
                    "torn" => bytes.truncate(length - 3),
                    "zeroed" => bytes[length / 2..].fill(0),
                    "flipped" => bytes[length - 20] ^= 0x80,
                    _ => {
                        fs::remove_file(&path).unwrap();
                        fs::create_dir(&path).unwrap();
                        continue;
                    }
                }
                fs::write(&path, bytes).unwrap();
            }
            let (_, state) = open(dir.path());
            let kept = short(&state);
            assert!(kept.0.contains(&"s3".to_owned()), "the log is whole");
            if damage != "directory" {
                assert_eq!(kept, names([&["s1", "s3"], &["g1"], &["A"]]), "{damage}");
            }
            for file in [SILENCES, NFLOG, ALERTS] {
                assert!(dir.path().join(format!("{file}.bad-0")).exists(), "{damage} {file}");
            }
            assert_eq!(short(&open(dir.path()).1), kept, "{damage}: mended");
            assert!(!dir.path().join("alerts.bad-1").exists());
        }
    }

    #[test]
    fn in_memory_nothing_is_kept_and_nothing_fails() {
        let (mut journal, _) = Journal::open(Storage::memory()).unwrap();
        journal.append(&all()).unwrap();
        journal.compact(&State::default()).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_bytes_in_any_file_are_an_answer(
            file in prop::sample::select(vec![SILENCES, NFLOG, ALERTS, CHANGES]),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(file), bytes).unwrap();
            let (_, state) = open(dir.path());
            let short = short(&state);
            prop_assert_eq!(self::short(&open(dir.path()).1), short);
        }
    }
}
