//! The living form of `docs/ARCHITECTURE.md`: who may know whom, and what is deliberately missing.
//!
//! It reads `cargo metadata` and the sources, so that a step off the plan fails as a plain test with
//! file and line. It must not know what any part does.

#![allow(clippy::unwrap_used, reason = "a test outside a test module")]

#[path = "architecture/absence.rs"]
mod absence;
#[path = "architecture/graph.rs"]
mod graph;
#[path = "architecture/source.rs"]
mod source;

use std::fs;

use absence::ABSENCES;
use source::{Source, files, relative, root, sources};

/// Files longer than [`LONG`] lines, and why they may be.
const LONG_FILES: &[(&str, &str)] = &[];
const LONG: usize = 800;

#[test]
fn dependencies_follow_the_plan() {
    let packages = graph::packages();
    assert!(packages.len() >= 8, "cargo metadata shows the whole workspace");
    assert_none(&graph::broken(&packages));
}

#[test]
fn nothing_is_where_it_should_not_be() {
    let sources = sources();
    assert!(sources.len() > 40, "the sources were found");
    let broken: Vec<String> =
        ABSENCES.iter().flat_map(|absence| absence.broken_by(&sources)).collect();
    assert_none(&broken);
}

#[test]
fn every_module_says_what_it_is() {
    let silent = sources().into_iter().filter(|source| !introduces_itself(&source.text));
    assert_none(&silent.map(|source| source.path + ": begins without `//!`").collect::<Vec<_>>());
    assert!(
        introduces_itself("//! A thing.\n") && introduces_itself("#![doc = include_str!(\"a\")]")
    );
    assert!(!introduces_itself("/// An item.\nfn f() {}\n"));
}

#[test]
fn long_files_have_a_reason() {
    assert_none(&without_reason(&sources(), LONG_FILES));
    let long = [Source::new("a.rs", "\n".repeat(LONG + 1)), Source::new("b.rs", "")];
    assert_eq!(without_reason(&long, &[]).len(), 1);
    assert_eq!(without_reason(&long, &[("a.rs", "a catalogue")]), [""; 0]);
    assert_eq!(without_reason(&long[1..], &[("b.rs", "a catalogue")]).len(), 1);
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    assert_none(&sources().iter().flat_map(unexplained_unsafe).collect::<Vec<_>>());
    let bad = Source::new("a.rs", "fn f() {\n    unsafe { g() }\n}\n");
    assert_eq!(unexplained_unsafe(&bad).len(), 1);
    let good =
        Source::new("a.rs", "fn f() {\n    // SAFETY: g needs nothing.\n    unsafe { g() }\n}");
    assert_eq!(unexplained_unsafe(&good), [""; 0]);
}

#[test]
fn every_package_takes_the_common_lints() {
    let careless = graph::packages().into_iter().filter(|package| {
        !fs::read_to_string(&package.manifest).unwrap().contains("[lints]\nworkspace = true")
    });
    assert_none(&careless.map(|package| package.manifest).collect::<Vec<_>>());
}

#[test]
fn a_panic_unwinds_in_every_profile() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    // A profile of one package cannot say how the program panics.
    let is_whole = |line: &&str| line.starts_with("[profile.") && !line.contains(".package.");
    let profiles = manifest.lines().filter(is_whole).count();
    assert!(profiles >= 2 && manifest.matches("\npanic = \"unwind\"").count() == profiles);
}

#[test]
fn nothing_outside_the_repository_is_named() {
    let ours = |name: &str| !name.starts_with("tests/fixtures/") && name != "tests/architecture.rs";
    let readable = files(&root()).into_iter().filter_map(|path| {
        let name = Some(relative(&path)).filter(|name| ours(name))?;
        let lines = fs::read_to_string(&path).ok()?;
        let outside = lines.lines().enumerate().filter(|(_, line)| leads_outside(&name, line));
        let found: Vec<String> =
            outside.map(|(at, line)| format!("{name}:{}: {}", at + 1, line.trim())).collect();
        Some(found)
    });
    assert_none(&readable.flatten().collect::<Vec<_>>());
    assert!(leads_outside("a/b.rs", "include_str!(\"../../x\")"));
    assert!(leads_outside("a/Cargo.toml", "path = \"../../x\""));
    assert!(!leads_outside("a/src/b.rs", "include_str!(\"../../x\")"));
    assert!(leads_outside("a.md", "see /root/x"));
}

fn introduces_itself(text: &str) -> bool {
    text.starts_with("//!") || text.starts_with("#![doc")
}

/// Long files that are not on the list, and listed ones that are no longer long.
fn without_reason(sources: &[Source], listed: &[(&str, &str)]) -> Vec<String> {
    let is_long = |source: &Source| source.text.lines().count() > LONG;
    let reason = |path: &str| listed.iter().any(|(known, why)| *known == path && !why.is_empty());
    let unlisted = sources
        .iter()
        .filter(|source| is_long(source) && !reason(&source.path))
        .map(|source| format!("{}: more than {LONG} lines; split it", source.path));
    let stale = listed
        .iter()
        .filter(|(path, _)| !sources.iter().any(|source| source.path == *path && is_long(source)))
        .map(|(path, _)| format!("{path}: not longer than {LONG} lines; strike it off the list"));
    unlisted.chain(stale).collect()
}

/// `unsafe` blocks and impls without a `SAFETY:` line right above or beside them.
fn unexplained_unsafe(source: &Source) -> Vec<String> {
    let pattern = regex::Regex::new(r"\bunsafe\s*(\{|impl\b)").unwrap();
    let text: Vec<&str> = source.text.lines().collect();
    let explained = |line: usize| {
        let above = text[..line].iter().rev().take(8);
        above.into_iter().any(|line| line.contains("SAFETY:"))
    };
    let lines = source.lines_with(&pattern).into_iter().filter(|line| !explained(*line));
    lines.map(|line| format!("{}:{line}: no SAFETY: line", source.path)).collect()
}

/// Whether a line includes a file from above the root, or names somebody's home.
fn leads_outside(file: &str, line: &str) -> bool {
    let depth = file.matches('/').count();
    let includes = line.contains("include_") || line.contains("path = ");
    let climbs = includes && line.matches("../").count() > depth;
    let mut words = line.split([' ', '"', '\'', '`', '=', '(']);
    climbs || words.any(|word| word.starts_with("/Users/") || word.starts_with("/root/"))
}

fn assert_none(lines: &[String]) {
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}
