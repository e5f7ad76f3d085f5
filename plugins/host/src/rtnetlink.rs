//! Statistics of network interfaces over rtnetlink (RTM_GETLINK, rtnetlink(7)).
//!
//! The kernel tells more there than in PROC/net/dev, and without rounding up several counters into
//! one. It must not know how metrics are named; the answer is that of the process's own network
//! namespace.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt::ReceiveTimeout,
};
use nix::sys::time::TimeVal;

/// Counters of one interface (`struct rtnl_link_stats64`, linux/if_link.h), in the kernel's order.
pub(crate) type Counters = [u64; COUNTERS];

/// Number of counters that node_exporter knows; newer kernels append more.
pub(crate) const COUNTERS: usize = 24;

/// What the kernel says of one interface.
#[derive(Debug, PartialEq)]
pub(crate) struct Link<'a> {
    pub(crate) name: &'a [u8],
    /// Set by an administrator, mostly empty.
    pub(crate) alias: &'a [u8],
    pub(crate) counters: Counters,
}

/// A socket that stays open, and its buffer.
pub(crate) struct Socket {
    fd: Option<OwnedFd>,
    buffer: Vec<u8>,
    sequence: u32,
}

/// Larger than what the kernel puts into one datagram of a dump.
const DATAGRAM: usize = 64 << 10;

impl Socket {
    pub(crate) fn new() -> Self {
        Socket { fd: None, buffer: Vec::new(), sequence: 0 }
    }

    /// Asks for all interfaces and hands each to `take`. After an error the socket is opened anew.
    pub(crate) fn dump(&mut self, take: &mut dyn FnMut(&Link<'_>)) -> io::Result<()> {
        let fd = match self.fd.take() {
            Some(fd) => fd,
            None => open()?,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.buffer.resize(DATAGRAM, 0);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(fd.as_raw_fd(), &request(self.sequence), &kernel, MsgFlags::empty())?;
        loop {
            let length = recv(fd.as_raw_fd(), &mut self.buffer, MsgFlags::empty())?;
            let datagram = self.buffer.get(..length).unwrap_or_default();
            if parse(datagram, self.sequence, take)? {
                break;
            }
        }
        self.fd = Some(fd);
        Ok(())
    }
}

fn open() -> io::Result<OwnedFd> {
    let family = AddressFamily::Netlink;
    let route = SockProtocol::NetlinkRoute;
    let fd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, route)?;
    // The kernel answers at once or not at all.
    setsockopt(&fd, ReceiveTimeout, &TimeVal::new(2, 0))?;
    Ok(fd)
}

const HEADER: usize = 16;
const LINK_HEADER: usize = 16;

/// `struct nlmsghdr` and an empty `struct ifinfomsg`.
fn request(sequence: u32) -> [u8; HEADER + LINK_HEADER] {
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut message = [0; HEADER + LINK_HEADER];
    message[..4].copy_from_slice(&((HEADER + LINK_HEADER) as u32).to_ne_bytes());
    message[4..6].copy_from_slice(&libc::RTM_GETLINK.to_ne_bytes());
    message[6..8].copy_from_slice(&flags.to_ne_bytes());
    message[8..12].copy_from_slice(&sequence.to_ne_bytes());
    message
}

/// Hands the links of one datagram to `take`; true when the dump is complete.
fn parse(mut datagram: &[u8], sequence: u32, take: &mut dyn FnMut(&Link<'_>)) -> io::Result<bool> {
    const DONE: u16 = libc::NLMSG_DONE as u16;
    const ERROR: u16 = libc::NLMSG_ERROR as u16;
    while !datagram.is_empty() {
        let length = u32_at(datagram, 0).map_or(0, |length| length as usize);
        let message = datagram.get(..length).filter(|message| message.len() >= HEADER);
        let message = message.ok_or_else(|| io::Error::other("netlink: message cut off"))?;
        datagram = datagram.get(aligned(length)..).unwrap_or_default();
        if u32_at(message, 8) != Some(sequence) {
            continue;
        }
        let payload = message.get(HEADER..).unwrap_or_default();
        match u16_at(message, 4) {
            Some(DONE) => return Ok(true),
            Some(ERROR) => return error(payload).map(|()| true),
            Some(libc::RTM_NEWLINK) => {
                if let Some(link) = link(payload.get(LINK_HEADER..).unwrap_or_default()) {
                    take(&link);
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

/// The errno of an error message, negative; 0 is an acknowledgement.
fn error(payload: &[u8]) -> io::Result<()> {
    match u32_at(payload, 0).map_or(-libc::EPROTO, u32::cast_signed) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
    }
}

/// Reads the attributes of a link; nothing for one without name or statistics.
fn link(mut attributes: &[u8]) -> Option<Link<'_>> {
    let (mut name, mut alias) = (None, &b""[..]);
    let (mut narrow, mut wide) = (None, None);
    while let Some(length) = u16_at(attributes, 0).map(usize::from) {
        let Some(value) = attributes.get(4..length) else { break };
        match u16_at(attributes, 2)? & ATTRIBUTE_TYPE {
            libc::IFLA_IFNAME => name = Some(until_zero(value)),
            libc::IFLA_IFALIAS => alias = until_zero(value),
            libc::IFLA_STATS => narrow = counters(value, 4),
            libc::IFLA_STATS64 => wide = counters(value, 8),
            _ => {}
        }
        attributes = attributes.get(aligned(length)..).unwrap_or_default();
    }
    Some(Link { name: name?, alias, counters: wide.or(narrow)? })
}

/// The bits of an attribute's type that are not flags.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

/// Counters of `width` bytes each; those that an old kernel lacks are 0.
fn counters(value: &[u8], width: usize) -> Option<Counters> {
    let mut counters = [0; COUNTERS];
    for (counter, bytes) in counters.iter_mut().zip(value.chunks_exact(width)) {
        *counter = match width {
            8 => u64::from_ne_bytes(bytes.try_into().ok()?),
            _ => u32::from_ne_bytes(bytes.try_into().ok()?).into(),
        };
    }
    Some(counters)
}

fn until_zero(value: &[u8]) -> &[u8] {
    value.split(|&b| b == 0).next().unwrap_or_default()
}

fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        message.extend(((HEADER + payload.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend([0, 0]);
        message.extend(sequence.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(payload);
        message.resize(aligned(message.len()), 0);
        message
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut attribute = Vec::new();
        attribute.extend(((4 + value.len()) as u16).to_ne_bytes());
        attribute.extend(kind.to_ne_bytes());
        attribute.extend(value);
        attribute.resize(aligned(attribute.len()), 0);
        attribute
    }

    fn names(datagram: &[u8]) -> (Vec<(String, String, u64)>, io::Result<bool>) {
        let mut links = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let done = parse(datagram, 7, &mut |link| {
            links.push((text(link.name), text(link.alias), link.counters[1]));
        });
        (links, done)
    }

    #[test]
    fn links_are_read_and_the_wide_counters_win() {
        let mut payload = vec![0; LINK_HEADER];
        payload.extend(attribute(libc::IFLA_IFNAME, b"eth0\0"));
        payload.extend(attribute(libc::IFLA_IFALIAS, b"up link\0"));
        payload.extend(attribute(libc::IFLA_STATS64, &[[0u8; 8], 5u64.to_ne_bytes()].concat()));
        payload.extend(attribute(libc::IFLA_STATS, &[0; 96]));
        let mut datagram = message(libc::RTM_NEWLINK, 7, &payload);
        datagram.extend(message(libc::RTM_NEWLINK, 6, &payload));
        let (links, done) = names(&datagram);
        assert_eq!(links, [("eth0".to_owned(), "up link".to_owned(), 5)]);
        assert!(!done.unwrap());
        assert!(names(&message(libc::NLMSG_DONE as u16, 7, &[0; 4])).1.unwrap());
    }

    #[test]
    fn an_error_of_the_kernel_is_an_error() {
        let refused = (-libc::EPERM).to_ne_bytes();
        let (_, done) = names(&message(libc::NLMSG_ERROR as u16, 7, &refused));
        assert_eq!(done.unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(names(&[200, 0, 0, 0]).1.is_err(), "cut off");
    }

    #[test]
    fn the_kernel_of_this_host_answers_each_time() {
        let mut socket = Socket::new();
        for _ in 0..3 {
            let mut found = false;
            socket.dump(&mut |link| found |= link.name == b"lo").unwrap();
            assert!(found);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, 7, &mut |_| {});
            let _ = link(&bytes);
            let _ = names(&message(libc::RTM_NEWLINK, 7, &bytes));
        }
    }
}
