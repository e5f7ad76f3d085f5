//! `edac`: errors of memory, corrected and not (SYS/devices/system/edac/mc).
//!
//! Counts come by controller, by row of chips, and by channel of a row with the name of the module on the board.
//! It must not know which module that is: the board's firmware tells the kernel.

use std::path::{Path, PathBuf};

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::parse;
use crate::sysfs::{Attributes, Devices, entries};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("edac", "Errors of memory modules.")
        .needs("memory with error correction, and its driver")
        .reads("SYS/devices/system/edac/mc")
        .families(&[
            CONTROLLER[0].doc(),
            CONTROLLER[1].doc(),
            ROW[0].doc(),
            ROW[1].doc(),
            CHANNEL[0].doc(),
            CHANNEL[1].doc(),
        ]),
    build: |setting| {
        Ok(Box::new(Edac {
            controllers: Devices::new(setting.paths.sys("devices/system/edac/mc")),
            attributes: Attributes::new(),
        }))
    },
};

/// Corrected and uncorrected errors, as the kernel begins its file names.
const KINDS: [&str; 2] = ["ce", "ue"];

static CONTROLLER: [Family<1>; KINDS.len()] = [
    Family::counter(
        "node_edac_correctable_errors_total",
        "Memory errors that each controller corrected.",
        ["controller"],
    ),
    Family::counter(
        "node_edac_uncorrectable_errors_total",
        "Memory errors that each controller could not correct.",
        ["controller"],
    ),
];
static ROW: [Family<2>; KINDS.len()] = [
    Family::counter(
        "node_edac_csrow_correctable_errors_total",
        "Corrected memory errors by row of chips; unknown where the controller could not tell the row.",
        ["controller", "csrow"],
    ),
    Family::counter(
        "node_edac_csrow_uncorrectable_errors_total",
        "Uncorrected memory errors by row of chips; unknown where the controller could not tell the row.",
        ["controller", "csrow"],
    ),
];
static CHANNEL: [Family<4>; KINDS.len()] = [
    Family::counter(
        "node_edac_channel_correctable_errors_total",
        "Corrected memory errors by channel of a row, with the name of the module.",
        ["channel", "controller", "csrow", "dimm_label"],
    ),
    Family::counter(
        "node_edac_channel_uncorrectable_errors_total",
        "Uncorrected memory errors by channel of a row, with the name of the module.",
        ["channel", "controller", "csrow", "dimm_label"],
    ),
];

struct Edac {
    controllers: Devices<Controller>,
    attributes: Attributes,
}

struct Controller {
    number: String,
    rows: Vec<Row>,
}

struct Row {
    number: String,
    path: PathBuf,
    channels: Vec<Channel>,
}

struct Channel {
    number: String,
    /// Read at each scrape: programs write the names of the board's modules (rasdaemon's ras-mc-ctl).
    label: String,
}

impl Collector for Edac {
    /// A host without such a controller, or without a driver for it, has no errors to report and no failure.
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.controllers
            .list_any(|name, path| Some(Controller::find(numbered(name, "mc")?, path)))?;
        for row in self.controllers.iter_mut().flat_map(|device| &mut device.kept.rows) {
            row.read_labels(&mut self.attributes);
        }
        for at in 0..KINDS.len() {
            self.emit(KINDS[at], (&CONTROLLER[at], &ROW[at], &CHANNEL[at]), sink);
        }
        Ok(())
    }
}

impl Edac {
    fn emit(
        &mut self,
        kind: &str,
        families: (&Family<1>, &Family<2>, &Family<4>),
        sink: &mut dyn MetricSink,
    ) {
        let attributes = &mut self.attributes;
        let (count, noinfo) = (format!("{kind}_count"), format!("{kind}_noinfo_count"));
        for device in self.controllers.iter() {
            let controller = device.kept.number.as_str();
            if let Some(errors) = attributes.number(&device.path, &count) {
                families.0.emit(sink, [controller], errors);
            }
            if let Some(errors) = attributes.number(&device.path, &noinfo) {
                families.1.emit(sink, [controller, "unknown"], errors);
            }
            for row in &device.kept.rows {
                if let Some(errors) = attributes.number(&row.path, &count) {
                    families.1.emit(sink, [controller, &row.number], errors);
                }
                for channel in &row.channels {
                    let file = format!("ch{}_{count}", channel.number);
                    if let Some(errors) = attributes.number(&row.path, &file) {
                        let labels = [&*channel.number, controller, &row.number, &channel.label];
                        families.2.emit(sink, labels, errors);
                    }
                }
            }
        }
    }
}

impl Controller {
    fn find(number: &str, path: &Path) -> Self {
        let names = entries(path).unwrap_or_default();
        let rows = names.iter().filter_map(|name| {
            let number = numbered(name, "csrow")?.to_owned();
            let path = path.join(name);
            Some(Row { number, channels: Channel::find_all(&path), path })
        });
        Controller { number: number.to_owned(), rows: rows.collect() }
    }
}

impl Row {
    fn read_labels(&mut self, attributes: &mut Attributes) {
        for channel in &mut self.channels {
            let file = format!("ch{}_dimm_label", channel.number);
            let label = attributes.optional(&self.path, &file).map(parse::text);
            channel.label = label.map_or_else(|| "unknown".to_owned(), |label| spelled(&label));
        }
    }
}

impl Channel {
    fn find_all(row: &Path) -> Vec<Self> {
        let names = entries(row).unwrap_or_default();
        let channels = names.iter().filter_map(|name| {
            let number = numbered(name.strip_suffix("_ce_count")?, "ch")?.to_owned();
            Some(Channel { number, label: String::new() })
        });
        channels.collect()
    }
}

/// `mc#0csrow#1channel#2`, the kernel's name where the board gives none, as `mc0_csrow1_channel2`.
fn spelled(label: &str) -> String {
    label.replace('#', "").replace("csrow", "_csrow").replace("channel", "_channel")
}

/// The number behind `prefix`, when nothing else follows.
fn numbered<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    let number = name.strip_prefix(prefix)?;
    parse::number(number.as_bytes()).map(|_| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn errors_come_by_controller_row_and_channel() {
        let host = Host::new(&[
            ("sys/devices/system/edac/mc/mc1/ce_count", "7\n"),
            ("sys/devices/system/edac/mc/mc1/ue_noinfo_count", "2\n"),
            ("sys/devices/system/edac/mc/mc1/csrow2/ce_count", "5\n"),
            ("sys/devices/system/edac/mc/mc1/csrow2/ch0_ce_count", "4\n"),
            ("sys/devices/system/edac/mc/mc1/csrow2/ch0_dimm_label", "mc#1csrow#2channel#0\n"),
            ("sys/devices/system/edac/mc/mc1/csrow2/ch1_ce_count", "1\n"),
            ("sys/devices/system/edac/mc/uevent", ""),
        ]);
        let expected = "node_edac_correctable_errors_total{controller=\"1\"} 7\n\
             node_edac_csrow_correctable_errors_total{controller=\"1\",csrow=\"2\"} 5\n\
             node_edac_channel_correctable_errors_total{channel=\"0\",controller=\"1\",csrow=\"2\",dimm_label=\"mc1_csrow2_channel0\"} 4\n\
             node_edac_channel_correctable_errors_total{channel=\"1\",controller=\"1\",csrow=\"2\",dimm_label=\"unknown\"} 1\n\
             node_edac_csrow_uncorrectable_errors_total{controller=\"1\",csrow=\"unknown\"} 2\n";
        assert_eq!(lines(&host, &DEF), expected);
        assert_eq!(lines(&Host::new(&[]), &DEF), "");
    }
    #[test]
    fn a_module_may_be_named_later() {
        let row = "sys/devices/system/edac/mc/mc0/csrow0";
        let (count, label) = (format!("{row}/ch0_ce_count"), format!("{row}/ch0_dimm_label"));
        let host = Host::new(&[(&count, "0\n"), (&label, "mc#0csrow#0channel#0\n")]);
        let mut collector = host.build(&DEF).unwrap();
        assert!(scrape(&mut *collector).0.contains("dimm_label=\"mc0_csrow0_channel0\""));
        host.write(&label, "CPU1_DIMM_A1\n");
        assert!(scrape(&mut *collector).0.contains("dimm_label=\"CPU1_DIMM_A1\""));
    }
}
