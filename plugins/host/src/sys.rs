//! System calls that no safe crate offers.
//!
//! The only file of this plugin with `unsafe`: each function is small, checks what the kernel says and is safe
//! to call. It must not know what the answers mean.

#![allow(unsafe_code, reason = "system calls take pointers")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::Ioctl;

/// The state of the kernel's clock and its return value, `TIME_OK` to `TIME_ERROR`; nothing is set (adjtimex(2)).
pub(crate) fn adjtimex() -> io::Result<(libc::timex, libc::c_int)> {
    // SAFETY: the struct is made of integers, for which all zeroes is a value.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is that of a live struct of the right type; with `modes` 0 the kernel only fills it.
    let state = unsafe { libc::adjtimex(&raw mut clock) };
    if state < 0 { Err(io::Error::last_os_error()) } else { Ok((clock, state)) }
}

/// `struct btrfs_ioctl_fs_info_args` (linux/btrfs.h).
pub(crate) type BtrfsFsInfo = [u8; 1024];
/// `struct btrfs_ioctl_dev_info_args`.
pub(crate) type BtrfsDevInfo = [u8; 4096];
/// `struct btrfs_ioctl_get_dev_stats`.
pub(crate) type BtrfsDevStats = [u8; 1032];

/// What the btrfs that `file` lies on is (`BTRFS_IOC_FS_INFO`); on another file system ENOTTY.
pub(crate) fn btrfs_fs_info(file: &File, answer: &mut BtrfsFsInfo) -> io::Result<()> {
    // SAFETY: the request reads and fills as many bytes as its number encodes, and they are 1024.
    unsafe { ask(file, 0x8400_941f, answer.as_mut_ptr()) }
}

/// What the device is whose number `answer` holds (`BTRFS_IOC_DEV_INFO`); ENODEV where there is none.
pub(crate) fn btrfs_dev_info(file: &File, answer: &mut BtrfsDevInfo) -> io::Result<()> {
    // SAFETY: the request reads and fills as many bytes as its number encodes, and they are 4096.
    unsafe { ask(file, 0xd000_941e, answer.as_mut_ptr()) }
}

/// The errors of the device whose number `answer` holds (`BTRFS_IOC_GET_DEV_STATS`).
pub(crate) fn btrfs_dev_stats(file: &File, answer: &mut BtrfsDevStats) -> io::Result<()> {
    // SAFETY: the request reads and fills as many bytes as its number encodes, and they are 1032.
    unsafe { ask(file, 0xc408_9434, answer.as_mut_ptr()) }
}

/// A request of ioctl(2).
///
/// # Safety
/// `request` must take a pointer and touch no byte beyond those that `argument` points to.
unsafe fn ask(file: &File, request: Ioctl, argument: *mut u8) -> io::Result<()> {
    // SAFETY: the descriptor is open while `file` is borrowed; the pointer is the caller's promise.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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

/// A question of ethtool(8) (`ETHTOOL_G*` of linux/ethtool.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum EthtoolQuery {
    /// `struct ethtool_cmd`.
    Settings = 0x01,
    /// `struct ethtool_drvinfo`.
    Driver = 0x03,
    /// `struct ethtool_gstrings`.
    Strings = 0x1b,
    /// `struct ethtool_stats`.
    Statistics = 0x1d,
    /// `struct ethtool_sset_info`.
    SetSizes = 0x37,
    /// `struct ethtool_link_settings`.
    LinkSettings = 0x4c,
}

/// Statistics of one device that there is room for; no driver has a tenth of them.
pub(crate) const ETHTOOL_STATISTICS: usize = 1 << 16;

/// A name of a statistic (`ETH_GSTRING_LEN`).
pub(crate) const ETHTOOL_NAME: usize = 32;

/// Room for the largest answer: headers, and a name for each statistic. Memory that no answer touches is never taken.
pub(crate) struct EthtoolRoom(Vec<u8>);

impl EthtoolRoom {
    pub(crate) fn new() -> Self {
        EthtoolRoom(vec![0; 4096 + ETHTOOL_STATISTICS * ETHTOOL_NAME])
    }

    /// The answer, or what is to become the question; its first four bytes are written by [`ethtool`].
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Asks for something of a network interface, by any socket of its network namespace (ioctl `SIOCETHTOOL`).
///
/// # Errors
/// Those of the driver; `EOPNOTSUPP` where it does not know the question, `InvalidInput` for a name no interface has.
pub(crate) fn ethtool(
    socket: &OwnedFd,
    device: &str,
    query: EthtoolQuery,
    room: &mut EthtoolRoom,
) -> io::Result<()> {
    // SAFETY: `ifreq` is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if device.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *to = from.cast_signed();
    }
    room.0[..4].copy_from_slice(&(query as u32).to_ne_bytes());
    request.ifr_ifru.ifru_data = room.0.as_mut_ptr().cast();
    // SAFETY: the name ends with a zero, and the kernel writes no more than the answer to `query` into the room, which
    // no answer fills: fixed structures, link modes of at most 127 words, and one name or number for each statistic.
    let code = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_of_another_type_refuses() {
        let file = File::open("/proc").unwrap();
        let refused = |result: io::Result<()>| {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ENOTTY));
        };
        refused(btrfs_fs_info(&file, &mut [0; 1024]));
        refused(btrfs_dev_info(&file, &mut [0; 4096]));
        refused(btrfs_dev_stats(&file, &mut [0; 1032]));
    }

    #[test]
    fn a_request_encodes_the_size_of_its_argument() {
        let size = |request: u32| request as usize >> 16 & 0x3fff;
        assert_eq!(size(0x8400_941f), size_of::<BtrfsFsInfo>());
        assert_eq!(size(0xd000_941e), size_of::<BtrfsDevInfo>());
        assert_eq!(size(0xc408_9434), size_of::<BtrfsDevStats>());
    }

    #[test]
    fn loopback_has_no_driver_and_long_names_no_interface() {
        let socket: OwnedFd = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into();
        let mut room = EthtoolRoom::new();
        let mut ask = |device| ethtool(&socket, device, EthtoolQuery::Driver, &mut room);
        assert_eq!(ask("lo").unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP));
        assert_eq!(ask("nowhere").unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert_eq!(ask("sixteen-letters-").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
