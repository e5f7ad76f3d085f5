//! An alert: as it is posted, and as it is known.
//!
//! The rules for missing times, empty labels and merging are Alertmanager's, and stand here so that
//! every way in takes them. It must not know who routes the alert.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Fingerprint, LabelSet};
use crate::clock;
use crate::metric::is_label_name;

/// An alert as somebody posts it: times may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostedAlert {
    /// Identity.
    pub labels: LabelSet,
    /// Texts for people.
    #[serde(default)]
    pub annotations: LabelSet,
    /// When it began.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// When it ended or will be taken for ended.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
    /// Where it comes from.
    #[serde(default, rename = "generatorURL")]
    pub generator_url: String,
}

/// An alert that is known: valid, with all its times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Identity; no empty values.
    pub labels: LabelSet,
    /// Texts for people.
    pub annotations: LabelSet,
    /// When it began.
    pub starts_at: Timestamp,
    /// When it ended; in the future while it fires.
    pub ends_at: Timestamp,
    /// When it was last posted.
    pub updated_at: Timestamp,
    /// Where it comes from; may be empty.
    pub generator_url: String,
    /// `ends_at` is only the resolve timeout, not something the poster said.
    pub timeout: bool,
}

/// Why a posted alert was refused; texts are Alertmanager's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlertError {
    /// No label with a value.
    #[error("at least one label pair required")]
    NoLabels,
    /// The end lies before the start.
    #[error("start time must be before end time")]
    EndsBeforeStart,
    /// A label or annotation has an impossible name.
    #[error("invalid {of}: invalid name {name:?}")]
    BadName {
        /// `label set` or `annotations`.
        of: &'static str,
        /// The name, cut to 64 characters.
        name: String,
    },
    /// Something is larger than the limits allow.
    #[error("{0}")]
    TooLarge(String),
}

/// More labels than any sender has; bounds what one alert can cost.
const MAX_PAIRS: usize = 128;
/// Bytes of one label or annotation value.
const MAX_VALUE: usize = 64 << 10;

impl PostedAlert {
    /// Fills in the times as Alertmanager does: a missing start is the end or now, a missing end is
    /// now plus `resolve_timeout`; labels without value are dropped.
    ///
    /// # Errors
    /// When labels or times cannot be.
    pub fn receive(self, now: Timestamp, resolve_timeout: Duration) -> Result<Alert, AlertError> {
        let labels = self.labels.without_empty();
        if labels.is_empty() {
            return Err(AlertError::NoLabels);
        }
        check("label set", &labels)?;
        check("annotations", &self.annotations)?;
        let starts_at = self.starts_at.or(self.ends_at).unwrap_or(now);
        let ends_at = self.ends_at.unwrap_or_else(|| clock::add(now, resolve_timeout));
        if ends_at < starts_at {
            return Err(AlertError::EndsBeforeStart);
        }
        Ok(Alert {
            labels,
            annotations: self.annotations,
            starts_at,
            ends_at,
            updated_at: now,
            generator_url: self.generator_url,
            timeout: self.ends_at.is_none(),
        })
    }
}

fn check(of: &'static str, set: &LabelSet) -> Result<(), AlertError> {
    if set.len() > MAX_PAIRS {
        return Err(AlertError::TooLarge(format!("invalid {of}: more than {MAX_PAIRS} pairs")));
    }
    for (name, value) in set.iter() {
        if !is_label_name(name) {
            return Err(AlertError::BadName { of, name: name.chars().take(64).collect() });
        }
        if value.len() > MAX_VALUE {
            return Err(AlertError::TooLarge(format!(
                "invalid {of}: the value of {name:?} is longer than {MAX_VALUE} bytes"
            )));
        }
    }
    Ok(())
}

impl Alert {
    /// The number it is known by.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.labels)
    }

    /// The label `alertname`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.labels.get("alertname")
    }

    /// Whether it has ended at `now`.
    #[must_use]
    pub fn is_resolved(&self, now: Timestamp) -> bool {
        self.ends_at <= now
    }

    /// Joins two reports of one alert (Alertmanager `Alert.Merge`): where the intervals do not
    /// overlap the newer report replaces the older, else the earliest start and the right end win.
    #[must_use]
    pub fn merge(self, other: Alert, now: Timestamp) -> Alert {
        let (mut base, old) =
            if other.updated_at < self.updated_at { (self, other) } else { (other, self) };
        let overlap = (base.ends_at > old.starts_at && base.ends_at < old.ends_at)
            || (base.starts_at > old.starts_at && base.starts_at < old.ends_at)
            || (base.starts_at == old.starts_at);
        if !overlap {
            return base;
        }
        base.starts_at = base.starts_at.min(old.starts_at);
        if base.is_resolved(now) {
            if old.is_resolved(now) {
                base.ends_at = base.ends_at.max(old.ends_at);
            }
        } else if old.ends_at > base.ends_at && !old.timeout {
            base.ends_at = old.ends_at;
            base.timeout = false;
        }
        base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn posted(starts: Option<i64>, ends: Option<i64>) -> PostedAlert {
        PostedAlert {
            labels: LabelSet::new([("alertname", "A"), ("empty", "")]),
            starts_at: starts.map(at),
            ends_at: ends.map(at),
            ..PostedAlert::default()
        }
    }

    const FIVE: Duration = Duration::from_secs(300);

    #[test]
    fn missing_times_are_filled_as_alertmanager_does() {
        let alert = posted(None, None).receive(at(10), FIVE).unwrap();
        assert_eq!((alert.starts_at, alert.ends_at, alert.timeout), (at(10), at(310), true));
        assert_eq!(alert.labels.len(), 1, "empty labels are dropped");
        let alert = posted(None, Some(4)).receive(at(10), FIVE).unwrap();
        assert_eq!((alert.starts_at, alert.timeout), (at(4), false));
    }

    #[test]
    fn impossible_alerts_are_refused() {
        assert_eq!(posted(Some(5), Some(4)).receive(at(1), FIVE), Err(AlertError::EndsBeforeStart));
        assert_eq!(PostedAlert::default().receive(at(1), FIVE), Err(AlertError::NoLabels));
        let bad = PostedAlert { labels: LabelSet::new([("a-b", "x")]), ..PostedAlert::default() };
        assert!(matches!(bad.receive(at(1), FIVE), Err(AlertError::BadName { .. })));
        let big = "x".repeat(MAX_VALUE + 1);
        let big = PostedAlert { labels: LabelSet::new([("a", big)]), ..PostedAlert::default() };
        assert!(matches!(big.receive(at(1), FIVE), Err(AlertError::TooLarge(_))));
    }

    #[test]
    fn merging_keeps_the_earliest_start() {
        let first = posted(Some(0), None).receive(at(0), FIVE).unwrap();
        let again = posted(Some(60), None).receive(at(60), FIVE).unwrap();
        let merged = first.clone().merge(again, at(60));
        assert_eq!((merged.starts_at, merged.ends_at), (at(0), at(360)));
        let resolved = posted(Some(0), Some(70)).receive(at(70), FIVE).unwrap();
        let merged = merged.merge(resolved, at(70));
        assert_eq!((merged.ends_at, merged.is_resolved(at(70))), (at(70), true));
        let later = posted(Some(500), None).receive(at(500), FIVE).unwrap();
        assert_eq!(merged.merge(later, at(500)).starts_at, at(500), "a new occurrence replaces");
    }
}
