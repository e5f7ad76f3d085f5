//! The counters of an InfiniBand port as families.
//!
//! A flat table of the files below the directory of a port, with what each counts. It must not know ports.

use vigie_core::metric::{Family, Value};

/// Families by file (Documentation/ABI/stable/sysfs-class-infiniband); an adapter has a part of them.
pub(super) static COUNTERS: [(Family<2>, &str, Unit); 60] = [
    (
        counter(
            "node_infiniband_vl15_dropped_total",
            "Packets of subnet management dropped for want of room.",
        ),
        "counters/VL15_dropped",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_excessive_buffer_overrun_errors_total",
            "Overruns of buffers that lasted.",
        ),
        "counters/excessive_buffer_overrun_errors",
        Unit::Count,
    ),
    (
        counter("node_infiniband_link_downed_total", "Times the link went down."),
        "counters/link_downed",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_link_error_recovery_total",
            "Times the link recovered from errors.",
        ),
        "counters/link_error_recovery",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_local_link_integrity_errors_total",
            "Times local errors exceeded their limit.",
        ),
        "counters/local_link_integrity_errors",
        Unit::Count,
    ),
    (
        counter("node_infiniband_multicast_packets_received_total", "Multicast packets received."),
        "counters/multicast_rcv_packets",
        Unit::Count,
    ),
    (
        counter("node_infiniband_multicast_packets_transmitted_total", "Multicast packets sent."),
        "counters/multicast_xmit_packets",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_port_constraint_errors_received_total",
            "Received packets discarded by a filter.",
        ),
        "counters/port_rcv_constraint_errors",
        Unit::Count,
    ),
    (
        counter("node_infiniband_port_data_received_bytes_total", "Bytes received."),
        "counters/port_rcv_data",
        Unit::Words,
    ),
    (
        counter("node_infiniband_port_discards_received_total", "Received packets discarded."),
        "counters/port_rcv_discards",
        Unit::Count,
    ),
    (
        counter("node_infiniband_port_errors_received_total", "Bad packets received."),
        "counters/port_rcv_errors",
        Unit::Count,
    ),
    (
        counter("node_infiniband_port_packets_received_total", "Packets received."),
        "counters/port_rcv_packets",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_port_receive_remote_physical_errors_total",
            "Packets received that were marked as bad elsewhere.",
        ),
        "counters/port_rcv_remote_physical_errors",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_port_receive_switch_relay_errors_total",
            "Packets the switch could not forward.",
        ),
        "counters/port_rcv_switch_relay_errors",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_port_constraint_errors_transmitted_total",
            "Packets not sent because of a filter.",
        ),
        "counters/port_xmit_constraint_errors",
        Unit::Count,
    ),
    (
        counter("node_infiniband_port_data_transmitted_bytes_total", "Bytes sent."),
        "counters/port_xmit_data",
        Unit::Words,
    ),
    (
        counter(
            "node_infiniband_port_discards_transmitted_total",
            "Packets not sent because the port was down or congested.",
        ),
        "counters/port_xmit_discards",
        Unit::Count,
    ),
    (
        counter("node_infiniband_port_packets_transmitted_total", "Packets sent."),
        "counters/port_xmit_packets",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_port_transmit_wait_total",
            "Ticks with data to send and no credit.",
        ),
        "counters/port_xmit_wait",
        Unit::Count,
    ),
    (
        counter("node_infiniband_symbol_error_total", "Minor errors of the link."),
        "counters/symbol_error",
        Unit::Count,
    ),
    (
        counter("node_infiniband_unicast_packets_received_total", "Unicast packets received."),
        "counters/unicast_rcv_packets",
        Unit::Count,
    ),
    (
        counter("node_infiniband_unicast_packets_transmitted_total", "Unicast packets sent."),
        "counters/unicast_xmit_packets",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_legacy_multicast_packets_received_total",
            "Multicast packets received.",
        ),
        "counters_ext/port_multicast_rcv_packets",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_legacy_multicast_packets_transmitted_total",
            "Multicast packets sent.",
        ),
        "counters_ext/port_multicast_xmit_packets",
        Unit::Count,
    ),
    (
        counter("node_infiniband_legacy_data_received_bytes_total", "Bytes received."),
        "counters_ext/port_rcv_data_64",
        Unit::Words,
    ),
    (
        counter("node_infiniband_legacy_packets_received_total", "Packets received."),
        "counters_ext/port_rcv_packets_64",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_legacy_unicast_packets_received_total",
            "Unicast packets received.",
        ),
        "counters_ext/port_unicast_rcv_packets",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_legacy_unicast_packets_transmitted_total",
            "Unicast packets sent.",
        ),
        "counters_ext/port_unicast_xmit_packets",
        Unit::Count,
    ),
    (
        counter("node_infiniband_legacy_data_transmitted_bytes_total", "Bytes sent."),
        "counters_ext/port_xmit_data_64",
        Unit::Words,
    ),
    (
        counter("node_infiniband_legacy_packets_transmitted_total", "Packets sent."),
        "counters_ext/port_xmit_packets_64",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_duplicate_requests_packets_total",
            "Packets that were requests again.",
        ),
        "hw_counters/duplicate_request",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_implied_nak_seq_errors_total",
            "Acknowledgements beyond the one expected.",
        ),
        "hw_counters/implied_nak_seq_err",
        Unit::Count,
    ),
    (
        gauge("node_infiniband_lifespan_seconds", "How old the hardware counters may be."),
        "hw_counters/lifespan",
        Unit::Millis,
    ),
    (
        counter(
            "node_infiniband_local_ack_timeout_errors_total",
            "Queue pairs that waited in vain for an acknowledgement.",
        ),
        "hw_counters/local_ack_timeout_err",
        Unit::Count,
    ),
    (
        counter("node_infiniband_np_cnp_packets_sent_total", "Congestion notifications sent."),
        "hw_counters/np_cnp_sent",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_np_ecn_marked_roce_packets_received_total",
            "Packets received that were marked for congestion.",
        ),
        "hw_counters/np_ecn_marked_roce_packets",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_out_of_buffer_drops_total",
            "Packets dropped for want of buffers.",
        ),
        "hw_counters/out_of_buffer",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_out_of_sequence_packets_received_total",
            "Packets received out of sequence.",
        ),
        "hw_counters/out_of_sequence",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_packet_sequence_errors_total",
            "Sequence errors that the other side reported.",
        ),
        "hw_counters/packet_seq_err",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_req_cqes_errors_total",
            "Completions with an error, as requester.",
        ),
        "hw_counters/req_cqe_error",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_req_cqes_flush_errors_total",
            "Completions that were flushed, as requester.",
        ),
        "hw_counters/req_cqe_flush_error",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_req_remote_access_errors_total",
            "Remote access errors, as requester.",
        ),
        "hw_counters/req_remote_access_errors",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_req_remote_invalid_request_errors_total",
            "Requests the other side found invalid.",
        ),
        "hw_counters/req_remote_invalid_request",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_resp_cqes_errors_total",
            "Completions with an error, as responder.",
        ),
        "hw_counters/resp_cqe_error",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_resp_cqes_flush_errors_total",
            "Completions that were flushed, as responder.",
        ),
        "hw_counters/resp_cqe_flush_error",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_resp_local_length_errors_total",
            "Local length errors, as responder.",
        ),
        "hw_counters/resp_local_length_error",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_resp_remote_access_errors_total",
            "Remote access errors, as responder.",
        ),
        "hw_counters/resp_remote_access_errors",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_rnr_nak_retry_packets_received_total",
            "Answers that the receiver was not ready.",
        ),
        "hw_counters/rnr_nak_retry_err",
        Unit::Count,
    ),
    (
        counter("node_infiniband_roce_adp_retransmits_total", "Adaptive retransmissions."),
        "hw_counters/roce_adp_retrans",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_roce_adp_retransmits_timeout_total",
            "Timeouts that adaptive retransmission met.",
        ),
        "hw_counters/roce_adp_retrans_to",
        Unit::Count,
    ),
    (
        counter("node_infiniband_roce_slow_restart_used_total", "Times slow restart was used."),
        "hw_counters/roce_slow_restart",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_roce_slow_restart_cnps_total",
            "Congestion notifications that slow restart made.",
        ),
        "hw_counters/roce_slow_restart_cnps",
        Unit::Count,
    ),
    (
        counter("node_infiniband_roce_slow_restart_total", "Times slow restart was entered."),
        "hw_counters/roce_slow_restart_trans",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_rp_cnp_packets_handled_total",
            "Congestion notifications that slowed sending down.",
        ),
        "hw_counters/rp_cnp_handled",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_rp_cnp_ignored_packets_received_total",
            "Congestion notifications received and ignored.",
        ),
        "hw_counters/rp_cnp_ignored",
        Unit::Count,
    ),
    (
        counter("node_infiniband_rx_atomic_requests_total", "Atomic requests received."),
        "hw_counters/rx_atomic_requests",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_rx_dct_connect_requests_total",
            "Requests for a dynamically connected transport.",
        ),
        "hw_counters/rx_dct_connect",
        Unit::Count,
    ),
    (
        counter(
            "node_infiniband_rx_icrc_encapsulated_errors_total",
            "Packets received with a bad invariant checksum.",
        ),
        "hw_counters/rx_icrc_encapsulated",
        Unit::Count,
    ),
    (
        counter("node_infiniband_rx_read_requests_total", "Read requests received."),
        "hw_counters/rx_read_requests",
        Unit::Count,
    ),
    (
        counter("node_infiniband_rx_write_requests_total", "Write requests received."),
        "hw_counters/rx_write_requests",
        Unit::Count,
    ),
];

const fn counter(name: &'static str, help: &'static str) -> Family<2> {
    Family::counter(name, help, ["device", "port"])
}

const fn gauge(name: &'static str, help: &'static str) -> Family<2> {
    Family::gauge(name, help, ["device", "port"])
}

/// What a file counts.
pub(super) enum Unit {
    Count,
    /// Of four bytes, one for each lane.
    Words,
    Millis,
}

impl Unit {
    pub(super) fn value(&self, count: u64) -> Value<'static> {
        match (self, count.checked_mul(4)) {
            (Unit::Count, _) => Value::U64(count),
            (Unit::Words, Some(bytes)) => Value::U64(bytes),
            (Unit::Words, None) => Value::F64(count as f64 * 4.0),
            (Unit::Millis, _) => Value::F64(count as f64 / 1000.0),
        }
    }
}
