//! `swap`: each swap area (PROC/swaps).
//!
//! The sum of all areas is a figure of `meminfo`. It must not know what was swapped out.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink, Value};

use crate::parse::{count, lines, scaled, shown, signed, text, words};
use crate::rows::{Reading, Rows};

const LABELS: [&str; 2] = ["device", "swap_type"];
static SIZE: Family<2> = Family::gauge("node_swap_size_bytes", "Size of a swap area.", LABELS);
static USED: Family<2> = Family::gauge("node_swap_used_bytes", "Used part of a swap area.", LABELS);
static PRIORITY: Family<2> =
    Family::gauge("node_swap_priority", "Areas of higher priority are filled first.", LABELS);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("swap", "Size, use and priority of each swap area.")
        .reads("PROC/swaps")
        .off_by_default()
        .families(&[SIZE.doc(), USED.doc(), PRIORITY.doc()]),
    build: |setting| {
        let file = FileReader::kept_open(setting.paths.proc("swaps"));
        Ok(Box::new(Swap { file, areas: Rows::default() }))
    },
};

struct Swap {
    file: FileReader,
    areas: Rows<Area>,
}

struct Area {
    /// With the kernel's escapes: a blank is `\040`.
    device: String,
    kind: String,
    kilobytes: u64,
    used: u64,
    priority: i64,
}

impl Collector for Swap {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.file.read().map_err(CollectError::missing_is_no_data)?;
        let mut reading = self.areas.reading();
        let mut result = Ok(());
        // A line of headings.
        for (line_number, line) in lines(file).skip(1) {
            if let Err(what) = take(line, &mut reading) {
                result = result.and(Err((line_number, what)));
            }
        }
        drop(reading);
        emit(&SIZE, &self.areas, sink, |area| scaled(area.kilobytes, 1024));
        emit(&USED, &self.areas, sink, |area| scaled(area.used, 1024));
        emit(&PRIORITY, &self.areas, sink, |area| area.priority.into());
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

fn emit(
    family: &Family<2>,
    areas: &Rows<Area>,
    sink: &mut dyn MetricSink,
    value: impl Fn(&Area) -> Value<'static>,
) {
    let mut family = family.open(sink);
    for area in areas.iter() {
        family.emit([&area.device, &area.kind], value(area));
    }
}

fn take(line: &[u8], reading: &mut Reading<'_, Area>) -> Result<(), String> {
    let mut words = words(line);
    let Some(device) = words.next() else { return Ok(()) };
    let kind = words.next().unwrap_or_default();
    let (kilobytes, used) = (count(words.next())?, count(words.next())?);
    let word = words.next().unwrap_or_default();
    let priority =
        signed(word).ok_or_else(|| format!("expected a priority, found {}", shown(word)))?;
    let area = || Area {
        device: text(device).into_owned(),
        kind: text(kind).into_owned(),
        kilobytes,
        used,
        priority,
    };
    if let Some(row) = reading.row(device, area) {
        (row.kilobytes, row.used, row.priority) = (kilobytes, used, priority);
        if row.kind.as_bytes() != kind {
            row.kind = text(kind).into_owned();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const HEADINGS: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn areas_come_out_in_bytes() {
        let areas = "/dev/zram0                              partition\t4194300\t\t25600\t\t100\n\
            /swap\\040file                           file\t\t1024\t\t0\t\t-2\n";
        let host = Host::new(&[("proc/swaps", &format!("{HEADINGS}{areas}"))]);
        assert_eq!(
            lines(&host, &DEF),
            "node_swap_size_bytes{device=\"/dev/zram0\",swap_type=\"partition\"} 4294963200\n\
             node_swap_size_bytes{device=\"/swap\\\\040file\",swap_type=\"file\"} 1048576\n\
             node_swap_used_bytes{device=\"/dev/zram0\",swap_type=\"partition\"} 26214400\n\
             node_swap_used_bytes{device=\"/swap\\\\040file\",swap_type=\"file\"} 0\n\
             node_swap_priority{device=\"/dev/zram0\",swap_type=\"partition\"} 100\n\
             node_swap_priority{device=\"/swap\\\\040file\",swap_type=\"file\"} -2\n"
        );
    }

    #[test]
    fn without_swap_there_is_nothing_to_tell() {
        assert_eq!(lines(&Host::new(&[("proc/swaps", HEADINGS)]), &DEF), "");
    }

    #[test]
    fn a_kernel_without_swap_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let file = format!("{HEADINGS}/a file 1 1 high\n/b file 1 1 1\n");
        let (text, result) = scrape(&mut *Host::new(&[("proc/swaps", &file)]).build(&DEF).unwrap());
        assert_eq!(text.lines().count(), 3, "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("swaps:2: expected a priority, found \"high\""), "{error}");
    }
}
