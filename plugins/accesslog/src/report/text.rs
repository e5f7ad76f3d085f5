//! A report as a table for people.
//!
//! Plain text in aligned columns; colour only marks what the text says anyway. It must not know
//! whether a terminal reads it: it is told.

use std::io::{self, Write};

use super::{GroupSummary, ObjectiveSummary, Summary, WorstWindow};
use crate::slo::Verdict;

/// How a table is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextStyle {
    /// Whether ANSI colours are understood.
    pub color: bool,
}

/// Thresholds shown as columns; the JSON form has all.
const COLUMNS: [&str; 3] = ["0.2", "0.5", "1"];

impl Summary {
    /// Writes the figures as text.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_text(&self, out: &mut dyn Write, style: TextStyle) -> io::Result<()> {
        self.write_head(out)?;
        let mut rows = vec![header(&self.total)];
        rows.push(row("total", &self.total));
        writeln!(out)?;
        rows.extend(self.services.iter().map(|(name, group)| row(service(name), group)));
        write_table(out, &rows)?;
        let distinct = self.routers.keys().ne(self.services.keys());
        if distinct {
            let mut rows = vec![header(&self.total)];
            if let Some(first) = rows[0].first_mut() {
                *first = "router".into();
            }
            rows.extend(self.routers.iter().map(|(name, group)| row(router(name), group)));
            writeln!(out)?;
            write_table(out, &rows)?;
        }
        self.write_worst(out)?;
        self.write_objectives(out, style)
    }

    fn write_head(&self, out: &mut dyn Write) -> io::Result<()> {
        for file in self.files.iter().filter(|file| file.note.is_some()) {
            writeln!(out, "{}: {}", printable(&file.name), file.note.as_deref().unwrap_or(""))?;
        }
        write!(out, "{} lines ({})", self.lines, self.format)?;
        write!(out, ", {} malformed", self.malformed)?;
        if !self.malformed_by_reason.is_empty() {
            let reasons: Vec<String> =
                self.malformed_by_reason.iter().map(|(why, n)| format!("{why} {n}")).collect();
            write!(out, " ({})", reasons.join(", "))?;
        }
        writeln!(out, ", {} missing by the proxy's own numbers", self.missing)?;
        if let (Some(first), Some(last)) = (&self.first, &self.last) {
            writeln!(out, "from {first} to {last}")?;
        }
        if self.without_duration > 0 {
            writeln!(out, "{} lines have no duration", self.without_duration)?;
        }
        Ok(())
    }

    fn write_worst(&self, out: &mut dyn Write) -> io::Result<()> {
        let windows = [("errors", &self.worst_5m_errors), ("latency", &self.worst_5m_slow)];
        for (what, window) in windows {
            let Some(WorstWindow { start, requests, ratio_5xx, mean_seconds }) = window else {
                continue;
            };
            write!(out, "\nworst 5 minutes for {what}: from {start}, {requests} requests, ")?;
            write!(out, "{} 5xx, mean {}", percent(*ratio_5xx), seconds(*mean_seconds))?;
        }
        writeln!(out)
    }

    fn write_objectives(&self, out: &mut dyn Write, style: TextStyle) -> io::Result<()> {
        if self.objectives.is_empty() {
            return Ok(());
        }
        let heads = ["objective", "verdict", "promised", "reached", "events", "bad", "budget used"];
        let mut rows = vec![heads.map(String::from).to_vec()];
        rows.extend(self.objectives.iter().map(|objective| objective_row(objective, style)));
        writeln!(out)?;
        write_table(out, &rows)
    }
}

fn header(total: &GroupSummary) -> Vec<String> {
    let fixed = ["service", "requests", "5xx", "mean", "p50", "p90", "p95", "p99", "max"];
    let within = columns(total).map(|(bound, _)| format!("<={bound}s"));
    fixed.map(String::from).into_iter().chain(within).chain(["aborted".into()]).collect()
}

fn row(name: &str, group: &GroupSummary) -> Vec<String> {
    let durations = &group.duration_seconds;
    let timed = [durations.mean, durations.p50, durations.p90, durations.p95, durations.p99];
    let mut cells = vec![printable(name), group.requests.to_string(), percent(group.ratio_5xx)];
    cells.extend(timed.into_iter().chain([durations.max]).map(seconds));
    let share = |count: u64| percent(count as f64 / group.requests.max(1) as f64);
    cells.extend(columns(group).map(|(_, count)| share(count)));
    cells.push(group.aborted.to_string());
    cells
}

fn columns(group: &GroupSummary) -> impl Iterator<Item = (&str, u64)> {
    let shown = group.within.iter().filter(|(bound, _)| COLUMNS.contains(&bound.as_str()));
    shown.map(|(bound, count)| (bound.as_str(), *count))
}

fn objective_row(objective: &ObjectiveSummary, style: TextStyle) -> Vec<String> {
    let (word, color) = match objective.verdict {
        Verdict::Met => ("met", "32"),
        Verdict::Broken => ("BROKEN", "31"),
        Verdict::NoTraffic => ("no traffic", "33"),
    };
    let word = if style.color { format!("\x1b[{color}m{word}\x1b[0m") } else { word.into() };
    let is_share = objective.budget_used.is_some();
    let value = |value: Option<f64>| match value {
        Some(value) if is_share => percent(value),
        other => seconds(other),
    };
    vec![
        printable(&objective.name),
        word,
        value(Some(objective.objective)),
        value(objective.value),
        objective.events.to_string(),
        objective.bad.to_string(),
        objective.budget_used.map_or_else(|| "-".into(), percent),
    ]
}

/// The first column is flush left, numbers are flush right.
fn write_table(out: &mut dyn Write, rows: &[Vec<String>]) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|cell| shown(cell)).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - shown(cell));
            match index {
                0 => line.extend([cell.as_str(), &space]),
                _ => line.extend(["  ", space.as_str(), cell]),
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Characters that take room: colours do not.
fn shown(cell: &str) -> usize {
    let escapes = cell.matches("\x1b[").count();
    let colors = if escapes == 2 { "\x1b[31m\x1b[0m".len() } else { 0 };
    cell.chars().count() - colors
}

fn service(name: &str) -> &str {
    if name.is_empty() { "(answered by the proxy)" } else { name }
}

fn router(name: &str) -> &str {
    if name.is_empty() { "(no router)" } else { name }
}

/// Names come from a log: nothing in them may steer a terminal.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn percent(share: f64) -> String {
    let digits = if share > 0.0 && share < 0.0001 { 4 } else { 2 };
    format!("{:.digits$}%", share * 100.0)
}

fn seconds(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value < 0.0995 => format!("{:.1}ms", value * 1e3),
        Some(value) if value < 0.9995 => format!("{:.0}ms", value * 1e3),
        Some(value) => format!("{value:.2}s"),
    }
}
