//! What the CPUs are, exported on demand (PROC/cpuinfo).
//!
//! Each fact is a series whose value is 1, so that it can be joined with the times. It must not know
//! the times.

use std::collections::BTreeSet;

use regex::Regex;
use vigie_core::collect::{BuildError, CollectError, FileReader, Setting};
use vigie_core::config::Flags;
use vigie_core::metric::{Family, MetricSink};

use crate::cpuinfo::{self, Processor};
use crate::cpulist::FREQUENCY_HELP;

pub(super) static INFO: Family<10> = Family::gauge(
    "node_cpu_info",
    "What each CPU is, from PROC/cpuinfo; always 1.",
    [
        "cachesize",
        "core",
        "cpu",
        "family",
        "microcode",
        "model",
        "model_name",
        "package",
        "stepping",
        "vendor",
    ],
);
pub(super) static FREQUENCY: Family<3> =
    Family::gauge("node_cpu_frequency_hertz", FREQUENCY_HELP, ["core", "cpu", "package"]);
pub(super) static FLAG: Family<1> =
    Family::gauge("node_cpu_flag_info", "Flags of the first CPU; always 1.", ["flag"]);
pub(super) static BUG: Family<1> =
    Family::gauge("node_cpu_bug_info", "Bugs of the first CPU; always 1.", ["bug"]);

pub(super) const INFO_FLAG: &str = "collector.cpu.info";

pub(super) const FLAGS_FLAG: &str = "collector.cpu.info.flags-include";

pub(super) const BUGS_FLAG: &str = "collector.cpu.info.bugs-include";

/// What PROC/cpuinfo says, exported on demand.
pub(super) struct Info {
    file: FileReader,
    frequency: bool,
    flags: Option<Regex>,
    bugs: Option<Regex>,
}

impl Info {
    pub(super) fn build(setting: &Setting) -> Result<Option<Self>, BuildError> {
        let flags = setting.flags.regex(FLAGS_FLAG)?;
        let bugs = setting.flags.regex(BUGS_FLAG)?;
        let on = setting.flags.switch(INFO_FLAG) || flags.is_some() || bugs.is_some();
        let file = FileReader::kept_open(setting.paths.proc("cpuinfo"));
        Ok(on.then(|| Info { file, frequency: cpufreq_is_on(&setting.flags), flags, bugs }))
    }

    pub(super) fn emit(&mut self, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let processors = cpuinfo::parse(self.file.read()?);
        let mut family = INFO.open(sink);
        for p in &processors {
            let values = [
                &p.cache_size,
                &p.core,
                &p.number,
                &p.family,
                &p.microcode,
                &p.model,
                &p.model_name,
                &p.package,
                &p.stepping,
                &p.vendor,
            ];
            family.emit(values.map(|value| &**value), true);
        }
        if self.frequency {
            emit_frequencies(&processors, sink);
        }
        if let Some(first) = processors.first() {
            emit_words(&FLAG, &first.flags, self.flags.as_ref(), sink);
            emit_words(&BUG, &first.bugs, self.bugs.as_ref(), sink);
        }
        Ok(())
    }
}

/// node_exporter tells the frequency of PROC/cpuinfo only while its collector `cpufreq`, on by
/// default, is on.
fn cpufreq_is_on(flags: &Flags) -> bool {
    const SWITCH: &str = "collector.cpufreq";
    if flags.is_given(SWITCH) {
        flags.switch(SWITCH)
    } else {
        !flags.switch("collector.disable-defaults")
    }
}

fn emit_frequencies(processors: &[Processor<'_>], sink: &mut dyn MetricSink) {
    let mut family = FREQUENCY.open(sink);
    for p in processors {
        if let Some(megahertz) = p.megahertz {
            family.emit([&p.core, &p.number, &p.package], megahertz * 1e6);
        }
    }
}

fn emit_words(family: &Family<1>, all: &str, include: Option<&Regex>, sink: &mut dyn MetricSink) {
    let Some(include) = include else { return };
    let wanted: BTreeSet<&str> =
        all.split_ascii_whitespace().filter(|word| include.is_match(word)).collect();
    let mut family = family.open(sink);
    for word in wanted {
        family.emit([word], true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines};

    #[test]
    fn information_comes_when_asked_for() {
        let info = "processor : 0\nvendor_id : X\nphysical id : 0\ncore id : 3\ncpu MHz : 799.998\nflags : aes fpu aes\nbugs : mds\n";
        let host = Host::new(&[("proc/stat", "cpu0 1\n"), ("proc/cpuinfo", info)])
            .flag(FLAGS_FLAG, &["^ae"]);
        let text = lines(&host, &crate::cpu::DEF);
        assert!(
            text.contains("node_cpu_info{core=\"3\",cpu=\"0\",package=\"0\",vendor=\"X\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "node_cpu_frequency_hertz{core=\"3\",cpu=\"0\",package=\"0\"} 799998000\n"
            )
        );
        assert_eq!(text.matches("node_cpu_flag_info{flag=\"aes\"} 1\n").count(), 1, "{text}");
        assert!(!text.contains("fpu"), "{text}");
        assert!(!text.contains("bug"));
        let host = Host::new(&[]).flag(BUGS_FLAG, &["("]);
        assert!(host.build(&crate::cpu::DEF).err().unwrap().contains(BUGS_FLAG));
    }

    #[test]
    fn the_frequency_is_told_while_cpufreq_is_on() {
        let on = |given: &[(&str, &str)]| {
            let mut flags = Flags::default();
            flags.declare("collector.cpufreq", "true");
            for (name, value) in given {
                flags.set(*name, vec![(*value).to_owned()]);
            }
            cpufreq_is_on(&flags)
        };
        assert!(on(&[]) && !on(&[("collector.cpufreq", "false")]));
        let disabled = ("collector.disable-defaults", "true");
        assert!(!on(&[disabled]) && on(&[disabled, ("collector.cpufreq", "true")]));
    }
}
