//! `docs/metrics.md` and `docs/flags.md` are what the definitions say.
//!
//! `UPDATE=1 cargo test --test reference` writes them anew from the catalogue of the bundled plugins; without it the
//! files must be equal to that. Nothing here knows a collector or a flag.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside the tests")]

use std::fmt::Write;
use std::path::Path;

use vigie::Catalogue;
use vigie::core::collect::CollectorInfo;
use vigie::core::config::{FlagDef, FlagKind};

#[test]
fn metrics() {
    compare("docs/metrics.md", &metrics_document());
}

#[test]
fn flags() {
    compare("docs/flags.md", &flags_document());
}

fn compare(name: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines = now.lines().zip(written.lines()).enumerate();
    if let Some((at, (now, written))) = lines.find(|(_, (now, written))| now != written) {
        assert_eq!(now, written, "{name}:{}: run UPDATE=1 cargo test --test reference", at + 1);
    }
    assert_eq!(now.lines().count(), written.lines().count(), "{name}: one has more lines");
}

fn metrics_document() -> String {
    let mut text = "\
# Metrics

Every family that the collectors declare, made from their definitions. Families whose names come from input (text files,
statistics of drivers, labels of access logs) are described where they are read. `vigie collect --list --verbose` says what a
collector finds on a host.
"
    .to_owned();
    let mut plugin = "";
    for (of, info) in Catalogue::bundled().collectors() {
        if of != plugin {
            write!(text, "\n## Plugin {of}\n").unwrap();
            plugin = of;
        }
        collector(&mut text, &info);
    }
    text
}

fn collector(text: &mut String, info: &CollectorInfo) {
    let state = if info.enabled { "on" } else { "off" };
    write!(text, "\n### {}\n\n{} By default {state}.\n", info.name, info.help).unwrap();
    if !info.reads.is_empty() {
        write!(text, "\nReads: {}.\n", escaped(info.reads)).unwrap();
    }
    if !info.needs.is_empty() {
        write!(text, "\nNeeds: {}.\n", escaped(info.needs)).unwrap();
    }
    if info.families.is_empty() {
        return;
    }
    text.push_str("\n| family | type | labels | |\n|---|---|---|---|\n");
    for family in info.families {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (family.kind.as_str(), labels.join(" "));
        writeln!(text, "| `{}` | {kind} | {labels} | {} |", family.name, escaped(family.help))
            .unwrap();
    }
}

fn flags_document() -> String {
    let mut text = "\
# Flags

Every flag of `vigie serve` and `vigie collect`, made from the definitions. `--flag=value` and `--flag value` are the same; a switch
has its opposite, `--no-flag`; of a flag given twice the last one counts, unless it is repeatable. In `vigie.yml` the flags of a
collector stand under `host: collectors: NAME:`, see [running](running.md).
"
    .to_owned();
    let catalogue = Catalogue::bundled();
    let mut heading = "";
    for (of, flag) in catalogue.flags() {
        if of != heading {
            write!(text, "\n## {of}\n\n| flag | default | |\n|---|---|---|\n").unwrap();
            heading = of;
        }
        text.push_str(&row(&flag));
    }
    text.push_str("\n## Switches of the collectors\n\n| flag | default | |\n|---|---|---|\n");
    for (_, info) in catalogue.collectors() {
        let state = if info.enabled { "on" } else { "off" };
        writeln!(text, "| `--collector.{}` | {state} | {} |", info.name, escaped(info.help))
            .unwrap();
    }
    text
}

fn row(flag: &FlagDef) -> String {
    let default = match (flag.kind, flag.default) {
        (FlagKind::Switch, "true") => "on".to_owned(),
        (FlagKind::Switch, _) => "off".to_owned(),
        (_, "") => String::new(),
        (_, default) => format!("`{}`", escaped(default)),
    };
    let mut help = escaped(flag.help);
    if flag.kind == FlagKind::List && !help.contains("epeatable") {
        help += " Repeatable.";
    }
    if !flag.aliases.is_empty() {
        let aliases: Vec<String> = flag.aliases.iter().map(|name| format!("`--{name}`")).collect();
        help += &format!(" Also {}.", aliases.join(", "));
    }
    format!("| `--{}` | {default} | {help} |\n", flag.name)
}

/// A bar would end the cell of a table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}
