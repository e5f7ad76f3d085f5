//! `bonding`: how many slaves each bonding interface has, and how many of them work (SYS/class/net).
//!
//! A slave works when its link is up, whether it carries traffic or not. It must not know what the slaves send.

use std::path::{Path, PathBuf};

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{text, words};
use crate::sysfs::Attributes;

static SLAVES: Family<1> =
    Family::gauge("node_bonding_slaves", "Slaves of each bonding interface.", ["master"]);
static ACTIVE: Family<1> =
    Family::gauge("node_bonding_active", "Slaves whose link is up.", ["master"]);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("bonding", "Slaves of bonding interfaces.")
        .needs("the kernel module bonding")
        .reads("SYS/class/net/bonding_masters, SYS/class/net/*/bonding/slaves")
        .families(&[SLAVES.doc(), ACTIVE.doc()]),
    build: |setting| {
        let root = setting.paths.sys("class/net");
        Ok(Box::new(Bonding { root, attributes: Attributes::new() }))
    },
};

struct Bonding {
    root: PathBuf,
    attributes: Attributes,
}

struct Master {
    name: String,
    slaves: u64,
    active: u64,
}

impl Collector for Bonding {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let masters = self.attributes.read(&self.root, "bonding_masters").map_err(|error| {
            CollectError::read(self.root.join("bonding_masters"), error).missing_is_no_data()
        })?;
        let mut names: Vec<String> = words(masters).map(|name| text(name).into_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let mut result = Ok(());
        let mut found = Vec::new();
        for name in names {
            if !is_name(&name) {
                let what = "a name of an interface was expected";
                let error = CollectError::parse(self.root.join("bonding_masters"), 1, what);
                result = result.and(Err(error));
                continue;
            }
            match count(&self.root.join(&name), &mut self.attributes) {
                Ok((slaves, active)) => found.push(Master { name, slaves, active }),
                // An interface may vanish between the list and here.
                Err(error) => match error.missing_is_no_data() {
                    CollectError::NoData(_) => {}
                    other => result = result.and(Err(other)),
                },
            }
        }
        emit(&found, sink);
        result
    }
}

/// As `dev_valid_name` of net/core/dev.c has it: no way to another directory.
fn is_name(name: &str) -> bool {
    name.len() < libc::IFNAMSIZ && !name.contains(['/', '\0']) && !matches!(name, "." | "..")
}

fn emit(masters: &[Master], sink: &mut dyn MetricSink) {
    if masters.is_empty() {
        return;
    }
    let mut family = SLAVES.open(sink);
    for master in masters {
        family.emit([&master.name], master.slaves);
    }
    let mut family = ACTIVE.open(sink);
    for master in masters {
        family.emit([&master.name], master.active);
    }
}

/// How many slaves the interface has, and how many of them are up.
fn count(master: &Path, attributes: &mut Attributes) -> Result<(u64, u64), CollectError> {
    let slaves = attributes
        .read(master, "bonding/slaves")
        .map_err(|error| CollectError::read(master.join("bonding/slaves"), error))?;
    let slaves: Vec<String> = words(slaves).map(|name| text(name).into_owned()).collect();
    let active = slaves.iter().filter(|slave| is_up(master, slave, attributes)).count();
    Ok((slaves.len() as u64, active as u64))
}

/// Kernels before 3.14 call the links `slave_NAME`.
fn is_up(master: &Path, slave: &str, attributes: &mut Attributes) -> bool {
    ["lower_", "slave_"].iter().any(|prefix| {
        let status = format!("{prefix}{slave}/bonding_slave/mii_status");
        attributes.optional(master, &status) == Some(b"up")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const MASTERS: &str = "sys/class/net/bonding_masters";

    #[test]
    fn slaves_are_counted_under_new_and_old_names() {
        let host = Host::new(&[
            (MASTERS, "int bond0 gone\n"),
            ("sys/class/net/bond0/bonding/slaves", "\n"),
            ("sys/class/net/int/bonding/slaves", "eth0 eth1 eth2 eth3\n"),
            ("sys/class/net/int/lower_eth0/bonding_slave/mii_status", "up\n"),
            ("sys/class/net/int/slave_eth1/bonding_slave/mii_status", "up\n"),
            ("sys/class/net/int/lower_eth2/bonding_slave/mii_status", "going down\n"),
        ]);
        assert_eq!(
            lines(&host, &DEF),
            "node_bonding_slaves{master=\"bond0\"} 0\nnode_bonding_slaves{master=\"int\"} 4\n\
             node_bonding_active{master=\"bond0\"} 0\nnode_bonding_active{master=\"int\"} 2\n"
        );
    }

    #[test]
    fn without_the_module_there_is_no_data_and_without_masters_nothing() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
        assert_eq!(lines(&Host::new(&[(MASTERS, "\n")]), &DEF), "");
    }

    #[test]
    fn a_master_that_cannot_be_read_costs_itself_only() {
        let host = Host::new(&[
            (MASTERS, "a b\n"),
            ("sys/class/net/a/bonding/slaves/is a directory", ""),
            ("sys/class/net/b/bonding/slaves", "eth0\n"),
        ]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(
            text,
            "node_bonding_slaves{master=\"b\"} 1\nnode_bonding_active{master=\"b\"} 0\n"
        );
        assert!(result.unwrap_err().to_string().contains("a/bonding/slaves"));
    }
}
