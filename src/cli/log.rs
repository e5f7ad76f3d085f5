//! Log lines: logfmt as node_exporter writes it, JSON, or colour on a terminal.
//!
//! All of vigie speaks through `tracing`; only the form is decided here. It must not know who
//! speaks.

use std::fmt::{self, Write as _};

use clap::ArgMatches;
use clap::parser::ValueSource;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::terminal::{self, Style};

/// Sends all log lines to standard error in the form asked for. Only a program that stays has
/// something to tell by itself: the others warn, unless told to say more.
pub(crate) fn install(matches: &ArgMatches, stays: bool) -> anyhow::Result<()> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let told = matches.value_source("log.level") == Some(ValueSource::CommandLine);
    let level: LevelFilter =
        if told || stays { text("log.level").parse()? } else { LevelFilter::WARN };
    let form = match text("log.format") {
        "json" => Form::Json,
        _ if terminal::stderr_colour() => Form::Terminal,
        _ => Form::Logfmt,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .event_format(form)
        .init();
    // A collector's panic is caught; its message belongs into the log like any other.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic: {}", panic.payload_as_str().unwrap_or("without a message"));
    }));
    Ok(())
}

/// The form of a line.
#[derive(Clone, Copy)]
enum Form {
    Logfmt,
    Json,
    Terminal,
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // What libraries below say on their own account is of use to those who debug them only.
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        let line = match self {
            Form::Logfmt => logfmt(level, &fields),
            Form::Json => json(level, &fields),
            Form::Terminal => coloured(level, &fields),
        };
        writeln!(out, "{line}")
    }
}

/// The message and the other fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.others.push((name, text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.others.push((name, value.to_owned())),
        }
    }
}

fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Millisecond).unwrap_or(now)
}

fn logfmt(level: Level, fields: &Fields) -> String {
    let mut line = format!("time={} level={level} msg={}", now(), quoted(&fields.message));
    for (name, value) in &fields.others {
        // Writing into a String cannot fail.
        let _ = write!(line, " {name}={}", quoted(value));
    }
    line
}

/// Quoted where a space, a quote or a control character would break the line apart.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '='));
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

fn json(level: Level, fields: &Fields) -> String {
    let mut map = serde_json::Map::new();
    map.insert("time".into(), now().to_string().into());
    map.insert("level".into(), level.as_str().into());
    map.insert("msg".into(), fields.message.as_str().into());
    for (name, value) in &fields.others {
        map.insert((*name).to_owned(), value.as_str().into());
    }
    serde_json::Value::Object(map).to_string()
}

fn coloured(level: Level, fields: &Fields) -> String {
    let (word, style) = match level {
        Level::ERROR => ("ERROR", Style::Red),
        Level::WARN => ("WARN ", Style::Yellow),
        Level::INFO => ("INFO ", Style::Green),
        _ => ("DEBUG", Style::Dim),
    };
    let time = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
    let mut line = format!(
        "{} {} {}",
        Style::Dim.paint(&time, true),
        style.paint(word, true),
        printable(&fields.message)
    );
    for (name, value) in &fields.others {
        let _ = write!(line, " {}{}", Style::Dim.paint(&format!("{name}="), true), quoted(value));
    }
    line
}

/// A message may quote a file; its control characters must not reach the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_the_line_apart() {
        let fields = Fields {
            message: "a \"b\"\nc".into(),
            others: vec![("path", "/x".into()), ("why", "no data".into()), ("none", String::new())],
        };
        let line = logfmt(Level::WARN, &fields);
        assert!(
            line.ends_with(r#"level=WARN msg="a \"b\"\nc" path=/x why="no data" none="""#),
            "{line}"
        );
        let parsed: serde_json::Value = serde_json::from_str(&json(Level::WARN, &fields)).unwrap();
        assert_eq!(parsed["msg"], "a \"b\"\nc");
        assert!(!coloured(Level::WARN, &fields).contains('\n'));
    }
}
