//! The mounts a process sees (PROC/PID/mountinfo, proc_pid_mountinfo(5)).
//!
//! The format is shared by every collector that walks mounts. It must not know which of them are
//! wanted, nor ask a file system anything.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::parse::{shown, text};

/// One line.
#[derive(Debug, PartialEq)]
pub(crate) struct Mount<'a> {
    pub(crate) major: &'a str,
    pub(crate) minor: &'a str,
    /// Blanks and tabs decoded, other escapes as printed, as node_exporter has it.
    pub(crate) mount_point: Cow<'a, str>,
    /// The mount point as printed.
    raw_mount_point: &'a [u8],
    pub(crate) fs_type: Cow<'a, str>,
    pub(crate) source: Cow<'a, str>,
    /// `ro` among the options of the mount or of the file system.
    pub(crate) readonly: bool,
    /// The options of the file system, separated by commas.
    pub(crate) super_options: &'a [u8],
}

/// Reads a line: `36 35 98:0 /root /mnt rw,noatime shared:1 - ext3 /dev/root rw,errors=continue`.
///
/// Fields are split at single blanks: the source of a mount may be empty.
pub(crate) fn parse(line: &[u8]) -> Result<Mount<'_>, String> {
    let broken = || format!("expected a mount, found {}", shown(line));
    let mut fields = line.split(|&b| b == b' ').skip(2);
    let mut next = || fields.next().ok_or_else(broken);
    let device = std::str::from_utf8(next()?).map_err(|_| broken())?;
    let (major, minor) = device.split_once(':').ok_or_else(broken)?;
    let mount_point = {
        next()?;
        next()?
    };
    let options = next()?;
    // Optional fields end with a lone dash.
    while next()? != b"-" {}
    let (fs_type, source, super_options) = (next()?, next()?, next()?);
    Ok(Mount {
        major,
        minor,
        mount_point: decode(mount_point),
        raw_mount_point: mount_point,
        fs_type: text(fs_type),
        source: text(source),
        readonly: has(options, &[b"ro"]) || has(super_options, &[b"ro", b"emergency_ro"]),
        super_options,
    })
}

impl Mount<'_> {
    /// Where the mount is reached from here, byte for byte: its name for people has lost what is not UTF-8. Where the
    /// table is a container's own, `rootfs` stands before the mount points already.
    pub(crate) fn path(&self, rootfs: &Path) -> PathBuf {
        let path = PathBuf::from(OsString::from_vec(unescape(self.raw_mount_point)));
        let on_host = path.strip_prefix(rootfs).or_else(|_| path.strip_prefix("/"));
        rootfs.join(on_host.unwrap_or(&path))
    }
}

/// The bytes behind the kernel's escapes, a backslash and three octal digits each.
fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        let (byte, rest) = match text {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                (((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'), rest)
            }
            _ => (*first, rest),
        };
        bytes.push(byte);
        text = rest;
    }
    bytes
}

fn has(options: &[u8], wanted: &[&[u8]]) -> bool {
    options.split(|&b| b == b',').any(|option| wanted.contains(&option))
}

/// A path of the kernel with blanks and tabs decoded.
pub(crate) fn decode(path: &[u8]) -> Cow<'_, str> {
    let path = text(path);
    if path.contains("\\0") {
        Cow::Owned(path.replace("\\040", " ").replace("\\011", "\t"))
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_found_around_optional_ones() {
        let mount = parse(
            b"36 35 98:7 /a /m\\040x\\134 rw shared:1 master:2 - ext4 /dev/x rw,emergency_ro",
        )
        .unwrap();
        assert_eq!((mount.major, mount.minor, &*mount.mount_point), ("98", "7", "/m x\\134"));
        assert_eq!((&*mount.fs_type, &*mount.source, mount.readonly), ("ext4", "/dev/x", true));
        let mount = parse(b"36 35 0:7 / /m rw - tmpfs  rw,mode=0").unwrap();
        assert!(mount.source.is_empty() && !mount.readonly);
        assert!(parse(b"36 35 0:7 / /m ro,nosuid - tmpfs x rw").unwrap().readonly);
    }

    #[test]
    fn a_path_has_its_own_bytes() {
        let line = b"36 35 98:7 / /a\\040b\\134\\012\\9\xff\\04 rw - ext4 /dev/x rw";
        let mount = parse(line).unwrap();
        let path = mount.path(Path::new("/")).into_os_string().into_vec();
        assert_eq!(path, b"/a b\\\n\\9\xff\\04");
        assert_eq!(mount.mount_point, "/a b\\134\\012\\9\u{fffd}\\04");
    }

    #[test]
    fn a_path_starts_at_the_root_of_the_host() {
        for (mount_point, rootfs, path) in [
            ("/host/var", "/host", "/host/var"),
            ("/host", "/host/", "/host"),
            ("/hostel/x", "/host", "/host/hostel/x"),
            ("/var", "/host", "/host/var"),
            ("/", "/host", "/host"),
            ("/", "/", "/"),
        ] {
            let line = format!("36 35 98:7 / {mount_point} rw - ext4 /dev/x rw");
            let mount = parse(line.as_bytes()).unwrap();
            assert_eq!(mount.path(Path::new(rootfs)), Path::new(path));
        }
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let whole = b"36 35 98:0 / /mnt rw shared:1 - ext4 /dev/x rw";
        assert!(parse(whole).is_ok());
        for cut in 0..whole.len() - 3 {
            assert!(parse(&whole[..cut]).is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_fields_are_survived(line in "[0-9a-z:/,\\\\ -]{0,80}") {
            let _ = parse(line.as_bytes());
        }
    }
}
