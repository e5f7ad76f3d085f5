//! The functions that `src/layout.ld` puts side by side are still functions of the program.
//!
//! A name that no longer exists is no error for a linker: the memory grows and nobody is told, so this
//! test tells. It must not know which functions run: `benches/layout` finds that out.

#![allow(clippy::unwrap_used, reason = "a test outside a test module")]

use std::collections::HashSet;
use std::fs;
use std::process::Command;

use regex::Regex;

const LAYOUT: &str = include_str!("../src/layout.ld");
/// Some go with every change to the code or to a dependency; a new mangling takes all of them.
const KEPT: f64 = 0.85;

#[test]
fn what_is_put_side_by_side_exists() {
    let placed = placed(LAYOUT);
    assert!(placed.len() > 1000, "the layout names its functions, a line each");
    let known = functions();
    let gone: Vec<&str> =
        placed.iter().map(String::as_str).filter(|name| !known.contains(*name)).collect();
    let kept = 1.0 - gone.len() as f64 / placed.len() as f64;
    assert!(
        kept >= KEPT,
        "{} of {} functions of src/layout.ld are gone, such as {:?}: run benches/layout",
        gone.len(),
        placed.len(),
        &gone[..gone.len().min(5)],
    );
}

/// Release builds are too long for a test, so a small program of C stands in: what matters is the script.
#[test]
fn a_linker_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(&dir).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    };
    fs::write(dir.path().join("main.c"), "int main(void) { return 0; }\n").unwrap();
    let script = concat!("-T", env!("CARGO_MANIFEST_DIR"), "/src/layout.ld");
    run("cc", &["-ffunction-sections", "main.c", script, "-o", "main"]);
    run("./main", &[]);
    assert!(run("readelf", &["--wide", "--sections", "main"]).contains(" .text.hot "));
}

/// The patterns of a layout, without what stands for hashes.
fn placed(layout: &str) -> Vec<String> {
    let lines = Regex::new(r"(?m)^ +\*\(\.text\.(_\S+)\)$").unwrap();
    lines.captures_iter(layout).map(|line| line[1].replace('*', "")).collect()
}

/// The functions of the program that is tested, named alike.
fn functions() -> HashSet<String> {
    let listed = Command::new("nm").arg(env!("CARGO_BIN_EXE_vigie")).output().unwrap();
    assert!(listed.status.success(), "nm: {}", String::from_utf8_lossy(&listed.stderr));
    let hashes = hashes();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names = listed.lines().filter_map(|line| line.split(' ').next_back());
    names.map(|name| without_hashes(&hashes, name)).collect()
}

/// Of either mangling, and the number that LLVM appends to tell copies apart.
fn hashes() -> Regex {
    Regex::new(r"17h[0-9a-f]{16}E|Cs[0-9A-Za-z]+_|(\.llvm)?\.\d+$").unwrap()
}

fn without_hashes(hashes: &Regex, name: &str) -> String {
    let keep = |found: &regex::Captures<'_>| match &found[0] {
        hash if hash.starts_with("17h") => "17h",
        hash if hash.starts_with("Cs") => "Cs_",
        _ => "",
    };
    hashes.replace_all(name, keep).into_owned()
}

#[test]
fn names_are_compared_without_their_hashes() {
    let layout = "  .text.hot :\n  {\n    *(.text.main)\n    *(.text._ZN3foo3bar17h*)\n    \
        *(.text._RNvCs*_3foo3bar*)\n  }\n";
    let placed = placed(layout);
    assert_eq!(placed, ["_ZN3foo3bar17h", "_RNvCs_3foo3bar"]);
    let hashes = hashes();
    let found = ["_ZN3foo3bar17h0123456789abcdefE.llvm.77", "_RNvCs4X4t9plMPHF_3foo3bar.19"];
    assert_eq!(found.map(|name| without_hashes(&hashes, name)), placed[..]);
}
