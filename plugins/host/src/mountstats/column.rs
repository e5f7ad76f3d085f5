//! The columns of PROC/PID/mountstats as families.
//!
//! Flat tables in the kernel's order (fs/nfs/super.c, net/sunrpc). They must not know mounts.

use vigie_core::metric::{Family, FamilyDoc, Value};

pub(super) static AGE: Family<3> =
    of_mount("node_mountstats_nfs_age_seconds_total", "Time since the mount.");

/// The columns of line `bytes`.
pub(super) static BYTES: [Family<3>; 8] = [
    of_mount("node_mountstats_nfs_read_bytes_total", "Bytes read by programs."),
    of_mount("node_mountstats_nfs_write_bytes_total", "Bytes written by programs."),
    of_mount("node_mountstats_nfs_direct_read_bytes_total", "Bytes read past the cache."),
    of_mount("node_mountstats_nfs_direct_write_bytes_total", "Bytes written past the cache."),
    of_mount("node_mountstats_nfs_total_read_bytes_total", "Bytes read from the server."),
    of_mount("node_mountstats_nfs_total_write_bytes_total", "Bytes written to the server."),
    of_mount("node_mountstats_nfs_read_pages_total", "Pages read."),
    of_mount("node_mountstats_nfs_write_pages_total", "Pages written."),
];

/// The columns of line `events`; that of waiting for congestion is not exported.
pub(super) static EVENTS: [Option<Family<3>>; 27] = [
    Some(of_mount(
        "node_mountstats_nfs_event_inode_revalidate_total",
        "Inodes whose attributes were checked.",
    )),
    Some(of_mount(
        "node_mountstats_nfs_event_dnode_revalidate_total",
        "Directory entries that were checked.",
    )),
    Some(of_mount("node_mountstats_nfs_event_data_invalidate_total", "Cached data given up.")),
    Some(of_mount(
        "node_mountstats_nfs_event_attribute_invalidate_total",
        "Cached attributes given up.",
    )),
    Some(of_mount("node_mountstats_nfs_event_vfs_open_total", "Opens.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_lookup_total", "Lookups.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_access_total", "Permissions checked.")),
    Some(of_mount(
        "node_mountstats_nfs_event_vfs_update_page_total",
        "Writes and updates of pages.",
    )),
    Some(of_mount("node_mountstats_nfs_event_vfs_read_page_total", "Reads of a page.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_read_pages_total", "Reads of several pages.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_write_page_total", "Writes of a page.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_write_pages_total", "Writes of several pages.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_getdents_total", "Reads of directories.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_setattr_total", "Changes of attributes.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_flush_total", "Flushes.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_fsync_total", "Syncs.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_lock_total", "Locks.")),
    Some(of_mount("node_mountstats_nfs_event_vfs_file_release_total", "Closes.")),
    None,
    Some(of_mount("node_mountstats_nfs_event_truncation_total", "Truncations.")),
    Some(of_mount(
        "node_mountstats_nfs_event_write_extension_total",
        "Writes that made a file longer.",
    )),
    Some(of_mount("node_mountstats_nfs_event_silly_rename_total", "Files removed while open.")),
    Some(of_mount("node_mountstats_nfs_event_short_read_total", "Reads answered in part.")),
    Some(of_mount("node_mountstats_nfs_event_short_write_total", "Writes done in part.")),
    Some(of_mount(
        "node_mountstats_nfs_event_jukebox_delay_total",
        "Answers that the server needs more time.",
    )),
    Some(of_mount(
        "node_mountstats_nfs_event_pnfs_read_total",
        "Reads from a server of parallel NFS.",
    )),
    Some(of_mount(
        "node_mountstats_nfs_event_pnfs_write_total",
        "Writes to a server of parallel NFS.",
    )),
];

/// The columns of an operation; newer kernels add errors, which are not exported.
pub(super) static OPERATIONS: [(Family<4>, Unit); 8] = [
    (of_operation("node_mountstats_nfs_operations_requests_total", "Requests."), Unit::Count),
    (
        of_operation(
            "node_mountstats_nfs_operations_transmissions_total",
            "Requests sent, again or not.",
        ),
        Unit::Count,
    ),
    (
        of_operation(
            "node_mountstats_nfs_operations_major_timeouts_total",
            "Requests that timed out for good.",
        ),
        Unit::Count,
    ),
    (of_operation("node_mountstats_nfs_operations_sent_bytes_total", "Bytes sent."), Unit::Count),
    (
        of_operation("node_mountstats_nfs_operations_received_bytes_total", "Bytes received."),
        Unit::Count,
    ),
    (
        of_operation(
            "node_mountstats_nfs_operations_queue_time_seconds_total",
            "Time requests waited to be sent.",
        ),
        Unit::Millis,
    ),
    (
        of_operation(
            "node_mountstats_nfs_operations_response_time_seconds_total",
            "Time requests waited for an answer.",
        ),
        Unit::Millis,
    ),
    (
        of_operation(
            "node_mountstats_nfs_operations_request_time_seconds_total",
            "Time from request to result.",
        ),
        Unit::Millis,
    ),
];

/// Columns of a transport that are exported.
pub(super) static TRANSPORTS: [(usize, Family<4>); 10] = [
    (
        1,
        Family::counter(
            "node_mountstats_nfs_transport_bind_total",
            "Times a port was bound.",
            TRANSPORT,
        ),
    ),
    (
        2,
        Family::counter(
            "node_mountstats_nfs_transport_connect_total",
            "Connections made.",
            TRANSPORT,
        ),
    ),
    (
        4,
        Family::gauge(
            "node_mountstats_nfs_transport_idle_time_seconds",
            "Time since the last request.",
            TRANSPORT,
        ),
    ),
    (5, Family::counter("node_mountstats_nfs_transport_sends_total", "Requests sent.", TRANSPORT)),
    (
        6,
        Family::counter(
            "node_mountstats_nfs_transport_receives_total",
            "Answers received.",
            TRANSPORT,
        ),
    ),
    (
        7,
        Family::counter(
            "node_mountstats_nfs_transport_bad_transaction_ids_total",
            "Answers to no request.",
            TRANSPORT,
        ),
    ),
    (
        9,
        Family::counter(
            "node_mountstats_nfs_transport_backlog_queue_total",
            "Sum of the lengths of the backlog.",
            TRANSPORT,
        ),
    ),
    (
        10,
        Family::gauge(
            "node_mountstats_nfs_transport_maximum_rpc_slots",
            "Most requests that were under way at once.",
            TRANSPORT,
        ),
    ),
    (
        11,
        Family::counter(
            "node_mountstats_nfs_transport_sending_queue_total",
            "Sum of the lengths of the sending queue.",
            TRANSPORT,
        ),
    ),
    (
        12,
        Family::counter(
            "node_mountstats_nfs_transport_pending_queue_total",
            "Sum of the lengths of the pending queue.",
            TRANSPORT,
        ),
    ),
];

const TRANSPORT: [&str; 4] = ["export", "protocol", "mountaddr", "transport"];

const fn of_mount(name: &'static str, help: &'static str) -> Family<3> {
    Family::counter(name, help, ["export", "protocol", "mountaddr"])
}

const fn of_operation(name: &'static str, help: &'static str) -> Family<4> {
    Family::counter(name, help, ["export", "protocol", "mountaddr", "operation"])
}

/// What a column counts.
pub(super) enum Unit {
    Count,
    Millis,
}

impl Unit {
    pub(super) fn value(&self, count: u64) -> Value<'static> {
        /// As node_exporter has it, so that a counter that wraps in the kernel wraps in a float too.
        const MANTISSA: u64 = 1 << 53;
        match self {
            Unit::Count => Value::U64(count),
            Unit::Millis => Value::F64((count % MANTISSA) as f64 / 1000.0),
        }
    }
}

const EXPORTED_EVENTS: usize = EVENTS.len() - 1;
const COUNT: usize = 2 + BYTES.len() + EXPORTED_EVENTS + OPERATIONS.len() + TRANSPORTS.len();

/// Every family.
pub(super) static ALL: [FamilyDoc; COUNT] = {
    let mut all = [AGE.doc(); COUNT];
    all[1] = super::MOUNT_POINT.doc();
    let mut next = 2;
    let mut i = 0;
    while i < BYTES.len() {
        all[next] = BYTES[i].doc();
        next += 1;
        i += 1;
    }
    i = 0;
    while i < EVENTS.len() {
        if let Some(event) = &EVENTS[i] {
            all[next] = event.doc();
            next += 1;
        }
        i += 1;
    }
    i = 0;
    while i < OPERATIONS.len() {
        all[next] = OPERATIONS[i].0.doc();
        next += 1;
        i += 1;
    }
    i = 0;
    while i < TRANSPORTS.len() {
        all[next] = TRANSPORTS[i].1.doc();
        next += 1;
        i += 1;
    }
    assert!(next == COUNT);
    all
};
