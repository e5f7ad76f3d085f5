//! Interfaces out of SYS/class/net.
//!
//! Interfaces come and go while they are read, and each file may refuse: a driver need not know a speed, and an
//! interface that is down has no carrier to speak of. Neither costs more than itself. What `told` has is not read again.
//! It must not know families.

use std::fs::File;
use std::path::PathBuf;

use vigie_core::collect::{CollectError, Paths};

use super::column::{COLUMNS, Column, FLAGS};
use super::told::{Told, is_told};
use super::{Interface, keep};
use crate::filter::Filter;
use crate::known::Known;
use crate::parse::{hexadecimal, signed, text};
use crate::sysfs::{Attributes, entries, open_directory};

/// Reads all interfaces.
pub(super) struct Reader {
    directory: PathBuf,
    attributes: Attributes,
    told: Told,
}

impl Reader {
    pub(super) fn new(paths: &Paths) -> Self {
        Reader {
            directory: paths.sys("class/net"),
            attributes: Attributes::new(),
            told: Told::new(paths),
        }
    }

    pub(super) fn update(
        &mut self,
        filter: &Filter,
        interfaces: &mut Known<Interface>,
    ) -> Result<(), CollectError> {
        if self.told.update(filter, interfaces) {
            self.read_untold(interfaces);
            return Ok(());
        }
        interfaces.begin();
        self.read_all(filter, interfaces)?;
        interfaces.end();
        self.told.verify(interfaces);
        Ok(())
    }

    fn read_untold(&mut self, interfaces: &mut Known<Interface>) {
        for (name, interface) in interfaces.iter_mut().filter(|(_, i)| i.admitted) {
            if let Ok(directory) = open_directory(&self.directory.join(name)) {
                self.read_numbers(&directory, interface, |column| !is_told(column));
                self.read_texts(&directory, [(&mut interface.duplex, "duplex")]);
            }
        }
    }

    /// Files of the directory are no interfaces, nor is a directory without a number: that one has just gone.
    fn read_all(
        &mut self,
        filter: &Filter,
        interfaces: &mut Known<Interface>,
    ) -> Result<(), CollectError> {
        let names = entries(&self.directory).map_err(CollectError::missing_is_no_data)?;
        for name in names.iter().filter(|name| filter.admits(name)) {
            let Ok(directory) = open_directory(&self.directory.join(name)) else { continue };
            if self.attributes.read_in(&directory, "ifindex").is_err() {
                continue;
            }
            let new = |name: &str| Interface::new(name, filter);
            if let Some(interface) = interfaces.meet(name.as_bytes(), new) {
                self.read(&directory, interface);
            }
        }
        Ok(())
    }

    fn read(&mut self, directory: &File, interface: &mut Interface) {
        self.read_numbers(directory, interface, |_| true);
        let Interface { address, broadcast, duplex, alias, operational_state, .. } = interface;
        self.read_texts(
            directory,
            [
                (address, "address"),
                (broadcast, "broadcast"),
                (duplex, "duplex"),
                (alias, "ifalias"),
                (operational_state, "operstate"),
            ],
        );
    }

    fn read_numbers(
        &mut self,
        directory: &File,
        interface: &mut Interface,
        wanted: impl Fn(&Column) -> bool,
    ) {
        let columns = COLUMNS.iter().zip(&mut interface.values);
        for (column, value) in columns.filter(|(column, _)| wanted(column)) {
            *value = self.number(directory, column.attribute);
            if column.attribute == FLAGS {
                interface.flags = *value;
            }
        }
        interface.speed = self.number(directory, "speed");
    }

    fn read_texts<const N: usize>(&mut self, directory: &File, texts: [(&mut String, &str); N]) {
        for (target, name) in texts {
            keep(target, &text(self.attributes.read_in(directory, name).unwrap_or_default()));
        }
    }

    fn number(&mut self, directory: &File, name: &str) -> Option<i64> {
        self.attributes.read_in(directory, name).ok().and_then(number)
    }
}

/// Flags are hexadecimal, the others decimal.
fn number(word: &[u8]) -> Option<i64> {
    if word.starts_with(b"0x") { hexadecimal(word)?.try_into().ok() } else { signed(word) }
}

#[cfg(test)]
mod tests {
    use super::super::{DEF, IGNORE_SPEED, IGNORED};

    use crate::testing::{Host, lines, scrape};

    const FILES: [(&str, &str); 22] = [
        ("sys/class/net/bonding_masters", "bond0\n"),
        ("sys/class/net/gone/uevent", ""),
        ("sys/class/net/veth1/ifindex", "9\n"),
        ("sys/class/net/eth0/addr_assign_type", "0\n"),
        ("sys/class/net/eth0/address", "02:fc:00:00:00:01\n"),
        ("sys/class/net/eth0/broadcast", "ff:ff:ff:ff:ff:ff\n"),
        ("sys/class/net/eth0/carrier_changes", "x\n"),
        ("sys/class/net/eth0/carrier_up_count", "2\n"),
        ("sys/class/net/eth0/dev_id", "0x20\n"),
        ("sys/class/net/eth0/duplex", "full\n"),
        ("sys/class/net/eth0/flags", "0x1303\n"),
        ("sys/class/net/eth0/ifalias", "up \u{e9} link\n"),
        ("sys/class/net/eth0/ifindex", "2\n"),
        ("sys/class/net/eth0/mtu", "1500\n"),
        ("sys/class/net/eth0/operstate", "up\n"),
        ("sys/class/net/eth0/speed", "1000\n"),
        ("sys/class/net/tun0/address", "\n"),
        ("sys/class/net/tun0/flags", "0x1090\n"),
        ("sys/class/net/tun0/ifindex", "3\n"),
        ("sys/class/net/tun0/operstate", "unknown\n"),
        ("sys/class/net/tun0/speed", "-1\n"),
        ("sys/class/net/wg0/ifindex", "4\n"),
    ];

    #[test]
    fn attributes_are_numbers_and_labels() {
        let text = lines(&Host::new(&FILES), &DEF);
        for line in [
            "node_network_address_assign_type{device=\"eth0\"} 0\n",
            "node_network_carrier_up_changes_total{device=\"eth0\"} 2\n",
            "node_network_device_id{device=\"eth0\"} 32\n",
            "node_network_flags{device=\"eth0\"} 4867\n",
            "node_network_speed_bytes{device=\"eth0\"} 125000000\n",
            "node_network_up{device=\"eth0\"} 1\n",
            "node_network_up{device=\"tun0\"} 0\n",
            "adminstate=\"down\",device=\"tun0\",operstate=\"unknown\"} 1\n",
            "adminstate=\"unknown\",device=\"wg0\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        let eth0 = "node_network_info{address=\"02:fc:00:00:00:01\",adminstate=\"up\",broadcast=\"ff:ff:ff:ff:ff:ff\",\
            device=\"eth0\",duplex=\"full\",ifalias=\"up é link\",operstate=\"up\"} 1\n";
        assert!(text.contains(eth0), "{text}");
        assert!(!text.contains("carrier_changes"), "one bad attribute costs itself: {text}");
        assert!(!text.contains("gone") && !text.contains("bonding_masters"), "{text}");
    }

    #[test]
    fn an_unknown_speed_is_negative_or_left_out() {
        let unknown = "node_network_speed_bytes{device=\"tun0\"} -125000\n";
        assert!(lines(&Host::new(&FILES), &DEF).contains(unknown));
        let text = lines(&Host::new(&FILES).flag(IGNORE_SPEED, &["true"]), &DEF);
        assert!(!text.contains(unknown) && text.contains("speed_bytes{device=\"eth0\"}"), "{text}");
    }

    #[test]
    fn the_filter_is_that_of_netdev_or_its_own() {
        let shown = |host: Host| {
            let text = lines(&host, &DEF);
            let up = text.lines().filter_map(|line| line.strip_prefix("node_network_up{device=\""));
            up.filter_map(|line| line.split('"').next()).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(shown(Host::new(&FILES)), ["eth0", "tun0", "wg0"]);
        let netdev = Host::new(&FILES).flag("collector.netdev.device-include", &["^(eth|veth)"]);
        assert_eq!(shown(netdev), ["eth0", "veth1"]);
        let own = Host::new(&FILES)
            .flag("collector.netdev.device-exclude", &["."])
            .flag(IGNORED, &["^(tun|wg)"]);
        assert_eq!(shown(own), ["eth0", "veth1"]);
        assert_eq!(shown(Host::new(&FILES).flag(IGNORED, &["^$"])).len(), 4);
    }

    #[test]
    fn an_interface_that_goes_takes_its_series_along() {
        let host = Host::new(&FILES);
        let mut collector = host.build(&DEF).unwrap();
        assert!(scrape(&mut *collector).0.contains("\"wg0\""));
        std::fs::remove_dir_all(host.dir.path().join("sys/class/net/wg0")).unwrap();
        let (text, result) = scrape(&mut *collector);
        result.unwrap();
        assert!(!text.contains("\"wg0\"") && text.contains("\"tun0\""), "{text}");
    }
}
