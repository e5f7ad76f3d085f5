//! The documents are true as far as a program can tell.
//!
//! Every link leads somewhere, every path of the architecture exists, every configuration that is shown
//! is one vigie accepts. It must not judge the prose.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside the tests")]

use std::fs;
use std::path::{Path, PathBuf};

use common::run_vigie;
use regex::Regex;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The documents for users and developers, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    for dir in ["docs", "docs/decisions"] {
        let Ok(entries) = fs::read_dir(root().join(dir)) else { continue };
        paths.extend(entries.map(|entry| entry.unwrap().path()));
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Links that lead to no file, or to no heading of it.
fn dead_links(path: &Path, text: &str) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let targets = link.captures_iter(text).map(|found| found[1].to_owned());
    let inside = targets.filter(|target| !target.contains("://"));
    inside.filter(|target| !leads_somewhere(path, text, target)).collect()
}

fn leads_somewhere(path: &Path, text: &str, target: &str) -> bool {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let beside = path.parent().unwrap().join(file);
    let text =
        if file.is_empty() { Some(text.to_owned()) } else { fs::read_to_string(&beside).ok() };
    let exists = file.is_empty() || beside.exists();
    exists
        && (heading.is_empty()
            || text.is_some_and(|text| anchors(&text).contains(&heading.to_owned())))
}

/// The anchors that a rendered document has: its headings, lower case, joined by dashes.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// The fenced blocks of a language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    for (path, text) in documents() {
        dead.extend(
            dead_links(&path, &text).into_iter().map(|link| format!("{}: {link}", path.display())),
        );
    }
    assert!(dead.is_empty(), "{dead:#?}");
    let here = root().join("README.md");
    let text = "# A b\n[a](nowhere.md) [b](LICENSE) [c](#a-b) [d](#c) [e](https://example.org)";
    assert_eq!(dead_links(&here, text), ["nowhere.md", "#c"]);
}

#[test]
fn the_index_names_every_guide() {
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    for (path, _) in documents() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let guide = path.parent().unwrap().ends_with("docs") && name != "README.md";
        assert!(!guide || index.contains(&format!("]({name})")), "{name} is not in docs/README.md");
    }
}

#[test]
fn every_path_of_the_architecture_exists() {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let quoted =
        Regex::new(r"`((?:core|plugins|src|tests|examples|rules|docs)/[\w./-]*)`").unwrap();
    let paths: Vec<String> = quoted.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    assert!(paths.len() > 3, "{paths:?}");
    for path in paths {
        assert!(root().join(&path).exists(), "{path}");
    }
    let tree = blocks(&text, "")[0];
    let mut above = "";
    for line in tree.lines().filter(|line| !line.trim().is_empty()) {
        let names = line
            .trim_start()
            .split("  ")
            .take_while(|name| name.ends_with('/') || name.contains('.'));
        for name in names.filter(|name| !name.contains(' ')) {
            let indented = line.starts_with(' ');
            let path = if indented { root().join(above).join(name) } else { root().join(name) };
            assert!(path.exists(), "{}", path.display());
            above = if indented { above } else { name };
        }
    }
}

/// Flags in the documents that are not ours: amtool's, and those of the plugins a guide writes.
const OTHER_FLAGS: &[&str] = &["--alertmanager.url", "--collector.dice", "--collector.queues"];

#[test]
fn every_flag_that_is_named_exists() {
    let help = |command: &str| String::from_utf8(run_vigie([command, "--help"]).stdout).unwrap();
    let known = [help("serve"), help("collect"), help("sla")].concat();
    let flag = Regex::new(r"--[a-z]+(?:\.[a-z-]+)+").unwrap();
    let mut unknown = Vec::new();
    // The list of all flags is made from the definitions, and has their old spellings too.
    let written = documents().into_iter().filter(|(path, _)| !path.ends_with("docs/flags.md"));
    for (path, text) in written {
        let named = flag.find_iter(&text).map(|found| found.as_str());
        let named = named.filter(|flag| !known.contains(flag) && !OTHER_FLAGS.contains(flag));
        unknown.extend(named.map(|flag| format!("{}: {flag}", path.display())));
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(known.contains("--web.listen-address"));
}

/// Top-level keys of `vigie.yml`: a block that begins with another one is a part of a file, or of
/// another program.
const SECTIONS: &[&str] = &["web", "storage", "host", "docker", "accesslog", "slo", "alerting"];

/// What `vigie check` calls the kind of file that begins like this.
fn kind(block: &str) -> Option<&'static str> {
    let key = block.split(':').next()?;
    let section = SECTIONS.contains(&key).then_some("config");
    section.or((key == "global").then_some("alertmanager"))
}

#[test]
fn every_configuration_that_is_shown_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("shown.yml");
    let mut seen = 0;
    for (path, text) in documents() {
        for block in blocks(&text, "yaml") {
            let Some(kind) = kind(block) else { continue };
            fs::write(&file, block).unwrap();
            assert_accepted(kind, &file, &format!("{}:\n{block}", path.display()));
            seen += 1;
        }
    }
    assert!(seen >= 4, "the examples were found");
    let swarm = root().join("examples/swarm/vigie.yml");
    assert_accepted("config", &swarm, "examples/swarm/vigie.yml");
}

fn assert_accepted(kind: &str, file: &Path, shown: &str) {
    let output = run_vigie(["check".as_ref(), kind.as_ref(), file.as_os_str()]);
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{shown}\n{}", String::from_utf8_lossy(&said));
}
