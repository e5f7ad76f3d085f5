//! The API and the view with those who use them: Debian's Alertmanager, amtool, Chromium.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod amtool;
mod api;
mod support;
mod view;
