//! Plugins: bundles of collectors, notifiers, services and routes.
//!
//! A linked crate and a `.so` file answer the same questions, so the rest of the house hardly
//! knows the difference. It must not know any plugin's name.

pub mod abi;
mod checked;
mod error;
#[doc(hidden)]
pub mod export;
mod load;
#[allow(clippy::module_inception, reason = "the thing is called a plugin")]
mod plugin;
#[cfg(feature = "runtime")]
mod service;
mod wire;

pub use error::{LoadError, Reason};
pub use load::{LoadedPlugin, load};
pub use plugin::{Parts, Plugin, Setup};
#[cfg(feature = "runtime")]
pub use service::{BoxError, Service, ServiceContext};
