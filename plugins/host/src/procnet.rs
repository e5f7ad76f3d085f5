//! The files of the host's network namespace (PROC/1/net, or PROC/net).
//!
//! `PROC/net` is a link to `PROC/self/net`, so with the host's procfs mounted in a container it still shows the
//! container's network; the first process shows the host's. It must not know what a file says.

use std::path::PathBuf;

use vigie_core::collect::Paths;

/// `PROC/1/net/file` where the network of the first process can be seen, else `PROC/net/file`.
///
/// The directory decides, not the file: one that the host lacks is not to be taken from elsewhere.
pub(crate) fn file(paths: &Paths, file: &str) -> PathBuf {
    let init = paths.proc("1/net");
    // Opened, not stat'ed: with hidepid the first process may be out of sight.
    let directory = if std::fs::File::open(&init).is_ok() { init } else { paths.proc("net") };
    directory.join(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn the_network_of_the_first_process_goes_before() {
        let host = Host::new(&[("proc/net/udp", "own"), ("proc/net/ip_vs", "own")]);
        let paths = Paths { procfs: host.dir.path().join("proc"), ..Paths::default() };
        assert!(file(&paths, "udp").ends_with("proc/net/udp"));
        host.write("proc/1/net/udp", "host");
        assert!(file(&paths, "udp").ends_with("proc/1/net/udp"));
        assert!(file(&paths, "ip_vs").ends_with("proc/1/net/ip_vs"), "not the one of its own");
    }
}
