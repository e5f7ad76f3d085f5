//! Routes of IPv4 and IPv6 in all tables: RTM_GETROUTE (rtnetlink(7), linux/rtnetlink.h).
//!
//! A route over several gateways comes out once for each. What the kernel learned of single destinations, such as a path
//! MTU, is no route, although it comes in the same answer. It must not know the names of interfaces.

use std::io;
use std::net::IpAddr;

use super::address::ip;
use super::{Socket, attributes, u8_at, u16_at, u32_at};

/// One way to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// RTN_*: 1 for unicast.
    pub(crate) kind: u8,
    /// RTPROT_*: who made it.
    pub(crate) protocol: u8,
    /// Address and bits of the network; none for the default route.
    pub(crate) destination: Option<(IpAddr, u8)>,
    /// The address that packets are given as their source.
    pub(crate) source: Option<IpAddr>,
    pub(crate) priority: u32,
    pub(crate) hop: Hop,
}

/// Where a packet goes next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// The number of the interface; 0 for none.
    pub(crate) interface: u32,
    pub(crate) gateway: Option<IpAddr>,
    /// Its share where there are several.
    pub(crate) weight: Option<u16>,
}

/// Hands every route to `take`.
///
/// # Errors
/// Those of [`Socket::dump`].
pub(crate) fn routes(socket: &mut Socket, take: &mut dyn FnMut(&Route)) -> io::Result<()> {
    socket.dump(libc::RTM_GETROUTE, &[0; HEADER], &mut |kind, payload| {
        if kind == libc::RTM_NEWROUTE {
            parse(payload, take);
        }
    })
}

/// `struct rtmsg`.
const HEADER: usize = 12;

/// Hands the ways of one message to `take`; none for other families than IPv4 and IPv6, and for entries of the cache.
fn parse(payload: &[u8], take: &mut dyn FnMut(&Route)) -> Option<()> {
    let family = i32::from(u8_at(payload, 0)?);
    if ![libc::AF_INET, libc::AF_INET6].contains(&family) {
        return None;
    }
    let bits = u8_at(payload, 1)?;
    let (protocol, kind) = (u8_at(payload, 5)?, u8_at(payload, 7)?);
    if u32_at(payload, 8)? & libc::RTM_F_CLONED != 0 {
        return None;
    }
    let hop = Hop::default();
    let mut route = Route { kind, protocol, destination: None, source: None, priority: 0, hop };
    let mut several = &[][..];
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match kind {
            libc::RTA_DST => route.destination = ip(value).map(|address| (address, bits)),
            libc::RTA_PREFSRC => route.source = ip(value),
            libc::RTA_PRIORITY => route.priority = u32_at(value, 0)?,
            libc::RTA_OIF => route.hop.interface = u32_at(value, 0)?,
            libc::RTA_MULTIPATH => several = value,
            _ => route.hop.gateway = route.hop.gateway.or_else(|| gateway(kind, value)),
        }
    }
    if several.is_empty() {
        take(&route);
    }
    for hop in hops(several) {
        route.hop = hop;
        take(&route);
    }
    Some(())
}

/// Of linux/rtnetlink.h; not every libc has it.
const RTA_VIA: u16 = 18;

/// The gateway in an attribute: of the route's own family, or of another (`struct rtvia`, which begins with the family).
fn gateway(kind: u16, value: &[u8]) -> Option<IpAddr> {
    match kind {
        libc::RTA_GATEWAY => ip(value),
        RTA_VIA => ip(value.get(2..)?),
        _ => None,
    }
}

/// `struct rtnexthop`, each with attributes of its own.
const NEXT_HOP: usize = 8;

fn hops(mut bytes: &[u8]) -> impl Iterator<Item = Hop> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let own = bytes.get(NEXT_HOP..length)?;
        // The kernel counts from 0.
        let weight = Some(u16::from(u8_at(bytes, 3)?) + 1);
        let mut hop = Hop { interface: u32_at(bytes, 4)?, gateway: None, weight };
        hop.gateway = attributes(own).find_map(|(kind, value)| gateway(kind, value));
        bytes = bytes.get(super::aligned(length)..).unwrap_or_default();
        Some(hop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tests::attribute;
    use proptest::prelude::*;

    fn message(family: i32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut payload = vec![family as u8, 24, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        for (kind, value) in attributes {
            payload.extend(attribute(*kind, value));
        }
        payload
    }

    fn hop(interface: u32, weight: u8, gateway: [u8; 4]) -> Vec<u8> {
        let attributes = attribute(libc::RTA_GATEWAY, &gateway);
        let mut hop = ((NEXT_HOP + attributes.len()) as u16).to_ne_bytes().to_vec();
        hop.extend([0, weight - 1]);
        hop.extend(interface.to_ne_bytes());
        hop.extend(attributes);
        hop
    }

    fn parsed(payload: &[u8]) -> Vec<Route> {
        let mut routes = Vec::new();
        parse(payload, &mut |route| routes.push(route.clone()));
        routes
    }

    #[test]
    fn a_route_has_one_way_or_several() {
        let one = message(
            libc::AF_INET,
            &[
                (libc::RTA_DST, &[10, 9, 0, 0]),
                (libc::RTA_OIF, &3u32.to_ne_bytes()),
                (libc::RTA_GATEWAY, &[10, 1, 0, 9]),
                (libc::RTA_PREFSRC, &[10, 1, 0, 1]),
                (libc::RTA_PRIORITY, &5u32.to_ne_bytes()),
            ],
        );
        let route = Route {
            kind: 1,
            protocol: 3,
            destination: Some(([10, 9, 0, 0].into(), 24)),
            source: Some([10, 1, 0, 1].into()),
            priority: 5,
            hop: Hop { interface: 3, gateway: Some([10, 1, 0, 9].into()), weight: None },
        };
        assert_eq!(parsed(&one), [route]);

        let hops = [hop(3, 2, [10, 1, 0, 5]), hop(4, 200, [10, 1, 0, 6])].concat();
        let several = parsed(&message(libc::AF_INET, &[(libc::RTA_MULTIPATH, &hops)]));
        let ways: Vec<_> = several.iter().map(|r| (r.hop.interface, r.hop.weight)).collect();
        assert_eq!(ways, [(3, Some(2)), (4, Some(200))]);
        assert_eq!(several[0].destination, None, "the default route");
        assert_eq!(several[1].hop.gateway, Some([10, 1, 0, 6].into()));
    }

    #[test]
    fn a_gateway_may_be_of_another_family() {
        let (v6, address) = (libc::AF_INET6 as u16, std::net::Ipv6Addr::LOCALHOST);
        let via = [&v6.to_ne_bytes()[..], &address.octets()].concat();
        let routes = parsed(&message(libc::AF_INET, &[(RTA_VIA, &via)]));
        assert_eq!(routes[0].hop.gateway, Some(address.into()));
        let mut hop = hop(3, 1, [0; 4]);
        let attribute = attribute(RTA_VIA, &via);
        hop.truncate(NEXT_HOP);
        hop[..2].copy_from_slice(&((NEXT_HOP + attribute.len()) as u16).to_ne_bytes());
        hop.extend(attribute);
        let routes = parsed(&message(libc::AF_INET, &[(libc::RTA_MULTIPATH, &hop)]));
        assert_eq!((routes.len(), routes[0].hop.gateway), (1, Some(address.into())));
        assert!(gateway(RTA_VIA, &[]).is_none() && gateway(RTA_VIA, &[2]).is_none());
    }

    #[test]
    fn other_families_and_the_cache_have_no_routes_here() {
        assert!(parsed(&message(libc::AF_MPLS, &[])).is_empty());
        let mut learned = message(libc::AF_INET, &[(libc::RTA_DST, &[10, 9, 0, 1])]);
        assert_eq!(parsed(&learned).len(), 1);
        learned[8..12].copy_from_slice(&libc::RTM_F_CLONED.to_ne_bytes());
        assert!(parsed(&learned).is_empty());
    }

    proptest! {
        #[test]
        fn any_attributes_are_survived(
            all in proptest::collection::vec((0u16..16, proptest::collection::vec(any::<u8>(), 0..40)), 0..5)
        ) {
            let all: Vec<_> = all.iter().map(|(kind, value)| (*kind, &value[..])).collect();
            for route in parsed(&message(libc::AF_INET6, &all)) {
                prop_assert_eq!((route.kind, route.protocol), (1, 3));
            }
        }
    }
}
