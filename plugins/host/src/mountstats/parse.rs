//! The NFS mounts of PROC/PID/mountstats.
//!
//! Each mount is a block of lines below a line `device`; of other file systems the kernel says nothing. It must not
//! know what the numbers are exported as.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::mountinfo::decode;
use crate::parse::{lines, number, shown, signed, text, words};

/// A mount of NFS.
#[derive(Debug, PartialEq)]
pub(super) struct Mount<'a> {
    /// As printed.
    pub(super) export: Cow<'a, str>,
    pub(super) mount_point: Cow<'a, str>,
    /// In seconds.
    pub(super) age: Option<u64>,
    pub(super) bytes: Vec<u64>,
    pub(super) events: Vec<u64>,
    pub(super) transports: Vec<Transport<'a>>,
    pub(super) operations: Vec<Operation<'a>>,
}

/// A connection to the server.
#[derive(Debug, PartialEq)]
pub(super) struct Transport<'a> {
    pub(super) protocol: Cow<'a, str>,
    /// In the order of TCP; of RDMA those that both have.
    pub(super) numbers: Vec<u64>,
}

/// What one kind of request did.
#[derive(Debug, PartialEq)]
pub(super) struct Operation<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) numbers: Vec<u64>,
}

/// Takes every line that is understood; the first that is not is the error.
pub(super) fn parse(file: &[u8]) -> (Vec<Mount<'_>>, Result<(), (usize, String)>) {
    let mut reading = Reading::default();
    let mut result = Ok(());
    for (line_number, line) in lines(file) {
        if let Err(what) = reading.take(line) {
            result = result.and(Err((line_number, what)));
        }
    }
    (reading.mounts, result)
}

#[derive(Default)]
struct Reading<'a> {
    mounts: Vec<Mount<'a>>,
    place: Place,
    /// Operations of the last mount.
    met: HashSet<&'a [u8]>,
}

/// Where the next line stands.
#[derive(Default, PartialEq)]
enum Place {
    /// Below a mount that is not NFS.
    #[default]
    Elsewhere,
    Mount,
    Operations,
}

impl<'a> Reading<'a> {
    fn take(&mut self, line: &'a [u8]) -> Result<(), String> {
        let mut words = words(line);
        let first = words.next().unwrap_or_default();
        match first {
            b"device" => return self.begin(words),
            // `no device mounted on / with fstype rootfs`
            b"no" => self.place = Place::Elsewhere,
            _ => {}
        }
        let Some(mount) = self.mounts.last_mut().filter(|_| self.place != Place::Elsewhere) else {
            return Ok(());
        };
        match (&self.place, first) {
            (Place::Operations, b"") => self.place = Place::Mount,
            (Place::Operations, _) => {
                let name = first.strip_suffix(b":").unwrap_or(first);
                let numbers = numbers(words)?;
                if self.met.insert(name) {
                    mount.operations.push(Operation { name: text(name), numbers });
                }
            }
            (_, b"per-op") => self.place = Place::Operations,
            (_, b"age:") => mount.age = numbers(words)?.first().copied(),
            (_, b"bytes:") => mount.bytes = numbers(words)?,
            (_, b"events:") => mount.events = numbers(words)?,
            (_, b"xprt:") => {
                let protocol = words.next().unwrap_or_default();
                let numbers = transport(protocol, numbers(words)?);
                mount.transports.push(Transport { protocol: text(protocol), numbers });
            }
            _ => {}
        }
        Ok(())
    }

    /// `device nas:/export mounted on /nas with fstype nfs4 statvers=1.1`, the first word taken.
    fn begin(&mut self, mut words: impl Iterator<Item = &'a [u8]>) -> Result<(), String> {
        self.place = Place::Elsewhere;
        let export = words.next().unwrap_or_default();
        let (Some(mount_point), Some(kind)) = (words.nth(2), words.nth(2)) else {
            return Err(format!("expected where {} is mounted", shown(export)));
        };
        if !matches!(kind, b"nfs" | b"nfs4") {
            return Ok(());
        }
        self.place = Place::Mount;
        self.met.clear();
        self.mounts.push(Mount {
            export: text(export),
            mount_point: decode(mount_point),
            age: None,
            bytes: Vec::new(),
            events: Vec::new(),
            transports: Vec::new(),
            operations: Vec::new(),
        });
        Ok(())
    }
}

fn numbers<'w>(words: impl Iterator<Item = &'w [u8]>) -> Result<Vec<u64>, String> {
    let whole = |word: &'w [u8]| {
        // An idle time may be negative for a moment.
        let value = number(word).or_else(|| signed(word).map(|_| 0));
        value.ok_or_else(|| format!("expected a number, found {}", shown(word)))
    };
    words.map(whole).collect()
}

/// The numbers of TCP: port, binds, connects, jiffies to connect, idle seconds, sends, receives, bad IDs, requests,
/// backlog, slots, sending, pending (xs_tcp_print_stats in net/sunrpc/xprtsock.c).
fn transport(protocol: &[u8], mut numbers: Vec<u64>) -> Vec<u64> {
    /// What RDMA has in common; its own numbers follow.
    const COMMON: usize = 10;
    const TCP: usize = 13;
    match protocol {
        b"rdma" => numbers.truncate(COMMON),
        b"udp" if numbers.len() >= 2 => {
            // UDP knows no connections.
            numbers.splice(2..2, [0; 3]);
            numbers.resize(TCP, 0);
        }
        // Kernels with statvers=1.0 lack the last three.
        _ => numbers.resize(TCP, 0),
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_mounts_of_nfs_are_taken() {
        let file = b"no device mounted on / with fstype rootfs\n\
            device proc mounted on /proc with fstype proc\n\tage:\t1\n\
            device nas:/a\\040b mounted on /a\\040b with fstype nfs4 statvers=1.1\n\tage:\t2\n\
            \tcaps:\tcaps=0xfff7\n\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)\n\
            \tper-op statistics\n\t        NULL: 1 2\n\t        NULL: 3 4\n\n\tage:\t3\n\
            device /dev/sda mounted on /x with fstype nfsd\n\tage:\t4\n\
            device nas:/c mounted on /c with fstype nfs statvers=1.1\n\tper-op statistics\n\
            no device mounted on / with fstype rootfs\n\tage:\t5\n";
        let (mounts, result) = parse(file);
        result.unwrap();
        assert_eq!((mounts.len(), mounts[1].age), (2, None));
        assert_eq!((&*mounts[0].export, &*mounts[0].mount_point), ("nas:/a\\040b", "/a b"));
        assert_eq!(mounts[0].age, Some(3));
        assert_eq!(mounts[0].operations, [Operation { name: "NULL".into(), numbers: vec![1, 2] }]);
    }

    #[test]
    fn transports_are_brought_to_one_form() {
        let tcp: Vec<u64> = (0..13).collect();
        assert_eq!(transport(b"tcp", tcp.clone()), tcp);
        assert_eq!(transport(b"tcp", tcp[..10].to_vec())[9..], [9, 0, 0, 0]);
        assert_eq!(
            transport(b"udp", vec![832, 1, 4711, 4712, 2, 9425, 13]),
            [832, 1, 0, 0, 0, 4711, 4712, 2, 9425, 13, 0, 0, 0]
        );
        assert_eq!(transport(b"rdma", (0..27).collect()), tcp[..10]);
    }

    #[test]
    fn bad_lines_cost_themselves_only() {
        let file = b"device a mounted\ndevice nas:/a mounted on /a with fstype nfs\n\tage:\tx\n\
            \tbytes:\t1 2\n\txprt:\ttcp 1 -1\n";
        let (mounts, result) = parse(file);
        assert_eq!(mounts[0].bytes, [1, 2]);
        assert_eq!(mounts[0].transports[0].numbers[..2], [1, 0]);
        assert_eq!(result.unwrap_err(), (1, "expected where \"a\" is mounted".to_owned()));
    }

    proptest! {
        #[test]
        fn any_lines_are_survived(
            file in "((device n:/a mounted on /a with fstype nfs4 s|\txprt:\t(tcp|udp|rdma)|\tage:|per-op|NULL:)[ 0-9x]{0,9}\n){0,9}"
        ) {
            let _ = parse(file.as_bytes());
        }
    }
}
