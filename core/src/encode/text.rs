//! The sink that writes lines.
//!
//! It writes sample lines at once and only notes where each family's bytes lie; headers and
//! merging come later, in `assemble`. In the steady state it allocates nothing. It must not know
//! which collector pushes.

use std::collections::HashMap;

use super::known::Known;
use super::{Format, write_f64};
use crate::metric::{
    Desc, HistogramView, MetricSink, Sample, SummaryView, Value, is_label_name, is_metric_name,
};

/// Collects the samples of one collector as lines of one format.
#[derive(Debug, Default)]
pub struct TextSink {
    format: Format,
    bytes: Vec<u8>,
    families: Vec<Known>,
    index: HashMap<Box<str>, usize>,
    spans: Vec<Span>,
    current: Option<usize>,
    invalid: u64,
}

/// Bytes of one family that lie together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) family: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Families of vanished names kept for their buffers before the index is made anew.
const STALE_LIMIT: usize = 256;

impl TextSink {
    /// An empty sink.
    #[must_use]
    pub fn new(format: Format) -> Self {
        TextSink { format, ..TextSink::default() }
    }

    /// Empties the sink for another scrape, keeping its memory.
    pub fn reset(&mut self, format: Format) {
        let used = self.families.iter().filter(|family| family.used).count();
        if self.families.len() > used + STALE_LIMIT {
            self.families.clear();
            self.index.clear();
        }
        self.families.iter_mut().for_each(|family| family.used = false);
        self.format = format;
        self.bytes.clear();
        self.spans.clear();
        self.current = None;
        self.invalid = 0;
    }

    /// The format of the lines.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Samples dropped because a metric or label name cannot be written.
    #[must_use]
    pub const fn invalid(&self) -> u64 {
        self.invalid
    }

    /// Whether no sample was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A complete exposition of this sink alone.
    #[must_use]
    pub fn to_exposition(&self) -> Vec<u8> {
        let mut out = Vec::new();
        super::assemble(self.format, &[self], &mut out);
        out
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub(super) fn family_of(&self, span: Span) -> &Known {
        &self.families[span.family]
    }

    pub(super) fn bytes_of(&self, span: Span) -> &[u8] {
        &self.bytes[span.start..span.end]
    }

    /// Collectors open their families in the same order each time: the next one is guessed first.
    fn find(&self, name: &str) -> Option<usize> {
        let guess = self.current.map_or(0, |current| current + 1);
        let is_it = |at: &usize| self.families.get(*at).is_some_and(|f| *f.name == *name);
        self.current
            .filter(|at| is_it(at))
            .or_else(|| Some(guess).filter(is_it))
            .or_else(|| self.index.get(name).copied())
    }

    fn line(&mut self, family: usize, suffix: &str, labels: Labels<'_>, value: Number) {
        let out = &mut self.bytes;
        out.extend_from_slice(self.families[family].name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        labels.write(out, self.format);
        out.push(b' ');
        value.write(out);
        if let Some(milliseconds) = labels.sample.timestamp_ms {
            out.push(b' ');
            write_timestamp(out, milliseconds, self.format);
        }
        out.push(b'\n');
    }

    fn histogram(&mut self, family: usize, sample: &Sample<'_>, view: &HistogramView<'_>) {
        for &(bound, count) in view.buckets.iter().filter(|(bound, _)| bound.is_finite()) {
            let labels = Labels { sample, extra: Some(("le", bound)) };
            self.line(family, "_bucket", labels, Number::U64(count));
        }
        let infinity = Labels { sample, extra: Some(("le", f64::INFINITY)) };
        self.line(family, "_bucket", infinity, Number::U64(view.count));
        self.sum_and_count(family, sample, view.sum, view.count);
    }

    fn summary(&mut self, family: usize, sample: &Sample<'_>, view: &SummaryView<'_>) {
        for &(quantile, value) in view.quantiles {
            let labels = Labels { sample, extra: Some(("quantile", quantile)) };
            self.line(family, "", labels, Number::F64(value));
        }
        self.sum_and_count(family, sample, view.sum, view.count);
    }

    fn sum_and_count(&mut self, family: usize, sample: &Sample<'_>, sum: f64, count: u64) {
        let labels = Labels { sample, extra: None };
        self.line(family, "_sum", labels, Number::F64(sum));
        self.line(family, "_count", labels, Number::U64(count));
    }
}

impl MetricSink for TextSink {
    fn family(&mut self, desc: &Desc<'_>) {
        let at = match self.find(desc.name) {
            Some(at) => at,
            None if !is_metric_name(desc.name) => {
                self.current = None;
                return;
            }
            None => {
                self.index.insert(desc.name.into(), self.families.len());
                self.families.push(Known::new(desc, self.format));
                self.families.len() - 1
            }
        };
        let family = &mut self.families[at];
        // The first declaration of a scrape counts, as the help text is written once.
        if !family.used {
            family.used = true;
            family.declare(desc, self.format);
        }
        self.current = Some(at);
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let valid = sample.labels.iter().all(|(name, _)| is_label_name(name));
        let Some(family) = self.current.filter(|_| valid) else {
            self.invalid += 1;
            return;
        };
        let start = self.bytes.len();
        let labels = Labels { sample, extra: None };
        match sample.value {
            Value::U64(value) => self.line(family, "", labels, Number::U64(value)),
            Value::F64(value) => self.line(family, "", labels, Number::F64(value)),
            Value::Histogram(view) => self.histogram(family, sample, view),
            Value::Summary(view) => self.summary(family, sample, view),
        }
        let end = self.bytes.len();
        match self.spans.last_mut() {
            Some(last) if last.family == family => last.end = end,
            _ => self.spans.push(Span { family, start, end }),
        }
    }
}

#[derive(Clone, Copy)]
enum Number {
    U64(u64),
    F64(f64),
}

impl Number {
    fn write(self, out: &mut Vec<u8>) {
        match self {
            Number::U64(value) => {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Number::F64(value) => write_f64(out, value),
        }
    }
}

/// The labels of a line: those of the sample, then `le` or `quantile`.
#[derive(Clone, Copy)]
struct Labels<'a> {
    sample: &'a Sample<'a>,
    extra: Option<(&'static str, f64)>,
}

impl Labels<'_> {
    fn write(self, out: &mut Vec<u8>, format: Format) {
        let mut separator = b'{';
        // An empty value is the same as an absent label, and shorter.
        for (name, value) in self.sample.labels.iter().filter(|(_, value)| !value.is_empty()) {
            out.push(separator);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            write_escaped(out, value.as_bytes(), true);
            out.push(b'"');
            separator = b',';
        }
        if let Some((name, bound)) = self.extra {
            out.push(separator);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            write_bound(out, bound, format);
            out.push(b'"');
            separator = b',';
        }
        if separator == b',' {
            out.push(b'}');
        }
    }
}

/// OpenMetrics asks for a point in the value of `le` and `quantile`, so that `1` and `1.0` are one.
fn write_bound(out: &mut Vec<u8>, bound: f64, format: Format) {
    let start = out.len();
    write_f64(out, bound);
    let whole = !out[start..].iter().any(|byte| matches!(byte, b'.' | b'e' | b'N' | b'I'));
    if format == Format::OpenMetrics && whole {
        out.extend_from_slice(b".0");
    }
}

/// Escapes `\`, newline and, where `quote`, `"`.
pub(super) fn write_escaped(out: &mut Vec<u8>, mut text: &[u8], quote: bool) {
    loop {
        let next = if quote {
            memchr::memchr3(b'\\', b'\n', b'"', text)
        } else {
            memchr::memchr2(b'\\', b'\n', text)
        };
        let Some(at) = next else {
            out.extend_from_slice(text);
            return;
        };
        out.extend_from_slice(&text[..at]);
        out.extend_from_slice(match text[at] {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            _ => b"\\\"",
        });
        text = &text[at + 1..];
    }
}

fn write_timestamp(out: &mut Vec<u8>, milliseconds: i64, format: Format) {
    match format {
        Format::Text => out.extend_from_slice(itoa::Buffer::new().format(milliseconds).as_bytes()),
        Format::OpenMetrics => {
            let sign = if milliseconds < 0 { "-" } else { "" };
            let absolute = milliseconds.unsigned_abs();
            let text = format!("{sign}{}.{:03}", absolute / 1000, absolute % 1000);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Family, Kind};
    use proptest::prelude::*;

    static BYTES: Family<1> = Family::counter("bytes_total", "Bytes\\ of\n\"x\".", ["device"]);
    static UP: Family = Family::gauge("up", "Up.", []);
    static ODD: Family = Family::counter("odd", "A counter without the suffix.", []);
    static TOOK: Family<1> = Family::histogram("took_seconds", "Time.", ["a"]);

    fn fill(sink: &mut TextSink) {
        BYTES.emit(sink, ["sd\"a\\\n"], 5_u64);
        UP.emit(sink, [], true);
        BYTES.emit(sink, [""], 0.5);
        ODD.emit(sink, [], 1e6);
        let view = HistogramView { buckets: &[(0.5, 1), (1.0, 2)], sum: 1.25, count: 3 };
        TOOK.emit(sink, ["x"], &view);
    }

    fn exposition(format: Format) -> String {
        let mut sink = TextSink::new(format);
        fill(&mut sink);
        String::from_utf8(sink.to_exposition()).unwrap()
    }

    #[test]
    fn text_format() {
        let expected = r#"# HELP bytes_total Bytes\\ of\n"x".
# TYPE bytes_total counter
bytes_total{device="sd\"a\\\n"} 5
bytes_total 0.5
# HELP up Up.
# TYPE up gauge
up 1
# HELP odd A counter without the suffix.
# TYPE odd counter
odd 1e+06
# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{a="x",le="0.5"} 1
took_seconds_bucket{a="x",le="1"} 2
took_seconds_bucket{a="x",le="+Inf"} 3
took_seconds_sum{a="x"} 1.25
took_seconds_count{a="x"} 3
"#;
        assert_eq!(exposition(Format::Text), expected);
    }

    #[test]
    fn openmetrics_format() {
        let text = exposition(Format::OpenMetrics);
        let start = "# HELP bytes Bytes\\\\ of\\n\\\"x\\\".\n# TYPE bytes counter\nbytes_total{";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("# TYPE odd unknown\nodd 1e+06\n"), "never renamed");
        assert!(text.contains("le=\"1.0\"}") && text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_steady_state_allocates_nothing() {
        let mut sink = TextSink::new(Format::Text);
        fill(&mut sink);
        let first = sink.to_exposition();
        let room = |s: &TextSink| (s.bytes.capacity(), s.spans.capacity(), s.families.capacity());
        let before = (room(&sink), sink.bytes.as_ptr());
        sink.reset(Format::Text);
        fill(&mut sink);
        assert_eq!((room(&sink), sink.bytes.as_ptr()), before);
        assert_eq!(sink.to_exposition(), first);
    }

    #[test]
    fn names_that_cannot_be_written_are_dropped_and_counted() {
        let mut sink = TextSink::default();
        sink.sample(&Sample::new(&[], Value::U64(1)));
        sink.family(&Desc { name: "no good", help: "", kind: Kind::Gauge });
        sink.sample(&Sample::new(&[], Value::U64(1)));
        UP.emit(&mut sink, [], true);
        sink.sample(&Sample::new(&[("a-b", "x")], Value::U64(1)));
        assert_eq!(sink.invalid(), 3);
        assert!(sink.to_exposition().ends_with(b"up 1\n"));
    }

    #[test]
    fn vanished_families_are_forgotten() {
        let mut sink = TextSink::default();
        for i in 0..1000 {
            sink.reset(Format::Text);
            let name = format!("m{i}");
            sink.family(&Desc { name: &name, help: "h", kind: Kind::Gauge });
            sink.sample(&Sample::new(&[], Value::U64(1)));
        }
        assert!(sink.families.len() <= STALE_LIMIT + 2);
    }

    proptest! {
        #[test]
        fn any_label_value_stays_on_its_line(value in "\\PC*|[\\\\\"\n]{0,9}") {
            let mut sink = TextSink::default();
            BYTES.emit(&mut sink, [&value], 1_u64);
            let text = String::from_utf8(sink.bytes.clone()).unwrap();
            prop_assert_eq!(text.matches('\n').count(), 1);
        }
    }
}
