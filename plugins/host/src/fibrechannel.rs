//! `fibrechannel`: the ports of Fibre Channel adapters (SYS/class/fc_host).
//!
//! Frames, words and errors of each port, and what the port is. It must not know the disks behind it.

use std::path::PathBuf;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::parse::hexadecimal;
use crate::sysfs::{Attributes, entries};

static INFO: Family<11> = Family::gauge(
    "node_fibrechannel_info",
    "What each port is; always 1.",
    [
        "fc_host",
        "speed",
        "port_state",
        "port_type",
        "port_id",
        "port_name",
        "fabric_name",
        "symbolic_name",
        "supported_classes",
        "supported_speeds",
        "dev_loss_tmo",
    ],
);

/// The attributes behind the labels after `fc_host`.
const PROPERTIES: [&str; 10] = [
    "speed",
    "port_state",
    "port_type",
    "port_id",
    "port_name",
    "fabric_name",
    "symbolic_name",
    "supported_classes",
    "supported_speeds",
    "dev_loss_tmo",
];

/// The files in `statistics` (Documentation/ABI/testing/sysfs-class-fc_host, drivers/scsi/scsi_transport_fc.c).
static STATISTICS: [(&str, Family<1>); 14] = [
    (
        "dumped_frames",
        counter("node_fibrechannel_dumped_frames_total", "Frames discarded for want of buffers."),
    ),
    ("error_frames", counter("node_fibrechannel_error_frames_total", "Frames received in error.")),
    (
        "fcp_packet_aborts",
        counter("node_fibrechannel_fcp_packet_aborts_total", "FCP packets aborted."),
    ),
    (
        "invalid_crc_count",
        counter("node_fibrechannel_invalid_crc_total", "Frames with a bad checksum."),
    ),
    (
        "invalid_tx_word_count",
        counter("node_fibrechannel_invalid_tx_words_total", "Invalid transmission words received."),
    ),
    (
        "link_failure_count",
        counter("node_fibrechannel_link_failure_total", "Failures of the link."),
    ),
    (
        "loss_of_signal_count",
        counter("node_fibrechannel_loss_of_signal_total", "Losses of the signal."),
    ),
    (
        "loss_of_sync_count",
        counter("node_fibrechannel_loss_of_sync_total", "Losses of synchronisation."),
    ),
    ("nos_count", counter("node_fibrechannel_nos_total", "Not-operational sequences received.")),
    ("rx_frames", counter("node_fibrechannel_rx_frames_total", "Frames received.")),
    ("rx_words", counter("node_fibrechannel_rx_words_total", "Words received.")),
    (
        "seconds_since_last_reset",
        counter(
            "node_fibrechannel_seconds_since_last_reset_total",
            "Seconds since these counters began.",
        ),
    ),
    ("tx_frames", counter("node_fibrechannel_tx_frames_total", "Frames sent.")),
    ("tx_words", counter("node_fibrechannel_tx_words_total", "Words sent.")),
];

const fn counter(name: &'static str, help: &'static str) -> Family<1> {
    Family::counter(name, help, ["fc_host"])
}

static FAMILIES: [FamilyDoc; STATISTICS.len() + 1] = {
    let mut all = [INFO.doc(); STATISTICS.len() + 1];
    let mut i = 0;
    while i < STATISTICS.len() {
        all[i + 1] = STATISTICS[i].1.doc();
        i += 1;
    }
    all
};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("fibrechannel", "Ports of Fibre Channel adapters.")
        .needs("a Fibre Channel adapter")
        .reads("SYS/class/fc_host/*")
        .families(&FAMILIES),
    build: |setting| {
        let root = setting.paths.sys("class/fc_host");
        Ok(Box::new(FibreChannel { root, attributes: Attributes::new() }))
    },
};

struct FibreChannel {
    root: PathBuf,
    attributes: Attributes,
}

impl Collector for FibreChannel {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let hosts = entries(&self.root).map_err(CollectError::missing_is_no_data)?;
        if hosts.is_empty() {
            return Ok(());
        }
        let mut info = INFO.open(sink);
        for host in &hosts {
            let directory = self.root.join(host);
            let texts = PROPERTIES.map(|name| self.attributes.text(&directory, name));
            let mut labels = [host.as_str(); PROPERTIES.len() + 1];
            for (label, (name, text)) in labels[1..].iter_mut().zip(PROPERTIES.iter().zip(&texts)) {
                *label = if is_hexadecimal(name) { text.trim_start_matches("0x") } else { text };
            }
            info.emit(labels, true);
        }
        for (name, family) in &STATISTICS {
            let mut family = family.open(sink);
            for host in &hosts {
                let directory = self.root.join(host).join("statistics");
                let value = self.attributes.optional(&directory, name).and_then(hexadecimal);
                // All ones say that the adapter does not count it.
                if let Some(value) = value.filter(|value| *value != u64::MAX) {
                    family.emit([host], value);
                }
            }
        }
        Ok(())
    }
}

fn is_hexadecimal(property: &str) -> bool {
    matches!(property, "port_id" | "port_name" | "fabric_name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn counters_are_hexadecimal_and_all_ones_are_none() {
        let host = Host::new(&[
            ("sys/class/fc_host/host0/port_name", "0x1000e0071bce95f2\n"),
            ("sys/class/fc_host/host0/port_state", "Online\n"),
            ("sys/class/fc_host/host0/symbolic_name", "Emulex  SN1100\n"),
            ("sys/class/fc_host/host0/statistics/rx_frames", "0x2a\n"),
            ("sys/class/fc_host/host0/statistics/tx_frames", "0xffffffffffffffff\n"),
            ("sys/class/fc_host/host0/statistics/nos_count", "no number\n"),
            ("sys/class/fc_host/host1/statistics/rx_frames", "0x0\n"),
        ]);
        assert_eq!(
            lines(&host, &DEF),
            "node_fibrechannel_info{fc_host=\"host0\",port_state=\"Online\",\
             port_name=\"1000e0071bce95f2\",symbolic_name=\"Emulex  SN1100\"} 1\n\
             node_fibrechannel_info{fc_host=\"host1\"} 1\n\
             node_fibrechannel_rx_frames_total{fc_host=\"host0\"} 42\n\
             node_fibrechannel_rx_frames_total{fc_host=\"host1\"} 0\n"
        );
    }

    #[test]
    fn a_host_without_adapters_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
