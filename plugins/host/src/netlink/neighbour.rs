//! Neighbours, which is to say the ARP table: RTM_GETNEIGH (rtnetlink(7), linux/neighbour.h).
//!
//! Only those of IPv4, as in PROC/net/arp. It must not know the names of interfaces.

use std::io;

use super::{Socket, u8_at, u16_at, u32_at};

/// One entry of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// The number of the interface.
    pub(crate) interface: u32,
    /// NUD_*.
    pub(crate) state: u16,
}

/// Hands every IPv4 neighbour to `take`.
///
/// # Errors
/// Those of [`Socket::dump`].
pub(crate) fn neighbours(socket: &mut Socket, take: &mut dyn FnMut(&Neighbour)) -> io::Result<()> {
    let mut body = [0; HEADER];
    body[0] = INET;
    socket.dump(libc::RTM_GETNEIGH, &body, &mut |kind, payload| {
        if kind == libc::RTM_NEWNEIGH
            && let Some(neighbour) = parse(payload)
        {
            take(&neighbour);
        }
    })
}

const INET: u8 = libc::AF_INET as u8;

/// `struct ndmsg`.
const HEADER: usize = 12;

fn parse(payload: &[u8]) -> Option<Neighbour> {
    let neighbour = Neighbour { interface: u32_at(payload, 4)?, state: u16_at(payload, 8)? };
    (u8_at(payload, 0)? == INET).then_some(neighbour)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_recorded_neighbour_is_read() {
        // 10.1.0.9 on interface 3, permanent.
        let mut payload = [2, 0, 0, 0, 3, 0, 0, 0, 0x80, 0, 0, 1];
        payload[4..8].copy_from_slice(&3u32.to_ne_bytes());
        payload[8..10].copy_from_slice(&0x80u16.to_ne_bytes());
        assert_eq!(parse(&payload), Some(Neighbour { interface: 3, state: 0x80 }));
        payload[0] = 10;
        assert_eq!(parse(&payload), None, "IPv6");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            prop_assert!(parse(&bytes).is_none() || bytes.len() >= 10);
        }
    }
}
