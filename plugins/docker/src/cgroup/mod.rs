//! The kernel's own figures of containers, read from cgroup files at scrape time.
//!
//! They cost a thirtieth of asking the daemon, and they answer when it hangs or is down. Nothing
//! here may know names, labels or the Docker API: a container is a path that ends in its id.

mod file;
mod usage;
mod v1;
mod v2;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use vigie_core::collect::Paths;

pub(crate) use file::{Files, lines, parse_number, split_once};
pub(crate) use usage::{Disk, Usage};

use file::parse_pressure;
use usage::{Pressure, Tasks};
use v1::V1;
use v2::V2;

/// Deeper than any init system nests its units.
const MAX_DEPTH: usize = 12;
/// More than any machine runs; bounds the walk on a tree gone mad.
const MAX_CONTAINERS: usize = 10_000;

/// The mounted cgroup hierarchies.
#[derive(Debug)]
pub(crate) struct Cgroups(Version);

#[derive(Debug)]
enum Version {
    V1(V1),
    V2(V2),
}

/// A container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    /// Path below the hierarchy's root, beginning with a slash: cAdvisor's label `id`.
    pub(crate) cgroup: String,
    /// 64 hexadecimal digits.
    pub(crate) container: String,
}

impl Cgroups {
    /// What is mounted below `SYS/fs/cgroup`; nothing where cgroups are not.
    pub(crate) fn detect(paths: &Paths) -> Option<Cgroups> {
        let root = paths.sys("fs/cgroup");
        let version = V2::find(&root).map(Version::V2);
        version.or_else(|| V1::find(&root).map(Version::V1)).map(Cgroups)
    }

    /// The containers that exist now, ordered by path.
    pub(crate) fn containers(&self) -> Vec<Found> {
        let tree = match &self.0 {
            Version::V1(v1) => v1.tree(),
            Version::V2(v2) => v2.tree(),
        };
        let mut found = Vec::new();
        walk(tree, &mut String::new(), 0, &mut found);
        found.sort_unstable();
        found
    }

    /// The figures of one cgroup; `/` is the whole machine.
    pub(crate) fn read(&self, cgroup: &str, files: &mut Files) -> Usage {
        match &self.0 {
            Version::V1(v1) => v1.read(cgroup, files),
            Version::V2(v2) => v2.read(cgroup, files),
        }
    }
}

/// Collects the containers below `dir`, whose path within the hierarchy is `cgroup`. What lies
/// inside a container is its own affair.
fn walk(dir: &Path, cgroup: &mut String, depth: usize, found: &mut Vec<Found>) {
    if depth > MAX_DEPTH || is_leaf(dir) {
        return;
    }
    // A cgroup may go while it is looked at; the next scrape sees what is left.
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if found.len() >= MAX_CONTAINERS || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let length = cgroup.len();
        cgroup.push('/');
        cgroup.push_str(name);
        match container_id(name) {
            Some(id) => found.push(Found { cgroup: cgroup.clone(), container: id.to_owned() }),
            None => walk(&entry.path(), cgroup, depth + 1, found),
        }
        cgroup.truncate(length);
    }
}

/// The kernel counts one link for each child, besides the two of any directory; listing the fifty
/// files of each service just to find no child would be most of the walk's cost.
fn is_leaf(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|meta| meta.nlink() == 2)
}

/// The id in `<id>`, `docker-<id>.scope`, or any other prefix and suffix a runtime puts around it.
fn container_id(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (prefix, id) = name.split_at_checked(name.len().checked_sub(64)?)?;
    let hex = id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    // Podman puts its monitor beside the container, under the same digits.
    let is_container = prefix.is_empty() || prefix.ends_with('-') && !prefix.ends_with("conmon-");
    (hex && is_container).then_some(id)
}

fn read_pressure(root: &Path, cgroup: &str, files: &mut Files) -> Pressure {
    let mut stall = |name| files.read(root, cgroup, name).map(parse_pressure).unwrap_or_default();
    Pressure {
        cpu: stall("cpu.pressure"),
        memory: stall("memory.pressure"),
        io: stall("io.pressure"),
    }
}

/// Counts processes; not of the root, which has those outside any container and is not counted by
/// cAdvisor either. From another PID namespace v1 lists nobody and v2 lists zeros.
fn read_tasks(root: &Path, cgroup: &str, files: &mut Files) -> Tasks {
    if cgroup == "/" {
        return Tasks { first: Some(1), ..Tasks::default() };
    }
    let Some(text) = files.read(root, cgroup, "cgroup.procs") else { return Tasks::default() };
    let count = lines(text).count() as u64;
    Tasks {
        processes: Some(count).filter(|&count| count > 0),
        first: lines(text).filter_map(parse_number).find(|&pid| pid > 0),
        ..Tasks::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn the_id_is_found_whatever_the_driver() {
        for (name, found) in [
            (ID.to_owned(), true),
            (format!("docker-{ID}.scope"), true),
            (format!("cri-containerd-{ID}.scope"), true),
            (format!("libpod-conmon-{ID}.scope"), false),
            (format!("x{ID}"), false),
            (ID.to_uppercase(), false),
            (ID[1..].to_owned(), false),
            (format!("é{}", &ID[1..]), false),
            ("docker.service".to_owned(), false),
        ] {
            assert_eq!(container_id(&name), found.then_some(ID), "{name}");
        }
    }

    #[test]
    fn no_cgroups_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { sysfs: dir.path().to_owned(), ..Paths::default() };
        assert!(Cgroups::detect(&paths).is_none());
    }

    #[test]
    fn containers_are_found_at_any_depth_but_not_inside_another() {
        let dir = tempfile::tempdir().unwrap();
        let other = ID.replace('0', "f");
        for path in [
            format!("docker/{ID}/docker/{other}"),
            format!("system.slice/app.slice/docker-{other}.scope"),
            "system.slice/ssh.service".to_owned(),
        ] {
            fs::create_dir_all(dir.path().join("fs/cgroup").join(path)).unwrap();
        }
        fs::write(dir.path().join("fs/cgroup/cgroup.controllers"), "cpu\n").unwrap();
        let paths = Paths { sysfs: dir.path().to_owned(), ..Paths::default() };
        let found = Cgroups::detect(&paths).unwrap().containers();
        let paths: Vec<_> = found.iter().map(|found| found.cgroup.as_str()).collect();
        let scope = format!("/system.slice/app.slice/docker-{other}.scope");
        assert_eq!(paths, [&format!("/docker/{ID}"), &scope]);
    }
}
