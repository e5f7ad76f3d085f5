//! A copy of the recorded host, and who opens which of its files.
//!
//! Tests that break the host share it: they break a file for those collectors only that read it. It must not know what
//! a file means: the kernel tells who opens it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use vigie_core::collect::{CollectorDef, Paths, Scrape, Setting};
use vigie_core::config::Flags;
use vigie_core::encode::TextSink;
use vigie_host::COLLECTORS;

const HOST: &str = "../../tests/fixtures/host";

/// A copy of the recorded host that may be broken.
pub(crate) struct Copy {
    dir: tempfile::TempDir,
    /// Every file, and the collectors that open it.
    pub(crate) files: BTreeMap<PathBuf, Vec<&'static CollectorDef>>,
}

impl Copy {
    pub(crate) fn new() -> Self {
        let mut copy = Copy { dir: tempfile::tempdir().unwrap(), files: BTreeMap::new() };
        copy_tree(Path::new(HOST), copy.dir.path());
        list(copy.dir.path(), &mut copy.files);
        let mut watch = Watch::new(copy.files.keys());
        for def in COLLECTORS {
            copy.collect(def);
            for file in watch.opened() {
                copy.files.entry(file).or_default().push(def);
            }
        }
        copy
    }

    /// What `def` is built from over this host, with the flags of its golden run.
    pub(crate) fn setting(&self, def: &CollectorDef) -> Setting {
        let root = self.dir.path();
        let mut paths = Paths::default();
        (paths.procfs, paths.sysfs) = (root.join("proc"), root.join("sys"));
        (paths.udev, paths.rootfs) = (root.join("udev"), root.join("rootfs"));
        let mut flags = Flags::new(COLLECTORS.iter().flat_map(|def| def.info.flags));
        let given = format!("tests/golden/{}.flags", def.info.name);
        for line in std::fs::read_to_string(given).unwrap_or_default().lines() {
            let (name, value) = line.split_once('=').unwrap();
            let mut values = if flags.is_given(name) { flags.list(name).to_vec() } else { vec![] };
            values.push(value.replace("HOST", root.to_str().unwrap()));
            flags.set(name, values);
        }
        Setting::new(paths, Arc::new(flags), String::new())
    }

    /// One scrape, whatever comes of it.
    fn collect(&self, def: &CollectorDef) {
        let scrape = Scrape::new(UNIX_EPOCH, Instant::now() + Duration::from_secs(60));
        if let Ok(mut collector) = (def.build)(&self.setting(def)) {
            drop(collector.collect(&scrape, &mut TextSink::default()));
        }
    }
}

/// Asks the kernel which files are opened.
pub(crate) struct Watch {
    inotify: Inotify,
    directories: Vec<(WatchDescriptor, PathBuf)>,
}

impl Watch {
    pub(crate) fn new<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Self {
        let inotify = Inotify::init().unwrap();
        let parents: BTreeSet<_> = files.map(|file| file.parent().unwrap().to_owned()).collect();
        let watch = |directory: PathBuf| {
            (inotify.watches().add(&directory, WatchMask::OPEN).unwrap(), directory)
        };
        let directories = parents.into_iter().map(watch).collect();
        Watch { inotify, directories }
    }

    /// The files that were opened since the last call.
    pub(crate) fn opened(&mut self) -> BTreeSet<PathBuf> {
        let mut opened = BTreeSet::new();
        let mut buffer = [0; 1 << 16];
        while let Ok(events) = self.inotify.read_events(&mut buffer) {
            for event in events {
                assert!(!event.mask.contains(EventMask::Q_OVERFLOW), "more files than the queue");
                let directory = self.directories.iter().find(|(known, _)| *known == event.wd);
                if let (Some((_, directory)), Some(name)) = (directory, event.name)
                    && !event.mask.contains(EventMask::ISDIR)
                {
                    opened.insert(directory.join(name));
                }
            }
        }
        opened
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&from, &to);
        } else if kind.is_symlink() {
            symlink(std::fs::read_link(&from).unwrap(), &to).unwrap();
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

fn list(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<&'static CollectorDef>>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            list(&entry.path(), files);
        } else if kind.is_file() {
            files.insert(entry.path(), Vec::new());
        }
    }
}
