//! A file system that never answers.
//!
//! A FUSE mount whose server reads no request stands in for an NFS server that is gone: whoever asks
//! it waits. It is made in a mount namespace of the calling thread and of what that thread starts, so
//! that nobody else on the machine meets it.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// The mount; it comes to an end with this value.
pub struct DeadMount {
    path: PathBuf,
    /// While it is open the kernel waits for answers.
    server: Option<File>,
}

impl DeadMount {
    /// Makes `path` a dead mount for this thread and for the processes it starts from now on.
    ///
    /// # Panics
    /// When it cannot be made: that takes root and `/dev/fuse`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        fs::create_dir_all(&path).unwrap();
        let server = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
        let nothing = None::<&str>;
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        mount(Some("dead"), &path, Some("fuse"), MsFlags::empty(), Some(options.as_str())).unwrap();
        DeadMount { path, server: Some(server) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its server ends: everybody who waits gets an error, and so does who asks from now on.
    pub fn end(&mut self) {
        self.server = None;
    }
}

impl Drop for DeadMount {
    fn drop(&mut self) {
        self.end();
        // In the namespace of another thread it is not there.
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}
