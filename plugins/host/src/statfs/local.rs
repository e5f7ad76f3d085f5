//! Which mounts answer at once.
//!
//! Local file systems answer statfs(2) from memory, so that no other thread need be woken for them; those
//! behind a network or a program may never answer. It must not know how either is asked.

use std::collections::HashSet;

/// File systems that ask nobody. What is not named here may hang: NFS, CIFS, FUSE, 9p, Ceph, AFS, autofs,
/// overlays of any of them, ZFS with a suspended pool.
const LOCAL: [&str; 38] = [
    "bcachefs",
    "binfmt_misc",
    "bpf",
    "btrfs",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "hfsplus",
    "hugetlbfs",
    "iso9660",
    "jfs",
    "mqueue",
    "nilfs2",
    "nsfs",
    "ntfs3",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "udf",
    "vfat",
    "xfs",
];

/// The mount points where a call may hang.
#[derive(Debug, Default)]
pub(crate) struct MayHang(HashSet<String>);

impl MayHang {
    /// Takes note of any mount, reported or not: the way to another may lead through it.
    pub(crate) fn note(&mut self, mount_point: &str, fs_type: &str) {
        if LOCAL.binary_search(&fs_type).is_err() {
            self.0.insert(mount_point.to_owned());
        }
    }

    /// Whether a call for this mount point may: something that may hang is mounted there or on the way.
    /// The root does not count for others: without it nothing works.
    pub(crate) fn at(&self, mount_point: &str) -> bool {
        let on_the_way = |(end, _): (usize, _)| self.0.contains(&mount_point[..end]);
        self.0.contains(mount_point) || mount_point.match_indices('/').skip(1).any(on_the_way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_sorted() {
        assert!(LOCAL.is_sorted());
    }

    #[test]
    fn a_mount_may_hang_for_its_type_and_for_what_lies_on_the_way_or_on_top() {
        let mut may_hang = MayHang::default();
        for (mount_point, fs_type) in [
            ("/", "overlay"),
            ("/nas", "nfs4"),
            ("/nas/disk", "ext4"),
            ("/nasty", "xfs"),
            ("/mnt", "tmpfs"),
            ("/mnt/x", "fuse.sshfs"),
            ("/covered", "ext4"),
            ("/covered", "cifs"),
            ("/new", "a-file-system-of-tomorrow"),
        ] {
            may_hang.note(mount_point, fs_type);
        }
        for hanging in ["/", "/nas", "/nas/disk", "/nas/disk/b/c", "/mnt/x", "/covered", "/new"] {
            assert!(may_hang.at(hanging), "{hanging}");
        }
        for local in ["/nasty", "/mnt", "/mnt/xy", "", "relative"] {
            assert!(!may_hang.at(local), "{local}");
        }
    }
}
