//! What the tests share: guarded processes, real peers, a small HTTP client.
//!
//! Every test of several programs is written in these words, so that it reads as a story: start,
//! drive, wait, look. It must not know any crate of vigie: the program is driven from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a kit for tests: what cannot be done is a failed test, in full"
)]

mod amtool;
mod authority;
mod backend;
mod cdylib;
mod clients;
mod connection;
mod dead_mount;
mod disk;
mod docker;
mod http;
mod inbox;
mod process;
mod prometheus;
mod promtool;
mod serve;
mod smtp;
mod traefik;
mod vigie;
mod wait;

pub use amtool::Amtool;
pub use authority::Identity;
pub use backend::Backend;
pub use cdylib::cdylib;
pub use clients::Clients;
pub use connection::Connection;
pub use dead_mount::DeadMount;
pub use disk::Disk;
pub use docker::Docker;
pub use http::{Answer, HttpError, Query, get, post, request, send_raw};
pub use inbox::{Arrival, Inbox};
pub use process::{Proc, free_port, program, target_dir};
pub use prometheus::Prometheus;
pub use promtool::promtool_complaints;
pub use smtp::SmtpLab;
pub use traefik::Traefik;
pub use vigie::{Vigie, VigieBuilder, run_vigie, vigie_program};
pub use wait::{SOON, wait_for};
