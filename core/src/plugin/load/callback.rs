//! What a plugin calls back: the sink, the answer, the log.
//!
//! These functions run in the middle of a plugin's code, so no panic of ours may leave them, and
//! every pointer and length is checked before it is followed. They must not know which collector
//! speaks.

#![allow(unsafe_code, reason = "a C interface is made of pointers")]

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};

use super::super::abi::{self, ABI, Host, Output, Refused, Text};
use super::super::checked::{Checked, LABELS, POINTS, TEXT};
use crate::metric::{Desc, HistogramView, Kind, MetricSink, Sample, SummaryView, Value};

/// Longest answer of one call.
const ANSWER: usize = 1 << 20;
/// What the sink's context points to, for one call.
pub(super) struct Receiver<'s> {
    thread: ThreadId,
    foreign: AtomicBool,
    checked: Checked<'s>,
    /// Our own sink panicked; it must not unwind through the plugin.
    panic: Option<Box<dyn Any + Send>>,
}

impl<'s> Receiver<'s> {
    /// Takes samples for `sink`, on this thread.
    pub(super) fn new(sink: &'s mut dyn MetricSink) -> Self {
        Receiver {
            thread: thread::current().id(),
            foreign: AtomicBool::new(false),
            checked: Checked::new(sink),
            panic: None,
        }
    }

    /// The functions that reach it; valid until it is moved or dropped.
    pub(super) fn sink(&mut self) -> abi::Sink {
        abi::Sink {
            abi: ABI,
            size: size_of::<abi::Sink>() as u32,
            context: (&raw mut *self).cast(),
            family: take_family,
            sample: take_sample,
        }
    }

    /// What was refused, if anything; or the panic of our own sink.
    pub(super) fn end(mut self) -> Result<Option<String>, Box<dyn Any + Send>> {
        if self.foreign.into_inner() {
            self.checked.refuse("a sample from another thread");
        }
        self.panic.map_or_else(|| Ok(self.checked.complaint()), Err)
    }

    /// Runs `take` on the receiver of a running call.
    ///
    /// # Safety
    /// `context` is the one handed to the call, which has not returned.
    unsafe fn with(context: *mut c_void, take: impl FnOnce(&mut Checked<'_>)) {
        let receiver = context.cast::<Receiver<'_>>();
        // SAFETY: promised; only fields that may be read from any thread are read here.
        let (thread, foreign) = unsafe { (&(*receiver).thread, &(*receiver).foreign) };
        if *thread != thread::current().id() {
            foreign.store(true, Ordering::Relaxed);
            return;
        }
        // SAFETY: on the thread of the call, which waits for the plugin meanwhile: nobody else
        // uses these fields.
        let (checked, panic) = unsafe { (&mut (*receiver).checked, &mut (*receiver).panic) };
        if panic.is_none() {
            *panic = catch_unwind(AssertUnwindSafe(|| take(checked))).err();
        }
    }
}

unsafe extern "C" fn take_family(context: *mut c_void, name: Text, help: Text, kind: u32) {
    let take = |checked: &mut Checked<'_>| {
        // SAFETY: the plugin lends its texts for the call.
        let texts = unsafe { name.read(TEXT).and_then(|name| Ok((name, help.read(TEXT)?))) };
        let kind = match kind {
            0 => Some(Kind::Counter),
            1 => Some(Kind::Gauge),
            2 => Some(Kind::Histogram),
            3 => Some(Kind::Summary),
            4 => Some(Kind::Untyped),
            _ => None,
        };
        checked.no_family();
        match (texts, kind) {
            (Ok((name, help)), Some(kind)) => checked.family(&Desc { name, help, kind }),
            (Err(refused), _) => checked.refuse(refused),
            (_, None) => checked.refuse("a family of an unknown kind"),
        }
    };
    // SAFETY: the context is that of the running call.
    unsafe { Receiver::with(context, take) };
}

unsafe extern "C" fn take_sample(context: *mut c_void, sample: *const abi::Sample) {
    let take = |checked: &mut Checked<'_>| {
        // SAFETY: the plugin lends the sample for the call.
        if let Err(why) = unsafe { pass_sample(sample, checked) } {
            checked.refuse(why);
        }
    };
    // SAFETY: the context is that of the running call.
    unsafe { Receiver::with(context, take) };
}

/// Reads a sample and passes it on, in buffers on the stack.
///
/// # Safety
/// The sample and all it points to are valid for the call, as far as the checks let them pass.
unsafe fn pass_sample(sample: *const abi::Sample, sink: &mut Checked<'_>) -> Result<(), Refused> {
    // SAFETY: promised by the caller.
    let (sample, lent) = unsafe {
        let sample = abi::one(sample)?;
        (sample, abi::slice(sample.labels, sample.labels_len, LABELS)?)
    };
    let mut labels = [("", ""); LABELS];
    for (label, to) in lent.iter().zip(&mut labels) {
        // SAFETY: promised by the caller.
        *to = unsafe { (label.name.read(TEXT)?, label.value.read(TEXT)?) };
    }
    let labels = labels.get(..lent.len()).unwrap_or_default();
    let timestamp = (sample.has_timestamp == 1).then_some(sample.timestamp_ms);
    // SAFETY: promised by the caller.
    let points = || unsafe { abi::slice(sample.points, sample.points_len, POINTS) };
    let (sum, count) = (sample.float, sample.whole);
    match sample.value {
        0 => sink.sample(&Sample::new(labels, count.into()).at(timestamp)),
        1 => sink.sample(&Sample::new(labels, sum.into()).at(timestamp)),
        2 => {
            let buckets: Vec<_> = points()?.iter().map(|point| (point.at, point.count)).collect();
            let view = HistogramView { buckets: &buckets, sum, count };
            sink.sample(&Sample::new(labels, (&view).into()).at(timestamp));
        }
        3 => {
            let quantiles: Vec<_> = points()?.iter().map(|point| (point.at, point.value)).collect();
            let view = SummaryView { quantiles: &quantiles, sum, count };
            sink.sample(&Sample::new(labels, Value::Summary(&view)).at(timestamp));
        }
        _ => sink.refuse("a value of an unknown kind"),
    }
    Ok(())
}

/// What a call answered.
pub(super) struct Answer {
    pub(super) status: u32,
    pub(super) text: Result<String, Refused>,
}

/// Makes a call that answers with a status and a text.
pub(super) fn answer(call: impl FnOnce(*const Output) -> u32) -> Answer {
    let mut text = Ok(String::new());
    let output = Output { context: (&raw mut text).cast(), write: take_text };
    let status = call(&raw const output);
    Answer { status, text }
}

unsafe extern "C" fn take_text(context: *mut c_void, piece: Text) {
    // SAFETY: the context is that of the running call, on whose thread we are.
    let text = unsafe { &mut *context.cast::<Result<String, Refused>>() };
    if let Ok(so_far) = text {
        // SAFETY: the plugin lends the piece for the call.
        match unsafe { piece.read(ANSWER.saturating_sub(so_far.len())) } {
            Ok(piece) => so_far.push_str(piece),
            Err(refused) => *text = Err(refused),
        }
    }
}

pub(super) fn host(plugin: &'static str) -> Host {
    let level = tracing::level_filters::LevelFilter::current();
    let name: &'static &'static str = Box::leak(Box::new(plugin));
    Host {
        abi: ABI,
        size: size_of::<Host>() as u32,
        context: (&raw const *name).cast(),
        level: level.into_level().map_or(0, |level| match level {
            tracing::Level::ERROR => 1,
            tracing::Level::WARN => 2,
            tracing::Level::INFO => 3,
            tracing::Level::DEBUG => 4,
            tracing::Level::TRACE => 5,
        }),
        log,
    }
}

unsafe extern "C" fn log(context: *const c_void, level: u32, line: Text) {
    let write = || {
        // SAFETY: the context is the name leaked beside this function.
        let plugin = unsafe { *context.cast::<&'static str>() };
        // SAFETY: the plugin lends the line for the call.
        let line = unsafe { line.read(TEXT) }.unwrap_or("a log line that cannot be read");
        let line = line.replace(char::is_control, " ");
        match level {
            1 => tracing::error!(plugin, "{line}"),
            2 => tracing::warn!(plugin, "{line}"),
            3 => tracing::info!(plugin, "{line}"),
            4 => tracing::debug!(plugin, "{line}"),
            _ => tracing::trace!(plugin, "{line}"),
        }
    };
    // A log that panics has nowhere to say so.
    drop(catch_unwind(AssertUnwindSafe(write)));
}
