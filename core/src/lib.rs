#![doc = include_str!("../README.md")]

pub mod alert;

#[cfg(feature = "prometheus")]
pub mod bridge;
pub mod clock;
pub mod collect;
pub mod config;
pub mod encode;
pub mod http;
pub mod metric;
pub mod notify;
pub mod plugin;
pub mod route;
pub mod storage;
pub mod template;
