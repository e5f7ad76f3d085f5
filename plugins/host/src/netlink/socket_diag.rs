//! TCP sockets: SOCK_DIAG_BY_FAMILY (sock_diag(7), linux/inet_diag.h).
//!
//! The kernel sends a message for each socket, so a host with many has a long answer. It must not know what the states
//! are called.

use std::io;

use super::{Socket, u8_at, u32_at};

/// What is of interest of a socket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TcpSocket {
    /// TCP_* of net/tcp_states.h.
    pub(crate) state: u8,
    /// Bytes received and not yet read; connections to be accepted for a socket that listens.
    pub(crate) receive_queue: u32,
    /// Bytes not yet sent or acknowledged.
    pub(crate) send_queue: u32,
}

/// The version of the Internet protocol that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// Hands every TCP socket of an Internet protocol to `take`.
///
/// # Errors
/// Those of [`Socket::dump`]; `ENOENT` where the kernel has no such sockets.
pub(crate) fn tcp_sockets(
    socket: &mut Socket,
    version: Version,
    take: &mut dyn FnMut(&TcpSocket),
) -> io::Result<()> {
    let mut body = [0; REQUEST];
    body[0] = match version {
        Version::V4 => libc::AF_INET as u8,
        Version::V6 => libc::AF_INET6 as u8,
    };
    body[1] = libc::IPPROTO_TCP as u8;
    body[4..8].copy_from_slice(&ALL_STATES.to_ne_bytes());
    socket.dump(BY_FAMILY, &body, &mut |kind, payload| {
        if kind == BY_FAMILY
            && let Some(socket) = parse(payload)
        {
            take(&socket);
        }
    })
}

/// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h.
const BY_FAMILY: u16 = 20;

/// `struct inet_diag_req_v2`.
const REQUEST: usize = 56;

/// One bit for each state that a user sees.
const ALL_STATES: u32 = 0xfff;

/// Reads a `struct inet_diag_msg`.
fn parse(payload: &[u8]) -> Option<TcpSocket> {
    Some(TcpSocket {
        state: u8_at(payload, 1)?,
        receive_queue: u32_at(payload, 56)?,
        send_queue: u32_at(payload, 60)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_recorded_socket_is_read() {
        let mut payload = [0; 72];
        payload[..2].copy_from_slice(&[2, 10]);
        payload[56..60].copy_from_slice(&3u32.to_ne_bytes());
        payload[60..64].copy_from_slice(&128u32.to_ne_bytes());
        let socket = TcpSocket { state: 10, receive_queue: 3, send_queue: 128 };
        assert_eq!(parse(&payload), Some(socket));
        assert_eq!(parse(&payload[..63]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            prop_assert_eq!(parse(&bytes).is_some(), bytes.len() >= 64);
        }
    }
}
