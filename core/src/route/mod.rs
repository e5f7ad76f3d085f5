//! Routing alerts: tree, groups, inhibition, silences, dedup, and the machine that joins them.
//!
//! The machine is pure: events and a time in, deliveries out. Only `driver` and `journal` know
//! tokio and files. Nothing here may know a notifier or the API.

mod config;
#[cfg(feature = "runtime")]
mod driver;
mod group;
mod hash;
mod inhibit;
#[cfg(feature = "runtime")]
mod journal;
mod machine;
#[cfg(feature = "runtime")]
mod metrics;
mod nflog;
mod original;
mod plan;
mod proto;
mod silence;
mod silences;
mod tree;
mod view;
mod wire;

pub use config::RouteConfig;
/// How long what is over is kept (`--data.retention`).
const RETENTION: std::time::Duration = std::time::Duration::from_secs(120 * 3600);

#[cfg(feature = "runtime")]
pub use driver::{Router, RouterHandle};
pub use group::{Wish, needs_notify};
pub use inhibit::InhibitRule;
pub use machine::{Change, Counts, Delivery, DeliveryId, Machine, Posted, State, Suppressed};
pub use nflog::{LogEntry, LogKey};
pub use plan::{Integration, Plan, Receiver};
pub use silence::{PostedSilence, Silence, SilenceError, SilenceState};
pub use silences::SilenceChange;
pub use tree::{GroupBy, Route, Tree};
pub use view::{AlertState, AlertView, GroupView, View};
pub use wire::{Decoded, decode_log, decode_silences, encode_log_entry, encode_silence};
