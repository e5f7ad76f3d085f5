//! Where the host's file systems are seen from here.
//!
//! In a container `/proc` of the host is mounted elsewhere, and tests read recorded trees; so no
//! collector spells an absolute path. It stands in core because host and container metrics both
//! read there; it must not know what is read.

use std::path::{Path, PathBuf};

use crate::config::{FlagDef, Flags};

/// node_exporter's flags for the mount points.
pub const PATH_FLAGS: &[FlagDef] = &[
    FlagDef::text("path.procfs", "/proc", "Mount point of the host's procfs."),
    FlagDef::text("path.sysfs", "/sys", "Mount point of the host's sysfs."),
    FlagDef::text("path.rootfs", "/", "Mount point of the host's root file system."),
    FlagDef::text("path.udev.data", "/run/udev/data", "Directory of the host's udev database."),
];

/// The four roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `--path.procfs`.
    pub procfs: PathBuf,
    /// `--path.sysfs`.
    pub sysfs: PathBuf,
    /// `--path.rootfs`.
    pub rootfs: PathBuf,
    /// `--path.udev.data`.
    pub udev: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Paths {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev: "/run/udev/data".into(),
        }
    }
}

impl Paths {
    /// Reads [`PATH_FLAGS`].
    #[must_use]
    pub fn from_flags(flags: &Flags) -> Self {
        Paths {
            procfs: flags.text("path.procfs").into(),
            sysfs: flags.text("path.sysfs").into(),
            rootfs: flags.text("path.rootfs").into(),
            udev: flags.text("path.udev.data").into(),
        }
    }

    /// `PROC/name`.
    #[must_use]
    pub fn proc(&self, name: impl AsRef<Path>) -> PathBuf {
        self.procfs.join(name)
    }

    /// `PROC/1/name`: the view of the host's first process, whose mounts and network
    /// namespace are the host's even when vigie runs in a container; `PROC/self/name` where
    /// that may not be read.
    #[must_use]
    pub fn proc_init(&self, name: impl AsRef<Path>) -> PathBuf {
        let init = self.procfs.join("1").join(name.as_ref());
        // Opened, not stat'ed: `/proc/1/mountinfo` exists for everybody but opens for few.
        if std::fs::File::open(&init).is_ok() { init } else { self.procfs.join("self").join(name) }
    }

    /// `SYS/name`.
    #[must_use]
    pub fn sys(&self, name: impl AsRef<Path>) -> PathBuf {
        self.sysfs.join(name)
    }

    /// The host's `path` as reachable from here.
    #[must_use]
    pub fn root(&self, path: &str) -> PathBuf {
        self.rootfs.join(path.trim_start_matches('/'))
    }
}
