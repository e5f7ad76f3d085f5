//! Interfaces over rtnetlink, with speed and duplex over ethtool netlink.
//!
//! Two questions for all interfaces, and of sysfs only what netlink does not tell. It must not know families.

use std::io;
use std::path::PathBuf;

use vigie_core::collect::{CollectError, Paths};

use super::column::{COLUMNS, InLink};
use super::{Interface, keep};
use crate::filter::Filter;
use crate::known::Known;
use crate::namespace::Namespace;
use crate::netlink::ethtool::{self, Duplex, LinkMode, link_modes};
use crate::netlink::generic::Generic;
use crate::netlink::link::{Link, OPERATIONAL_STATES, links, settings};
use crate::netlink::{Socket, hardware_address};
use crate::parse::{self, text};
use crate::sysfs::Attributes;

/// Asks for all interfaces.
pub(super) struct Reader {
    links: Socket,
    ethtool: Generic,
    with_counters: bool,
    directory: PathBuf,
    attributes: Attributes,
}

impl Reader {
    pub(super) fn new(paths: &Paths, with_counters: bool) -> Self {
        let namespace = Namespace::most_likely(paths);
        Reader {
            links: Socket::route(namespace.clone()),
            ethtool: ethtool::family(namespace),
            with_counters,
            directory: paths.sys("class/net"),
            attributes: Attributes::new(),
        }
    }

    pub(super) fn with_counters(&self) -> bool {
        self.with_counters
    }

    pub(super) fn update(
        &mut self,
        filter: &Filter,
        interfaces: &mut Known<Interface>,
    ) -> Result<(), CollectError> {
        let mut take = |link: &Link<'_>| {
            let new = |name: &str| Interface::new(name, filter);
            if let Some(interface) = interfaces.meet(link.name, new)
                && interface.admitted
            {
                set(interface, link);
            }
        };
        let asked = if self.with_counters {
            links(&mut self.links, &mut take)
        } else {
            settings(&mut self.links, &mut take)
        };
        self.read_untold(interfaces);
        let asked_ethtool = self.ask_ethtool(interfaces);
        asked.map_err(|error| CollectError::Other(format!("ask rtnetlink for links: {error}")))?;
        asked_ethtool
            .map_err(|error| CollectError::Other(format!("ask ethtool for links: {error}")))
    }

    fn ask_ethtool(&mut self, interfaces: &mut Known<Interface>) -> io::Result<()> {
        let mut by_name: std::collections::HashMap<&[u8], &mut Interface> =
            interfaces.iter_mut().map(|(name, interface)| (name.as_bytes(), interface)).collect();
        let asked = link_modes(&mut self.ethtool, &mut |mode: &LinkMode<'_>| {
            if let Some(interface) = by_name.get_mut(mode.name) {
                interface.speed = mode.speed.map(i64::from);
                keep(&mut interface.duplex, mode.duplex.map_or("", duplex));
            }
        });
        unless_unsupported(asked)
    }

    fn read_untold(&mut self, interfaces: &mut Known<Interface>) {
        for (name, interface) in interfaces.iter_mut().filter(|(_, i)| i.admitted) {
            let directory = self.directory.join(name);
            for (column, value) in COLUMNS.iter().zip(&mut interface.values) {
                if matches!(column.in_link, InLink::Untold) {
                    let word = self.attributes.optional(&directory, column.attribute);
                    *value = word.and_then(number);
                }
            }
        }
    }
}

/// Kernels before 5.6 have no ethtool netlink: no speed and no duplex. Later ones may end an answer that is complete with
/// `EOPNOTSUPP`, when the last interface is one without link modes.
fn unless_unsupported(asked: io::Result<()>) -> io::Result<()> {
    match asked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        asked => asked,
    }
}

fn number(word: &[u8]) -> Option<i64> {
    let number =
        if word.starts_with(b"0x") { parse::hexadecimal(word) } else { parse::number(word) };
    number?.try_into().ok()
}

/// The words of ethtool, with which node_exporter differs here from sysfs.
fn duplex(duplex: Duplex) -> &'static str {
    match duplex {
        Duplex::Half => "Half",
        Duplex::Full => "Full",
        Duplex::Unknown => "Unknown",
    }
}

/// Sets what a link has; the rest is not known then.
pub(super) fn set(interface: &mut Interface, link: &Link<'_>) {
    for (column, value) in COLUMNS.iter().zip(&mut interface.values) {
        if let InLink::Told(told) = column.in_link {
            *value = told(link);
        }
    }
    interface.flags = Some(link.flags.into());
    interface.speed = None;
    interface.duplex.clear();
    keep(&mut interface.address, &hardware_address(link.address));
    keep(&mut interface.broadcast, &hardware_address(link.broadcast));
    keep(&mut interface.alias, &text(link.alias));
    let state = link.operational_state.and_then(|state| OPERATIONAL_STATES.get(usize::from(state)));
    keep(&mut interface.operational_state, state.copied().unwrap_or_default());
    let names = link.alternative_names.iter().map(|name| text(name).into_owned());
    interface.alternative_names.clear();
    interface.alternative_names.extend(names);
    interface.counters = link.counters;
}

#[cfg(test)]
mod tests {
    use super::super::{DEF, NETLINK, WITH_STATS};
    use super::*;
    use crate::testing::{Host, lines};

    #[test]
    fn a_link_sets_everything_that_is_not_in_sysfs() {
        let mut interface = Interface { admitted: true, speed: Some(5), ..Interface::default() };
        let link = Link {
            name: b"eth0",
            index: 7,
            kind: 1,
            flags: 0x1_1043,
            address: &[2, 0xfc, 0],
            operational_state: Some(5),
            carrier: Some(0),
            mtu: Some(9000),
            ..Link::default()
        };
        set(&mut interface, &link);
        let value = |name: &str| {
            let at = COLUMNS.iter().position(|column| column.attribute == name);
            interface.values[at.unwrap()]
        };
        assert_eq!(
            (value("ifindex"), value("iflink"), value("mtu")),
            (Some(7), Some(7), Some(9000))
        );
        assert_eq!((value("carrier"), value("dormant"), value("dev_id")), (Some(0), None, None));
        assert_eq!((interface.speed, interface.administrative_state()), (None, "up"));
        assert_eq!(
            (interface.address.as_str(), interface.operational_state.as_str()),
            ("02:fc:00", "dormant")
        );
    }

    #[test]
    fn interfaces_without_link_modes_are_no_failure() {
        let asked = |errno| unless_unsupported(Err(io::Error::from_raw_os_error(errno)));
        assert!(asked(libc::EOPNOTSUPP).is_ok() && asked(libc::ENOENT).is_ok());
        assert!(asked(libc::EPERM).is_err());
    }

    #[test]
    fn the_kernel_tells_of_its_loopback() {
        let host = Host::new(&[
            ("sys/class/net/lo/dev_id", "0x0\n"),
            ("sys/class/net/lo/name_assign_type", "2\n"),
        ])
        .flag(NETLINK, &["true"]);
        let text = lines(&host, &DEF);
        for line in [
            "node_network_iface_id{device=\"lo\"} 1\n",
            "node_network_device_id{device=\"lo\"} 0\n",
            "node_network_name_assign_type{device=\"lo\"} 2\n",
            "node_network_protocol_type{device=\"lo\"} 772\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("receive_bytes"), "{text}");
        let text = lines(&host.flag(WITH_STATS, &["true"]), &DEF);
        assert!(text.contains("node_network_receive_missed_errors_total{device=\"lo\"}"), "{text}");
    }
}
