//! The notification log: what each integration was last told about each group.
//!
//! Dedup and repeat are decided against it, so it is what survives a restart first. It must not
//! know how an entry is stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::RETENTION;
use super::plan::Integration;
use crate::clock;

/// Whom an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogKey {
    /// The group key.
    pub group_key: Arc<str>,
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// Kind of the integration, as `webhook`.
    pub integration: Arc<str>,
    /// Its number among those of its kind in the receiver.
    pub index: u32,
}

impl LogKey {
    /// The key of an integration of a receiver for a group.
    pub(super) fn new(
        group_key: &Arc<str>,
        receiver: &Arc<str>,
        integration: &Integration,
    ) -> Self {
        LogKey {
            group_key: group_key.clone(),
            receiver: receiver.clone(),
            integration: integration.kind.clone(),
            index: integration.index,
        }
    }
}

/// The last successful notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// About whom.
    pub key: LogKey,
    /// When the group was looked at.
    pub timestamp: Timestamp,
    /// Hashes of the alerts told to fire, sorted.
    pub firing: Vec<u64>,
    /// Hashes of the alerts told to be resolved, sorted.
    pub resolved: Vec<u64>,
    /// When the entry may be forgotten.
    pub expires_at: Timestamp,
}

impl LogEntry {
    /// When an entry of `timestamp` may be forgotten: Alertmanager's min(retention, 2 x repeat).
    pub(super) fn expiry(timestamp: Timestamp, repeat_interval: Duration) -> Timestamp {
        clock::add(timestamp, RETENTION.min(repeat_interval.saturating_mul(2)))
    }
}

/// All entries, by key.
#[derive(Debug, Default)]
pub(super) struct NotificationLog {
    entries: HashMap<LogKey, Arc<LogEntry>>,
}

impl NotificationLog {
    /// Takes the latest entry of its key; that it is the latest the caller knows, not a clock that
    /// may have been set back.
    pub(super) fn record(&mut self, entry: Arc<LogEntry>) {
        self.entries.insert(entry.key.clone(), entry);
    }

    /// The entry of a key that has not expired.
    pub(super) fn get(&self, key: &LogKey, now: Timestamp) -> Option<&LogEntry> {
        self.entries.get(key).map(AsRef::as_ref).filter(|entry| entry.expires_at > now)
    }

    /// Forgets what has expired.
    pub(super) fn collect(&mut self, now: Timestamp) {
        self.entries.retain(|_, entry| entry.expires_at > now);
        self.entries.shrink_to_fit();
    }

    /// All entries, sorted by key.
    pub(super) fn all(&self) -> Vec<Arc<LogEntry>> {
        let mut all: Vec<_> = self.entries.values().cloned().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(second: i64) -> Arc<LogEntry> {
        let timestamp = Timestamp::from_second(second).unwrap();
        let (group_key, receiver, integration) = ("g".into(), "r".into(), "i".into());
        Arc::new(LogEntry {
            key: LogKey { group_key, receiver, integration, index: 0 },
            timestamp,
            firing: vec![],
            resolved: vec![],
            expires_at: LogEntry::expiry(timestamp, Duration::from_secs(10)),
        })
    }

    #[test]
    fn the_latest_entry_counts_until_it_expires() {
        let mut log = NotificationLog::default();
        log.record(entry(8));
        log.record(entry(5));
        let key = entry(0).key.clone();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(log.get(&key, at(6)).unwrap().timestamp, at(5));
        assert!(log.get(&key, at(25)).is_none(), "twice the repeat interval has passed");
        log.collect(at(25));
        assert!(log.all().is_empty());
    }
}
