//! `nfsd`: what the NFS server was asked for (PROC/1/net/rpc/nfsd).
//!
//! Requests by protocol version and method, the threads that serve them and their caches. It must not know clients
//! or exports.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::procnet;
use crate::rpcstat::{
    COUNT_2, COUNT_3, METHODS_2, METHODS_3, Numbers, columns, emit_requests, first, read,
};

static CACHE_HITS: Family =
    Family::counter("node_nfsd_reply_cache_hits_total", "Requests answered from the cache.", []);
static CACHE_MISSES: Family =
    Family::counter("node_nfsd_reply_cache_misses_total", "Requests put into the cache.", []);
static NO_CACHE: Family =
    Family::counter("node_nfsd_reply_cache_nocache_total", "Requests that need no cache.", []);
static STALE: Family =
    Family::counter("node_nfsd_file_handles_stale_total", "Requests with a stale handle.", []);
static READ: Family = Family::counter("node_nfsd_disk_bytes_read_total", "Bytes read.", []);
static WRITTEN: Family =
    Family::counter("node_nfsd_disk_bytes_written_total", "Bytes written.", []);
static THREADS: Family = Family::gauge("node_nfsd_server_threads", "Threads of the server.", []);
static AHEAD_SIZE: Family =
    Family::gauge("node_nfsd_read_ahead_cache_size_blocks", "Blocks of the read-ahead cache.", []);
static AHEAD_MISSED: Family = Family::counter(
    "node_nfsd_read_ahead_cache_not_found_total",
    "Searches of the read-ahead cache in vain.",
    [],
);
static PACKETS: Family<1> =
    Family::counter("node_nfsd_packets_total", "Packets by transport protocol.", ["proto"]);
static CONNECTIONS: Family =
    Family::counter("node_nfsd_connections_total", "TCP connections taken.", []);
static RPCS: Family = Family::counter("node_nfsd_server_rpcs_total", "RPCs taken.", []);
static ERRORS: Family<1> =
    Family::counter("node_nfsd_rpc_errors_total", "Bad RPCs by what was wrong.", ["error"]);
static REQUESTS: Family<2> =
    Family::counter("node_nfsd_requests_total", "Requests by method.", ["method", "proto"]);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("nfsd", "Requests, caches and threads of the NFS server.")
        .needs("the kernel's NFS server")
        .reads("PROC/1/net/rpc/nfsd")
        .families(&[
            CACHE_HITS.doc(),
            CACHE_MISSES.doc(),
            NO_CACHE.doc(),
            STALE.doc(),
            READ.doc(),
            WRITTEN.doc(),
            THREADS.doc(),
            AHEAD_SIZE.doc(),
            AHEAD_MISSED.doc(),
            PACKETS.doc(),
            CONNECTIONS.doc(),
            RPCS.doc(),
            ERRORS.doc(),
            REQUESTS.doc(),
        ]),
    build: |setting| {
        let file = FileReader::kept_open(procnet::file(&setting.paths, "rpc/nfsd"));
        Ok(Box::new(Nfsd { file, numbers: Vec::new() }))
    },
};

/// The operations of version 4 by their numbers (RFC 7530 section 16); a dash stands for those that are not
/// exported.
const OPERATIONS_4: &str = "- - - Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku \
    Lookup LookupRoot Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH - - Read ReadDir ReadLink \
    Remove Rename Renew RestoreFH SaveFH SecInfo SetAttr SetClientID SetClientIDConfirm Verify \
    Write RelLockOwner";

/// Calls for the attributes of a file that a client may write to (fs/nfsd/stats.c).
const WDELEG_GETATTR: &[u8] = b"wdeleg_getattr";

/// Kernels before 2.6.14 lack the last one.
const FEWEST_4: usize = 39;

struct Nfsd {
    file: FileReader,
    numbers: Vec<u64>,
}

impl Collector for Nfsd {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.file.read().map_err(CollectError::missing_is_no_data)?;
        let mut operations = false;
        let mut delegations = false;
        let result = read(file, &mut self.numbers, |name, numbers| {
            operations |= name == b"proc4ops";
            delegations |= name == WDELEG_GETATTR;
            emit(name, numbers, sink)
        });
        // Older kernels do not count these, and node_exporter shows 0; a file that is cut says nothing of them.
        if result.is_ok() && operations && !delegations {
            REQUESTS.emit(sink, ["WdelegGetattr", "4"], 0_u64);
        }
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

/// The lines are explained in fs/nfsd/stats.c and net/sunrpc/stats.c.
fn emit(name: &[u8], numbers: Numbers<'_>, sink: &mut dyn MetricSink) -> Result<(), String> {
    match name {
        b"rc" => each([&CACHE_HITS, &CACHE_MISSES, &NO_CACHE], first(numbers)?, sink),
        b"fh" => each([&STALE], first(numbers)?, sink),
        b"io" => each([&READ, &WRITTEN], first(numbers)?, sink),
        b"th" => each([&THREADS], first(numbers)?, sink),
        b"ra" => {
            let [size, .., missed] = first::<12>(numbers)?;
            each([&AHEAD_SIZE, &AHEAD_MISSED], [size, missed], sink);
        }
        b"net" => {
            let [_, udp, tcp, connections] = first(numbers)?;
            let mut packets = PACKETS.open(sink);
            packets.emit(["udp"], udp);
            packets.emit(["tcp"], tcp);
            CONNECTIONS.emit(sink, [], connections);
        }
        b"rpc" => {
            let [rpcs, _, format, authentication, client] = first(numbers)?;
            RPCS.emit(sink, [], rpcs);
            let mut errors = ERRORS.open(sink);
            errors.emit(["fmt"], format);
            errors.emit(["auth"], authentication);
            errors.emit(["cInt"], client);
        }
        _ => return emit_methods(name, numbers, sink),
    }
    Ok(())
}

fn emit_methods(
    name: &[u8],
    numbers: Numbers<'_>,
    sink: &mut dyn MetricSink,
) -> Result<(), String> {
    match name {
        b"proc2" => {
            let columns = columns(numbers, COUNT_2)?;
            emit_requests(&mut REQUESTS.open(sink), "2", &served(METHODS_2), columns);
        }
        b"proc3" => {
            let columns = columns(numbers, COUNT_3)?;
            emit_requests(&mut REQUESTS.open(sink), "3", &served(METHODS_3), columns);
        }
        b"proc4ops" => {
            let columns = columns(numbers, FEWEST_4)?;
            emit_requests(&mut REQUESTS.open(sink), "4", OPERATIONS_4, columns);
        }
        WDELEG_GETATTR => {
            let [count] = first(numbers)?;
            REQUESTS.emit(sink, ["WdelegGetattr", "4"], count);
        }
        _ => {}
    }
    Ok(())
}

/// Without the first column: the call that does nothing is told of the client only.
fn served(methods: &str) -> String {
    methods.replacen("Null", "-", 1)
}

fn each<const N: usize>(families: [&Family; N], values: [u64; N], sink: &mut dyn MetricSink) {
    for (family, value) in families.iter().zip(values) {
        family.emit(sink, [], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    fn host(text: &str) -> Host {
        Host::new(&[("proc/1/net/rpc/nfsd", text)])
    }

    #[test]
    fn caches_threads_and_packets_are_told() {
        let text = lines(
            &host(
                "rc 1 2 3\nfh 4 0 0 0 0\nio 5 6\nth 8 0 0.000 1.000\nra 32 0 0 0 0 0 0 0 0 0 0 9\n\
                 net 18 7 11 4\nrpc 18 6 1 2 3\n",
            ),
            &DEF,
        );
        for line in [
            "reply_cache_hits_total 1\n",
            "reply_cache_misses_total 2\n",
            "reply_cache_nocache_total 3\n",
            "file_handles_stale_total 4\n",
            "disk_bytes_read_total 5\n",
            "disk_bytes_written_total 6\n",
            "server_threads 8\n",
            "read_ahead_cache_size_blocks 32\n",
            "read_ahead_cache_not_found_total 9\n",
            "packets_total{proto=\"udp\"} 7\n",
            "packets_total{proto=\"tcp\"} 11\n",
            "connections_total 4\n",
            "server_rpcs_total 18\n",
            "rpc_errors_total{error=\"fmt\"} 1\n",
            "rpc_errors_total{error=\"auth\"} 2\n",
            "rpc_errors_total{error=\"cInt\"} 3\n",
        ] {
            assert!(text.contains(&format!("node_nfsd_{line}")), "{line}{text}");
        }
        assert_eq!(text.lines().count(), 16);
    }

    #[test]
    fn operations_stand_at_their_numbers() {
        let numbers: String = (0..72).map(|number| format!(" {number}")).collect();
        let text = lines(&host(&format!("proc4ops 72{numbers}\nwdeleg_getattr 16\n")), &DEF);
        // OP_ACCESS, OP_PUTFH, OP_SETCLIENTID, OP_WRITE and OP_RELEASE_LOCKOWNER in include/linux/nfs4.h.
        for (method, number) in
            [("Access", 3), ("PutFH", 22), ("SetClientID", 35), ("Write", 38), ("RelLockOwner", 39)]
        {
            assert!(
                text.contains(&format!("{{method={method:?},proto=\"4\"}} {number}\n")),
                "{text}"
            );
        }
        assert!(text.ends_with("{method=\"WdelegGetattr\",proto=\"4\"} 16\n"), "{text}");
        assert_eq!(text.lines().count(), 40 - 5 + 1);
    }

    #[test]
    fn the_call_that_does_nothing_is_not_exported() {
        let text = lines(
            &host(&format!("proc2 18 5{}\nproc3 22 6{}\n", " 1".repeat(17), " 2".repeat(21))),
            &DEF,
        );
        assert!(!text.contains("Null") && text.lines().count() == 17 + 21, "{text}");
        assert!(text.contains("{method=\"Link\",proto=\"2\"} 1\n"), "{text}");
    }

    #[test]
    fn lines_that_are_too_short_cost_themselves_only() {
        let (text, result) = scrape(&mut *host("ra 32\nproc3 1\nio 5 6\n").build(&DEF).unwrap());
        assert_eq!(
            text,
            "node_nfsd_disk_bytes_read_total 5\nnode_nfsd_disk_bytes_written_total 6\n"
        );
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("rpc/nfsd:1: expected 12 numbers, found \"ra 32\""), "{error}");
    }

    #[test]
    fn a_host_without_a_server_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
