//! The file of a plugin: mapping it, and finding its table.
//!
//! Names, versions and sizes are settled here, before any function of the plugin is called. It
//! must not know what the functions do.

#![allow(unsafe_code, reason = "a C interface is made of pointers")]

use std::path::Path;

use super::super::Reason;
use super::super::abi::{self, ABI, Refused, Table};

#[cfg(all(feature = "dynamic", target_feature = "crt-static"))]
compile_error!("a static binary cannot load plugins: build it without the feature `dynamic`");
/// Maps the file and finds its table.
#[cfg(feature = "dynamic")]
pub(super) fn open_library(path: &Path) -> Result<*const Table, Reason> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

    let symbol = symbol(path);
    // Without a slash the linker would search its own directories.
    let file = std::path::absolute(path)?;
    // SAFETY: the initialisers of the file run here. That is what loading means: whoever names a
    // plugin trusts it as he trusts vigie. RTLD_NOW: a missing symbol is an error here, and does
    // not end the process at its first use.
    let library = unsafe { Library::open(Some(&file), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| Reason::Library(innermost(&error)))?;
    // Never unloaded: threads, hooks and strings of the plugin may outlive every use of it.
    let library = Box::leak(Box::new(library));
    // SAFETY: the symbol is a static, of which only the address is taken here.
    let table = unsafe { library.get::<*const Table>(symbol.as_bytes()) };
    table.map(|table| *table).map_err(|_| Reason::NoSymbol(symbol))
}

#[cfg(not(feature = "dynamic"))]
pub(super) fn open_library(_: &Path) -> Result<*const Table, Reason> {
    Err(Reason::Unsupported)
}

/// The linker's own words.
#[cfg(feature = "dynamic")]
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// `libx.so` and `libx.so.1` are of the crate `x`.
#[cfg(feature = "dynamic")]
fn symbol(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split_once(".so").map_or(&*name, |(stem, _)| stem);
    let stem = stem.strip_prefix("lib").unwrap_or(stem);
    format!("{}{}", abi::SYMBOL_PREFIX, stem.replace('-', "_"))
}

/// The functions of a table, all there.
#[derive(Clone, Copy)]
pub(super) struct Calls {
    pub(super) describe: abi::Describe,
    pub(super) open: abi::Open,
    pub(super) build: abi::Build,
    pub(super) collect: abi::Collect,
    pub(super) release: abi::Release,
    pub(super) close: abi::Release,
}

pub(super) fn read_table(table: *const Table) -> Result<Calls, Reason> {
    let unreadable = |refused: Refused| Reason::Library(format!("its table is {refused}"));
    // SAFETY: a static under our symbol begins with two numbers, whatever its version.
    let [theirs, size] = *unsafe { abi::one(table.cast::<[u32; 2]>()) }.map_err(unreadable)?;
    if theirs != ABI {
        return Err(Reason::Abi { theirs, ours: ABI });
    }
    let ours = size_of::<Table>();
    if (size as usize) < ours {
        return Err(Reason::Size { theirs: size, ours });
    }
    // SAFETY: it says that it is of our version and at least of our size.
    let table = unsafe { abi::one(table) }.map_err(unreadable)?;
    Ok(Calls {
        describe: table.describe.ok_or(Reason::Missing("describe"))?,
        open: table.open.ok_or(Reason::Missing("open"))?,
        build: table.build.ok_or(Reason::Missing("build"))?,
        collect: table.collect.ok_or(Reason::Missing("collect"))?,
        release: table.release.ok_or(Reason::Missing("release"))?,
        close: table.close.ok_or(Reason::Missing("close"))?,
    })
}
#[cfg(all(test, feature = "dynamic"))]
mod tests {
    use super::*;

    #[test]
    fn the_file_s_name_is_the_crate_s() {
        for (file, crate_name) in
            [("/a/libx_y.so", "x_y"), ("libx-y.so.1.2", "x_y"), ("./x.so", "x"), ("", "")]
        {
            assert_eq!(symbol(Path::new(file)), format!("vigie_plugin_{crate_name}"));
        }
    }
}
