//! System calls that no safe crate offers.
//!
//! The only file of this plugin with `unsafe`: each function is small, checks what the kernel says and is safe
//! to call. It must not know what the answers mean.

#![allow(unsafe_code, reason = "system calls take pointers")]

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The state of the kernel's clock and its return value, `TIME_OK` to `TIME_ERROR`; nothing is set (adjtimex(2)).
pub(crate) fn adjtimex() -> io::Result<(libc::timex, libc::c_int)> {
    // SAFETY: the struct is made of integers, for which all zeroes is a value.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is that of a live struct of the right type; with `modes` 0 the kernel only fills it.
    let state = unsafe { libc::adjtimex(&raw mut clock) };
    if state < 0 { Err(io::Error::last_os_error()) } else { Ok((clock, state)) }
}

/// `struct perf_event_attr` of linux/perf_event.h in its first version, which every kernel knows.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct PerfEvent {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint_type: u32,
    config1: u64,
}

impl PerfEvent {
    /// Event `config` of type `kind` (`perf_type_id`), with the bits of `read_format` and of the flags.
    pub(crate) fn new(kind: u32, config: u64, read_format: u64, flags: u64) -> Self {
        let size = size_of::<Self>() as u32;
        PerfEvent { kind, size, config, read_format, flags, ..PerfEvent::default() }
    }
}

/// Opens a counter of all processes on one CPU (perf_event_open(2)).
pub(crate) fn perf_event_open(event: &PerfEvent, cpu: u32) -> io::Result<File> {
    const ALL_PROCESSES: libc::c_int = -1;
    const NO_GROUP: libc::c_int = -1;
    /// `PERF_FLAG_FD_CLOEXEC`.
    const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;
    let cpu = cpu.cast_signed();
    // SAFETY: `event` lives through the call, is as long as it says, and the kernel only reads it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(event),
            ALL_PROCESSES,
            cpu,
            NO_GROUP,
            CLOSE_ON_EXEC,
        )
    };
    match RawFd::try_from(fd) {
        // SAFETY: the kernel just made this descriptor, and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into()),
        _ => Err(io::Error::last_os_error()),
    }
}
