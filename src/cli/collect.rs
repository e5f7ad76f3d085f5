//! `vigie collect`: one scrape on standard output, or a table of the collectors.
//!
//! The same parts as `serve`, in memory and without ports, so that it can run beside one. It must
//! not know any collector.

use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::json;
use vigie::core::collect::{CollectorInfo, Paths, SlotReport, SlotState};
use vigie::core::encode::Format;

use super::Start;
use super::explain::paragraph;
use super::terminal::{Style, print, stdout_colour, table};

pub(crate) fn run(matches: &ArgMatches, start: Start) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let format = match text("exposition") {
        "openmetrics" => Format::OpenMetrics,
        _ => Format::Text,
    };
    let form = match (matches.get_flag("list"), text("output"), matches.get_flag("verbose")) {
        (false, ..) => Form::Exposition(format),
        (true, "json", _) => Form::Json,
        (true, _, false) => Form::Table,
        (true, _, true) => Form::Explained,
    };
    let output = runtime.block_on(collect(start, form));
    // A collector that hangs keeps its thread; the process does not wait for it.
    runtime.shutdown_background();
    print(&output?)?;
    Ok(ExitCode::SUCCESS)
}

/// What is printed.
enum Form {
    Exposition(Format),
    /// One line per collector.
    Table,
    /// One paragraph per collector.
    Explained,
    Json,
}

async fn collect(start: Start, form: Form) -> anyhow::Result<Vec<u8>> {
    let off = start.builder.collectors_off()?;
    let paths = Paths::from_flags(&start.builder.settings()?.flags);
    let vigie = start.builder.single_scrape().start().await?;
    let format = if let Form::Exposition(format) = form { format } else { Format::Text };
    let page = vigie.scrape(format).await;
    vigie.stop().await;
    let on = vigie.scraper().registry().report();
    Ok(match form {
        Form::Exposition(_) => page.to_vec(),
        Form::Table => as_table(&on, &off, stdout_colour()).into_bytes(),
        Form::Explained => explained(&on, &off, &paths, stdout_colour()).into_bytes(),
        Form::Json => as_json(&on, &off),
    })
}

fn explained(
    on: &[(CollectorInfo, SlotReport)],
    off: &[CollectorInfo],
    paths: &Paths,
    colour: bool,
) -> String {
    let on = on.iter().map(|(info, report)| (info, Some(report)));
    let all = on.chain(off.iter().map(|info| (info, None)));
    let paragraphs: Vec<String> =
        all.map(|(info, report)| paragraph(info, report, paths, colour)).collect();
    paragraphs.join("\n")
}

fn as_table(on: &[(CollectorInfo, SlotReport)], off: &[CollectorInfo], colour: bool) -> String {
    let head = ["COLLECTOR", "STATE", "TIME", "RESULT", "READS"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for (info, report) in on {
        let time = format!("{:.2} ms", report.took.as_secs_f64() * 1000.0);
        rows.push(vec![
            info.name.into(),
            "on".into(),
            time,
            report.state.to_string(),
            info.reads.into(),
        ]);
    }
    for info in off {
        rows.push(vec![info.name.into(), "off".into(), "-".into(), "-".into(), info.reads.into()]);
    }
    table(&rows, |row, column, cell| {
        let style = match (row, column, on.get(row.wrapping_sub(1)).map(|(_, r)| &r.state)) {
            (0, ..) => Style::Bold,
            (_, 4, _) | (_, _, None) => Style::Dim,
            (_, 3, Some(SlotState::Ok)) => Style::Green,
            (_, 3, Some(SlotState::NoData(_))) => Style::Yellow,
            (_, 3, Some(_)) => Style::Red,
            _ => return cell.to_owned(),
        };
        style.paint(cell, colour)
    })
}

fn as_json(on: &[(CollectorInfo, SlotReport)], off: &[CollectorInfo]) -> Vec<u8> {
    let described = |info: &CollectorInfo, state: serde_json::Value| json!({"collector": info.name, "help": info.help, "reads": info.reads, "needs": info.needs, "state": state});
    let on = on.iter().map(|(info, report)| {
        let mut entry = described(info, "on".into());
        entry["ok"] = report.state.is_ok().into();
        entry["result"] = report.state.to_string().into();
        entry["seconds"] = report.took.as_secs_f64().into();
        entry
    });
    let off = off.iter().map(|info| described(info, "off".into()));
    let mut text = serde_json::Value::from_iter(on.chain(off)).to_string().into_bytes();
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_plain_in_a_pipe() {
        let info = CollectorInfo::new("cpu", "CPU time.").reads("PROC/stat");
        let report = SlotReport { state: SlotState::Ok, took: std::time::Duration::ZERO };
        let off = [CollectorInfo::new("wifi", "Wireless.").reads("nl80211")];
        let text = as_table(&[(info, report.clone())], &off, false);
        assert_eq!(
            text,
            "COLLECTOR  STATE  TIME     RESULT  READS\n\
             cpu        on     0.00 ms  ok      PROC/stat\n\
             wifi       off    -        -       nl80211\n"
        );
        let json: serde_json::Value =
            serde_json::from_slice(&as_json(&[(info, report)], &off)).unwrap();
        assert_eq!((&json[0]["ok"], &json[1]["state"]), (&true.into(), &"off".into()));
    }
}
