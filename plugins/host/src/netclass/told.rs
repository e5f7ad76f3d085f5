//! What rtnetlink tells of the interfaces in sysfs: one answer instead of two thirds of their files.
//!
//! It is believed only where sysfs was seen to show the very interfaces that netlink tells of, by name and number: the
//! two can belong to different network namespaces, and a recorded host is not this one. It must not read sysfs.

use nix::sys::statfs::{SYSFS_MAGIC, statfs};
use vigie_core::collect::Paths;

use super::column::{COLUMNS, Column, FLAGS, InLink};
use super::{Interface, rtnl};
use crate::filter::Filter;
use crate::known::Known;
use crate::netlink::Socket;
use crate::netlink::link::{Link, settings};

/// Asks, and remembers which answer sysfs agreed with.
pub(super) struct Told {
    paths: Paths,
    /// After the first scrape; none where nothing can be told.
    socket: Option<Option<Socket>>,
    /// Names and numbers in netlink's order; none before sysfs has agreed.
    verified: Vec<(String, i64)>,
    /// Those of the last answer, when they were others.
    doubtful: Vec<(String, i64)>,
}

impl Told {
    pub(super) fn new(paths: &Paths) -> Self {
        let (verified, doubtful) = (Vec::new(), Vec::new());
        Told { paths: paths.clone(), socket: None, verified, doubtful }
    }

    /// Sets what is told of each interface, as sysfs would tell it. False where that is not to be believed.
    pub(super) fn update(&mut self, filter: &Filter, interfaces: &mut Known<Interface>) -> bool {
        let socket = self.socket.get_or_insert_with(|| socket(&self.paths));
        let Some(socket) = socket else { return false };
        interfaces.begin();
        let asked = settings(socket, &mut |link: &Link<'_>| {
            let new = |name: &str| Interface::new(name, filter);
            if let Some(interface) = interfaces.meet(link.name, new)
                && interface.admitted
            {
                rtnl::set(interface, link);
                as_in_sysfs(interface, link);
            }
        });
        interfaces.end();
        let verified = self.verified.iter().map(|(name, number)| (name.as_str(), *number));
        if asked.is_ok() && !self.verified.is_empty() && numbered(interfaces).eq(verified) {
            return true;
        }
        self.doubtful.clear();
        if asked.is_ok() {
            self.doubtful.extend(numbered(interfaces).map(|(name, at)| (name.to_owned(), at)));
        }
        false
    }

    /// Compares the last answer with what sysfs shows.
    pub(super) fn verify(&mut self, interfaces: &Known<Interface>) {
        if self.doubtful.is_empty() {
            self.verified.clear();
            return;
        }
        let sorted = |mut pairs: Vec<(String, i64)>| {
            pairs.sort_unstable();
            pairs
        };
        let shown = numbered(interfaces).map(|(name, number)| (name.to_owned(), number)).collect();
        let agrees = sorted(shown) == sorted(self.doubtful.clone());
        self.verified = std::mem::take(&mut self.doubtful);
        if !agrees {
            self.verified.clear();
        }
    }
}

/// Nothing where sysfs is a recorded one, or where the host's network cannot be asked.
fn socket(paths: &Paths) -> Option<Socket> {
    let sysfs = statfs(&paths.sysfs).ok()?;
    (sysfs.filesystem_type() == SYSFS_MAGIC).then(|| Socket::of_the_host(paths)).flatten()
}

/// Whether netlink tells a number as its file does. That of the flags has some that netlink leaves out.
pub(super) fn is_told(column: &Column) -> bool {
    matches!(column.in_link, InLink::Told(_)) && column.attribute != FLAGS
}

/// Admitted interfaces with their numbers.
fn numbered(interfaces: &Known<Interface>) -> impl Iterator<Item = (&str, i64)> {
    let at = COLUMNS.iter().position(|column| column.attribute == "ifindex");
    let number = move |i: &Interface| i.values.get(at?).copied().flatten();
    let admitted = interfaces.iter().filter(|(_, interface)| interface.admitted);
    admitted.filter_map(move |(name, interface)| Some((name, number(interface)?)))
}

/// Two files refuse while an interface is down, sysfs says `dormant` of the state, not of the mode, and it knows no other
/// names.
fn as_in_sysfs(interface: &mut Interface, link: &Link<'_>) {
    let flag = |flag: libc::c_int| i64::from(link.flags.cast_signed() & flag != 0);
    let is_up = flag(libc::IFF_UP) == 1;
    for (column, value) in COLUMNS.iter().zip(&mut interface.values) {
        match column.attribute {
            "carrier" => *value = value.filter(|_| is_up),
            "dormant" => *value = is_up.then(|| flag(IFF_DORMANT)),
            _ => {}
        }
    }
    interface.alternative_names.clear();
}

/// Of linux/if.h.
const IFF_DORMANT: libc::c_int = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use vigie_core::config::Flags;

    fn paths() -> Paths {
        Paths { procfs: "/proc".into(), sysfs: "/sys".into(), ..Paths::default() }
    }

    fn everything() -> Filter {
        Filter::excluding(&Flags::new(super::super::DEF.info.flags), super::super::IGNORED).unwrap()
    }

    #[test]
    fn a_recorded_host_is_not_asked_about() {
        let host = Host::new(&[("sys/class/net/lo/ifindex", "1\n")]);
        let paths = Paths { sysfs: host.dir.path().join("sys"), ..paths() };
        assert!(socket(&paths).is_none());
    }

    #[test]
    fn an_answer_is_believed_after_sysfs_has_agreed_and_as_long_as_the_interfaces_are_the_same() {
        let (mut told, filter, mut interfaces) = (Told::new(&paths()), everything(), Known::new());
        assert!(!told.update(&filter, &mut interfaces), "sysfs was not read yet");
        told.verify(&interfaces);
        assert!(told.update(&filter, &mut interfaces));
        told.verified[0].1 += 1;
        assert!(!told.update(&filter, &mut interfaces), "a number has changed");
        told.verify(&interfaces);
        assert!(told.update(&filter, &mut interfaces));
        told.verified.push(("gone".to_owned(), 1));
        assert!(!told.update(&filter, &mut interfaces), "one has gone");
        told.verify(&Known::new());
        assert!(!told.update(&filter, &mut interfaces), "sysfs shows others");
    }

    #[test]
    fn what_is_down_has_no_carrier_and_dormant_is_a_state() {
        let value = |flags, name| {
            let mut interface = Interface { admitted: true, ..Interface::default() };
            let link = Link { flags, carrier: Some(1), mode: Some(1), ..Link::default() };
            rtnl::set(&mut interface, &link);
            as_in_sysfs(&mut interface, &link);
            let at = COLUMNS.iter().position(|column| column.attribute == name).unwrap();
            interface.values[at]
        };
        assert_eq!((value(0, "carrier"), value(0, "dormant")), (None, None));
        assert_eq!((value(1, "carrier"), value(1, "dormant")), (Some(1), Some(0)));
        assert_eq!(value(1 | 1 << 17, "dormant"), Some(1));
    }

    #[test]
    fn other_names_are_not_in_sysfs() {
        let mut interface = Interface::default();
        interface.alternative_names.push("enp1s0".to_owned());
        as_in_sysfs(&mut interface, &Link::default());
        assert!(interface.alternative_names.is_empty());
    }
}
