//! Questions to the kernel over netlink (netlink(7)): sockets, requests, messages and attributes.
//!
//! Here messages are only cut up, without a panic whatever the bytes; what they say stands in the files of the
//! folder, one for each kind of answer. It must not know how metrics are named.

pub(crate) mod address;
pub(crate) mod ethtool;
pub(crate) mod generic;
pub(crate) mod link;
pub(crate) mod neighbour;
pub(crate) mod nl80211;
pub(crate) mod qdisc;
pub(crate) mod route;
pub(crate) mod socket_diag;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt::ReceiveTimeout,
};
use nix::sys::time::TimeVal;
use vigie_core::collect::Paths;

use crate::namespace::Namespace;

/// A socket that stays open, and its buffer.
pub(crate) struct Socket {
    protocol: SockProtocol,
    namespace: Namespace,
    fd: Option<OwnedFd>,
    buffer: Vec<u8>,
    sequence: u32,
}

/// The largest datagram of a dump: the kernel stops there however large the buffer is.
const DATAGRAM: usize = 32 << 10;

/// What a request wants.
#[derive(Clone, Copy)]
enum Want {
    /// Everything there is.
    Dump,
    /// One answer.
    One,
}

impl Socket {
    /// For the links and neighbours of the host; `None` where only its files are in reach, which netdev and arp then read.
    pub(crate) fn of_the_host(paths: &Paths) -> Option<Self> {
        let mut socket = Socket::route(Namespace::of_the_host(paths)?);
        match socket.open() {
            Ok(()) => Some(socket),
            Err(error) => {
                tracing::info!("netlink: {error}: PROC/1/net is read instead");
                None
            }
        }
    }

    /// For links, neighbours, routes, addresses and queues.
    pub(crate) fn route(namespace: Namespace) -> Self {
        Socket::new(SockProtocol::NetlinkRoute, namespace)
    }

    /// For sockets.
    pub(crate) fn socket_diag(namespace: Namespace) -> Self {
        Socket::new(SockProtocol::NetlinkSockDiag, namespace)
    }

    /// For families with a number of their own.
    pub(crate) fn generic(namespace: Namespace) -> Self {
        Socket::new(SockProtocol::NetlinkGeneric, namespace)
    }

    fn new(protocol: SockProtocol, namespace: Namespace) -> Self {
        Socket { protocol, namespace, fd: None, buffer: Vec::new(), sequence: 0 }
    }

    /// Opens the socket now, to learn whether that is permitted.
    ///
    /// # Errors
    /// Those of socket(2) and, for another namespace, of setns(2).
    pub(crate) fn open(&mut self) -> io::Result<()> {
        self.fd = Some(self.take_open()?);
        Ok(())
    }

    fn take_open(&mut self) -> io::Result<OwnedFd> {
        let protocol = self.protocol;
        match self.fd.take() {
            Some(fd) => Ok(fd),
            None => self.namespace.within(|| open(protocol)),
        }
    }

    /// Asks for everything of a kind; `take` gets type and payload of each message. After an error the socket is
    /// opened anew.
    ///
    /// # Errors
    /// Those of the socket, and the kernel's refusal.
    pub(crate) fn dump(
        &mut self,
        kind: u16,
        body: &[u8],
        take: &mut dyn FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        self.ask(kind, Want::Dump, body, take)
    }

    /// Asks for one thing; `take` gets type and payload of the answer.
    ///
    /// # Errors
    /// As [`Socket::dump`].
    pub(crate) fn get(
        &mut self,
        kind: u16,
        body: &[u8],
        take: &mut dyn FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        self.ask(kind, Want::One, body, take)
    }

    fn ask(
        &mut self,
        kind: u16,
        want: Want,
        body: &[u8],
        take: &mut dyn FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        let fd = self.take_open()?;
        self.sequence = self.sequence.wrapping_add(1);
        let kernel = NetlinkAddr::new(0, 0);
        let request = request(kind, want, self.sequence, body);
        sendto(fd.as_raw_fd(), &request, &kernel, MsgFlags::empty())?;
        self.buffer.resize(DATAGRAM.max(self.buffer.len()), 0);
        loop {
            let length = match recv(fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_TRUNC) {
                // A signal ends the wait of a socket that has a time limit.
                Err(Errno::EINTR) => continue,
                received => received?,
            };
            let Some(datagram) = self.buffer.get(..length) else {
                self.buffer.resize(length, 0);
                return Err(io::Error::other(format!("netlink: a datagram of {length} bytes")));
            };
            if parse(datagram, self.sequence, take)? {
                break;
            }
        }
        self.fd = Some(fd);
        Ok(())
    }
}

fn open(protocol: SockProtocol) -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    // The kernel answers at once or not at all.
    setsockopt(&fd, ReceiveTimeout, &TimeVal::new(2, 0))?;
    Ok(fd)
}

/// `struct nlmsghdr`.
const HEADER: usize = 16;

fn request(kind: u16, want: Want, sequence: u32, body: &[u8]) -> Vec<u8> {
    let flags = libc::NLM_F_REQUEST
        | match want {
            Want::Dump => libc::NLM_F_DUMP,
            // The acknowledgement ends the answer.
            Want::One => libc::NLM_F_ACK,
        };
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags as u16).to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    // The kernel fills in the number of the socket.
    message.extend([0; 4]);
    message.extend(body);
    message
}

/// Hands the messages of one datagram to `take`; true when the answer is complete.
fn parse(mut datagram: &[u8], sequence: u32, take: &mut dyn FnMut(u16, &[u8])) -> io::Result<bool> {
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
            Some(DONE | ERROR) => return refusal(payload).map(|()| true),
            Some(kind) => take(kind, payload),
            None => {}
        }
    }
    Ok(false)
}

/// The errno that ends an answer, negative; 0, or none, is an end without one.
fn refusal(payload: &[u8]) -> io::Result<()> {
    match u32_at(payload, 0).map_or(0, u32::cast_signed) {
        errno if errno < 0 => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
        _ => Ok(()),
    }
}

/// The bits of an attribute's type that are not flags.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

/// The attributes of a message or of a nest, type and value; one that is cut off ends them.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let value = bytes.get(4..length)?;
        let kind = u16_at(bytes, 2)? & ATTRIBUTE_TYPE;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Adds an attribute to a request.
pub(crate) fn push_attribute(request: &mut Vec<u8>, kind: u16, value: &[u8]) {
    request.extend(((4 + value.len()) as u16).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(value);
    request.resize(aligned(request.len()), 0);
}

fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// Text that the kernel ends with a zero.
pub(crate) fn until_zero(value: &[u8]) -> &[u8] {
    value.split(|&b| b == 0).next().unwrap_or_default()
}

/// An address of a network device as sysfs prints it, such as `02:fc:00:00:00:01`.
pub(crate) fn hardware_address(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

pub(crate) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An attribute as the kernel writes it.
    pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, kind, value);
        bytes
    }

    fn message(kind: i32, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut message = request(kind as u16, Want::One, sequence, payload);
        message.resize(aligned(message.len()), 0);
        message
    }

    fn taken(datagram: &[u8]) -> (Vec<(u16, Vec<u8>)>, io::Result<bool>) {
        let mut messages = Vec::new();
        let done = parse(datagram, 7, &mut |kind, payload| messages.push((kind, payload.to_vec())));
        (messages, done)
    }

    #[test]
    fn messages_of_this_question_are_taken_until_the_end() {
        let mut datagram = message(16, 7, b"a");
        datagram.extend(message(16, 6, b"of the question before"));
        datagram.extend(message(17, 7, b"bcdef"));
        let (messages, done) = taken(&datagram);
        assert_eq!(messages, [(16, b"a".to_vec()), (17, b"bcdef".to_vec())]);
        assert!(!done.unwrap());
        assert!(taken(&message(libc::NLMSG_DONE, 7, &[0; 4])).1.unwrap());
        assert!(taken(&message(libc::NLMSG_ERROR, 7, &[0; 4])).1.unwrap(), "an acknowledgement");
    }

    #[test]
    fn a_refusal_is_an_error_at_the_start_and_at_the_end() {
        let refused = (-libc::EPERM).to_ne_bytes();
        for kind in [libc::NLMSG_ERROR, libc::NLMSG_DONE] {
            let (_, done) = taken(&message(kind, 7, &refused));
            assert_eq!(done.unwrap_err().raw_os_error(), Some(libc::EPERM));
        }
        assert!(taken(&message(libc::NLMSG_ERROR, 7, &i32::MIN.to_ne_bytes())).1.is_err());
        assert!(taken(&[200, 0, 0, 0]).1.is_err(), "cut off");
    }

    #[test]
    fn attributes_lose_their_flags_and_end_where_they_are_cut() {
        let mut bytes = attribute(0x8001, b"nested");
        bytes.extend(attribute(2, b""));
        bytes.extend([9, 0, 3, 0, 1]);
        let all: Vec<_> = attributes(&bytes).collect();
        assert_eq!(all, [(1, &b"nested"[..]), (2, b"")]);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0, "shorter than itself");
    }

    #[test]
    fn hardware_addresses_have_any_length() {
        assert_eq!(hardware_address(&[2, 0xfc, 0]), "02:fc:00");
        assert_eq!(hardware_address(&[]), "");
    }

    #[test]
    fn the_kernel_of_this_host_answers_each_time() {
        let mut socket = Socket::route(Namespace::Own);
        for _ in 0..3 {
            let mut messages = 0;
            socket.dump(libc::RTM_GETLINK, &[0; 16], &mut |_, _| messages += 1).unwrap();
            assert!(messages > 0);
        }
        let error = socket.get(libc::RTM_GETLINK, &[0; 16], &mut |_, _| {}).unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
        socket.dump(libc::RTM_GETLINK, &[0; 16], &mut |_, _| {}).unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = taken(&bytes);
            let mut read = 0;
            for (_, value) in attributes(&bytes) {
                read += 4 + value.len();
            }
            prop_assert!(read <= bytes.len());
        }

        #[test]
        fn what_is_pushed_is_read(
            all in proptest::collection::vec((0u16..=ATTRIBUTE_TYPE, proptest::collection::vec(any::<u8>(), 0..40)), 0..8)
        ) {
            let mut bytes = Vec::new();
            for (kind, value) in &all {
                push_attribute(&mut bytes, *kind, value);
            }
            let read: Vec<_> = attributes(&bytes).map(|(kind, value)| (kind, value.to_vec())).collect();
            prop_assert_eq!(read, all);
        }
    }
}
