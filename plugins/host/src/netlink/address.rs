//! Addresses of interfaces: RTM_GETADDR (rtnetlink(7), linux/if_addr.h).
//!
//! On a point-to-point interface the address is that of this end. It must not know the names of interfaces.

use std::io;
use std::net::IpAddr;

use super::{Socket, attributes, u8_at, u32_at};

/// One address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// The number of the interface.
    pub(crate) interface: u32,
    pub(crate) address: IpAddr,
    /// Bits of the network.
    pub(crate) prefix: u8,
}

/// Hands every address to `take`.
///
/// # Errors
/// Those of [`Socket::dump`].
pub(crate) fn addresses(socket: &mut Socket, take: &mut dyn FnMut(&Address)) -> io::Result<()> {
    socket.dump(libc::RTM_GETADDR, &[0; HEADER], &mut |kind, payload| {
        if kind == libc::RTM_NEWADDR
            && let Some(address) = parse(payload)
        {
            take(&address);
        }
    })
}

/// `struct ifaddrmsg`.
const HEADER: usize = 8;

fn parse(payload: &[u8]) -> Option<Address> {
    let (prefix, interface) = (u8_at(payload, 1)?, u32_at(payload, 4)?);
    let (mut local, mut address) = (None, None);
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match kind {
            libc::IFA_LOCAL => local = ip(value),
            libc::IFA_ADDRESS => address = ip(value),
            _ => {}
        }
    }
    Some(Address { interface, address: local.or(address)?, prefix })
}

/// An address as it stands in a packet; nothing for another length than that of IPv4 and IPv6.
pub(super) fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tests::attribute;
    use proptest::prelude::*;

    fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut payload = vec![2, 24, 0, 0];
        payload.extend(3u32.to_ne_bytes());
        for (kind, value) in attributes {
            payload.extend(attribute(*kind, value));
        }
        payload
    }

    #[test]
    fn this_end_of_a_connection_counts() {
        let (here, there) = ([10, 1, 0, 77], [10, 1, 0, 99]);
        for attributes in [
            &[(libc::IFA_ADDRESS, &there[..]), (libc::IFA_LOCAL, &here)][..],
            &[(libc::IFA_LOCAL, &here), (libc::IFA_ADDRESS, &there)],
            &[(libc::IFA_ADDRESS, &here)],
        ] {
            let address = Address { interface: 3, address: here.into(), prefix: 24 };
            assert_eq!(parse(&message(attributes)), Some(address));
        }
        assert_eq!(parse(&message(&[(libc::IFA_ADDRESS, &[1, 2, 3])])), None);
    }

    #[test]
    fn both_versions_are_addresses() {
        assert_eq!(ip(&[127, 0, 0, 1]), "127.0.0.1".parse().ok());
        assert_eq!(ip(&std::net::Ipv6Addr::LOCALHOST.octets()), "::1".parse().ok());
        assert_eq!(ip(&[]), None);
    }

    proptest! {
        #[test]
        fn any_attributes_are_survived(
            all in proptest::collection::vec((0u16..4, proptest::collection::vec(any::<u8>(), 0..20)), 0..5)
        ) {
            let all: Vec<_> = all.iter().map(|(kind, value)| (*kind, &value[..])).collect();
            prop_assert!(parse(&message(&all)).is_none_or(|address| address.interface == 3));
        }
    }
}
