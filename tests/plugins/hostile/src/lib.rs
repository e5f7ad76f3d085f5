//! A plugin whose collectors do what no plugin should.
//!
//! The plugin `hostile` is made with the library and panics or hangs where an author's mistake
//! would; the tables `lies`, `old`, `short` and others are made by hand and break the interface
//! itself. A copy of the file under the name `libX.so` loads the table `X`.

#![allow(unsafe_code, reason = "breaking a C interface takes its own means")]
#![allow(clippy::panic, reason = "it is here to panic")]

use std::ffi::c_void;
use std::ptr::{null, null_mut, without_provenance};
use std::sync::Arc;

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting,
};
use vigie_core::metric::{Family, MetricSink};
use vigie_core::plugin::abi::{
    ABI, Host, Label, OK, Output, Point, Sample, Scrape as RawScrape, Sink, Table, Text,
};
use vigie_core::plugin::{Parts, Plugin};

/// A plugin by the rules, with collectors that fail in every way.
pub static PLUGIN: Plugin = Plugin::new("hostile", "0.1.0", "Fails in every way.")
    .collectors(|| COLLECTORS.iter().map(|def| def.info).collect())
    .build(|setup| {
        let setting =
            Arc::new(Setting::new(setup.paths.clone(), setup.flags.clone(), String::new()));
        let mut parts = Parts::default();
        parts.collectors = COLLECTORS.iter().map(|def| def.bind(setting.clone())).collect();
        let seen: Vec<_> = setup.config.entries()?.iter().map(|entry| &entry.key).collect();
        parts.notes.push(format!("hostile sees {seen:?}"));
        Ok(parts)
    });

vigie_core::export_plugin!(PLUGIN);

static COLLECTORS: &[CollectorDef] = &[
    def("panics", |_| Ok(Box::new(Fails(|_| panic!("on purpose"))))),
    def("panics_once_dropped", |_| Ok(Box::new(PanicsOnceDropped))),
    def("panics_in_build", |_| panic!("while it was built")),
    def("refuses_to_build", |_| Err(BuildError::new("not today"))),
    def("hangs", |_| {
        Ok(Box::new(Fails(|_| {
            loop {
                std::thread::park();
            }
        })))
    }),
    def("misnames", |_| Ok(Box::new(Fails(misname)))),
    def("logs", |_| Ok(Box::new(Fails(log)))),
    def("works", |_| Ok(Box::new(Fails(work)))),
];

const fn def(
    name: &'static str,
    build: fn(&Setting) -> Result<Box<dyn Collector>, BuildError>,
) -> CollectorDef {
    CollectorDef { info: CollectorInfo::new(name, "Fails."), build }
}

struct Fails(fn(&mut dyn MetricSink) -> Result<(), CollectError>);

impl Collector for Fails {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        (self.0)(sink)
    }
}

struct PanicsOnceDropped;

impl Collector for PanicsOnceDropped {
    fn collect(&mut self, _: &Scrape, _: &mut dyn MetricSink) -> Result<(), CollectError> {
        Err(CollectError::parse("/x", 7, "a parse error"))
    }
}

impl Drop for PanicsOnceDropped {
    fn drop(&mut self) {
        panic!("while it was dropped");
    }
}

static GOOD: Family<1> = Family::gauge("good", "Fits.", ["x"]);
static BAD: Family<1> = Family::gauge("not-good", "Does not fit.", ["x"]);
static WORSE: Family<1> = Family::gauge("worse", "Does not fit.", ["not-good"]);

fn misname(sink: &mut dyn MetricSink) -> Result<(), CollectError> {
    BAD.emit(sink, ["1"], 1u64);
    WORSE.emit(sink, ["2"], 2u64);
    GOOD.emit(sink, ["3"], 3u64);
    Ok(())
}

fn log(sink: &mut dyn MetricSink) -> Result<(), CollectError> {
    tracing::warn!(answer = 42, "a line\nof the plugin");
    work(sink)
}

fn work(sink: &mut dyn MetricSink) -> Result<(), CollectError> {
    GOOD.emit(sink, ["3"], 3u64);
    Ok(())
}

const fn broken(abi: u32, size: u32) -> Table {
    Table {
        abi,
        size,
        describe: Some(describe_lies),
        open: Some(open),
        build: Some(build),
        collect: Some(collect_lies),
        release: Some(release),
        close: Some(release),
    }
}

const SIZE: u32 = size_of::<Table>() as u32;

#[unsafe(export_name = "vigie_plugin_old")]
#[used]
static OLD: Table = broken(77, SIZE);

#[unsafe(export_name = "vigie_plugin_short")]
#[used]
static SHORT: Table = broken(ABI, 16);

#[unsafe(export_name = "vigie_plugin_holes")]
#[used]
static HOLES: Table = Table { collect: None, ..broken(ABI, SIZE) };

#[unsafe(export_name = "vigie_plugin_garbled")]
#[used]
static GARBLED: Table = Table { describe: Some(describe_garbage), ..broken(ABI, SIZE) };

#[unsafe(export_name = "vigie_plugin_stuck")]
#[used]
static STUCK: Table = Table { describe: Some(describe_never), ..broken(ABI, SIZE) };

#[unsafe(export_name = "vigie_plugin_lies")]
#[used]
static LIES: Table = broken(ABI, SIZE);

unsafe extern "C" fn describe_lies(out: *const Output) -> u32 {
    say(out, r#"{"name":"lies","version":"1","collectors":[{"name":"lies","enabled":true}]}"#)
}

unsafe extern "C" fn describe_garbage(out: *const Output) -> u32 {
    say(out, r#"{"name":"Not A Name","version":"1"}"#)
}

unsafe extern "C" fn describe_never(_: *const Output) -> u32 {
    loop {
        std::thread::park();
    }
}

unsafe extern "C" fn open(
    _: *const Host,
    _: Text,
    parts: *mut *mut c_void,
    out: *const Output,
) -> u32 {
    // SAFETY: the host hands over a place for the pointer.
    unsafe { *parts = null_mut::<c_void>().wrapping_add(1) };
    say(out, r#"{"collectors":["lies"]}"#)
}

unsafe extern "C" fn build(
    _: *mut c_void,
    _: usize,
    collector: *mut *mut c_void,
    _: *const Output,
) -> u32 {
    // SAFETY: the host hands over a place for the pointer.
    unsafe { *collector = null_mut::<c_void>().wrapping_add(1) };
    OK
}

unsafe extern "C" fn release(_: *mut c_void) -> u32 {
    OK
}

/// Every lie that a check can find, and one true sample last.
unsafe extern "C" fn collect_lies(
    _: *mut c_void,
    _: *const RawScrape,
    sink: *const Sink,
    _: *const Output,
) -> u32 {
    // SAFETY: the host's sink is valid for this call.
    let sink = unsafe { &*sink };
    let family = |name, help, kind| {
        // SAFETY: as above; that the texts are lies is the point.
        unsafe { (sink.family)(sink.context, name, help, kind) };
    };
    let sample = |sample: *const Sample| {
        // SAFETY: as above.
        unsafe { (sink.sample)(sink.context, sample) };
    };
    let nowhere = |len| Text { data: without_provenance(64), len };
    let (good, help) = (Text::of("lies"), Text::of("Help."));

    family(Text { data: null(), len: 3 }, help, 1);
    family(nowhere(usize::MAX), help, 1);
    family(good, nowhere(isize::MAX as usize), 1);
    family(Text { data: b"\xff\xfe".as_ptr(), len: 2 }, help, 1);
    family(good, help, 99);
    sample(&TRUE);

    family(good, help, 1);
    sample(null());
    sample(without_provenance(3));
    sample(&Sample { labels: null(), labels_len: 1, ..TRUE });
    sample(&Sample { labels: without_provenance(64), labels_len: usize::MAX, ..TRUE });
    sample(&Sample { labels: without_provenance(65), labels_len: 1, ..TRUE });
    let label = Label { name: Text::of("x"), value: nowhere(usize::MAX / 2) };
    sample(&Sample { labels: &label, labels_len: 1, ..TRUE });
    sample(&Sample { value: 99, ..TRUE });
    sample(&Sample { value: 2, points: without_provenance(64), points_len: 1 << 40, ..TRUE });
    sample(&Sample { value: 3, points: null::<Point>(), points_len: 1, ..TRUE });
    sample(&TRUE);
    OK
}

const TRUE: Sample = Sample {
    size: size_of::<Sample>(),
    labels: null(),
    labels_len: 0,
    value: 0,
    has_timestamp: 0,
    timestamp_ms: 0,
    whole: 1,
    float: 0.0,
    points: null(),
    points_len: 0,
};

fn say(out: *const Output, text: &str) -> u32 {
    // SAFETY: the host's output is valid for the call it was given to.
    unsafe { ((*out).write)((*out).context, Text::of(text)) };
    OK
}
