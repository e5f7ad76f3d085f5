//! Routing alerts: tree, groups, inhibition, silences, dedup, and the machine that joins them.
//!
//! The machine is pure: events and a time in, deliveries out. Only `driver` and `journal` know
//! tokio and files. Nothing here may know a notifier or the API.

mod silence;
mod view;

pub use silence::{PostedSilence, Silence, SilenceError, SilenceState};
pub use view::{AlertState, AlertView, GroupView, View};
