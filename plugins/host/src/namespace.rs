//! Whose network is seen: that of the host, or that of the container vigie runs in.
//!
//! Netlink and sockets show the network namespace of the thread that opens them, whatever procfs shows, so a socket
//! is opened inside the host's and then stays there. It must not know what the socket is for.

use std::fs::{File, metadata, read_link};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};
use vigie_core::collect::Paths;

/// The network namespace that questions are put to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// That of this process.
    Own,
    /// Another: the file of procfs that stands for it.
    Other(PathBuf),
}

impl Namespace {
    /// The host's: that of its first process. `None` where procfs does not tell, such as in a recorded tree, and is not
    /// in its usual place either: then only its files are known to be the host's.
    pub(crate) fn of_the_host(paths: &Paths) -> Option<Namespace> {
        let [init, own] = ["1", "self"].map(|process| paths.proc(process));
        let link = |process: &Path| read_link(process.join("ns/net"));
        let is_own = match (link(&init), link(&own)) {
            (Ok(host), Ok(own)) => Some(host == own),
            // Refused to those who may not trace the first process, as in most containers and to most users.
            (Err(error), Ok(_)) if error.kind() == io::ErrorKind::PermissionDenied => {
                share_network(&init, &own)
            }
            _ => None,
        };
        match is_own {
            Some(true) => Some(Namespace::Own),
            Some(false) => Some(Namespace::Other(init.join("ns/net"))),
            None => (paths.procfs == Path::new("/proc")).then_some(Namespace::Own),
        }
    }

    /// The host's, or that of this process where nothing is known.
    pub(crate) fn most_likely(paths: &Paths) -> Namespace {
        Namespace::of_the_host(paths).unwrap_or(Namespace::Own)
    }

    /// Runs `open` inside the namespace. The thread that enters another one ends with it, so that no other work is done
    /// there.
    ///
    /// # Errors
    /// Those of `open`; without the capability `SYS_ADMIN`, the refusal of setns(2).
    pub(crate) fn within<T: Send>(
        &self,
        open: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let Namespace::Other(path) = self else { return open() };
        let inside = || {
            setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
            open()
        };
        let entered = std::thread::scope(|scope| scope.spawn(inside).join());
        let entered = entered.unwrap_or_else(|_| Err(io::Error::other("the thread panicked")));
        entered.map_err(|error| {
            let what = format!("in the network namespace {}: {error}", path.display());
            io::Error::new(error.kind(), what)
        })
    }
}

/// Whether two processes see the same network; `None` where one is out of sight. Their directories differ, but the files
/// in them belong to the namespace, so that one number is one namespace.
fn share_network(one: &Path, other: &Path) -> Option<bool> {
    let number = |process: &Path| Some(metadata(process.join("net/dev")).ok()?.ino());
    Some(number(one)? == number(other)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use std::os::unix::fs::symlink;

    fn host(namespaces: &[(&str, &str)]) -> (Host, Paths) {
        let host = Host::new(&[]);
        let paths = Paths { procfs: host.dir.path().join("proc"), ..Paths::default() };
        for (process, namespace) in namespaces {
            let directory = paths.proc(process).join("ns");
            std::fs::create_dir_all(&directory).unwrap();
            symlink(namespace, directory.join("net")).unwrap();
        }
        (host, paths)
    }

    #[test]
    fn the_first_process_has_the_namespace_of_the_host() {
        let (_same, paths) = host(&[("1", "net:[1]"), ("self", "net:[1]")]);
        assert_eq!(Namespace::of_the_host(&paths), Some(Namespace::Own));
        let (_other, paths) = host(&[("1", "net:[1]"), ("self", "net:[2]")]);
        let file = paths.proc("1/ns/net");
        assert_eq!(Namespace::of_the_host(&paths), Some(Namespace::Other(file)));
    }

    #[test]
    fn what_procfs_hides_is_assumed_only_in_its_usual_place() {
        let (_hidden, paths) = host(&[("self", "net:[1]")]);
        assert_eq!(Namespace::of_the_host(&paths), None);
        assert_eq!(Namespace::most_likely(&paths), Namespace::Own);
        assert!(Namespace::of_the_host(&Paths::default()).is_some());
    }

    #[test]
    fn processes_of_one_namespace_share_its_files() {
        let (host, _) = host(&[]);
        let process = |name: &str| host.dir.path().join("proc").join(name);
        for name in ["1", "2"] {
            host.write(&format!("proc/{name}/net/dev"), "");
        }
        assert_eq!(share_network(&process("1"), &process("2")), Some(false));
        assert_eq!(share_network(&process("1"), &process("3")), None);
        std::fs::create_dir_all(process("3/net")).unwrap();
        std::fs::hard_link(process("1/net/dev"), process("3/net/dev")).unwrap();
        assert_eq!(share_network(&process("1"), &process("3")), Some(true));
        let own = Path::new("/proc/self");
        assert_eq!(share_network(own, own), Some(true));
    }

    #[test]
    fn a_namespace_that_cannot_be_entered_is_named() {
        let nowhere = Namespace::Other("/nowhere/ns/net".into());
        let error = nowhere.within(|| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("in the network namespace /nowhere/ns/net: "));
        assert_eq!(Namespace::Own.within(|| Ok(7)).unwrap(), 7);
    }
}
