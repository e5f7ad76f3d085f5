//! `network_route`: the routing tables of IPv4 and IPv6 (rtnetlink RTM_GETROUTE).
//!
//! Unicast routes of all tables; a route over several gateways is a series for each. It must not know rules that
//! choose a table.

use std::collections::{BTreeMap, HashSet};

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting};
use vigie_core::metric::{Family, MetricSink};

use crate::namespace::Namespace;
use crate::netlink::Socket;
use crate::netlink::link::Names;
use crate::netlink::route::{Route, routes};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("network_route", "The routing tables.")
        .reads("rtnetlink RTM_GETROUTE")
        .off_by_default()
        .families(&[INFO.doc(), ROUTES.doc()]),
    build: |setting| Ok(Box::new(NetworkRoute::new(setting))),
};

static INFO: Family<7> = Family::gauge(
    "node_network_route_info",
    "Each route; always 1.",
    ["device", "src", "dest", "gw", "priority", "proto", "weight"],
);
static ROUTES: Family<1> = Family::gauge("node_network_routes", "Routes by interface.", ["device"]);

struct NetworkRoute {
    socket: Socket,
    names: Names,
}

impl NetworkRoute {
    fn new(setting: &Setting) -> Self {
        let socket = Socket::route(Namespace::most_likely(&setting.paths));
        NetworkRoute { socket, names: Names::default() }
    }
}

impl Collector for NetworkRoute {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let NetworkRoute { socket, names } = self;
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut shown = HashSet::new();
        let mut family = INFO.open(sink);
        let asked = names.update(socket).and_then(|()| {
            routes(socket, &mut |route| {
                if route.kind != libc::RTN_UNICAST {
                    return;
                }
                let name = names.get(route.hop.interface).unwrap_or_default();
                let labels = labels(route);
                *counts.entry(name).or_default() += 1;
                let [source, destination, gateway, priority, protocol, weight] = &labels;
                let values = [name, source, destination, gateway, priority, protocol, weight];
                // Two tables may have the same route.
                if shown.insert((route.hop.interface, labels.clone())) {
                    family.emit(values, true);
                }
            })
        });
        let mut family = ROUTES.open(sink);
        for (name, count) in counts {
            family.emit([name], count);
        }
        asked.map_err(|error| CollectError::Other(format!("ask rtnetlink for routes: {error}")))
    }
}

/// The labels but for the interface.
fn labels(route: &Route) -> [String; 6] {
    let text = |address: Option<std::net::IpAddr>| {
        address.map(|address| address.to_string()).unwrap_or_default()
    };
    let destination = match route.destination {
        Some((address, bits)) => format!("{address}/{bits}"),
        None => "default".to_owned(),
    };
    [
        text(route.source),
        destination,
        text(route.hop.gateway),
        route.priority.to_string(),
        protocol(route.protocol).to_owned(),
        route.hop.weight.map(|weight| weight.to_string()).unwrap_or_default(),
    ]
}

/// Who made a route (`RTPROT_*` of linux/rtnetlink.h), in node_exporter's words.
fn protocol(number: u8) -> &'static str {
    match number {
        0 => "unspec",
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        8 => "gated",
        9 => "ra",
        10 => "mrt",
        11 => "zebra",
        12 => "bird",
        13 => "dnrouted",
        14 => "xorp",
        15 => "ntk",
        16 => "dhcp",
        17 => "mrouted",
        42 => "babel",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::route::Hop;
    use crate::testing::{Host, scrape};

    #[test]
    fn labels_are_words_or_empty() {
        let mut route = Route {
            kind: 1,
            protocol: 16,
            destination: None,
            source: None,
            priority: 0,
            hop: Hop { interface: 3, gateway: Some([10, 1, 0, 9].into()), weight: None },
        };
        assert_eq!(labels(&route), ["", "default", "10.1.0.9", "0", "dhcp", ""]);
        route.destination = Some((std::net::Ipv6Addr::LOCALHOST.into(), 128));
        route.source = Some([10, 1, 0, 1].into());
        (route.priority, route.protocol) = (1024, 77);
        route.hop = Hop { interface: 3, gateway: None, weight: Some(256) };
        assert_eq!(labels(&route), ["10.1.0.1", "::1/128", "", "1024", "unknown", "256"]);
    }

    #[test]
    fn the_kernel_answers_each_time() {
        let mut collector = Host::new(&[]).build(&DEF).unwrap();
        for _ in 0..2 {
            scrape(&mut *collector).1.unwrap();
        }
    }
}
