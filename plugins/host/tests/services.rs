//! Collectors that ask other programs, each against a real one or against one that answers as it does.
//!
//! The answers are compared with what node_exporter makes of them, and each peer also hangs, refuses and ends. What a
//! recorded host shows stands in `golden.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a panic is the message"
)]

#[cfg(feature = "systemd")]
#[path = "services/bus.rs"]
mod bus;
#[cfg(feature = "systemd")]
#[path = "services/logind.rs"]
mod logind;
#[path = "services/ntp.rs"]
mod ntp;
#[path = "services/original.rs"]
mod original;
#[path = "services/perf.rs"]
mod perf;
#[path = "services/subject.rs"]
mod subject;
#[path = "services/supervisord.rs"]
mod supervisord;
#[cfg(feature = "systemd")]
#[path = "services/systemd.rs"]
mod systemd;
