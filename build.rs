//! Tells the linker which functions of the released program lie together.
//!
//! The kernel maps a program in pieces of 64 KiB and more around each page that runs, so that functions which run
//! on every node would bring nearly all the others into memory if they lay among them
//! (`docs/decisions/004-functions-that-run-lie-together.md`). It must not fail a build: a linker of
//! somebody's choice may not know such a script, and goes without.

use std::env;

const LAYOUT: &str = "src/layout.ld";

fn main() {
    println!("cargo::rerun-if-changed={LAYOUT}");
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && !is_linker_chosen() {
        let root = var("CARGO_MANIFEST_DIR");
        println!("cargo::rustc-link-arg-bins=-T{root}/{LAYOUT}");
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn is(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|found| found == value)
}

/// Whether `RUSTFLAGS` or Cargo's configuration name a linker: rustc's own choices (LLD and GNU ld)
/// read the script.
fn is_linker_chosen() -> bool {
    let flags = var("CARGO_ENCODED_RUSTFLAGS");
    let in_flags = ["linker", "-fuse-ld", "ld-path"].iter().any(|word| flags.contains(word));
    in_flags || env::var_os("RUSTC_LINKER").is_some()
}
