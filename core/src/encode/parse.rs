//! Reading the text format 0.0.4, as strictly as Prometheus' own libraries in Go.
//!
//! What they refuse is refused, so that a file or page is judged alike by all programs of the
//! field. It must not know where the text came from.

use std::borrow::Cow;
use std::collections::HashMap;

use super::exposition::{Exposed, ExposedFamily, Exposition, Metric, identity};
use crate::metric::{Kind, is_label_name, is_metric_name};

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
    /// Reads a page (Prometheus exposition format 0.0.4). Only comments may hold bytes that are not
    /// UTF-8; they are replaced.
    ///
    /// # Errors
    /// For the first line that is not of the format; the last line needs its end as well, so that a
    /// page cut short is noticed.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Exposition, ParseError> {
        let mut reader = Reader::default();
        for (at, line) in text.as_ref().split_inclusive(|&byte| byte == b'\n').enumerate() {
            let fail = |what| ParseError { line: at + 1, what };
            let line = line.strip_suffix(b"\n").ok_or_else(|| fail("the line has no end"))?;
            reader.line(line).map_err(fail)?;
        }
        Ok(reader.finish())
    }
}

const BLANK: [char; 2] = [' ', '\t'];

#[derive(Default)]
struct Reader {
    families: Vec<ExposedFamily>,
    /// Whether the type of the family at the same place is fixed.
    typed: Vec<bool>,
    index: HashMap<String, usize>,
    /// Histograms and summaries by family and identity: their lines need not stand together.
    parts: HashMap<(usize, Vec<(String, String)>), usize>,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let line = String::from_utf8_lossy(line);
        let text = line.trim_start_matches(BLANK);
        match text.strip_prefix('#') {
            Some(comment) => self.comment(comment.trim_start_matches(BLANK)),
            None if matches!(line, Cow::Owned(_)) => Err("expected UTF-8"),
            None if text.is_empty() => Ok(()),
            None => self.sample(text),
        }
    }

    /// A comment that is cut off before its text says nothing.
    fn comment(&mut self, comment: &str) -> Result<(), &'static str> {
        let (word, rest) = split_word(comment);
        if !matches!(word, "HELP" | "TYPE") || rest.is_empty() {
            return Ok(());
        }
        let (name, rest) = split_word(rest);
        if !is_metric_name(name) {
            return Err("expected a metric name");
        }
        let at = self.family(name);
        match (word, self.families.get_mut(at), self.typed.get_mut(at)) {
            _ if rest.is_empty() => Ok(()),
            ("HELP", Some(family), _) if family.help.is_none() => {
                family.help = Some(unescape(rest, false)?);
                Ok(())
            }
            ("TYPE", Some(family), Some(typed)) if !*typed => {
                let word = rest.to_ascii_lowercase();
                family.kind = Kind::parse(&word).ok_or("expected a metric type")?;
                *typed = true;
                Ok(())
            }
            ("HELP", ..) => Err("a second help text of the family"),
            _ => Err("the type comes twice or after the family's samples"),
        }
    }

    fn sample(&mut self, line: &str) -> Result<(), &'static str> {
        let end = line.find(['{', ' ', '\t']).ok_or("expected a value")?;
        let (name, rest) = line.split_at(end);
        if !is_metric_name(name) {
            return Err("expected a metric name");
        }
        let rest = rest.trim_start_matches(BLANK);
        let (mut labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => parse_labels(rest)?,
            None => (Vec::new(), rest),
        };
        let (value, timestamp_ms) = parse_value(rest.trim_start_matches(BLANK))?;
        let (at, part) = self.place(name, &mut labels)?;
        let metric = self.metric(at, labels, part.is_some());
        let Some(metric) = metric else { return Ok(()) };
        metric.timestamp_ms = timestamp_ms.or(metric.timestamp_ms);
        match (&mut metric.value, part) {
            (Exposed::Histogram { buckets, .. }, Some(Part::Point(bound))) => {
                buckets.push((bound, value as u64));
            }
            (Exposed::Summary { quantiles, .. }, Some(Part::Point(quantile))) => {
                quantiles.push((quantile, value));
            }
            (Exposed::Histogram { sum, .. } | Exposed::Summary { sum, .. }, Some(Part::Sum)) => {
                *sum = value;
            }
            (
                Exposed::Histogram { count, .. } | Exposed::Summary { count, .. },
                Some(Part::Count),
            ) => *count = value as u64,
            (other, _) => *other = Exposed::Number(value),
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
        let kind = |at: usize| self.families.get(at).map(|family| family.kind);
        if let Some(&at) = self.index.get(name) {
            return match kind(at) {
                Some(Kind::Summary) => Ok((at, Some(Part::Point(take_bound(labels, "quantile")?)))),
                Some(Kind::Histogram) => Err("a histogram has only buckets, a sum and a count"),
                _ => Ok((at, None)),
            };
        }
        let base =
            |suffix| name.strip_suffix(suffix).and_then(|base| self.index.get(base).copied());
        for (suffix, part) in [("_sum", Part::Sum), ("_count", Part::Count)] {
            let parted = |at: &usize| matches!(kind(*at), Some(Kind::Histogram | Kind::Summary));
            if let Some(at) = base(suffix).filter(parted) {
                return Ok((at, Some(part)));
            }
        }
        if let Some(at) = base("_bucket").filter(|&at| kind(at) == Some(Kind::Histogram)) {
            return Ok((at, Some(Part::Point(take_bound(labels, "le")?))));
        }
        Ok((self.family(name), None))
    }

    /// A new metric, or the one that further lines of a histogram or summary belong to.
    fn metric(&mut self, at: usize, labels: Labels, parted: bool) -> Option<&mut Metric> {
        *self.typed.get_mut(at)? = true;
        let family = self.families.get_mut(at)?;
        let next = family.metrics.len();
        let mut place = next;
        if parted {
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            let key = identity(&labels).into_iter().map(owned).collect();
            place = *self.parts.entry((at, key)).or_insert(next);
        }
        if place == next {
            let value = match family.kind {
                Kind::Histogram => Exposed::Histogram { buckets: Vec::new(), sum: 0.0, count: 0 },
                Kind::Summary => Exposed::Summary { quantiles: Vec::new(), sum: 0.0, count: 0 },
                _ => Exposed::Number(0.0),
            };
            family.metrics.push(Metric { labels, timestamp_ms: None, value });
        }
        family.metrics.get_mut(place)
    }

    /// The place of a family, made when it is new.
    fn family(&mut self, name: &str) -> usize {
        if let Some(&at) = self.index.get(name) {
            return at;
        }
        let at = self.families.len();
        self.index.insert(name.to_owned(), at);
        self.typed.push(false);
        self.families.push(ExposedFamily {
            name: name.to_owned(),
            help: None,
            kind: Kind::Untyped,
            metrics: Vec::new(),
        });
        at
    }

    /// Buckets in order; families that were only announced are left out.
    fn finish(mut self) -> Exposition {
        self.families.retain(|family| !family.metrics.is_empty());
        for metric in self.families.iter_mut().flat_map(|family| &mut family.metrics) {
            if let Exposed::Histogram { buckets, count, .. } = &mut metric.value {
                // A histogram without a count still has that of its last bucket.
                *count = buckets.iter().fold(*count, |most, &(_, number)| most.max(number));
                buckets.retain(|(bound, _)| bound.is_finite());
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                buckets.dedup_by_key(|bucket| bucket.0);
            }
        }
        Exposition { families: self.families }
    }
}

type Labels = Vec<(String, String)>;

enum Part {
    /// A bucket's bound or a quantile.
    Point(f64),
    Sum,
    Count,
}

fn take_bound(labels: &mut Labels, name: &str) -> Result<f64, &'static str> {
    let at = labels.iter().position(|(label, _)| label == name);
    let (_, bound) = labels.remove(at.ok_or("expected a label le or quantile")?);
    parse_float(&bound).ok_or("expected a number in le or quantile")
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(BLANK).unwrap_or((text, ""));
    (word, rest.trim_start_matches(BLANK))
}

/// A value and, where one follows, a timestamp; a blank at the end of the line announces one.
fn parse_value(text: &str) -> Result<(f64, Option<i64>), &'static str> {
    let (value, timestamp) = match text.split_once(BLANK) {
        Some((value, rest)) => (value, Some(rest.trim_start_matches(BLANK))),
        None => (text, None),
    };
    let value = parse_float(value).ok_or("expected a number")?;
    let Some(timestamp) = timestamp else { return Ok((value, None)) };
    if timestamp.contains(BLANK) {
        return Err("expected the end of the line");
    }
    match timestamp.parse() {
        Ok(milliseconds) => Ok((value, Some(milliseconds))),
        Err(_) => Err("expected a timestamp in milliseconds"),
    }
}

/// More than any series has; looking for one that occurs twice stays cheap.
const MAX_LABELS: usize = 256;

/// Labels up to the closing brace, which may follow a comma; and what comes after it.
fn parse_labels(mut text: &str) -> Result<(Labels, &str), &'static str> {
    let mut labels: Labels = Vec::new();
    loop {
        text = text.trim_start_matches(BLANK);
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, rest) = text.split_once('=').ok_or("expected '=' after a label name")?;
        let name = name.trim_end_matches(BLANK);
        if !is_label_name(name) || name == "__name__" {
            return Err("expected a label name");
        }
        let rest = rest.trim_start_matches(BLANK);
        let rest = rest.strip_prefix('"').ok_or("expected a label value in quotes")?;
        let end = closing_quote(rest).ok_or("a label value has no end")?;
        if labels.iter().any(|(known, _)| known == name) {
            return Err("a label occurs twice");
        }
        if labels.len() == MAX_LABELS {
            return Err("too many labels");
        }
        labels.push((name.to_owned(), unescape(&rest[..end], true)?));
        text = rest[end + 1..].trim_start_matches(BLANK);
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

/// As Go reads them: `+Inf`, `NaN`, `1e3`; what is too large for a float is not infinity.
fn parse_float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let is_word = |c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E');
    (value.is_finite() || text.contains(is_word)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Format, TextSink};
    use crate::metric::{Desc, MetricSink, Sample};
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
            again("# a comment\n\n x{ a = \"b\" , } 1\n"),
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
            ("# HELP 9 x\n", "line 1: expected a metric name"),
            ("# HELP a \\x\n", "line 1: an unknown escape"),
            ("# HELP a x\n# HELP a x\n", "line 2: a second help text of the family"),
            ("a 1\n# TYPE a gauge\n", "line 2: the type comes twice or after the family's samples"),
            ("a 1\r\n", "line 1: expected a number"),
            ("a 1e400\n", "line 1: expected a number"),
            ("a 0x10\n", "line 1: expected a number"),
            ("a 1 \n", "line 1: expected a timestamp in milliseconds"),
            ("a{__name__=\"b\"} 1\n", "line 1: expected a label name"),
            ("# TYPE a histogram\na_bucket 1\n", "line 2: expected a label le or quantile"),
            (
                "# TYPE a histogram\na 1\n",
                "line 2: a histogram has only buckets, a sum and a count",
            ),
        ] {
            assert_eq!(Exposition::parse(text).unwrap_err().to_string(), what, "{text:?}");
        }
    }

    #[test]
    fn the_lines_of_a_histogram_need_not_stand_together() {
        let page = "# TYPE h histogram\nh_bucket{a=\"1\",le=\"+Inf\"} 4\nh_bucket{a=\"1\",le=\"2\"} 3\n\
            h_count{a=\"2\"} 5\nh_sum{a=\"1\"} 7\nh_count 9\n";
        let text = again(page);
        assert!(text.contains(
            "h_bucket{a=\"1\",le=\"2\"} 3\nh_bucket{a=\"1\",le=\"+Inf\"} 4\nh_sum{a=\"1\"} 7\n"
        ));
        assert_eq!(text.matches("h_count").count(), 3, "{text}");
    }

    #[test]
    fn only_comments_may_hold_other_bytes() {
        let page = Exposition::parse(b"# HELP a \xff\n# \xff\na 1\n").unwrap();
        assert_eq!(page.families[0].help.as_deref(), Some("\u{fffd}"));
        let error = Exposition::parse(b"a{b=\"\xff\"} 1\n").unwrap_err();
        assert_eq!(error.to_string(), "line 1: expected UTF-8");
    }

    #[test]
    fn identities_know_neither_order_nor_empty_labels() {
        let page = Exposition::parse("a{y=\"1\",x=\"2\",z=\"\"} 1\na 2 3\n").unwrap();
        let family = &page.families[0];
        let identities: Vec<_> = family.identities().collect();
        assert_eq!(identities, [vec![("x", "2"), ("y", "1")], vec![]]);
        assert!(family.has_timestamps());
    }

    #[test]
    fn a_line_has_so_many_labels_and_no_more() {
        let line = |count: usize| {
            let labels: Vec<_> = (0..count).map(|i| format!("l{i}=\"\"")).collect();
            Exposition::parse(format!("a{{{}}} 1\n", labels.join(",")))
        };
        assert!(line(MAX_LABELS).is_ok());
        assert_eq!(line(MAX_LABELS + 1).unwrap_err().what, "too many labels");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Exposition::parse(&bytes);
        }

        #[test]
        fn nearly_right_lines_are_an_answer(text in "([a-c#_]{1,3}|[{}=\",\\\\ \n]|HELP|TYPE|histogram|[0-9])*") {
            if let Ok(page) = Exposition::parse(&text) {
                page.emit(|_| true, &mut TextSink::new(Format::default()));
            }
        }

        #[test]
        fn label_values_come_through(value in "(?s).{0,20}", number: f64) {
            // A whole number may come back in another spelling.
            prop_assume!(number.fract() != 0.0);
            let labels = [("l", value.as_str())];
            let mut sink = TextSink::new(Format::default());
            sink.family(&Desc { name: "x", help: "", kind: Kind::Gauge });
            sink.sample(&Sample::new(&labels, number.into()));
            let text = String::from_utf8(sink.to_exposition()).unwrap();
            prop_assert_eq!(again(&text), text);
        }
    }
}
