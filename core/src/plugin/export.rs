//! A plugin's side of the binary interface.
//!
//! [`export_plugin!`](crate::export_plugin) turns the same [`Plugin`] static that links into vigie
//! into a table a loaded file exports. Every entry catches panics, because one that crosses the
//! boundary ends the whole process. It must not know any plugin.

#![allow(unsafe_code, reason = "a C interface is made of pointers")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::abi::{self, ABI, FAILED, Host, Label, OK, Output, PANICKED, Point, Table, Text};
use super::wire::{Built, Described, Description, Failure, Flag, Order, Refusal};
use super::{Plugin, Setup};
use crate::alert::{AlertSink, BoxFuture, PostError, PostedAlert};
use crate::collect::{Bound, Collector, Scrape};
use crate::metric::{Desc, Kind, MetricSink, Sample, Value};

/// Makes a plugin loadable from a `.so` file, given the path of its [`Plugin`] static.
///
/// The same crate still links statically; only `crate-type = ["cdylib", "rlib"]` decides.
///
/// ```
/// use vigie_core::plugin::Plugin;
/// pub static PLUGIN: Plugin = Plugin::new("demo", "1.0.0", "Does nothing.");
/// vigie_core::export_plugin!(PLUGIN);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($plugin:path) => {
        const _: () = {
            #[cfg(panic = "abort")]
            compile_error!("a vigie plugin needs panic = \"unwind\": aborting ends vigie as well");

            struct Exported;

            impl $crate::plugin::export::Exported for Exported {
                fn plugin() -> &'static $crate::plugin::Plugin {
                    &$plugin
                }
            }

            #[unsafe(export_name = concat!("vigie_plugin_", env!("CARGO_CRATE_NAME")))]
            #[used]
            static TABLE: $crate::plugin::abi::Table = $crate::plugin::export::table::<Exported>();
        };
    };
}

/// Names the plugin behind a table; implemented by [`export_plugin!`](crate::export_plugin).
pub trait Exported {
    /// The plugin.
    fn plugin() -> &'static Plugin;
}

/// The table of a plugin.
#[must_use]
pub const fn table<E: Exported>() -> Table {
    Table {
        abi: ABI,
        size: size_of::<Table>() as u32,
        describe: Some(describe::<E>),
        open: Some(open::<E>),
        build: Some(build),
        collect: Some(collect),
        release: Some(release),
        close: Some(close),
    }
}

unsafe extern "C" fn describe<E: Exported>(out: *const Output) -> u32 {
    // SAFETY: the host hands over an output that is valid for the call.
    unsafe { guarded(out, || Ok(json(&description(E::plugin())))) }
}

fn description(plugin: &Plugin) -> Description {
    Description {
        name: plugin.name.into(),
        version: plugin.version.into(),
        help: plugin.help.into(),
        sections: plugin.sections.iter().map(|section| (*section).into()).collect(),
        flags: plugin.flags.iter().map(Flag::from).collect(),
        collectors: (plugin.collectors)().iter().map(Described::from).collect(),
    }
}

unsafe extern "C" fn open<E: Exported>(
    host: *const Host,
    setting: Text,
    parts: *mut *mut c_void,
    out: *const Output,
) -> u32 {
    let opened = || {
        // SAFETY: the host outlives the process's plugins; the setting is valid for the call.
        let (host, setting) = unsafe { (&*host, setting.read(usize::MAX >> 1)) };
        forward_logs(host);
        let setting = setting.map_err(|refused| refused.to_string())?;
        let (bounds, built) = open_parts(E::plugin(), setting)?;
        // SAFETY: the host hands over a place for the pointer.
        unsafe { *parts = Box::into_raw(Box::new(bounds)).cast() };
        Ok(json(&built))
    };
    // SAFETY: the host hands over an output that is valid for the call.
    unsafe { guarded(out, opened) }
}

/// Builds the plugin as a linked one is built; the error is a [`Refusal`] as JSON.
fn open_parts(plugin: &Plugin, setting: &str) -> Result<(Vec<Bound>, Built), String> {
    let order: Order = serde_json::from_str(setting).map_err(|error| error.to_string())?;
    let flags = Arc::new(order.flags());
    let config = order.tree.into_node(&order.file.into());
    let mut setup = Setup::new(&config, flags, Arc::new(NoAlerts));
    setup.paths = order.paths.into();
    let parts = (plugin.build)(&setup).map_err(|error| json(&Refusal::from(error)))?;
    let mut notes = parts.notes;
    #[cfg(feature = "runtime")]
    let services = !parts.services.is_empty();
    #[cfg(not(feature = "runtime"))]
    let services = false;
    if services || !parts.routes.is_empty() || !plugin.notifiers.is_empty() {
        notes.push(format!("{}: loaded from a file, only its collectors run", plugin.name));
    }
    let collectors = parts.collectors.iter().map(|bound| bound.info.name.into()).collect();
    Ok((parts.collectors, Built { collectors, notes }))
}

unsafe extern "C" fn build(
    parts: *mut c_void,
    number: usize,
    collector: *mut *mut c_void,
    out: *const Output,
) -> u32 {
    let built = || {
        // SAFETY: `parts` comes from `open` and is not closed yet.
        let parts = unsafe { &*parts.cast::<Vec<Bound>>() };
        let bound = parts.get(number).ok_or("no such collector")?;
        let made = (bound.build)().map_err(|error| error.to_string())?;
        let made = Box::new(Made { collector: made, labels: Vec::new(), points: Vec::new() });
        // SAFETY: the host hands over a place for the pointer.
        unsafe { *collector = Box::into_raw(made).cast() };
        Ok(String::new())
    };
    // SAFETY: the host hands over an output that is valid for the call.
    unsafe { guarded(out, built) }
}

/// A collector and the buffers its samples cross in.
struct Made {
    collector: Box<dyn Collector>,
    labels: Vec<Label>,
    points: Vec<Point>,
}

unsafe extern "C" fn collect(
    made: *mut c_void,
    scrape: *const abi::Scrape,
    sink: *const abi::Sink,
    out: *const Output,
) -> u32 {
    let collected = || {
        // SAFETY: `made` comes from `build`, is not released yet and is in no other call; scrape
        // and sink are valid for the call.
        let (made, scrape, sink) = unsafe { (&mut *made.cast::<Made>(), &*scrape, &*sink) };
        let Made { collector, labels, points } = made;
        let scrape = Scrape::new(
            SystemTime::UNIX_EPOCH + Duration::from_nanos(scrape.now_ns.try_into().unwrap_or(0)),
            Instant::now() + Duration::from_nanos(scrape.left_ns),
        );
        let result = collector.collect(&scrape, &mut Across { sink, labels, points });
        result.map(|()| String::new()).map_err(|error| json(&Failure::from(error)))
    };
    // SAFETY: the host hands over an output that is valid for the call.
    unsafe { guarded(out, collected) }
}

unsafe extern "C" fn release(made: *mut c_void) -> u32 {
    // SAFETY: `made` comes from `build`, and this is its last use.
    let dropped = || drop(unsafe { Box::from_raw(made.cast::<Made>()) });
    if catch_unwind(AssertUnwindSafe(dropped)).is_ok() { OK } else { PANICKED }
}

unsafe extern "C" fn close(parts: *mut c_void) -> u32 {
    // SAFETY: `parts` comes from `open`, and this is its last use.
    let dropped = || drop(unsafe { Box::from_raw(parts.cast::<Vec<Bound>>()) });
    if catch_unwind(AssertUnwindSafe(dropped)).is_ok() { OK } else { PANICKED }
}

/// A sink that hands everything across.
struct Across<'a> {
    sink: &'a abi::Sink,
    labels: &'a mut Vec<Label>,
    points: &'a mut Vec<Point>,
}

impl MetricSink for Across<'_> {
    fn family(&mut self, desc: &Desc<'_>) {
        let kind = match desc.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 2,
            Kind::Summary => 3,
            Kind::Untyped => 4,
        };
        // SAFETY: the sink is valid for the call, the texts are borrowed for longer.
        unsafe {
            (self.sink.family)(self.sink.context, Text::of(desc.name), Text::of(desc.help), kind);
        }
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        self.labels.clear();
        self.points.clear();
        self.labels.extend(
            sample
                .labels
                .iter()
                .map(|(name, value)| Label { name: Text::of(name), value: Text::of(value) }),
        );
        let (value, whole, float) = match sample.value {
            Value::U64(value) => (0, value, 0.0),
            Value::F64(value) => (1, 0, value),
            Value::Histogram(view) => {
                let bucket = |&(at, count): &(f64, u64)| Point { at, count, value: 0.0 };
                self.points.extend(view.buckets.iter().map(bucket));
                (2, view.count, view.sum)
            }
            Value::Summary(view) => {
                let quantile = |&(at, value): &(f64, f64)| Point { at, count: 0, value };
                self.points.extend(view.quantiles.iter().map(quantile));
                (3, view.count, view.sum)
            }
        };
        let sample = abi::Sample {
            size: size_of::<abi::Sample>(),
            labels: self.labels.as_ptr(),
            labels_len: self.labels.len(),
            value,
            has_timestamp: sample.timestamp_ms.is_some().into(),
            timestamp_ms: sample.timestamp_ms.unwrap_or(0),
            whole,
            float,
            points: self.points.as_ptr(),
            points_len: self.points.len(),
        };
        // SAFETY: the sink is valid for the call, and so is all the sample points to.
        unsafe { (self.sink.sample)(self.sink.context, &raw const sample) };
    }
}

thread_local! {
    /// Inside a guarded call: where and how it panicked, for its answer.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs an entry: no panic leaves it, and what it says goes to `out`.
///
/// # Safety
/// `out` is valid for the call.
unsafe fn guarded(out: *const Output, entry: impl FnOnce() -> Result<String, String>) -> u32 {
    PANIC.set(Some(String::new()));
    let (status, text) = match catch_unwind(AssertUnwindSafe(entry)) {
        Ok(Ok(text)) => (OK, text),
        Ok(Err(text)) => (FAILED, text),
        Err(payload) => {
            // Dropping what somebody panicked with may panic again.
            std::mem::forget(payload);
            (PANICKED, PANIC.take().unwrap_or_default())
        }
    };
    PANIC.set(None);
    if !text.is_empty() {
        // SAFETY: promised by the caller; the text is borrowed for longer.
        unsafe { ((*out).write)((*out).context, Text::of(&text)) };
    }
    status
}

/// This file has its own copy of every static, so its log lines and panics would go nowhere.
fn forward_logs(host: &'static Host) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An embedding author who has set a subscriber already keeps it.
        drop(tracing::subscriber::set_global_default(Forward { host }));
        std::panic::set_hook(Box::new(|info| {
            let text = info.payload_as_str().unwrap_or("a panic without a message");
            let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
            let text = format!("{text}{}", place.unwrap_or_default());
            let answered = PANIC
                .with_borrow_mut(|slot| slot.as_mut().map(|slot| slot.clone_from(&text)).is_some());
            if !answered {
                tracing::error!("a thread panicked: {text}");
            }
        }));
    });
}

/// Carries log lines to vigie.
struct Forward {
    host: &'static Host,
}

impl tracing::Subscriber for Forward {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_event() && level(*metadata.level()) <= self.host.level
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let level = level(*event.metadata().level());
        // SAFETY: the host lives as long as the process; the line is borrowed for the call.
        unsafe { (self.host.log)(self.host.context, level, Text::of(&line.0)) };
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// `message key=value ...`.
struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => {
                let rest = std::mem::take(&mut self.0);
                write!(self.0, "{value:?}{rest}")
            }
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

fn level(level: tracing::Level) -> u32 {
    match level {
        tracing::Level::ERROR => 1,
        tracing::Level::WARN => 2,
        tracing::Level::INFO => 3,
        tracing::Level::DEBUG => 4,
        tracing::Level::TRACE => 5,
    }
}

/// A loaded plugin has no router.
struct NoAlerts;

impl AlertSink for NoAlerts {
    fn post<'a>(&'a self, _: Vec<PostedAlert>) -> BoxFuture<'a, Result<(), PostError>> {
        Box::pin(async { Err(PostError::Closed) })
    }
}

/// Our own shapes always are JSON.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
