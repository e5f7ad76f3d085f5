//! The binary interface between vigie and a loaded plugin.
//!
//! Plain C shapes, so that both sides may come from different compilers; everything but samples
//! crosses as JSON text. Whatever is read from the other side is checked here first. It must not
//! know what is done with it.
//!
//! Rules of evolution: [`Table`], [`Host`] and [`Sink`] begin with `abi` and `size`; a new field
//! stands at the end and is read only when `size` says that it is there; any other change is a
//! new [`ABI`].

#![allow(unsafe_code, reason = "a C interface is made of pointers")]

use std::ffi::c_void;
use std::fmt;

/// The version of everything below.
pub const ABI: u32 = 1;

/// A plugin's crate `x` exports its [`Table`] as the symbol `vigie_plugin_x`, and its file is
/// `libx.so`: so that several plugins can also be linked into one program.
pub const SYMBOL_PREFIX: &str = "vigie_plugin_";

/// The call did what was asked.
pub const OK: u32 = 0;
/// It failed; the [`Output`] says why, in the form given at each function.
pub const FAILED: u32 = 1;
/// It panicked, and the panic was caught; the [`Output`] has its message as plain text.
pub const PANICKED: u32 = 2;

/// What a plugin exports: a static, so that reading it runs no code of the plugin.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// [`ABI`].
    pub abi: u32,
    /// Size of this table in bytes.
    pub size: u32,
    /// Writes name, version, flags and collectors as JSON.
    pub describe: Option<Describe>,
    /// Builds the plugin's parts from a JSON setting; writes the names of its collectors, in the
    /// order of their numbers, or where the configuration is wrong, as JSON.
    pub open: Option<Open>,
    /// Builds a collector; writes why it could not, as text.
    pub build: Option<Build>,
    /// Calls a collector, never two calls at once; writes why it failed, as JSON.
    pub collect: Option<Collect>,
    /// Drops a collector.
    pub release: Option<Release>,
    /// Drops parts, after all of their collectors.
    pub close: Option<Release>,
}

/// See [`Table::describe`].
pub type Describe = unsafe extern "C" fn(out: *const Output) -> u32;
/// See [`Table::open`]. `host` and what it points to live as long as the process.
pub type Open = unsafe extern "C" fn(
    host: *const Host,
    setting: Text,
    parts: *mut *mut c_void,
    out: *const Output,
) -> u32;
/// See [`Table::build`].
pub type Build = unsafe extern "C" fn(
    parts: *mut c_void,
    number: usize,
    collector: *mut *mut c_void,
    out: *const Output,
) -> u32;
/// See [`Table::collect`].
pub type Collect = unsafe extern "C" fn(
    collector: *mut c_void,
    scrape: *const Scrape,
    sink: *const Sink,
    out: *const Output,
) -> u32;
/// See [`Table::release`] and [`Table::close`].
pub type Release = unsafe extern "C" fn(*mut c_void) -> u32;

/// What vigie offers a plugin for the life of the process, on any thread.
#[repr(C)]
#[derive(Debug)]
pub struct Host {
    /// [`ABI`].
    pub abi: u32,
    /// Size of this table in bytes.
    pub size: u32,
    /// Handed back to `log`.
    pub context: *const c_void,
    /// Most detailed level that is logged: 1 error, 2 warn, 3 info, 4 debug, 5 trace; 0 none.
    pub level: u32,
    /// Writes a line to vigie's log under the plugin's name.
    pub log: unsafe extern "C" fn(context: *const c_void, level: u32, line: Text),
}

/// Takes samples, only during the call it was given to and on that call's thread.
#[repr(C)]
#[derive(Debug)]
pub struct Sink {
    /// [`ABI`].
    pub abi: u32,
    /// Size of this table in bytes.
    pub size: u32,
    /// Handed back to the functions.
    pub context: *mut c_void,
    /// Makes a family the current one; kinds: 0 counter, 1 gauge, 2 histogram, 3 summary,
    /// 4 untyped.
    pub family: unsafe extern "C" fn(context: *mut c_void, name: Text, help: Text, kind: u32),
    /// Adds a sample to the current family.
    pub sample: unsafe extern "C" fn(context: *mut c_void, sample: *const Sample),
}

/// Takes the text that a call answers with; several pieces are joined.
#[repr(C)]
#[derive(Debug)]
pub struct Output {
    /// Handed back to `write`.
    pub context: *mut c_void,
    /// Adds a piece.
    pub write: unsafe extern "C" fn(context: *mut c_void, piece: Text),
}

/// What one scrape tells.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Scrape {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Wall clock at the start of the scrape, Unix nanoseconds.
    pub now_ns: i64,
    /// Time until vigie gives up on the collector, in nanoseconds.
    pub left_ns: u64,
}

/// One sample.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Label pairs.
    pub labels: *const Label,
    /// Number of label pairs.
    pub labels_len: usize,
    /// What is set below: 0 `whole`, 1 `float`, 2 histogram, 3 summary.
    pub value: u32,
    /// 1 when `timestamp_ms` is set, else 0.
    pub has_timestamp: u32,
    /// Unix milliseconds.
    pub timestamp_ms: i64,
    /// A whole number; the number of observations of a histogram or summary.
    pub whole: u64,
    /// A float; the sum of the observations of a histogram or summary.
    pub float: f64,
    /// Buckets or quantiles.
    pub points: *const Point,
    /// Number of buckets or quantiles.
    pub points_len: usize,
}

/// A label.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: Text,
    /// Its value.
    pub value: Text,
}

/// A bucket (upper bound, cumulative count) or a quantile (which, value).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Upper bound, or quantile in 0..=1.
    pub at: f64,
    /// Cumulative count of a bucket.
    pub count: u64,
    /// Value of a quantile.
    pub value: f64,
}

/// UTF-8 text, borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Its first byte.
    pub data: *const u8,
    /// Its length in bytes.
    pub len: usize,
}

impl Text {
    /// Borrows a text; the caller keeps it alive for the call.
    #[must_use]
    pub const fn of(text: &str) -> Self {
        Text { data: text.as_ptr(), len: text.len() }
    }

    /// Reads a text of at most `limit` bytes.
    ///
    /// # Errors
    /// When the pointer, the length or the bytes cannot be those of a text.
    ///
    /// # Safety
    /// Where pointer and length pass the checks, that memory is readable for `'a`.
    pub unsafe fn read<'a>(self, limit: usize) -> Result<&'a str, Refused> {
        // SAFETY: as promised by the caller.
        let bytes = unsafe { slice(self.data, self.len, limit) }?;
        std::str::from_utf8(bytes).map_err(|_| Refused::NotUtf8)
    }
}

/// Reads `len` values, of which there may be at most `limit`.
///
/// # Errors
/// When pointer and length cannot be those of a slice. The length is checked before any memory
/// is touched.
///
/// # Safety
/// Where pointer and length pass the checks, that memory holds initialised values for `'a`.
pub unsafe fn slice<'a, T>(data: *const T, len: usize, limit: usize) -> Result<&'a [T], Refused> {
    if len == 0 {
        return Ok(&[]);
    }
    if len > limit {
        return Err(Refused::TooLong { len, limit });
    }
    check(data)?;
    // SAFETY: not null, aligned, and of a length far below `isize::MAX`; the rest is promised.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// Reads one struct.
///
/// # Errors
/// When the pointer is null or not aligned.
///
/// # Safety
/// Where the pointer passes the checks, it points to an initialised `T` for `'a`.
pub unsafe fn one<'a, T>(data: *const T) -> Result<&'a T, Refused> {
    check(data)?;
    // SAFETY: not null and aligned; the rest is promised.
    Ok(unsafe { &*data })
}

fn check<T>(data: *const T) -> Result<(), Refused> {
    if data.is_null() {
        return Err(Refused::Null);
    }
    if data.is_aligned() { Ok(()) } else { Err(Refused::NotAligned) }
}

/// Why something from the other side was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A null pointer where something must be.
    Null,
    /// A pointer that cannot be one to what it should be.
    NotAligned,
    /// More than is ever sensible.
    TooLong {
        /// How many.
        len: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Bytes that are no text.
    NotUtf8,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Null => f.write_str("a null pointer"),
            Refused::NotAligned => f.write_str("a pointer that is not aligned"),
            Refused::TooLong { len, limit } => {
                write!(f, "a length of {len}, more than the {limit} allowed")
            }
            Refused::NotUtf8 => f.write_str("a text that is not UTF-8"),
        }
    }
}

// SAFETY: a `Host` is never changed; `log` may be called from any thread with its context.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_are_found_before_memory_is_touched() {
        let read = |data: *const u8, len| {
            // SAFETY: only the first case passes the checks, and that is a text.
            unsafe { Text { data, len }.read(100) }
        };
        assert_eq!(read("abc".as_ptr(), 3), Ok("abc"));
        assert_eq!(read(std::ptr::null(), 0), Ok(""));
        assert_eq!(read(std::ptr::null(), 1), Err(Refused::Null));
        let nowhere = std::ptr::without_provenance(16);
        for len in [101, usize::MAX, isize::MAX as usize] {
            assert_eq!(read(nowhere, len), Err(Refused::TooLong { len, limit: 100 }));
        }
        assert_eq!(read(b"\xff".as_ptr(), 1), Err(Refused::NotUtf8));
        let odd = std::ptr::without_provenance::<Point>(3);
        // SAFETY: neither pointer passes the checks.
        let refused = unsafe { (slice(odd, 1, 10).err(), one(odd).err()) };
        assert_eq!(refused, (Some(Refused::NotAligned), Some(Refused::NotAligned)));
    }
}
