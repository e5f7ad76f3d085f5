//! A silence: matchers and a span of time during which nobody is notified.
//!
//! Its states and the rules for changing one are Alertmanager's. It must not know alerts beyond
//! their labels.

use jiff::Timestamp;
use serde::Serialize;

use crate::alert::{LabelSet, Matchers};

/// A silence that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// A UUID.
    pub id: String,
    /// All must match.
    pub matchers: Matchers,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Further texts (Alertmanager 0.32).
    pub annotations: LabelSet,
}

/// Where a silence stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// Begins later.
    Pending,
    /// Mutes now.
    Active,
    /// Is over.
    Expired,
}

impl Silence {
    /// Its state at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> SilenceState {
        if self.ends_at <= now {
            SilenceState::Expired
        } else if self.starts_at > now {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }
}

/// A silence as somebody posts it.
#[derive(Clone, Debug, PartialEq)]
pub struct PostedSilence {
    /// Empty for a new one.
    pub id: String,
    /// All must match; at least one, and one that does not match the empty text.
    pub matchers: Matchers,
    /// When it begins; the past becomes now.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Who makes it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Further texts.
    pub annotations: LabelSet,
}

/// Why a silence was not made, changed or expired; texts are Alertmanager's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SilenceError {
    /// No silence of this id.
    #[error("silence {0} not found")]
    NotFound(String),
    /// It cannot be as posted.
    #[error("{0}")]
    Invalid(String),
    /// There is room for no more; the text says which limit.
    #[error("{0}")]
    Full(String),
    /// It could not be stored safely, so it does not stand.
    #[error("cannot store the silence: {what}")]
    Storage {
        /// What failed.
        what: String,
        /// The disk is full, rather than not writable.
        full: bool,
    },
    /// Routing is stopping.
    #[error("alert routing is not running")]
    Closed,
}
