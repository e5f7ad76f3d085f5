//! `cpu_vulnerabilities`: which flaws the CPUs have, and what the kernel does about them
//! (SYS/devices/system/cpu/vulnerabilities).
//!
//! The kernel writes a sentence for each; its first word is the state. It must not know which flaws there are.

use std::path::PathBuf;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::parse;
use crate::sysfs::{Attributes, entries_if_any};

static INFO: Family<3> = Family::gauge(
    "node_cpu_vulnerabilities_info",
    "State of each known flaw of the CPUs, and what is done about it; always 1.",
    ["codename", "mitigation", "state"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("cpu_vulnerabilities", "Known flaws of the CPUs.")
        .reads("SYS/devices/system/cpu/vulnerabilities")
        .off_by_default()
        .families(&[INFO.doc()]),
    build: |setting| {
        Ok(Box::new(CpuVulnerabilities {
            directory: setting.paths.sys("devices/system/cpu/vulnerabilities"),
            attributes: Attributes::new(),
        }))
    },
};

struct CpuVulnerabilities {
    directory: PathBuf,
    attributes: Attributes,
}

impl Collector for CpuVulnerabilities {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let names = entries_if_any(&self.directory)?;
        let mut info = INFO.open(sink);
        for name in names {
            if let Some(sentence) = self.attributes.optional(&self.directory, &name) {
                let sentence = parse::text(sentence);
                let (state, mitigation) = split(&sentence);
                info.emit([&name, mitigation, state], true);
            }
        }
        Ok(())
    }
}

/// State and mitigation of sentences such as `Not affected`, `Mitigation: PTI`, `Vulnerable; SMT vulnerable`; a sentence
/// that begins otherwise is the mitigation as a whole.
fn split(sentence: &str) -> (&'static str, &str) {
    let begins = |word: &str| {
        sentence.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    let states = ["not affected", "vulnerable", "mitigation", "unknown"];
    let rest = sentence.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim());
    match states.into_iter().find(|word| begins(word)) {
        Some("not affected") => ("not affected", ""),
        Some(state) => (state, rest),
        None => ("unknown", sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines};

    #[test]
    fn sentences_of_the_kernel_are_split() {
        for (sentence, expected) in [
            ("Not affected", ("not affected", "")),
            ("Vulnerable", ("vulnerable", "")),
            ("Vulnerable: No microcode", ("vulnerable", "No microcode")),
            ("Mitigation: PTI", ("mitigation", "PTI")),
            ("mitigation; SMT off", ("mitigation", "SMT off")),
            ("Unknown: No mitigations", ("unknown", "No mitigations")),
            ("KVM: Mitigation: VMX disabled", ("unknown", "KVM: Mitigation: VMX disabled")),
            ("Processor vulnerable", ("unknown", "Processor vulnerable")),
            ("Unknown (XEN PV detected)", ("unknown", "(XEN PV detected)")),
            ("Vulnérable", ("unknown", "Vulnérable")),
            ("", ("unknown", "")),
        ] {
            assert_eq!(split(sentence), expected, "{sentence}");
        }
    }

    #[test]
    fn an_unreadable_one_costs_its_own_series_only() {
        let host = Host::new(&[
            ("sys/devices/system/cpu/vulnerabilities/l1tf/x", ""),
            ("sys/devices/system/cpu/vulnerabilities/meltdown", "Mitigation: PTI\n"),
        ]);
        let expected = "node_cpu_vulnerabilities_info\
             {codename=\"meltdown\",mitigation=\"PTI\",state=\"mitigation\"} 1\n";
        assert_eq!(lines(&host, &DEF), expected);
        assert_eq!(lines(&Host::new(&[]), &DEF), "", "older kernels do not tell");
    }
}
