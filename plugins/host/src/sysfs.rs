//! Attributes of sysfs: small files, one value each, found below directories of devices.
//!
//! One buffer and one path serve all of them, so that a walk over many devices allocates little. It must not
//! know what an attribute means.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use vigie_core::collect::CollectError;

use crate::parse;

/// The kernel gives no attribute more than a page.
const PAGE: usize = 4096;

/// Reads attributes, one after the other.
#[derive(Debug)]
pub(crate) struct Attributes {
    path: PathBuf,
    buffer: Box<[u8; PAGE]>,
}

impl Attributes {
    pub(crate) fn new() -> Self {
        Attributes { path: PathBuf::new(), buffer: Box::new([0; PAGE]) }
    }

    /// `DIRECTORY/name` without the blanks around it, in one read(2): some drivers answer a second one with an
    /// error.
    pub(crate) fn read(&mut self, directory: &Path, name: &str) -> io::Result<&[u8]> {
        self.path.as_mut_os_string().clear();
        self.path.push(directory);
        self.path.push(name);
        read_once(&self.path, &mut self.buffer[..]).map(<[u8]>::trim_ascii)
    }

    /// As [`Attributes::read`], in a directory that [`open_directory`] opened: where there are many attributes, the path
    /// to them is walked once.
    pub(crate) fn read_in(&mut self, directory: &File, name: &str) -> io::Result<&[u8]> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(directory, name, flags, Mode::empty())?);
        let length = file.read(&mut self.buffer[..])?;
        Ok(self.buffer[..length].trim_ascii())
    }

    /// An attribute that may be missing, and that a sleeping device may refuse: that costs its own series only.
    pub(crate) fn optional(&mut self, directory: &Path, name: &str) -> Option<&[u8]> {
        self.read(directory, name).ok()
    }

    /// An optional attribute that is a decimal number without sign.
    pub(crate) fn number(&mut self, directory: &Path, name: &str) -> Option<u64> {
        self.optional(directory, name).and_then(parse::number)
    }

    /// An optional attribute that is a decimal number with or without sign.
    pub(crate) fn signed(&mut self, directory: &Path, name: &str) -> Option<i64> {
        self.optional(directory, name).and_then(parse::signed)
    }

    /// An optional attribute as text for a label; empty when it is missing.
    pub(crate) fn text(&mut self, directory: &Path, name: &str) -> String {
        self.optional(directory, name)
            .map(|bytes| parse::text(bytes).into_owned())
            .unwrap_or_default()
    }
}

/// The first bytes of a file, at most as many as fit, in one read(2).
pub(crate) fn read_once<'b>(path: &Path, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let length = File::open(path)?.read(buffer)?;
    Ok(buffer.get(..length).unwrap_or_default())
}

/// The devices of a class such as SYS/class/hwmon, each with what a collector keeps of it.
///
/// A listing costs one readdir(3) and a stat(2) for each device. What was found out about a device is kept as long
/// as its name and its inode stay: sysfs gives each directory it makes a number of its own, so a device that went
/// and came back under its old name is another one.
#[derive(Debug)]
pub(crate) struct Devices<T> {
    directory: PathBuf,
    /// By name.
    all: Vec<Device<T>>,
}

/// A device of a class.
#[derive(Debug)]
pub(crate) struct Device<T> {
    /// The name of its directory.
    pub(crate) name: String,
    /// Its directory, as found in the class.
    pub(crate) path: PathBuf,
    inode: u64,
    /// What the collector keeps of it.
    pub(crate) kept: T,
}

impl<T> Devices<T> {
    /// The devices in `directory`; none are known before the first listing.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Devices { directory, all: Vec::new() }
    }

    /// Lists the devices anew and tells whether they are others than before. `find` is asked about each directory
    /// that was not there before, and says what is to be kept of it, or nothing for what is no device of the kind.
    ///
    /// # Errors
    /// As [`entries`]; then no device is known.
    pub(crate) fn list(
        &mut self,
        mut find: impl FnMut(&str, &Path) -> Option<T>,
    ) -> Result<bool, CollectError> {
        let mut before = std::mem::take(&mut self.all).into_iter().peekable();
        let mut changed = false;
        for name in entries(&self.directory)? {
            let path = self.directory.join(&name);
            let Some(inode) = directory_inode(&path) else { continue };
            while before.next_if(|device| device.name < name).is_some() {
                changed = true;
            }
            let same = before.next_if(|device| device.name == name && device.inode == inode);
            if let Some(device) = same {
                self.all.push(device);
            } else if let Some(kept) = find(&name, &path) {
                changed = true;
                self.all.push(Device { name, path, inode, kept });
            }
        }
        Ok(changed || before.next().is_some())
    }

    /// [`list`](Self::list), where a kernel without the class is as good as one without devices.
    ///
    /// # Errors
    /// As [`entries`], but for a directory that does not exist.
    pub(crate) fn list_any(
        &mut self,
        find: impl FnMut(&str, &Path) -> Option<T>,
    ) -> Result<bool, CollectError> {
        match self.list(find).map_err(CollectError::missing_is_no_data) {
            Err(CollectError::NoData(_)) => Ok(false),
            listed => listed,
        }
    }

    /// The devices of the last listing, to complete what is kept of them.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Device<T>> {
        self.all.iter_mut()
    }

    /// The devices of the last listing, by name.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Device<T>> {
        self.all.iter()
    }
}

/// The number of a directory; nothing for a file, and for what vanished meanwhile.
pub(crate) fn directory_inode(path: &Path) -> Option<u64> {
    let metadata = std::fs::metadata(path).ok()?;
    metadata.is_dir().then(|| metadata.ino())
}

/// Opens a directory, and nothing else, for [`Attributes::read_in`].
pub(crate) fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path)
}

/// The names in a directory, sorted; those that are not UTF-8 are no names of the kernel.
///
/// # Errors
/// [`CollectError::Read`] with the path; [`CollectError::missing_is_no_data`] where devices of the kind need not
/// exist.
pub(crate) fn entries(directory: &Path) -> Result<Vec<String>, CollectError> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    };
    read().map_err(|source| CollectError::read(directory, source))
}

/// The same, and none where the directory does not exist: for devices whose absence is no failure.
///
/// # Errors
/// [`CollectError::Read`] with the path.
pub(crate) fn entries_if_any(directory: &Path) -> Result<Vec<String>, CollectError> {
    match entries(directory).map_err(CollectError::missing_is_no_data) {
        Err(CollectError::NoData(_)) => Ok(Vec::new()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn attributes_are_trimmed_numbers_and_texts() {
        let host = Host::new(&[
            ("sys/a/size", "12\n"),
            ("sys/a/temp", "-4000\n"),
            ("sys/a/name", " a b \n"),
            ("sys/a/big", "99999999999999999999\n"),
        ]);
        let directory = host.dir.path().join("sys/a");
        let mut attributes = Attributes::new();
        assert_eq!(attributes.number(&directory, "size"), Some(12));
        assert_eq!(attributes.number(&directory, "big"), None);
        assert_eq!(attributes.signed(&directory, "temp"), Some(-4000));
        assert_eq!(attributes.text(&directory, "name"), "a b");
        assert_eq!(attributes.text(&directory, "missing"), "");
        assert!(attributes.read(&directory, "missing").is_err());
        let opened = open_directory(&directory).unwrap();
        assert_eq!(attributes.read_in(&opened, "size").unwrap(), b"12");
        assert!(attributes.read_in(&opened, "missing").is_err());
        assert!(open_directory(&directory.join("size")).is_err());
        assert!(attributes.optional(&directory, ".").is_none(), "a directory is no attribute");
    }

    #[test]
    fn devices_are_known_again_until_they_are_replaced() {
        let host = Host::new(&[("sys/c/a/x", ""), ("sys/c/b/x", ""), ("sys/c/file", "")]);
        let mut devices = Devices::new(host.dir.path().join("sys/c"));
        let mut asked = Vec::new();
        let mut list = |devices: &mut Devices<usize>| {
            let changed = devices.list(|name, _| {
                asked.push(name.to_owned());
                (name != "b").then_some(asked.len())
            });
            let known = devices.iter().map(|device| (device.name.clone(), device.kept));
            (changed.unwrap(), known.collect::<Vec<_>>())
        };
        assert_eq!(list(&mut devices), (true, vec![("a".to_owned(), 1)]));
        assert_eq!(list(&mut devices), (false, vec![("a".to_owned(), 1)]));
        std::fs::rename(host.dir.path().join("sys/c/a"), host.dir.path().join("sys/old")).unwrap();
        host.write("sys/c/a/x", "");
        let (changed, known) = list(&mut devices);
        assert!(changed && known.len() == 1 && known[0].1 > 1, "another device of that name");
        std::fs::remove_dir_all(host.dir.path().join("sys/c/a")).unwrap();
        assert_eq!(list(&mut devices), (true, Vec::new()));
        std::fs::remove_dir_all(host.dir.path().join("sys/c")).unwrap();
        assert!(devices.list(|_, _| Some(0)).is_err());
    }

    #[test]
    fn entries_are_sorted_and_a_missing_directory_is_named() {
        let host = Host::new(&[("sys/a/z", ""), ("sys/a/b", "")]);
        assert_eq!(entries(&host.dir.path().join("sys/a")).unwrap(), ["b", "z"]);
        let error = entries(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"));
        assert_eq!(error.missing_is_no_data().kind(), "no_data");
        assert!(entries_if_any(Path::new("/nowhere/at/all")).unwrap().is_empty());
        assert!(entries_if_any(Path::new("/proc/version")).is_err(), "a file is no directory");
    }
}
