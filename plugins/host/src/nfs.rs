//! `nfs`: what the NFS client asked for (PROC/1/net/rpc/nfs).
//!
//! Requests by protocol version and method, and the packets that carried them. It must not know mounts: those are
//! the collector `mountstats`.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::procnet;
use crate::rpcstat::{
    COUNT_2, COUNT_3, METHODS_2, METHODS_3, Numbers, columns, emit_requests, first, read,
};

static PACKETS: Family<1> =
    Family::counter("node_nfs_packets_total", "Packets by transport protocol.", ["protocol"]);
static CONNECTIONS: Family =
    Family::counter("node_nfs_connections_total", "TCP connections made.", []);
static RPCS: Family = Family::counter("node_nfs_rpcs_total", "RPCs made.", []);
static RETRANSMISSIONS: Family =
    Family::counter("node_nfs_rpc_retransmissions_total", "RPCs sent again.", []);
static REFRESHES: Family = Family::counter(
    "node_nfs_rpc_authentication_refreshes_total",
    "Times credentials were renewed.",
    [],
);
static REQUESTS: Family<2> =
    Family::counter("node_nfs_requests_total", "Requests by method.", ["method", "proto"]);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("nfs", "Requests of the NFS client.")
        .needs("the client of NFS: the kernel module sunrpc")
        .reads("PROC/1/net/rpc/nfs")
        .families(&[
            PACKETS.doc(),
            CONNECTIONS.doc(),
            RPCS.doc(),
            RETRANSMISSIONS.doc(),
            REFRESHES.doc(),
            REQUESTS.doc(),
        ]),
    build: |setting| {
        let file = FileReader::kept_open(procnet::file(&setting.paths, "rpc/nfs"));
        Ok(Box::new(Nfs { file, numbers: Vec::new() }))
    },
};

/// The procedures of the client of version 4 (NFSPROC4_CLNT_* in include/linux/nfs4.h); the names differ in style from
/// those of the other versions, as node_exporter has them.
const METHODS_4: &str = "Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew \
    SetClientID SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove \
    Rename Link Symlink Create Pathconf StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL \
    SetACL FsLocations ReleaseLockowner Secinfo FsidPresent ExchangeID CreateSession \
    DestroySession Sequence GetLeaseTime ReclaimComplete LayoutGet GetDeviceInfo LayoutCommit \
    LayoutReturn SecinfoNoName TestStateID FreeStateID GetDeviceList BindConnToSession \
    DestroyClientID Seek Allocate DeAllocate LayoutStats Clone";

struct Nfs {
    file: FileReader,
    numbers: Vec<u64>,
}

impl Collector for Nfs {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.file.read().map_err(CollectError::missing_is_no_data)?;
        let result = read(file, &mut self.numbers, |name, numbers| emit(name, numbers, sink));
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

fn emit(name: &[u8], numbers: Numbers<'_>, sink: &mut dyn MetricSink) -> Result<(), String> {
    match name {
        b"net" => {
            let [_, udp, tcp, connections] = first(numbers)?;
            let mut packets = PACKETS.open(sink);
            packets.emit(["udp"], udp);
            packets.emit(["tcp"], tcp);
            CONNECTIONS.emit(sink, [], connections);
        }
        b"rpc" => {
            let [rpcs, retransmissions, refreshes] = first(numbers)?;
            RPCS.emit(sink, [], rpcs);
            RETRANSMISSIONS.emit(sink, [], retransmissions);
            REFRESHES.emit(sink, [], refreshes);
        }
        b"proc2" => {
            let columns = columns(numbers, COUNT_2)?;
            emit_requests(&mut REQUESTS.open(sink), "2", METHODS_2, columns);
        }
        b"proc3" => {
            let columns = columns(numbers, COUNT_3)?;
            emit_requests(&mut REQUESTS.open(sink), "3", METHODS_3, columns);
        }
        // Kernels add to it with every minor version of the protocol.
        b"proc4" => {
            let columns = columns(numbers, 0)?;
            emit_requests(&mut REQUESTS.open(sink), "4", METHODS_4, columns);
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    fn host(text: &str) -> Host {
        Host::new(&[("proc/1/net/rpc/nfs", text)])
    }

    #[test]
    fn packets_and_calls_are_told() {
        assert_eq!(
            lines(&host("net 70 71 69 45\nrpc 1218785755 374636 1218815394\nnew 1 2\n"), &DEF),
            "node_nfs_packets_total{protocol=\"udp\"} 71\nnode_nfs_packets_total{protocol=\"tcp\"} 69\n\
             node_nfs_connections_total 45\nnode_nfs_rpcs_total 1218785755\n\
             node_nfs_rpc_retransmissions_total 374636\n\
             node_nfs_rpc_authentication_refreshes_total 1218815394\n"
        );
    }

    #[test]
    fn a_short_line_of_version_4_is_padded_and_a_long_one_is_cut() {
        let text = lines(&host("proc4 3 5 6 7\n"), &DEF);
        assert!(
            text.starts_with("node_nfs_requests_total{method=\"Null\",proto=\"4\"} 5\n"),
            "{text}"
        );
        assert!(text.ends_with("{method=\"Clone\",proto=\"4\"} 0\n"), "{text}");
        let text = lines(&host(&format!("proc4 70{}\n", " 1".repeat(70))), &DEF);
        assert_eq!(text.lines().count(), 59);
    }

    #[test]
    fn methods_stand_at_the_numbers_of_the_kernel() {
        let numbers: String = (0..59).map(|number| format!(" {number}")).collect();
        let text = lines(&host(&format!("proc4 59{numbers}\n")), &DEF);
        // NFSPROC4_CLNT_LAYOUTGET and others.
        for (method, number) in [("Lock", 14), ("Sequence", 41), ("LayoutGet", 44), ("Clone", 58)] {
            assert!(
                text.contains(&format!("{{method={method:?},proto=\"4\"}} {number}\n")),
                "{text}"
            );
        }
    }

    #[test]
    fn lines_that_are_too_short_cost_themselves_only() {
        let host = host("net 1\nproc2 2 1 2\nproc3 22 1\nrpc 1 2 3\n");
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text.lines().count(), 3, "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("rpc/nfs:1: expected 4 numbers, found \"net 1\""), "{error}");
    }

    #[test]
    fn a_host_without_nfs_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
