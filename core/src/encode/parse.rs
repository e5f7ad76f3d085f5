//! Reading the text format 0.0.4, to show again what others have exposed.
//!
//! The families keep their names, types and order, and their parts are put together again, so that
//! any sink can take them. It must not know where the text came from.

use std::collections::HashMap;

use crate::metric::{
    Desc, HistogramView, Kind, MetricSink, Sample, SummaryView, Value, is_label_name,
    is_metric_name,
};

/// A whole page of metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    /// In the order they first occur.
    pub families: Vec<ExposedFamily>,
}

/// One family of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct ExposedFamily {
    /// Metric name.
    pub name: String,
    /// Help text, unescaped; `None` without a `# HELP` line.
    pub help: Option<String>,
    /// Type; untyped without a `# TYPE` line.
    pub kind: Kind,
    metrics: Vec<Metric>,
}

type Labels = Vec<(String, String)>;

#[derive(Clone, Debug, PartialEq)]
struct Metric {
    labels: Labels,
    timestamp_ms: Option<i64>,
    value: Exposed,
}

#[derive(Clone, Debug, PartialEq)]
enum Exposed {
    Number(f64),
    /// Buckets of a histogram or quantiles of a summary, with the sum and count of all.
    Parts {
        points: Vec<(f64, f64)>,
        sum: f64,
        count: f64,
    },
}

/// A line that is not of the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What was expected.
    pub what: &'static str,
}

impl Exposition {
    /// Reads a page (Prometheus exposition format 0.0.4).
    ///
    /// # Errors
    /// For the first line that is not of the format; the last line needs its end as well, so that a
    /// page cut short is noticed.
    pub fn parse(text: &str) -> Result<Exposition, ParseError> {
        let mut reader = Reader::default();
        for (at, line) in text.split_inclusive('\n').enumerate() {
            let fail = |what| ParseError { line: at + 1, what };
            let line = line.strip_suffix('\n').ok_or_else(|| fail("the line has no end"))?;
            reader.line(line).map_err(fail)?;
        }
        Ok(reader.page)
    }

    /// Pushes every family whose name `keep` likes.
    pub fn emit(&self, keep: impl Fn(&str) -> bool, sink: &mut dyn MetricSink) {
        for family in self.families.iter().filter(|family| keep(&family.name)) {
            family.emit(sink);
        }
    }
}

impl ExposedFamily {
    fn emit(&self, sink: &mut dyn MetricSink) {
        if self.metrics.is_empty() {
            return;
        }
        let help = self.help.as_deref().unwrap_or_default();
        sink.family(&Desc { name: &self.name, help, kind: self.kind });
        for metric in &self.metrics {
            let labels: Vec<_> = metric.labels.iter().map(|(k, v)| (&**k, &**v)).collect();
            let push = |value: Value<'_>, sink: &mut dyn MetricSink| {
                sink.sample(&Sample::new(&labels, value).at(metric.timestamp_ms));
            };
            match &metric.value {
                Exposed::Number(value) => push(number(*value), sink),
                Exposed::Parts { points, sum, count } if self.kind == Kind::Histogram => {
                    let mut buckets: Vec<_> =
                        points.iter().map(|&(le, n)| (le, n as u64)).collect();
                    buckets.retain(|(bound, _)| bound.is_finite());
                    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                    let view = HistogramView { buckets: &buckets, sum: *sum, count: *count as u64 };
                    push(Value::Histogram(&view), sink);
                }
                Exposed::Parts { points, sum, count } => {
                    let view = SummaryView { quantiles: points, sum: *sum, count: *count as u64 };
                    push(Value::Summary(&view), sink);
                }
            }
        }
    }
}

/// Whole numbers stay whole as far as a float tells them apart.
fn number(value: f64) -> Value<'static> {
    let whole = (0.0..9_007_199_254_740_992.0).contains(&value) && value.fract() == 0.0;
    if whole && value.is_sign_positive() { Value::U64(value as u64) } else { Value::F64(value) }
}

#[derive(Default)]
struct Reader {
    page: Exposition,
    index: HashMap<String, usize>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let line = line.trim_matches([' ', '\t', '\r']);
        match line.strip_prefix('#') {
            Some(comment) => self.comment(comment.trim_start_matches([' ', '\t'])),
            None if line.is_empty() => Ok(()),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), &'static str> {
        let (word, rest) = split_word(comment);
        let (name, rest) = split_word(rest);
        match word {
            "HELP" | "TYPE" if !is_metric_name(name) => Err("expected a metric name"),
            "HELP" => {
                let help = unescape(rest, false)?;
                self.family(name).help = Some(help);
                Ok(())
            }
            "TYPE" => {
                let kind = Kind::parse(rest.trim_end()).ok_or("expected a metric type")?;
                let family = self.family(name);
                if !family.metrics.is_empty() {
                    return Err("the type comes after the family's samples");
                }
                family.kind = kind;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn sample(&mut self, line: &str) -> Result<(), &'static str> {
        let end = line.find(['{', ' ', '\t']).ok_or("expected a value")?;
        let (name, rest) = line.split_at(end);
        if !is_metric_name(name) {
            return Err("expected a metric name");
        }
        let rest = rest.trim_start_matches([' ', '\t']);
        let (mut labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => parse_labels(rest)?,
            None => (Vec::new(), rest),
        };
        let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
        let value = words.next().and_then(parse_float).ok_or("expected a number")?;
        let timestamp_ms = match words.next() {
            Some(word) => Some(word.parse().map_err(|_| "expected a timestamp in milliseconds")?),
            None => None,
        };
        if words.next().is_some() {
            return Err("expected the end of the line");
        }
        let (at, part) = self.place(name, &mut labels)?;
        let Some(family) = self.page.families.get_mut(at) else { return Ok(()) };
        let Some(part) = part else {
            let value = Exposed::Number(value);
            family.metrics.push(Metric { labels, timestamp_ms, value });
            return Ok(());
        };
        let Exposed::Parts { points, sum, count } = &mut family.parts(labels, timestamp_ms).value
        else {
            return Ok(());
        };
        match part {
            Part::Point(bound) => points.push((bound, value)),
            Part::Sum => *sum = value,
            Part::Count => *count = value,
        }
        Ok(())
    }

    /// The family a sample belongs to, and which part of a histogram or summary it is; the label
    /// that tells the part is taken out.
    fn place(
        &mut self,
        name: &str,
        labels: &mut Labels,
    ) -> Result<(usize, Option<Part>), &'static str> {
        let known = |name: &str, kind| {
            let at = *self.index.get(name)?;
            self.page.families.get(at).is_some_and(|family| family.kind == kind).then_some(at)
        };
        let base = |suffix, kind| known(name.strip_suffix(suffix)?, kind);
        if let Some(at) = base("_bucket", Kind::Histogram) {
            return Ok((at, Some(Part::Point(take_bound(labels, "le")?))));
        }
        if let Some(at) = known(name, Kind::Summary) {
            return Ok((at, Some(Part::Point(take_bound(labels, "quantile")?))));
        }
        for kind in [Kind::Histogram, Kind::Summary] {
            for (suffix, part) in [("_sum", Part::Sum), ("_count", Part::Count)] {
                if let Some(at) = base(suffix, kind) {
                    return Ok((at, Some(part)));
                }
            }
        }
        if known(name, Kind::Histogram).is_some() {
            return Err("a histogram has only buckets, a sum and a count");
        }
        self.family(name);
        Ok((self.index.get(name).copied().unwrap_or_default(), None))
    }

    fn family(&mut self, name: &str) -> &mut ExposedFamily {
        let next = self.page.families.len();
        let at = *self.index.entry(name.to_owned()).or_insert(next);
        if at == next {
            self.page.families.push(ExposedFamily {
                name: name.to_owned(),
                help: None,
                kind: Kind::Untyped,
                metrics: Vec::new(),
            });
        }
        &mut self.page.families[at]
    }
}

enum Part {
    /// A bucket's bound or a quantile.
    Point(f64),
    Sum,
    Count,
}

impl ExposedFamily {
    /// The histogram or summary with these labels; its lines stand together, so it is the last
    /// one, or a new one.
    fn parts(&mut self, labels: Labels, timestamp_ms: Option<i64>) -> &mut Metric {
        if self.metrics.last().is_none_or(|last| last.labels != labels) {
            let value = Exposed::Parts { points: Vec::new(), sum: 0.0, count: 0.0 };
            self.metrics.push(Metric { labels, timestamp_ms, value });
        }
        let last = self.metrics.len() - 1;
        &mut self.metrics[last]
    }
}

fn take_bound(labels: &mut Labels, name: &str) -> Result<f64, &'static str> {
    let at = labels.iter().position(|(label, _)| label == name);
    let (_, bound) = labels.remove(at.ok_or("expected a label le or quantile")?);
    parse_float(&bound).ok_or("expected a number in le or quantile")
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (word, rest.trim_start_matches([' ', '\t']))
}

/// Labels up to the closing brace, which may follow a comma; and what comes after it.
fn parse_labels(mut text: &str) -> Result<(Labels, &str), &'static str> {
    let mut labels: Labels = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t']);
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, rest) = text.split_once('=').ok_or("expected '=' after a label name")?;
        let name = name.trim_end_matches([' ', '\t']);
        if !is_label_name(name) {
            return Err("expected a label name");
        }
        let rest = rest.trim_start_matches([' ', '\t']);
        let rest = rest.strip_prefix('"').ok_or("expected a label value in quotes")?;
        let end = closing_quote(rest).ok_or("a label value has no end")?;
        if labels.iter().any(|(known, _)| known == name) {
            return Err("a label occurs twice");
        }
        labels.push((name.to_owned(), unescape(&rest[..end], true)?));
        text = rest[end + 1..].trim_start_matches([' ', '\t']);
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None if text.starts_with('}') => {}
            None => return Err("expected ',' or '}' after a label value"),
        }
    }
}

/// The place of the first quote that no backslash stands before.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let found = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        found
    })
}

/// `\\` and `\n`, and in label values `\"`.
fn unescape(text: &str, quotes: bool) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if quotes => '"',
                _ => return Err("an unknown escape"),
            }),
            c => plain.push(c),
        }
    }
    Ok(plain)
}

/// As Go reads them: `+Inf`, `NaN`, `1e3`.
fn parse_float(text: &str) -> Option<f64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Format, TextSink};
    use proptest::prelude::*;

    const PAGE: &str = r#"# HELP a_total All of it\nand \\ more.
# TYPE a_total counter
a_total{x="1\"\\\n",y="é"} 12
a_total 0.5 1700000000000
# HELP h Some.
# TYPE h histogram
h_bucket{action="x",le="0.5"} 1
h_bucket{action="x",le="1"} 3
h_bucket{action="x",le="+Inf"} 4
h_sum{action="x"} 2.5
h_count{action="x"} 4
# HELP s Some.
# TYPE s summary
s{quantile="0.5"} NaN
s_sum 3
s_count 2
# HELP z No type.
# TYPE z untyped
z -1
"#;

    fn again(text: &str) -> String {
        let mut sink = TextSink::new(Format::default());
        Exposition::parse(text).unwrap().emit(|_| true, &mut sink);
        String::from_utf8(sink.to_exposition()).unwrap()
    }

    #[test]
    fn a_page_is_shown_again_as_it_was() {
        assert_eq!(again(PAGE), PAGE);
        assert_eq!(
            again("# a comment\n\n x{ a = \"b\" , } 1\r\n"),
            "# HELP x \n# TYPE x untyped\nx{a=\"b\"} 1\n"
        );
    }

    #[test]
    fn families_can_be_left_out() {
        let mut sink = TextSink::new(Format::default());
        Exposition::parse(PAGE).unwrap().emit(|name| name == "z", &mut sink);
        assert!(sink.to_exposition().starts_with(b"# HELP z"));
    }

    #[test]
    fn errors_name_the_line() {
        for (text, what) in [
            ("a 1\nb", "line 2: the line has no end"),
            ("a\n", "line 1: expected a value"),
            ("a x\n", "line 1: expected a number"),
            ("9 1\n", "line 1: expected a metric name"),
            ("a{b} 1\n", "line 1: expected '=' after a label name"),
            ("a{b=1} 1\n", "line 1: expected a label value in quotes"),
            ("a{b=\"1} 1\n", "line 1: a label value has no end"),
            ("a{b=\"1\" c=\"2\"} 1\n", "line 1: expected ',' or '}' after a label value"),
            ("a{b=\"\",b=\"\"} 1\n", "line 1: a label occurs twice"),
            ("a{b=\"\\x\"} 1\n", "line 1: an unknown escape"),
            ("a 1 2 3\n", "line 1: expected the end of the line"),
            ("a 1 x\n", "line 1: expected a timestamp in milliseconds"),
            ("# TYPE a gadget\n", "line 1: expected a metric type"),
            ("a 1\n# TYPE a gauge\n", "line 2: the type comes after the family's samples"),
            ("# TYPE a histogram\na_bucket 1\n", "line 2: expected a label le or quantile"),
            (
                "# TYPE a histogram\na 1\n",
                "line 2: a histogram has only buckets, a sum and a count",
            ),
        ] {
            assert_eq!(Exposition::parse(text).unwrap_err().to_string(), what, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in "(?s).*") {
            let _ = Exposition::parse(&text);
        }

        #[test]
        fn nearly_right_lines_are_an_answer(text in "([a-c#_]{1,3}|[{}=\",\\\\ \n]|HELP|TYPE|histogram|[0-9])*") {
            if let Ok(page) = Exposition::parse(&text) {
                page.emit(|_| true, &mut TextSink::new(Format::default()));
            }
        }

        #[test]
        fn label_values_come_through(value in "(?s).{0,20}", number: f64) {
            let labels = [("l", value.as_str())];
            let mut sink = TextSink::new(Format::default());
            sink.family(&Desc { name: "x", help: "", kind: Kind::Gauge });
            sink.sample(&Sample::new(&labels, number.into()));
            let text = String::from_utf8(sink.to_exposition()).unwrap();
            prop_assert_eq!(again(&text), text);
        }
    }
}
