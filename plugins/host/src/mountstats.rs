//! `mountstats`: what each NFS mount did (PROC/1/mountstats, PROC/1/mountinfo).
//!
//! Mounts of one export over one connection share their numbers and are told once, but each mount point is named. It
//! must not know file systems other than NFS: the kernel counts nothing for them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::mountinfo;
use crate::parse::{lines, text};

mod column;
mod parse;

use column::{AGE, BYTES, EVENTS, OPERATIONS, TRANSPORTS};
use parse::Mount;

static MOUNT_POINT: Family<4> = Family::gauge(
    "node_mountstats_nfs_mountpoint_info",
    "Where each export is mounted; always 1.",
    ["export", "protocol", "mountaddr", "mountpoint"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("mountstats", "Requests and traffic of NFS mounts.")
        .needs("a mounted NFS")
        .off_by_default()
        .reads("PROC/1/mountstats, PROC/1/mountinfo")
        .families(&column::ALL),
    build: |setting| {
        let mountstats = setting.paths.proc_init("mountstats");
        let mountinfo = mountstats.with_file_name("mountinfo");
        Ok(Box::new(MountStats {
            mountstats: FileReader::new(mountstats),
            mountinfo: FileReader::new(mountinfo),
        }))
    },
};

struct MountStats {
    mountstats: FileReader,
    mountinfo: FileReader,
}

impl Collector for MountStats {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.mountstats.read().map_err(CollectError::missing_is_no_data)?;
        let (mounts, parsed) = parse::parse(file);
        let addresses = match mounts.is_empty() {
            true => Ok(HashMap::new()),
            false => self.mountinfo.read().map(addresses),
        };
        let (addresses, read) = match addresses {
            Ok(addresses) => (addresses, Ok(())),
            Err(error) => (HashMap::new(), Err(error)),
        };
        emit(&tell_apart(mounts, &addresses), sink);
        let path = self.mountstats.path();
        parsed.map_err(|(line, what)| CollectError::parse(path, line, what)).and(read)
    }
}

/// Server addresses by mount point and export, both as far as they are told.
type Addresses<'a> = HashMap<(Cow<'a, str>, Cow<'a, str>), Cow<'a, str>>;

fn addresses(mountinfo: &[u8]) -> Addresses<'_> {
    let mounts = lines(mountinfo).filter_map(|(_, line)| mountinfo::parse(line).ok());
    mounts
        .filter_map(|mount| {
            let mut options = mount.super_options.split(|&byte| byte == b',');
            let address = options.find_map(|option| option.strip_prefix(b"addr="))?;
            Some(((mount.mount_point, mount.source), text(address)))
        })
        .collect()
}

/// A mount with the labels that all its series have.
struct Labelled<'a> {
    mount: Mount<'a>,
    protocol: Cow<'a, str>,
    address: Cow<'a, str>,
    /// Whether the numbers were told with another mount of the same export.
    repeats: bool,
}

fn tell_apart<'a>(mounts: Vec<Mount<'a>>, addresses: &Addresses<'a>) -> Vec<Labelled<'a>> {
    let mut connections = HashSet::new();
    let mut mount_points = HashSet::new();
    let mut labelled = Vec::new();
    for mount in mounts {
        let key = (mount.mount_point.clone(), mount.export.clone());
        let address = addresses.get(&key).cloned().unwrap_or_default();
        let protocol = mount.transports.first().map(|first| first.protocol.clone());
        let protocol = protocol.unwrap_or_default();
        let connection = (mount.export.clone(), protocol.clone(), address.clone());
        if mount_points.insert((connection.clone(), mount.mount_point.clone())) {
            let repeats = !connections.insert(connection);
            labelled.push(Labelled { mount, protocol, address, repeats });
        }
    }
    labelled
}

fn emit(mounts: &[Labelled<'_>], sink: &mut dyn MetricSink) {
    if mounts.is_empty() {
        return;
    }
    let mut family = MOUNT_POINT.open(sink);
    for mount in mounts {
        let [export, protocol, address] = mount.labels();
        family.emit([export, protocol, address, &mount.mount.mount_point], true);
    }
    let distinct: Vec<_> = mounts.iter().filter(|mount| !mount.repeats).collect();
    emit_column(&AGE, &distinct, |mount| mount.age, sink);
    for (index, family) in BYTES.iter().enumerate() {
        emit_column(family, &distinct, |mount| mount.bytes.get(index).copied(), sink);
    }
    for (index, family) in EVENTS.iter().enumerate() {
        if let Some(family) = family {
            emit_column(family, &distinct, |mount| mount.events.get(index).copied(), sink);
        }
    }
    emit_transports(&distinct, sink);
    emit_operations(&distinct, sink);
}

fn emit_column(
    family: &Family<3>,
    mounts: &[&Labelled<'_>],
    value: impl Fn(&Mount<'_>) -> Option<u64>,
    sink: &mut dyn MetricSink,
) {
    let mut family = family.open(sink);
    for mount in mounts {
        if let Some(value) = value(&mount.mount) {
            family.emit(mount.labels(), value);
        }
    }
}

fn emit_transports(mounts: &[&Labelled<'_>], sink: &mut dyn MetricSink) {
    for (column, family) in &TRANSPORTS {
        let mut family = family.open(sink);
        for mount in mounts {
            let [export, _, address] = mount.labels();
            for (index, transport) in mount.mount.transports.iter().enumerate() {
                if let Some(value) = transport.numbers.get(*column) {
                    let index = index.to_string();
                    family.emit([export, &transport.protocol, address, &index], *value);
                }
            }
        }
    }
}

fn emit_operations(mounts: &[&Labelled<'_>], sink: &mut dyn MetricSink) {
    for (column, (family, unit)) in OPERATIONS.iter().enumerate() {
        let mut family = family.open(sink);
        for mount in mounts {
            let [export, protocol, address] = mount.labels();
            for operation in &mount.mount.operations {
                if let Some(value) = operation.numbers.get(column) {
                    let labels = [export, protocol, address, &operation.name];
                    family.emit(labels, unit.value(*value));
                }
            }
        }
    }
}

impl Labelled<'_> {
    fn labels(&self) -> [&str; 3] {
        [&self.mount.export, &self.protocol, &self.address]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const STATS: &str = "device nas:/a mounted on /a\\040b with fstype nfs4 statvers=1.1\n\
        \tage:\t77\n\tevents:\t1 2\n\tbytes:\t11 12\n\
        \txprt:\ttcp 0 0 2 0 3 40 39 0 41 0 2 0 0\n\
        \txprt:\ttcp 0 0 1 0 4 30 29 0 31 0 2 0 0\n\
        \tper-op statistics\n\t        READ: 2 3 0 412 8192 1 9007199254741992 14 1\n\n\
        device nas:/a mounted on /again with fstype nfs4 statvers=1.1\n\tage:\t78\n\
        \txprt:\ttcp 0 0 2 0 3 40 39 0 41 0 2 0 0\n";
    const INFO: &str = "41 27 0:51 / /again rw - nfs4 nas:/a rw,vers=4.2,addr=10.0.0.7\n\
        40 27 0:51 / /a\\040b rw,relatime shared:3 - nfs4 nas:/a rw,addr=10.0.0.7,clientaddr=10.0.0.5\n";

    fn host() -> Host {
        Host::new(&[("proc/1/mountstats", STATS), ("proc/1/mountinfo", INFO)])
    }

    #[test]
    fn an_export_is_told_once_and_each_of_its_mount_points_is_named() {
        let text = lines(&host(), &DEF);
        let labels = "export=\"nas:/a\",protocol=\"tcp\",mountaddr=\"10.0.0.7\"";
        for line in [
            format!("mountpoint_info{{{labels},mountpoint=\"/a b\"}} 1\n"),
            format!("mountpoint_info{{{labels},mountpoint=\"/again\"}} 1\n"),
            format!("age_seconds_total{{{labels}}} 77\n"),
            format!("write_bytes_total{{{labels}}} 12\n"),
            format!("event_dnode_revalidate_total{{{labels}}} 2\n"),
            format!("transport_sends_total{{{labels},transport=\"0\"}} 40\n"),
            format!("transport_sends_total{{{labels},transport=\"1\"}} 30\n"),
            format!("operations_received_bytes_total{{{labels},operation=\"READ\"}} 8192\n"),
            format!("operations_response_time_seconds_total{{{labels},operation=\"READ\"}} 1\n"),
        ] {
            assert!(text.contains(&format!("node_mountstats_nfs_{line}")), "{line}{text}");
        }
        assert_eq!(text.matches("_age_seconds_total").count(), 1);
        assert_eq!(text.lines().count(), 2 + 1 + 2 + 2 + 2 * TRANSPORTS.len() + OPERATIONS.len());
    }

    #[test]
    fn without_mountinfo_addresses_are_missing() {
        let host = Host::new(&[("proc/1/mountstats", STATS)]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(
            text.contains("age_seconds_total{export=\"nas:/a\",protocol=\"tcp\"} 77\n"),
            "{text}"
        );
        assert!(result.unwrap_err().to_string().contains("proc/1/mountinfo"));
    }

    #[test]
    fn a_bad_line_is_named() {
        let host = host();
        host.write("proc/1/mountstats", STATS.replace("age:\t77", "age:\tx"));
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.contains("event_inode_revalidate_total"), "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("mountstats:2: expected a number, found \"x\""), "{error}");
    }

    #[test]
    fn a_host_without_nfs_mounts_shows_nothing() {
        let file = "device proc mounted on /proc with fstype proc\n";
        assert_eq!(lines(&Host::new(&[("proc/self/mountstats", file)]), &DEF), "");
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
