//! The plugin from outside: built as the program builds it, against recorded hosts and a daemon of
//! canned answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot be done is a failed test, in full"
)]

mod kit;
mod names;
mod tree;
