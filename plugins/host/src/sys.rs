//! System calls that no safe crate offers.
//!
//! The only file of this plugin with `unsafe`: each function is small, checks what the kernel says and is safe
//! to call. It must not know what the answers mean.

#![allow(unsafe_code, reason = "system calls take pointers")]

use std::io;

/// The state of the kernel's clock and its return value, `TIME_OK` to `TIME_ERROR`; nothing is set (adjtimex(2)).
pub(crate) fn adjtimex() -> io::Result<(libc::timex, libc::c_int)> {
    // SAFETY: the struct is made of integers, for which all zeroes is a value.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is that of a live struct of the right type; with `modes` 0 the kernel only fills it.
    let state = unsafe { libc::adjtimex(&raw mut clock) };
    if state < 0 { Err(io::Error::last_os_error()) } else { Ok((clock, state)) }
}
