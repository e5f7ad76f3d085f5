//! `vigie sla`: the service levels of access logs, offline.
//!
//! The same counting and the same objectives as `serve` uses live; here files are read to their
//! end and a report is written. It must not know any log format.

use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;
use vigie_accesslog::report::{Options, Report, TextStyle};
use vigie_accesslog::slo::Objective;

use super::progress::Progress;
use super::terminal;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let options = Options {
        format: text("format").to_owned(),
        objectives: objectives(matches.get_one::<String>("config.file"))?,
        ..Options::default()
    };
    let mut report = Report::new(options)?;
    for file in matches.get_many::<String>("files").into_iter().flatten() {
        let mut bar = Progress::new();
        let outcome = report.read_path(Path::new(file), &mut |done, total| bar.set(done, total));
        drop(bar);
        // The summary counts what was read and its outcome says that a file is missing.
        if let Err(error) = outcome {
            terminal::error(&error.to_string());
        }
    }
    let summary = report.finish();
    let mut out = Vec::new();
    if text("output") == "json" {
        serde_json::to_writer_pretty(&mut out, &summary)?;
        out.push(b'\n');
    } else {
        let style = TextStyle { color: terminal::stdout_colour() };
        summary.write_text(&mut out, style)?;
    }
    terminal::print(&out)?;
    Ok(ExitCode::from(summary.outcome().exit_code()))
}

fn objectives(config: Option<&String>) -> anyhow::Result<Vec<Objective>> {
    let Some(path) = config else { return Ok(Vec::new()) };
    let config = vigie::read_config(Path::new(path))?;
    let section =
        config.get("slo").map_or(Ok(Vec::new()), vigie_accesslog::config::read_objectives);
    Ok(section?)
}
