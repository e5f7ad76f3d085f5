//! `xfrm`: packets that IPsec dropped, by reason (PROC/1/net/xfrm_stat).
//!
//! A fixed list of counters, as node_exporter has it. It must not know states and policies.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::parse::{lines, number, shown, words};
use crate::procnet;

/// Lines and families, in the order of the file (Documentation/networking/xfrm_proc.rst).
static COUNTERS: [(&[u8], Family); 28] = [
    (
        b"XfrmInError",
        counter(
            "node_xfrm_in_error_packets_total",
            "Inbound packets lost to errors that no other counter has.",
        ),
    ),
    (
        b"XfrmInBufferError",
        counter(
            "node_xfrm_in_buffer_error_packets_total",
            "Inbound packets without room for their state.",
        ),
    ),
    (
        b"XfrmInHdrError",
        counter("node_xfrm_in_hdr_error_packets_total", "Inbound packets with a bad header."),
    ),
    (
        b"XfrmInNoStates",
        counter(
            "node_xfrm_in_no_states_packets_total",
            "Inbound packets without a state: wrong SPI, address or protocol.",
        ),
    ),
    (
        b"XfrmInStateProtoError",
        counter(
            "node_xfrm_in_state_proto_error_packets_total",
            "Inbound packets with a protocol error, such as a wrong key.",
        ),
    ),
    (
        b"XfrmInStateModeError",
        counter(
            "node_xfrm_in_state_mode_error_packets_total",
            "Inbound packets with an error of the mode.",
        ),
    ),
    (
        b"XfrmInStateSeqError",
        counter(
            "node_xfrm_in_state_seq_error_packets_total",
            "Inbound packets outside of the window of sequence numbers.",
        ),
    ),
    (
        b"XfrmInStateExpired",
        counter("node_xfrm_in_state_expired_packets_total", "Inbound packets of an expired state."),
    ),
    (
        b"XfrmInStateMismatch",
        counter(
            "node_xfrm_in_state_mismatch_packets_total",
            "Inbound packets whose state has other options.",
        ),
    ),
    (
        b"XfrmInStateInvalid",
        counter("node_xfrm_in_state_invalid_packets_total", "Inbound packets of an invalid state."),
    ),
    (
        b"XfrmInTmplMismatch",
        counter(
            "node_xfrm_in_tmpl_mismatch_packets_total",
            "Inbound packets whose states do not fit the policy.",
        ),
    ),
    (
        b"XfrmInNoPols",
        counter(
            "node_xfrm_in_no_pols_packets_total",
            "Inbound packets with states but without a policy.",
        ),
    ),
    (
        b"XfrmInPolBlock",
        counter("node_xfrm_in_pol_block_packets_total", "Inbound packets discarded by a policy."),
    ),
    (
        b"XfrmInPolError",
        counter(
            "node_xfrm_in_pol_error_packets_total",
            "Inbound packets with an error of the policy.",
        ),
    ),
    (
        b"XfrmOutError",
        counter(
            "node_xfrm_out_error_packets_total",
            "Outbound packets lost to errors that no other counter has.",
        ),
    ),
    (
        b"XfrmOutBundleGenError",
        counter(
            "node_xfrm_out_bundle_gen_error_packets_total",
            "Outbound packets whose bundle could not be made.",
        ),
    ),
    (
        b"XfrmOutBundleCheckError",
        counter(
            "node_xfrm_out_bundle_check_error_packets_total",
            "Outbound packets whose bundle did not pass the check.",
        ),
    ),
    (
        b"XfrmOutNoStates",
        counter("node_xfrm_out_no_states_packets_total", "Outbound packets without a state."),
    ),
    (
        b"XfrmOutStateProtoError",
        counter(
            "node_xfrm_out_state_proto_error_packets_total",
            "Outbound packets with a protocol error.",
        ),
    ),
    (
        b"XfrmOutStateModeError",
        counter(
            "node_xfrm_out_state_mode_error_packets_total",
            "Outbound packets with an error of the mode.",
        ),
    ),
    (
        b"XfrmOutStateSeqError",
        counter(
            "node_xfrm_out_state_seq_error_packets_total",
            "Outbound packets that overflowed the sequence number.",
        ),
    ),
    (
        b"XfrmOutStateExpired",
        counter(
            "node_xfrm_out_state_expired_packets_total",
            "Outbound packets of an expired state.",
        ),
    ),
    (
        b"XfrmOutPolBlock",
        counter("node_xfrm_out_pol_block_packets_total", "Outbound packets discarded by a policy."),
    ),
    (
        b"XfrmOutPolDead",
        counter("node_xfrm_out_pol_dead_packets_total", "Outbound packets of a dead policy."),
    ),
    (
        b"XfrmOutPolError",
        counter(
            "node_xfrm_out_pol_error_packets_total",
            "Outbound packets with an error of the policy.",
        ),
    ),
    (
        b"XfrmFwdHdrError",
        counter("node_xfrm_fwd_hdr_error_packets_total", "Forwarded packets with a bad header."),
    ),
    (
        b"XfrmOutStateInvalid",
        counter(
            "node_xfrm_out_state_invalid_packets_total",
            "Outbound packets of an invalid state.",
        ),
    ),
    (
        b"XfrmAcquireError",
        counter(
            "node_xfrm_acquire_error_packets_total",
            "Packets that waited for a state that was never acquired.",
        ),
    ),
];

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family::counter(name, help, [])
}

static FAMILIES: [FamilyDoc; COUNTERS.len()] = {
    let mut all = [COUNTERS[0].1.doc(); COUNTERS.len()];
    let mut i = 0;
    while i < COUNTERS.len() {
        all[i] = COUNTERS[i].1.doc();
        i += 1;
    }
    all
};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("xfrm", "Packets dropped by IPsec.")
        .needs("a kernel with IPsec statistics (XFRM)")
        .off_by_default()
        .reads("PROC/1/net/xfrm_stat")
        .families(&FAMILIES),
    build: |setting| {
        let file = FileReader::kept_open(procnet::file(&setting.paths, "xfrm_stat"));
        Ok(Box::new(Xfrm { file }))
    },
};

struct Xfrm {
    file: FileReader,
}

impl Collector for Xfrm {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.file.read().map_err(CollectError::missing_is_no_data)?;
        let result = emit(file, sink);
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

/// Emits every line that is understood; the first that is not is the error.
fn emit(file: &[u8], sink: &mut dyn MetricSink) -> Result<(), (usize, String)> {
    let mut result = Ok(());
    let mut told = [false; COUNTERS.len()];
    for (line_number, line) in lines(file) {
        let mut words = words(line);
        let name = words.next().unwrap_or_default();
        let Some(index) = COUNTERS.iter().position(|(known, _)| *known == name) else { continue };
        if std::mem::replace(&mut told[index], true) {
            continue;
        }
        let word = words.next().unwrap_or_default();
        match number(word) {
            Some(value) => COUNTERS[index].1.emit(sink, [], value),
            None => {
                let what = format!("expected a count, found {}", shown(word));
                result = result.and(Err((line_number, what)));
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn known_lines_are_counters_and_others_pass() {
        let file =
            "XfrmInError   \t5\nXfrmInNew 1\nXfrmFwdHdrError 18446744073709551615\nXfrmInError 6\n";
        assert_eq!(
            lines(&Host::new(&[("proc/1/net/xfrm_stat", file)]), &DEF),
            "node_xfrm_in_error_packets_total 5\n\
             node_xfrm_fwd_hdr_error_packets_total 18446744073709551615\n"
        );
    }

    #[test]
    fn a_kernel_without_ipsec_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }

    #[test]
    fn bad_lines_cost_themselves_only() {
        let host = Host::new(&[("proc/net/xfrm_stat", "XfrmInError -1\nXfrmOutError 2\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_xfrm_out_error_packets_total 2\n");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("xfrm_stat:1: expected a count, found \"-1\""), "{error}");
    }
}
