//! Notifiers: how a group of alerts leaves the house.
//!
//! The trait, what is sent, and the definition by which a configuration finds its notifier.
//! Retrying belongs to the router's driver. It must not know any service.

mod def;
mod notification;
mod notifier;

pub use def::{BuildNotifier, NotifierDef, NotifierSetting};
pub use notification::{Notification, Reason, Status};
pub use notifier::{Notifier, NotifyError, NotifyReason, Retry};
