//! A small disk in a mount namespace of one process.
//!
//! A full disk is full for root as well, unlike a directory without permission. It must not touch any
//! mount that the test did not make.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::Proc;

/// What the disk has room for.
const SIZE: &str = "size=512k";

/// A memory disk that exists for one process only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Disk {
    /// Runs `program` with the disk at `dir`; the process keeps its id.
    pub(crate) fn command(self, dir: &Path, program: &Path) -> Command {
        fs::create_dir_all(dir).unwrap();
        let script = format!("mount -t tmpfs -o {SIZE} vigie-test \"$0\" && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(user()).args(["--mount", "sh", "-c", &script]).arg(dir).arg(program);
        command
    }

    /// A path of the disk as others can reach it.
    #[must_use]
    pub fn seen(self, process: &Proc, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", process.id()));
        root.join(path.strip_prefix("/").unwrap())
    }

    /// Fills it to the last byte with a file, which is returned.
    #[must_use]
    pub fn fill(self, process: &Proc, dir: &Path) -> PathBuf {
        let path = self.seen(process, dir).join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

/// Only root may mount; anybody is root in a user namespace of their own.
fn user() -> &'static [&'static str] {
    if nix::unistd::geteuid().is_root() { &[] } else { &["--map-root-user"] }
}
