//! `dmi`: what the machine, its board, its case and its firmware are (SYS/class/dmi/id).
//!
//! Read once: nothing of it changes while the kernel runs. It must not need root: serial numbers and the UUID, which
//! only root may read, are labels that are left out.

use std::path::PathBuf;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::sysfs::Attributes;

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("dmi", "Vendor, model and serial numbers of the machine.")
        .needs("firmware with SMBIOS tables; serial numbers need root")
        .reads("SYS/class/dmi/id")
        .families(&[INFO.doc()]),
    build: |setting| {
        Ok(Box::new(Dmi { directory: setting.paths.sys("class/dmi/id"), values: None }))
    },
};

/// The files in the order of the labels, which have their names but for the last.
const FILES: [&str; 19] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "sys_vendor",
];

static INFO: Family<{ FILES.len() }> =
    Family::gauge("node_dmi_info", "What the machine is, as its firmware says; always 1.", {
        let mut labels = FILES;
        labels[FILES.len() - 1] = "system_vendor";
        labels
    });

struct Dmi {
    directory: PathBuf,
    /// After the first scrape.
    values: Option<[String; FILES.len()]>,
}

impl Collector for Dmi {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let values = self.values.get_or_insert_with(|| {
            let mut attributes = Attributes::new();
            FILES.map(|file| attributes.text(&self.directory, file))
        });
        if values.iter().all(String::is_empty) {
            return Err(CollectError::no_data("SYS/class/dmi/id tells nothing of this machine"));
        }
        INFO.emit(sink, values.each_ref().map(String::as_str), true);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn what_cannot_be_read_is_left_out_and_what_is_no_utf8_is_replaced() {
        let host = Host::new(&[
            ("sys/class/dmi/id/product_name", "PowerEdge R6515\n"),
            ("sys/class/dmi/id/product_serial/unreadable", ""),
        ]);
        host.write("sys/class/dmi/id/sys_vendor", b"Acm\xe9\n");
        let expected =
            "node_dmi_info{product_name=\"PowerEdge R6515\",system_vendor=\"Acm\u{fffd}\"} 1\n";
        assert_eq!(lines(&host, &DEF), expected);
    }

    #[test]
    fn a_machine_without_dmi_has_no_data() {
        let (text, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!((text.as_str(), result.unwrap_err().kind()), ("", "no_data"));
    }
}
