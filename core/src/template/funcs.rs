//! The functions of a template: Go's own and Alertmanager's.
//!
//! One table, a line each, from which the parser also learns the names. It must not know how a
//! template is run.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::{Zoned, tz::TimeZone};

use super::escape;
use super::member::texts;
use super::printf::{float_g, printf};
use super::time;
use super::value::{MAX_SIZE, Trust, Value};
use crate::alert::translate_re2;

/// What a function may ask besides its arguments.
pub(super) struct Call<'a> {
    /// The time of the notification.
    pub(super) now: &'a Zoned,
}

/// A function.
pub(super) struct Function {
    name: &'static str,
    args: RangeInclusive<usize>,
    run: fn(&Call<'_>, &[Value]) -> Result<Value, String>,
}

const ANY: usize = usize::MAX;

#[rustfmt::skip]
static FUNCTIONS: &[Function] = &[
    // Go's text/template. `and` and `or` stop early, which the executor sees to.
    Function { name: "and", args: 1..=ANY, run: |_, a| Ok(decide(a, false)) },
    Function { name: "or", args: 1..=ANY, run: |_, a| Ok(decide(a, true)) },
    Function { name: "not", args: 1..=1, run: |_, a| Ok(Value::Bool(!a[0].is_true())) },
    Function { name: "eq", args: 2..=ANY, run: |_, a| equal(a) },
    Function { name: "ne", args: 2..=2, run: |_, a| a[0].equals(&a[1]).map(|is| Value::Bool(!is)) },
    Function { name: "lt", args: 2..=2, run: |_, a| a[0].order(&a[1]).map(|is| Value::Bool(is.is_lt())) },
    Function { name: "le", args: 2..=2, run: |_, a| a[0].order(&a[1]).map(|is| Value::Bool(is.is_le())) },
    Function { name: "gt", args: 2..=2, run: |_, a| a[0].order(&a[1]).map(|is| Value::Bool(is.is_gt())) },
    Function { name: "ge", args: 2..=2, run: |_, a| a[0].order(&a[1]).map(|is| Value::Bool(is.is_ge())) },
    Function { name: "len", args: 1..=1, run: |_, a| len(&a[0]) },
    Function { name: "index", args: 1..=ANY, run: |_, a| index(a) },
    Function { name: "slice", args: 1..=3, run: |_, a| slice(a) },
    Function { name: "print", args: 0..=ANY, run: |_, a| Ok(Value::text(print(a))) },
    Function { name: "println", args: 0..=ANY, run: |_, a| Ok(Value::text(println(a))) },
    Function { name: "printf", args: 1..=ANY, run: |_, a| Ok(Value::text(printf(text(&a[0])?, &a[1..]))) },
    Function { name: "html", args: 0..=ANY, run: |_, a| Ok(Value::Text(escape::html_function(&print(a)).into(), Trust::Html)) },
    Function { name: "js", args: 0..=ANY, run: |_, a| Ok(Value::text(escape::js(&print(a)))) },
    Function { name: "urlquery", args: 0..=ANY, run: |_, a| Ok(Value::text(escape::query(&print(a)))) },
    Function { name: "call", args: 1..=ANY, run: |_, a| Err(format!("non-function of type {}", a[0].type_name())) },
    // Alertmanager's.
    Function { name: "toUpper", args: 1..=1, run: |_, a| Ok(Value::text(text(&a[0])?.to_uppercase())) },
    Function { name: "toLower", args: 1..=1, run: |_, a| Ok(Value::text(text(&a[0])?.to_lowercase())) },
    Function { name: "title", args: 1..=1, run: |_, a| Ok(Value::text(title(text(&a[0])?))) },
    Function { name: "trimSpace", args: 1..=1, run: |_, a| Ok(Value::text(text(&a[0])?.trim())) },
    Function { name: "join", args: 2..=2, run: |_, a| Ok(Value::text(texts(&a[1])?.join(text(&a[0])?))) },
    Function { name: "match", args: 2..=2, run: |_, a| Ok(Value::Bool(regex(&a[0])?.is_match(text(&a[1])?))) },
    Function { name: "reReplaceAll", args: 3..=3, run: |_, a| replace(&regex(&a[0])?, text(&a[1])?, text(&a[2])?) },
    Function { name: "stringSlice", args: 0..=ANY, run: |_, a| strings(a) },
    Function { name: "safeHtml", args: 1..=1, run: |_, a| trusted(&a[0], Trust::Html) },
    Function { name: "safeUrl", args: 1..=1, run: |_, a| trusted(&a[0], Trust::Url) },
    Function { name: "urlUnescape", args: 1..=1, run: |_, a| Ok(Value::text(escape::unquery(text(&a[0])?)?)) },
    Function { name: "toJson", args: 1..=1, run: |_, a| Ok(Value::text(a[0].to_json())) },
    Function { name: "date", args: 2..=2, run: |_, a| Ok(Value::text(time::format(moment(&a[1])?, text(&a[0])?))) },
    Function { name: "tz", args: 2..=2, run: |_, a| zoned(text(&a[0])?, moment(&a[1])?) },
    Function { name: "since", args: 1..=1, run: |call, a| Ok(Value::Duration(time::between(call.now, moment(&a[0])?))) },
    Function { name: "now", args: 0..=0, run: |call, _| Ok(Value::Time(Box::new(call.now.clone()))) },
    Function { name: "humanizeDuration", args: 1..=1, run: |_, a| Ok(Value::text(humanize(seconds(&a[0])?))) },
    Function { name: "list", args: 0..=ANY, run: |_, a| Value::list(a.to_vec()) },
    Function { name: "append", args: 1..=ANY, run: |_, a| append(a) },
    Function { name: "dict", args: 0..=ANY, run: |_, a| dict(a) },
];

/// The function of a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl Function {
    /// What a call costs, in steps of the executor: a pattern is compiled each time.
    pub(super) fn steps(&self) -> usize {
        if matches!(self.name, "match" | "reReplaceAll") { 100 } else { 1 }
    }

    /// # Errors
    /// When number or types of the arguments do not fit, or the result would be too large.
    pub(super) fn call(&self, call: &Call<'_>, args: &[Value]) -> Result<Value, String> {
        let name = self.name;
        if !self.args.contains(&args.len()) {
            let (least, most) = (self.args.start(), self.args.end());
            let wanted = if *most == ANY { format!("at least {least}") } else { most.to_string() };
            return Err(format!("{name} takes {wanted} arguments, got {}", args.len()));
        }
        let size = args.iter().map(|arg| arg.shape().size).fold(0, usize::saturating_add);
        let result = if size > MAX_SIZE {
            Err(format!("arguments larger than {MAX_SIZE} bytes"))
        } else {
            (self.run)(call, args)
        };
        result.map_err(|what| format!("error calling {name}: {what}"))
    }
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text, _) => Ok(text),
        other => Err(format!("expected a text, found {}", other.type_name())),
    }
}

fn int(value: &Value) -> Result<usize, String> {
    match value {
        Value::Int(value) => {
            usize::try_from(*value).map_err(|_| format!("index out of range: {value}"))
        }
        other => Err(format!("cannot index with type {}", other.type_name())),
    }
}

fn moment(value: &Value) -> Result<&Zoned, String> {
    match value {
        Value::Time(time) => Ok(time),
        other => Err(format!("expected a time, found {}", other.type_name())),
    }
}

/// The first argument whose truth is `stop`, else the last.
fn decide(args: &[Value], stop: bool) -> Value {
    let found = args.iter().find(|arg| arg.is_true() == stop).or(args.last());
    found.cloned().unwrap_or(Value::Nil)
}

fn equal(args: &[Value]) -> Result<Value, String> {
    for other in &args[1..] {
        if args[0].equals(other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn len(value: &Value) -> Result<Value, String> {
    let len = value.len().ok_or_else(|| format!("len of type {}", value.type_name()))?;
    Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
}

fn index(args: &[Value]) -> Result<Value, String> {
    args[1..].iter().try_fold(args[0].clone(), |value, at| match &value {
        Value::List(list) => {
            let at = int(at)?;
            list.items.get(at).cloned().ok_or_else(|| format!("index out of range: {at}"))
        }
        Value::Labels(labels) => Ok(Value::text(labels.get(text(at)?))),
        Value::Map(map) => Ok(map.entries.get(text(at)?).cloned().unwrap_or(Value::Nil)),
        Value::Text(text, _) => {
            let at = int(at)?;
            let byte =
                text.as_bytes().get(at).ok_or_else(|| format!("index out of range: {at}"))?;
            Ok(Value::Int((*byte).into()))
        }
        other => Err(format!("can't index item of type {}", other.type_name())),
    })
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let len = args[0].len().ok_or_else(|| format!("can't slice {}", args[0].type_name()))?;
    let from = args.get(1).map_or(Ok(0), int)?;
    let to = args.get(2).map_or(Ok(len), int)?;
    let bad = || format!("invalid slice index: {from} to {to} of {len}");
    match &args[0] {
        Value::Text(text, _) => text.get(from..to).map(Value::text).ok_or_else(bad),
        Value::List(list) => Value::part(list, from..to).ok_or_else(bad),
        other => Err(format!("can't slice {}", other.type_name())),
    }
}

/// `fmt.Sprint`: a space between neighbours of which neither is a text.
fn print(args: &[Value]) -> String {
    let mut out = String::new();
    let mut before_is_text = true;
    for arg in args {
        let is_text = matches!(arg, Value::Text(..));
        if !is_text && !before_is_text {
            out.push(' ');
        }
        arg.print(&mut out);
        before_is_text = is_text;
    }
    out
}

fn println(args: &[Value]) -> String {
    let mut out = String::new();
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        arg.print(&mut out);
    }
    out + "\n"
}

/// Capitals at the begin of words, small letters inside; an apostrophe, point or underscore between
/// letters does not end a word.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let letter = c.is_alphabetic();
        if letter && in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        let joins = matches!(c, '\'' | '’' | '.' | ':' | '·')
            && chars.peek().is_some_and(|next| next.is_alphabetic());
        in_word = letter || (in_word && (joins || c == '_'));
    }
    out
}

fn regex(pattern: &Value) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(&translate_re2(text(pattern)?))
        .size_limit(1 << 20)
        .dfa_size_limit(1 << 20)
        .build()
        .map_err(|_| "not a valid regular expression, or one too large".to_owned())
}

fn replace(regex: &regex::Regex, by: &str, text: &str) -> Result<Value, String> {
    let mut out = String::new();
    let mut end = 0;
    for found in regex.captures_iter(text) {
        let range = found.get_match().range();
        out.push_str(&text[end..range.start]);
        found.expand(by, &mut out);
        end = range.end;
        if out.len() > MAX_SIZE {
            return Err(format!("a result larger than {MAX_SIZE} bytes"));
        }
    }
    out.push_str(&text[end..]);
    Ok(Value::text(out))
}

fn strings(args: &[Value]) -> Result<Value, String> {
    args.iter().try_for_each(|arg| text(arg).map(drop))?;
    Value::list(args.to_vec())
}

fn trusted(value: &Value, trust: Trust) -> Result<Value, String> {
    Ok(Value::Text(text(value)?.into(), trust))
}

fn zoned(name: &str, time: &Zoned) -> Result<Value, String> {
    let zone = match name {
        "" | "UTC" => TimeZone::UTC,
        "Local" => TimeZone::system(),
        name => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
    };
    Ok(Value::Time(Box::new(time.with_time_zone(zone))))
}

/// Seconds of a number, a text that is one, or a duration.
fn seconds(value: &Value) -> Result<f64, String> {
    match value {
        Value::Int(value) => Ok(*value as f64),
        Value::Float(value) => Ok(*value),
        Value::Duration(nanos) => Ok(*nanos as f64 / 1e9),
        Value::Text(text, _) => text.parse().map_err(|_| format!("not a number: {text:?}")),
        other => Err(format!("can't convert {} to a number", other.type_name())),
    }
}

/// Prometheus' `humanizeDuration`: `1d 2h 3m 4s`, `1.5s`, `250ms`.
fn humanize(value: f64) -> String {
    let four = |value: f64| float_g(value, Some(4));
    if !value.is_finite() {
        return four(value);
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let mut rest = value.abs();
    if rest == 0.0 || rest >= 1.0 {
        // Saturates where Go would overflow.
        let all = rest as i64;
        let (seconds, minutes, hours) = (all % 60, all / 60 % 60, all / 3600 % 24);
        return match (all / 86_400, all / 3600, all / 60) {
            (days @ 1.., ..) => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
            (_, 1.., _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
            (_, _, 1..) => format!("{sign}{minutes}m {seconds}s"),
            _ => format!("{sign}{}s", four(rest)),
        };
    }
    let mut prefix = "";
    for smaller in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if rest >= 1.0 {
            break;
        }
        prefix = smaller;
        rest *= 1000.0;
    }
    format!("{sign}{}{prefix}s", four(rest))
}

fn append(args: &[Value]) -> Result<Value, String> {
    match &args[0] {
        Value::List(list) => Value::list(list.items.iter().chain(&args[1..]).cloned().collect()),
        other => Err(format!("expected a list, found {}", other.type_name())),
    }
}

fn dict(args: &[Value]) -> Result<Value, String> {
    let mut entries = BTreeMap::new();
    for pair in args.chunks(2) {
        let [name, value] = pair else { return Err("a name without value".into()) };
        entries.insert(Arc::from(text(name)?), value.clone());
    }
    Value::map(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_humanized_as_prometheus_does() {
        for (value, expected) in [
            (0.0, "0s"),
            (1.25, "1.25s"),
            (61.0, "1m 1s"),
            (-3700.5, "-1h 1m 40s"),
            (90_061.0, "1d 1h 1m 1s"),
            (0.25, "250ms"),
            (0.000_001_5, "1.5us"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(humanize(value), expected);
        }
    }

    #[test]
    fn titles_are_those_of_amtool() {
        let text = "hello WORLD o'neil foo-bar a_b 3rd élan x.y";
        assert_eq!(title(text), "Hello World O'neil Foo-Bar A_b 3Rd Élan X.y");
    }
}
