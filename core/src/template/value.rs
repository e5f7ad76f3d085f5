//! The values a template computes with.
//!
//! Truth, comparison, length and printing are Go's, because templates were written against them.
//! It must not know functions or output.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::Zoned;

use super::time;
use crate::alert::LabelSet;

/// Lists and maps inside one another: bounds the recursion of printing and dropping.
const MAX_DEPTH: usize = 32;
/// Bytes of a value, counted as often as it is referred to, because printing does.
pub(super) const MAX_SIZE: usize = 4 << 20;

/// A value; cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>, Trust),
    List(Arc<List>),
    Labels(LabelSet),
    Map(Arc<Map>),
    Struct(Arc<Struct>),
    Time(Box<Zoned>),
    /// Nanoseconds.
    Duration(i64),
}

/// What the author of a template vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing: it is escaped wherever it goes.
    None,
    /// It is HTML (`safeHtml`).
    Html,
    /// It is a URL of a good scheme (`safeUrl`).
    Url,
}

/// Values in order.
#[derive(Debug)]
pub(super) struct List {
    /// Go's name of the type.
    name: &'static str,
    pub(super) items: Vec<Value>,
    shape: Shape,
}

/// Any list, and one that prints as labels do.
const ANYTHING: &str = "[]interface {}";
const PAIRS: &str = "template.Pairs";

/// Values by name.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) entries: BTreeMap<Arc<str>, Value>,
    shape: Shape,
}

/// A value with a fixed set of fields.
#[derive(Debug)]
pub(super) struct Struct {
    /// Go's name of the type, for errors.
    pub(super) name: &'static str,
    pub(super) fields: Vec<Field>,
    shape: Shape,
}

/// Name of a field, its name in JSON, its value.
pub(super) type Field = (&'static str, &'static str, Value);

/// How deep and how large a value is, known when it is made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    depth: usize,
    pub(super) size: usize,
}

impl Shape {
    fn around<'a>(values: impl Iterator<Item = &'a Value>) -> Self {
        let one = Shape { depth: 1, size: 2 };
        values.map(Value::shape).fold(one, |all, inner| Shape {
            depth: all.depth.max(inner.depth + 1),
            size: all.size.saturating_add(inner.size + 1),
        })
    }

    fn checked(self) -> Result<Self, String> {
        if self.depth > MAX_DEPTH {
            return Err(format!("a value nested deeper than {MAX_DEPTH} levels"));
        }
        if self.size > MAX_SIZE {
            return Err(format!("a value larger than {MAX_SIZE} bytes"));
        }
        Ok(self)
    }
}

impl Struct {
    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.iter().find(|(name, ..)| *name == field).map(|(.., value)| value)
    }
}

impl Value {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Value::Text(text.into(), Trust::None)
    }

    /// # Errors
    /// When the items nest too deep or are too large.
    pub(super) fn list(items: Vec<Value>) -> Result<Self, String> {
        let shape = Shape::around(items.iter()).checked()?;
        Ok(Value::List(Arc::new(List { name: ANYTHING, items, shape })))
    }

    /// A list of the program's own data, which is as large as it is.
    pub(super) fn data_list(items: Vec<Value>) -> Self {
        Value::named_list(ANYTHING, items)
    }

    /// The items of a list in a range, as a list of its type.
    pub(super) fn part(list: &List, range: Range<usize>) -> Option<Self> {
        list.items.get(range).map(|items| Value::named_list(list.name, items.to_vec()))
    }

    /// Structures `template.Pair`.
    pub(super) fn pairs(items: Vec<Value>) -> Self {
        Value::named_list(PAIRS, items)
    }

    fn named_list(name: &'static str, items: Vec<Value>) -> Self {
        let shape = Shape::around(items.iter());
        Value::List(Arc::new(List { name, items, shape }))
    }

    pub(super) fn texts<'a>(items: impl Iterator<Item = &'a str>) -> Self {
        Value::data_list(items.map(Value::text).collect())
    }

    /// # Errors
    /// When the values nest too deep or are too large.
    pub(super) fn map(entries: BTreeMap<Arc<str>, Value>) -> Result<Self, String> {
        let shape = Shape::around(entries.values()).checked()?;
        Ok(Value::Map(Arc::new(Map { entries, shape })))
    }

    pub(super) fn structure(name: &'static str, fields: Vec<Field>) -> Self {
        let shape = Shape::around(fields.iter().map(|field| &field.2));
        Value::Struct(Arc::new(Struct { name, fields, shape }))
    }

    pub(super) fn shape(&self) -> Shape {
        match self {
            Value::List(list) => list.shape,
            Value::Map(map) => map.shape,
            Value::Struct(of) => of.shape,
            Value::Labels(labels) => {
                let size = labels.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
                Shape { depth: 1, size }
            }
            Value::Text(text, _) => Shape { depth: 0, size: text.len() },
            _ => Shape { depth: 0, size: 8 },
        }
    }

    /// As the type is called in errors and by `%T`.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::Text(_, Trust::None) => "string",
            Value::Text(_, Trust::Html) => "template.HTML",
            Value::Text(_, Trust::Url) => "template.URL",
            Value::List(list) => list.name,
            Value::Labels(_) => "template.KV",
            Value::Map(_) => "map[string]interface {}",
            Value::Struct(of) => of.name,
            Value::Time(_) => "time.Time",
            Value::Duration(_) => "time.Duration",
        }
    }

    /// Go's truth: not zero, not empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) | Value::Duration(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Struct(_) | Value::Time(_) => true,
            _ => self.len().is_some_and(|len| len > 0),
        }
    }

    /// Bytes of a text, items of a list or map.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Value::Text(text, _) => Some(text.len()),
            Value::List(list) => Some(list.items.len()),
            Value::Labels(labels) => Some(labels.len()),
            Value::Map(map) => Some(map.entries.len()),
            _ => None,
        }
    }

    /// # Errors
    /// When the two have no common kind.
    pub(super) fn equals(&self, other: &Value) -> Result<bool, String> {
        match (self, other) {
            (Value::Nil, Value::Nil) => Ok(true),
            (Value::Nil, _) | (_, Value::Nil) => Ok(false),
            (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
            (Value::Time(a), Value::Time(b)) => Ok(a == b),
            (Value::Float(a), Value::Float(b)) => Ok(a == b),
            _ => self.order(other).map(Ordering::is_eq),
        }
    }

    /// # Errors
    /// When the two have no common order.
    pub(super) fn order(&self, other: &Value) -> Result<Ordering, String> {
        match (self, other) {
            (Value::Text(a, _), Value::Text(b, _)) => Ok(a.cmp(b)),
            (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => {
                Ok(a.cmp(b))
            }
            (Value::Float(a), Value::Float(b)) => {
                a.partial_cmp(b).ok_or_else(|| "NaN has no order".to_owned())
            }
            _ => Err(format!(
                "incompatible types for comparison: {} and {}",
                self.type_name(),
                other.type_name()
            )),
        }
    }

    /// Whether it has a method `String`, which Go prefers to showing what is inside.
    pub(super) fn prints_itself(&self) -> bool {
        matches!(self, Value::Labels(_)) || matches!(self, Value::List(list) if list.name == PAIRS)
    }

    /// Appends it as Go's `%v` does.
    pub(super) fn print(&self, out: &mut String) {
        match self {
            Value::Nil => out.push_str("<nil>"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) => out.push_str(&format!("{value}")),
            Value::Float(value) => out.push_str(&super::printf::float_g(*value, None)),
            Value::Text(text, _) => out.push_str(text),
            Value::List(list) if list.name == PAIRS => {
                let pairs = list.items.iter().filter_map(|item| match item {
                    Value::Struct(pair) => Some((pair.get("Name")?, pair.get("Value")?)),
                    _ => None,
                });
                separated(out, ", ", pairs, |out, (name, value)| {
                    name.print(out);
                    out.push('=');
                    value.print(out);
                });
            }
            Value::List(list) => {
                out.push('[');
                separated(out, " ", list.items.iter(), |out, item| item.print(out));
                out.push(']');
            }
            Value::Labels(labels) => {
                separated(out, ", ", sorted(labels), |out, (name, value)| {
                    out.push_str(name);
                    out.push('=');
                    out.push_str(value);
                });
            }
            Value::Map(map) => {
                out.push_str("map[");
                separated(out, " ", map.entries.iter(), |out, (name, value)| {
                    out.push_str(name);
                    out.push(':');
                    value.print(out);
                });
                out.push(']');
            }
            Value::Struct(of) => {
                out.push('{');
                separated(out, " ", of.fields.iter(), |out, field| field.2.print(out));
                out.push('}');
            }
            Value::Time(time) => out.push_str(&time::show(time)),
            Value::Duration(nanos) => out.push_str(&time::show_duration(*nanos)),
        }
    }

    /// What an action writes: like [`Value::print`], but nothing is `<no value>`.
    pub(super) fn shown(&self) -> String {
        let mut out = String::new();
        match self {
            Value::Nil => out.push_str("<no value>"),
            _ => self.print(&mut out),
        }
        out
    }

    /// As Go's `encoding/json` has it, `<`, `>` and `&` escaped.
    pub(super) fn to_json(&self) -> String {
        let text = self.to_json_value().to_string();
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    out.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => out.push(c),
            }
        }
        out
    }

    fn to_json_value(&self) -> Json {
        match self {
            Value::Nil => Json::Other(serde_json::Value::Null),
            Value::Bool(value) => Json::Other((*value).into()),
            Value::Int(value) | Value::Duration(value) => Json::Other((*value).into()),
            Value::Float(value) => Json::Other((*value).into()),
            Value::Text(text, _) => Json::Other((**text).into()),
            Value::List(list) => Json::List(list.items.iter().map(Value::to_json_value).collect()),
            Value::Labels(labels) => Json::Map(
                labels.iter().map(|(n, v)| (n.to_owned(), Json::Other(v.into()))).collect(),
            ),
            Value::Map(map) => Json::Map(
                map.entries.iter().map(|(n, v)| (n.to_string(), v.to_json_value())).collect(),
            ),
            Value::Struct(of) => Json::Map(
                of.fields.iter().map(|(_, n, v)| ((*n).to_owned(), v.to_json_value())).collect(),
            ),
            Value::Time(time) => Json::Other(time::rfc3339(time).into()),
        }
    }
}

/// JSON whose objects keep their order.
enum Json {
    Other(serde_json::Value),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Json::Other(value) => value.fmt(f),
            Json::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { "," })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Json::Map(entries) => {
                f.write_str("{")?;
                for (i, (name, value)) in entries.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { "," })?;
                    write!(f, "{}:{value}", serde_json::Value::from(name.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// By name, `alertname` first.
pub(super) fn sorted(labels: &LabelSet) -> impl Iterator<Item = (&str, &str)> {
    let is_name = |pair: &(&str, &str)| pair.0 == "alertname";
    labels.iter().filter(is_name).chain(labels.iter().filter(move |pair| !is_name(pair)))
}

fn separated<T>(
    out: &mut String,
    between: &str,
    items: impl Iterator<Item = T>,
    mut print: impl FnMut(&mut String, T),
) {
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push_str(between);
        }
        print(out, item);
    }
}
