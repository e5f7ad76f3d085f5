//! What stands behind a dot: fields and methods of values.
//!
//! The names are those of Go's types that Alertmanager hands to templates. It must not know the
//! functions that are called by their bare name.

use std::sync::Arc;

use jiff::{SignedDuration, Zoned, tz::TimeZone};

use super::time;
use super::value::{List, Value, sorted};
use crate::alert::LabelSet;

/// `value.name args`.
///
/// # Errors
/// When the type has no such member, or the arguments do not fit.
pub(super) fn member(value: &Value, name: &str, args: &[Value]) -> Result<Value, String> {
    let found = match value {
        Value::Struct(of) => of.get(name).cloned(),
        Value::Map(map) => Some(map.entries.get(name).cloned().unwrap_or(Value::Nil)),
        Value::Labels(labels) => return of_labels(labels, name, args),
        Value::List(list) => {
            return of_list(list, name, args).unwrap_or_else(|| missing(value, name));
        }
        Value::Time(time) => {
            return of_time(time, name, args).unwrap_or_else(|| missing(value, name));
        }
        Value::Duration(nanos) => {
            return of_duration(*nanos, name, args).unwrap_or_else(|| missing(value, name));
        }
        Value::Nil => return Err(format!("nil has no field {name}")),
        _ => None,
    };
    match found {
        Some(_) if !args.is_empty() => Err(format!("{name} takes no arguments")),
        Some(found) => Ok(found),
        None => missing(value, name),
    }
}

fn missing(value: &Value, name: &str) -> Result<Value, String> {
    Err(format!("can't evaluate field {name} in type {}", value.type_name()))
}

/// A method, or a label; a label that is not there is the empty text.
fn of_labels(labels: &LabelSet, name: &str, args: &[Value]) -> Result<Value, String> {
    let known = matches!(name, "SortedPairs" | "Names" | "Values" | "Remove" | "String");
    let wanted = usize::from(name == "Remove");
    if args.len() != wanted {
        return Err(format!("{name} takes {wanted} arguments, got {}", args.len()));
    }
    if !known {
        return Ok(Value::text(labels.get(name)));
    }
    Ok(match (name, args) {
        ("SortedPairs", _) => Value::pairs(sorted(labels).map(pair).collect()),
        ("Names", _) => Value::texts(sorted(labels).map(|(name, _)| name)),
        ("Values", _) => Value::texts(sorted(labels).map(|(_, value)| value)),
        ("Remove", [names]) => {
            let names = texts(names)?;
            Value::Labels(
                labels.iter().filter(|(n, _)| !names.iter().any(|x| **x == **n)).collect(),
            )
        }
        _ => Value::text(Value::Labels(labels.clone()).shown()),
    })
}

fn pair((name, value): (&str, &str)) -> Value {
    let fields = vec![("Name", "Name", Value::text(name)), ("Value", "Value", Value::text(value))];
    Value::structure("template.Pair", fields)
}

/// The texts of a list.
///
/// # Errors
/// When it is no list of texts.
pub(super) fn texts(value: &Value) -> Result<Vec<Arc<str>>, String> {
    let item = |item: &Value| match item {
        Value::Text(text, _) => Ok(text.clone()),
        other => Err(format!("expected a list of texts, found a {} in it", other.type_name())),
    };
    match value {
        Value::List(list) => list.items.iter().map(item).collect(),
        other => Err(format!("expected a list of texts, found {}", other.type_name())),
    }
}

fn of_list(list: &List, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let part = |field: &str| {
        list.items
            .iter()
            .map(|item| match item {
                Value::Struct(of) => of.get(field).cloned(),
                _ => None,
            })
            .collect::<Option<Vec<Value>>>()
    };
    let with_status = |wanted: &str| {
        let statuses = part("Status")?;
        let wanted = Value::text(wanted);
        let items = list.items.iter().zip(&statuses);
        let chosen = items.filter(|(_, status)| status.equals(&wanted) == Ok(true));
        Some(Value::data_list(chosen.map(|(item, _)| item.clone()).collect()))
    };
    let found = match (name, args) {
        ("Firing", []) => with_status("firing")?,
        ("Resolved", []) => with_status("resolved")?,
        ("String", []) if part("Name").is_some() => {
            Value::text(Value::pairs(list.items.clone()).shown())
        }
        ("Names", []) => Value::data_list(part("Name")?),
        ("Values", []) => Value::data_list(part("Value")?),
        ("Join", [Value::Text(separator, _)]) => {
            let items = list.items.iter().map(|item| match item {
                Value::Text(text, _) => Some(&**text),
                _ => None,
            });
            Value::text(items.collect::<Option<Vec<&str>>>()?.join(separator))
        }
        _ => return None,
    };
    Some(Ok(found))
}

fn of_time(time: &Zoned, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let nanos = time.timestamp().as_nanosecond();
    let found = match (name, args) {
        ("Format", [Value::Text(layout, _)]) => Value::text(time::format(time, layout)),
        ("String", []) => Value::text(time::show(time)),
        ("UTC", []) => Value::Time(Box::new(time.with_time_zone(TimeZone::UTC))),
        ("Local", []) => Value::Time(Box::new(time.with_time_zone(TimeZone::system()))),
        ("Unix", []) => Value::Int(time.timestamp().as_second()),
        ("UnixMilli", []) => Value::Int(time.timestamp().as_millisecond()),
        ("UnixMicro", []) => Value::Int(time.timestamp().as_microsecond()),
        // Go wraps here as well, for years outside 1678 to 2262.
        ("UnixNano", []) => Value::Int(nanos as i64),
        ("Year", []) => Value::Int(time.year().into()),
        ("Month", []) => Value::text(time::format(time, "January")),
        ("Weekday", []) => Value::text(time::format(time, "Monday")),
        ("Day", []) => Value::Int(time.day().into()),
        ("YearDay", []) => Value::Int(time.day_of_year().into()),
        ("Hour", []) => Value::Int(time.hour().into()),
        ("Minute", []) => Value::Int(time.minute().into()),
        ("Second", []) => Value::Int(time.second().into()),
        ("Nanosecond", []) => Value::Int(time.subsec_nanosecond().into()),
        ("IsZero", []) => Value::Bool(time.timestamp() == time::zero().timestamp()),
        ("Sub", [Value::Time(other)]) => Value::Duration(time::between(time, other)),
        ("Before", [Value::Time(other)]) => Value::Bool(*time < **other),
        ("After", [Value::Time(other)]) => Value::Bool(*time > **other),
        ("Equal", [Value::Time(other)]) => Value::Bool(*time == **other),
        ("Add", [Value::Duration(by) | Value::Int(by)]) => {
            let moved = time.checked_add(SignedDuration::from_nanos(*by));
            return Some(match moved {
                Ok(moved) => Ok(Value::Time(Box::new(moved))),
                Err(_) => Err("the time leaves the calendar".into()),
            });
        }
        _ => return None,
    };
    Some(Ok(found))
}

fn of_duration(nanos: i64, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let over = |unit: i64| (nanos / unit) as f64 + (nanos % unit) as f64 / unit as f64;
    let found = match (name, args) {
        ("String", []) => Value::text(time::show_duration(nanos)),
        ("Hours", []) => Value::Float(over(3_600_000_000_000)),
        ("Minutes", []) => Value::Float(over(60_000_000_000)),
        ("Seconds", []) => Value::Float(over(1_000_000_000)),
        ("Milliseconds", []) => Value::Int(nanos / 1_000_000),
        ("Microseconds", []) => Value::Int(nanos / 1_000),
        ("Nanoseconds", []) => Value::Int(nanos),
        ("Abs", []) => Value::Duration(nanos.saturating_abs()),
        ("Truncate", [Value::Duration(unit) | Value::Int(unit)]) => {
            Value::Duration(if *unit <= 0 { nanos } else { nanos - nanos % unit })
        }
        ("Round", [Value::Duration(unit) | Value::Int(unit)]) => {
            Value::Duration(if *unit <= 0 { nanos } else { round(nanos, *unit) })
        }
        _ => return None,
    };
    Some(Ok(found))
}

/// To the nearest multiple of `unit`, halves away from zero.
fn round(nanos: i64, unit: i64) -> i64 {
    let rest = nanos % unit;
    let down = nanos - rest;
    if rest.unsigned_abs() * 2 < unit.unsigned_abs() {
        down
    } else {
        down.saturating_add(unit * nanos.signum())
    }
}
