//! Parts and collectors on the other side of the boundary.
//!
//! A [`Remote`] is a collector like any other: what the plugin answers becomes samples, errors and
//! panics that the lane knows how to handle. It must not know how the plugin was found.

#![allow(unsafe_code, reason = "a C interface is made of pointers")]

use std::ffi::c_void;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Instant, SystemTime};

use super::super::Reason;
use super::super::abi::{self, FAILED, OK, PANICKED};
use super::super::wire::Failure;
use super::callback::{Receiver, answer};
use super::{LIMIT, Loaded, within};
use crate::collect::{BuildError, CollectError, Collector, Scrape};
use crate::metric::MetricSink;

/// A plugin's own pointer, which only the plugin looks behind.
struct Raw(*mut c_void);

// SAFETY: the interface lets a plugin's objects be used on any thread, one call at a time.
unsafe impl Send for Raw {}

/// Parts that a plugin has built; closed when the last collector of theirs has gone.
pub(super) struct OpenParts {
    raw: Mutex<Raw>,
    loaded: &'static Loaded,
}

impl OpenParts {
    /// What `open` of the plugin has made.
    pub(super) fn new(raw: *mut c_void, loaded: &'static Loaded) -> Self {
        OpenParts { raw: Mutex::new(Raw(raw)), loaded }
    }
}

impl Drop for OpenParts {
    fn drop(&mut self) {
        // Locked for ever: a call of it never returned, and may still use it.
        if let Ok(raw) = self.raw.try_lock() {
            // SAFETY: it comes from `open`, all its collectors are released, and this is its end.
            let status = unsafe { (self.loaded.calls.close)(raw.0) };
            complain_about_drop(self.loaded.name, status);
        }
    }
}

/// Builds a collector; a call that does not return costs one thread, and only once.
pub(super) fn build(
    parts: &Arc<OpenParts>,
    number: usize,
) -> Result<Box<dyn Collector>, BuildError> {
    let parts = parts.clone();
    let built = within(LIMIT, move || build_now(&parts, number));
    let remote = built.unwrap_or_else(|| Err(BuildError::new(Reason::Hung(LIMIT).to_string())))?;
    Ok(Box::new(remote))
}

fn build_now(parts: &Arc<OpenParts>, number: usize) -> Result<Remote, BuildError> {
    let held = match parts.raw.try_lock() {
        Ok(held) => held,
        Err(TryLockError::Poisoned(held)) => held.into_inner(),
        Err(TryLockError::WouldBlock) => {
            return Err(BuildError::new("an earlier call has not returned"));
        }
    };
    let mut raw = std::ptr::null_mut();
    // SAFETY: the parts are open, place and output valid for the call.
    let answer =
        answer(|out| unsafe { (parts.loaded.calls.build)(held.0, number, &raw mut raw, out) });
    let text = answer.text.map_err(|refused| BuildError::new(refused.to_string()))?;
    match answer.status {
        OK if !raw.is_null() => Ok(Remote { raw: Raw(raw), parts: parts.clone() }),
        FAILED => Err(BuildError::new(text)),
        PANICKED => Err(BuildError::new(format!("it panicked: {text}"))),
        _ => Err(BuildError::new("the plugin gave an answer that cannot be")),
    }
}

/// A collector on the other side.
struct Remote {
    raw: Raw,
    parts: Arc<OpenParts>,
}

impl Collector for Remote {
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut receiver = Receiver::new(sink);
        let raw_sink = receiver.sink();
        let scrape = raw_scrape(scrape);
        let collect = self.parts.loaded.calls.collect;
        // SAFETY: the collector is not released; all else is valid for the call.
        let answer = answer(|out| unsafe {
            collect(self.raw.0, &raw const scrape, &raw const raw_sink, out)
        });
        let complaint = receiver.end().unwrap_or_else(|panic| resume_unwind(panic));
        let text = answer.text.map_err(|refused| CollectError::Other(refused.to_string()))?;
        match answer.status {
            OK => complaint.map_or(Ok(()), |what| Err(CollectError::Other(what))),
            FAILED => Err(match serde_json::from_str::<Failure>(&text) {
                Ok(failure) => failure.into_error(),
                Err(_) => CollectError::Other(text),
            }),
            // The lane treats it as the panic it is, and builds the collector anew.
            PANICKED => resume_unwind(Box::new(text)),
            other => Err(CollectError::Other(format!("the plugin answered {other}"))),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // SAFETY: it comes from `build`, is in no call, and this is its end.
        let status = unsafe { (self.parts.loaded.calls.release)(self.raw.0) };
        complain_about_drop(self.parts.loaded.name, status);
    }
}

fn complain_about_drop(plugin: &str, status: u32) {
    if status != OK {
        tracing::warn!(plugin, "panicked while it was dropped");
    }
}

fn raw_scrape(scrape: &Scrape) -> abi::Scrape {
    let now = scrape.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let left = scrape.deadline.saturating_duration_since(Instant::now());
    abi::Scrape {
        size: size_of::<abi::Scrape>(),
        now_ns: now.as_nanos().try_into().unwrap_or(i64::MAX),
        left_ns: left.as_nanos().try_into().unwrap_or(u64::MAX),
    }
}
