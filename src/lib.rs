//! vigie (French: lookout): host, container and access-log metrics, service levels, alert routing
//! and the alert view, as one program and as one library.
//!
//! The program is the binary of this crate. A Rust service links the same parts through
//! [`Vigie::builder`]; what it may hand in and take out is defined in [`core`].
//!
//! ```
//! # async fn demo() -> Result<(), vigie::Error> {
//! use vigie::core::encode::Format;
//! let vigie = vigie::Vigie::builder().bundled().start().await?;
//! let page = vigie.scrape(Format::Text).await;
//! assert!(!page.is_empty());
//! vigie.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! This crate is the only place that names plugins: [`BUNDLED`] lists them, one line each.

mod builder;
mod catalogue;
mod error;
mod pages;
mod routing;
mod settings;
mod vigie;

pub use vigie_core as core;

pub use builder::Builder;
pub use catalogue::{Catalogue, FLAGS};
pub use error::Error;
pub use routing::{check_alertmanager_file, check_web_config_file};
pub use settings::{Given, Settings, load as read_config, plugin_files};
pub use vigie::Vigie;

use vigie_core::plugin::Plugin;

/// The plugins this build contains.
pub static BUNDLED: &[&Plugin] = &[
    #[cfg(feature = "host")]
    &vigie_host::PLUGIN,
    #[cfg(feature = "docker")]
    &vigie_docker::PLUGIN,
    #[cfg(feature = "accesslog")]
    &vigie_accesslog::PLUGIN,
    #[cfg(feature = "alertmanager")]
    &vigie_alertmanager::PLUGIN,
    #[cfg(feature = "email")]
    &vigie_email::PLUGIN,
    #[cfg(feature = "webhook")]
    &vigie_webhook::PLUGIN,
];
