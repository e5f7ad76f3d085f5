//! What a mounted btrfs says of its devices (ioctl(2), linux/btrfs.h).
//!
//! The answers are structures of fixed size; only their beginnings hold anything. It must not know metrics, nor
//! which mounts there are.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::parse::text;
use crate::sys::{
    BtrfsDevInfo, BtrfsDevStats, BtrfsFsInfo, btrfs_dev_info, btrfs_dev_stats, btrfs_fs_info,
};

/// The kinds of errors, in the kernel's order (`enum btrfs_dev_stat_values`).
pub(super) const ERRORS: [&str; 5] = ["write", "read", "flush", "corruption", "generation"];

/// A device of a file system.
#[derive(Debug, PartialEq)]
pub(super) struct Device {
    /// The last part of its path; empty when the device is missing.
    pub(super) name: String,
    pub(super) uuid: String,
    /// Bytes of the device, and how many are given to block groups.
    pub(super) size: u64,
    pub(super) used: u64,
    /// By [`ERRORS`]; none where the kernel does not tell.
    pub(super) errors: Vec<u64>,
}

/// A mounted file system, open.
pub(super) struct Filesystem {
    file: File,
    info: BtrfsFsInfo,
}

impl Filesystem {
    /// Opens the mount at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // A single file can be mounted too, and opening a pipe or a device is not harmless.
        let file = options.read(true).custom_flags(libc::O_DIRECTORY).open(path)?;
        let mut info = [0; size_of::<BtrfsFsInfo>()];
        btrfs_fs_info(&file, &mut info)?;
        Ok(Filesystem { file, info })
    }

    /// The UUID that names the file system in sysfs.
    pub(super) fn fsid(&self) -> String {
        uuid(&self.info, FSID)
    }

    /// The devices, missing ones included. A refusal is an error: they are told by nobody then.
    pub(super) fn devices(&self) -> io::Result<Vec<Device>> {
        let (highest, count) = (integer(&self.info, MAX_ID), integer(&self.info, NUM_DEVICES));
        let mut devices = Vec::new();
        for id in 0..=highest {
            // Numbers of removed devices are not used again.
            if devices.len() as u64 == count {
                break;
            }
            let mut info = [0; size_of::<BtrfsDevInfo>()];
            info[..8].copy_from_slice(&id.to_ne_bytes());
            match btrfs_dev_info(&self.file, &mut info) {
                Ok(()) => devices.push(device(&info, self.errors(id))),
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(devices)
    }

    fn errors(&self, id: u64) -> Vec<u64> {
        let mut stats = [0; size_of::<BtrfsDevStats>()];
        stats[..8].copy_from_slice(&id.to_ne_bytes());
        stats[ITEMS..ITEMS + 8].copy_from_slice(&(ERRORS.len() as u64).to_ne_bytes());
        // A device that was never opened has no counters.
        btrfs_dev_stats(&self.file, &mut stats).map_or_else(|_| Vec::new(), |()| errors(&stats))
    }
}

// Where the figures lie in their structures.
const MAX_ID: usize = 0;
const NUM_DEVICES: usize = 8;
const FSID: usize = 16;
const DEV_UUID: usize = 8;
const BYTES_USED: usize = 24;
const TOTAL_BYTES: usize = 32;
const PATH: usize = 3072;
const ITEMS: usize = 8;
const STATS: usize = 24;

fn device(info: &BtrfsDevInfo, errors: Vec<u64>) -> Device {
    let path = info[PATH..].split(|&byte| byte == 0).next().unwrap_or_default();
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    Device {
        name: text(name).into_owned(),
        uuid: uuid(info, DEV_UUID),
        size: integer(info, TOTAL_BYTES),
        used: integer(info, BYTES_USED),
        errors,
    }
}

/// As many counters as the kernel filled.
fn errors(stats: &BtrfsDevStats) -> Vec<u64> {
    let filled = integer(stats, ITEMS).min(ERRORS.len() as u64) as usize;
    (0..filled).map(|index| integer(stats, STATS + 8 * index)).collect()
}

fn integer(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.copied().map_or(0, u64::from_ne_bytes)
}

/// `0abb23a9-579b-43e6-ad30-227ef47fcb9d`.
fn uuid(bytes: &[u8], at: usize) -> String {
    let mut uuid = String::with_capacity(36);
    for (index, byte) in bytes.iter().skip(at).take(16).enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            uuid.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            uuid.extend(char::from_digit(digit.into(), 16));
        }
    }
    uuid
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_is_named_by_the_end_of_its_path() {
        let mut info = [0; 4096];
        info[8..24].copy_from_slice(&[0xab; 16]);
        info[24..32].copy_from_slice(&3u64.to_ne_bytes());
        info[32..40].copy_from_slice(&7u64.to_ne_bytes());
        info[PATH..PATH + 13].copy_from_slice(b"/dev/dm-0\0/xx");
        let device = device(&info, vec![]);
        assert_eq!((device.name.as_str(), device.used, device.size), ("dm-0", 3, 7));
        assert_eq!(device.uuid, "abababab-abab-abab-abab-abababababab");
    }

    #[test]
    fn only_filled_counters_are_told() {
        let mut stats = [0; 1032];
        stats[ITEMS] = 2;
        stats[STATS] = 5;
        assert_eq!(errors(&stats), [5, 0]);
        stats[ITEMS..ITEMS + 8].fill(0xff);
        assert_eq!(errors(&stats), [5, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_directory_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(Filesystem::open(&fifo).is_err());
        let error = Filesystem::open(Path::new("/proc")).err().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(bytes in proptest::collection::vec(any::<u8>(), 4096)) {
            let info: BtrfsDevInfo = bytes.clone().try_into().unwrap();
            prop_assert_eq!(device(&info, vec![]).uuid.len(), 36);
            let stats: BtrfsDevStats = bytes[..1032].to_vec().try_into().unwrap();
            prop_assert!(errors(&stats).len() <= ERRORS.len());
        }
    }
}
