//! Loading plugins from `.so` files: vigie's side of the binary interface.
//!
//! A loaded plugin answers the same questions as a linked one, and nothing it says is believed
//! unchecked: versions, texts, samples, names; a call at start that never returns is given up. It
//! must not know any plugin. What it cannot do is stop a library that means harm: that one has all
//! rights of the process, as every library has.

#![allow(unsafe_code, reason = "a C interface is made of pointers")]

use std::any::Any;
use std::ffi::c_void;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant, SystemTime};

use super::abi::{self, ABI, FAILED, Host, OK, Output, PANICKED, Refused, Table, Text};
use super::checked::{Checked, LABELS, POINTS, TEXT};
use super::wire::{Built, Description, Failure, Flag, Order, Refusal, Tree};
use super::{LoadError, Parts, Reason, Setup};
use crate::collect::{Bound, BuildError, CollectError, Collector, CollectorInfo, Scrape};
use crate::config::{ConfigError, FlagDef, Node, Value};
use crate::metric::{Desc, HistogramView, Kind, MetricSink, Sample, SummaryView};

#[cfg(all(feature = "dynamic", target_feature = "crt-static"))]
compile_error!("a static binary cannot load plugins: build it without the feature `dynamic`");

/// How long a plugin may take to describe itself, to open or to build a collector.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest answer of one call.
const ANSWER: usize = 1 << 20;

/// Loads a plugin. Its crate `x` is expected in `libx.so`, wherever that lies. It stays loaded
/// until the process ends.
///
/// # Errors
/// When the file is no plugin, was made for another version of the interface, or describes
/// itself in a way that cannot be; always with its path.
pub fn load(path: &Path) -> Result<LoadedPlugin, LoadError> {
    let library = path.to_owned();
    let loaded = within(LIMIT, move || load_now(&library)).unwrap_or(Err(Reason::Hung(LIMIT)));
    loaded.map_err(|reason| LoadError { path: path.to_owned(), reason })
}

/// A plugin from a file; answers as a linked [`Plugin`](super::Plugin) does.
#[derive(Clone, Copy)]
pub struct LoadedPlugin(&'static Loaded);

struct Loaded {
    calls: Calls,
    host: &'static Host,
    name: &'static str,
    version: String,
    help: String,
    sections: Vec<String>,
    flags: &'static [FlagDef],
    collectors: Vec<CollectorInfo>,
}

impl LoadedPlugin {
    /// Name, and its section in `vigie.yml`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Version of the plugin.
    #[must_use]
    pub fn version(&self) -> &'static str {
        &self.0.version
    }

    /// One line for people.
    #[must_use]
    pub fn help(&self) -> &'static str {
        &self.0.help
    }

    /// Flags that belong to no single collector.
    #[must_use]
    pub fn flags(&self) -> &'static [FlagDef] {
        self.0.flags
    }

    /// Further top-level sections of `vigie.yml` it reads, besides the one of its name.
    #[must_use]
    pub fn sections(&self) -> &'static [String] {
        &self.0.sections
    }

    /// What its collectors are.
    #[must_use]
    pub fn collectors(&self) -> Vec<CollectorInfo> {
        self.0.collectors.clone()
    }

    /// Makes its parts: collectors and notes. It is given its own sections, its own flags and the
    /// paths, and nothing else of the configuration.
    ///
    /// # Errors
    /// Where its configuration is wrong; or that it panicked or did not return.
    pub fn build(&self, setup: &Setup<'_>) -> Result<Parts, ConfigError> {
        let loaded = self.0;
        let section = setup.section(loaded.name);
        let broken = |what: String| section.error(format!("plugin {}: {what}", loaded.name));
        let order =
            serde_json::to_string(&loaded.order(setup)).map_err(|e| broken(e.to_string()))?;
        let opened = within(LIMIT, move || loaded.open(&order))
            .ok_or_else(|| broken(Reason::Hung(LIMIT).to_string()))?;
        let (parts, answer) = opened;
        let text = answer.text.map_err(|refused| broken(refused.to_string()))?;
        let parts = match (answer.status, parts) {
            (OK, Some(parts)) => Arc::new(parts),
            (FAILED, _) => {
                let refusal: Result<Refusal, _> = serde_json::from_str(&text);
                return Err(refusal.map_or_else(|_| broken(text), Refusal::into_error));
            }
            (PANICKED, _) => return Err(broken(format!("it panicked: {text}"))),
            _ => return Err(broken("an answer that cannot be".into())),
        };
        let built: Built =
            serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
        let mut made = Parts { notes: built.notes, ..Parts::default() };
        for (number, name) in built.collectors.iter().enumerate() {
            let info = loaded.collectors.iter().find(|info| info.name == name);
            let info = info.ok_or_else(|| broken(format!("undeclared collector {name:?}")))?;
            let parts = parts.clone();
            made.collectors.push(Bound::new(*info, move || build(&parts, number)));
        }
        Ok(made)
    }
}

impl fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.name, self.0.version)
    }
}

fn load_now(path: &Path) -> Result<LoadedPlugin, Reason> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(Reason::NotAFile);
    }
    let calls = read_table(open_library(path)?)?;
    // SAFETY: the function stands in a table of our version, and takes an output.
    let answer = answer(|out| unsafe { (calls.describe)(out) });
    let text = answer.text.map_err(|refused| Reason::Description(refused.to_string()))?;
    match answer.status {
        OK => {}
        PANICKED => return Err(Reason::Panicked(text)),
        _ => return Err(Reason::Description(text)),
    }
    let description = serde_json::from_str(&text);
    let description = description.map_err(|error| Reason::Description(error.to_string()))?;
    let loaded = Loaded::new(calls, description).map_err(Reason::Description)?;
    Ok(LoadedPlugin(Box::leak(Box::new(loaded))))
}

/// Maps the file and finds its table.
#[cfg(feature = "dynamic")]
fn open_library(path: &Path) -> Result<*const Table, Reason> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

    let symbol = symbol(path);
    // Without a slash the linker would search its own directories.
    let file = std::path::absolute(path)?;
    // SAFETY: the initialisers of the file run here. That is what loading means: whoever names a
    // plugin trusts it as he trusts vigie. RTLD_NOW: a missing symbol is an error here, and does
    // not end the process at its first use.
    let library = unsafe { Library::open(Some(&file), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| Reason::Library(innermost(&error)))?;
    // Never unloaded: threads, hooks and strings of the plugin may outlive every use of it.
    let library = Box::leak(Box::new(library));
    // SAFETY: the symbol is a static, of which only the address is taken here.
    let table = unsafe { library.get::<*const Table>(symbol.as_bytes()) };
    table.map(|table| *table).map_err(|_| Reason::NoSymbol(symbol))
}

#[cfg(not(feature = "dynamic"))]
fn open_library(_: &Path) -> Result<*const Table, Reason> {
    Err(Reason::Unsupported)
}

/// The linker's own words.
#[cfg(feature = "dynamic")]
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// `libx.so` and `libx.so.1` are of the crate `x`.
#[cfg(feature = "dynamic")]
fn symbol(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split_once(".so").map_or(&*name, |(stem, _)| stem);
    let stem = stem.strip_prefix("lib").unwrap_or(stem);
    format!("{}{}", abi::SYMBOL_PREFIX, stem.replace('-', "_"))
}

/// The functions of a table, all there.
#[derive(Clone, Copy)]
struct Calls {
    describe: abi::Describe,
    open: abi::Open,
    build: abi::Build,
    collect: abi::Collect,
    release: abi::Release,
    close: abi::Release,
}

fn read_table(table: *const Table) -> Result<Calls, Reason> {
    let unreadable = |refused: Refused| Reason::Library(format!("its table is {refused}"));
    // SAFETY: a static under our symbol begins with two numbers, whatever its version.
    let [theirs, size] = *unsafe { abi::one(table.cast::<[u32; 2]>()) }.map_err(unreadable)?;
    if theirs != ABI {
        return Err(Reason::Abi { theirs, ours: ABI });
    }
    let ours = size_of::<Table>();
    if (size as usize) < ours {
        return Err(Reason::Size { theirs: size, ours });
    }
    // SAFETY: it says that it is of our version and at least of our size.
    let table = unsafe { abi::one(table) }.map_err(unreadable)?;
    Ok(Calls {
        describe: table.describe.ok_or(Reason::Missing("describe"))?,
        open: table.open.ok_or(Reason::Missing("open"))?,
        build: table.build.ok_or(Reason::Missing("build"))?,
        collect: table.collect.ok_or(Reason::Missing("collect"))?,
        release: table.release.ok_or(Reason::Missing("release"))?,
        close: table.close.ok_or(Reason::Missing("close"))?,
    })
}

impl Loaded {
    fn new(calls: Calls, description: Description) -> Result<Self, String> {
        let Description { name, version, help, sections, flags, collectors } = description;
        let mut infos: Vec<CollectorInfo> = Vec::new();
        check_name(&name)?;
        for collector in collectors {
            check_name(&collector.name)?;
            if infos.iter().any(|info| info.name == collector.name) {
                return Err(format!("the collector {:?} twice", collector.name));
            }
            infos.push(collector.leak()?);
        }
        let name: &'static str = name.leak();
        Ok(Loaded {
            calls,
            host: Box::leak(Box::new(host(name))),
            name,
            version,
            help,
            sections,
            flags: Flag::leak_all(flags)?,
            collectors: infos,
        })
    }

    fn order(&self, setup: &Setup<'_>) -> Order {
        let own = |key: &str| key == self.name || self.sections.iter().any(|name| name == key);
        let mut config = setup.config.clone();
        if let Value::Map(entries) = &mut config.value {
            entries.retain(|entry| own(&entry.key));
        }
        let flags = self.collectors.iter().flat_map(|info| info.flags).chain(self.flags);
        let value = |flag: &FlagDef| {
            let values = setup.flags.list(flag.name).to_vec();
            (flag.name.to_owned(), (values, setup.flags.is_given(flag.name)))
        };
        let section: Node = setup.section(self.name);
        Order {
            config: serde_json::value::RawValue::from_string(section.to_json()).unwrap_or_default(),
            tree: Tree::from(&config),
            file: config.place.file.to_string(),
            paths: (&setup.paths).into(),
            flags: flags.map(value).collect(),
        }
    }

    fn open(&'static self, order: &str) -> (Option<OpenParts>, Answer) {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the host lives for ever, text, place and output for the call.
        let answer = answer(|out| unsafe {
            (self.calls.open)(self.host, Text::of(order), &raw mut raw, out)
        });
        let opened = answer.status == OK && !raw.is_null();
        (opened.then(|| OpenParts { raw: Mutex::new(Raw(raw)), loaded: self }), answer)
    }
}

/// Names of plugins and collectors end in flags, labels and file names.
fn check_name(name: &str) -> Result<(), String> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(format!("the name {shown:?}: 1 to 64 of a-z, 0-9, _, - and . are allowed"))
}

/// A plugin's own pointer, which only the plugin looks behind.
struct Raw(*mut c_void);

// SAFETY: the interface lets a plugin's objects be used on any thread, one call at a time.
unsafe impl Send for Raw {}

/// Parts that a plugin has built; closed when the last collector of theirs has gone.
struct OpenParts {
    raw: Mutex<Raw>,
    loaded: &'static Loaded,
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
fn build(parts: &Arc<OpenParts>, number: usize) -> Result<Box<dyn Collector>, BuildError> {
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
        let mut receiver = Receiver {
            thread: thread::current().id(),
            foreign: AtomicBool::new(false),
            checked: Checked::new(sink),
            panic: None,
        };
        let raw_sink = abi::Sink {
            abi: ABI,
            size: size_of::<abi::Sink>() as u32,
            context: (&raw mut receiver).cast(),
            family: take_family,
            sample: take_sample,
        };
        let scrape = raw_scrape(scrape);
        let collect = self.parts.loaded.calls.collect;
        // SAFETY: the collector is not released; all else is valid for the call.
        let answer = answer(|out| unsafe {
            collect(self.raw.0, &raw const scrape, &raw const raw_sink, out)
        });
        if let Some(panic) = receiver.panic {
            resume_unwind(panic);
        }
        if receiver.foreign.into_inner() {
            receiver.checked.refuse("a sample from another thread");
        }
        let text = answer.text.map_err(|refused| CollectError::Other(refused.to_string()))?;
        match answer.status {
            OK => {
                receiver.checked.complaint().map_or(Ok(()), |what| Err(CollectError::Other(what)))
            }
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

/// What the sink's context points to, for one call.
struct Receiver<'s> {
    thread: ThreadId,
    foreign: AtomicBool,
    checked: Checked<'s>,
    /// Our own sink panicked; it must not unwind through the plugin.
    panic: Option<Box<dyn Any + Send>>,
}

impl Receiver<'_> {
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
            sink.sample(&Sample::new(labels, crate::metric::Value::Summary(&view)).at(timestamp));
        }
        _ => sink.refuse("a value of an unknown kind"),
    }
    Ok(())
}

/// What a call answered.
struct Answer {
    status: u32,
    text: Result<String, Refused>,
}

/// Makes a call that answers with a status and a text.
fn answer(call: impl FnOnce(*const Output) -> u32) -> Answer {
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

fn host(plugin: &'static str) -> Host {
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

/// Runs a call that may never return on a thread of its own, and gives it up after a while.
fn within<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, wait) = mpsc::channel();
    let run = move || drop(done.send(call()));
    thread::Builder::new().name("plugin".into()).spawn(run).ok()?;
    wait.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "dynamic")]
    fn the_file_s_name_is_the_crate_s() {
        for (file, crate_name) in
            [("/a/libx_y.so", "x_y"), ("libx-y.so.1.2", "x_y"), ("./x.so", "x"), ("", "")]
        {
            assert_eq!(symbol(Path::new(file)), format!("vigie_plugin_{crate_name}"));
        }
    }

    #[test]
    #[cfg(not(feature = "dynamic"))]
    fn a_static_build_says_that_it_loads_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = load(file.path()).unwrap_err().to_string();
        assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
        assert!(error.contains("without the feature \"dynamic\""), "{error}");
    }

    #[test]
    fn a_call_that_never_returns_is_given_up() {
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
        let never = || loop {
            thread::park();
        };
        assert_eq!(within::<u8>(Duration::from_millis(10), never), None);
    }

    #[test]
    fn names_are_plain() {
        assert!(check_name("dice.x-1_y").is_ok());
        for bad in ["", "Dice", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
