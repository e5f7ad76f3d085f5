//! Plugins: bundles of collectors, notifiers, services and routes.
//!
//! A linked crate and a `.so` file give the same [`Plugin`] value, so the rest of the house does not
//! know the difference. It must not know any plugin's name.

#[allow(clippy::module_inception, reason = "the thing is called a plugin")]
mod plugin;
#[cfg(feature = "runtime")]
mod service;

pub use plugin::{Parts, Plugin, Setup};
#[cfg(feature = "runtime")]
pub use service::{BoxError, Service, ServiceContext};
