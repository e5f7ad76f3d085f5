//! `uname`: the kernel and the names of the node (uname(2)).
//!
//! One information series to join on. It must not know that the names are those of the process's
//! own UTS namespace: in a container the orchestrator sets them.

use nix::sys::utsname;
use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

static INFO: Family<6> = Family::gauge(
    "node_uname_info",
    "Kernel and names of the node as the system call uname gives them; always 1.",
    ["domainname", "machine", "nodename", "release", "sysname", "version"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("uname", "Kernel release, machine and host name.")
        .reads("uname(2)")
        .families(&[INFO.doc()]),
    build: |_| Ok(Box::new(Uname)),
};

struct Uname;

impl Collector for Uname {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let names = utsname::uname()
            .map_err(|errno| CollectError::Other(format!("uname: {}", errno.desc())))?;
        let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
        let values = [
            names.domainname(),
            names.machine(),
            names.nodename(),
            names.release(),
            names.sysname(),
            names.version(),
        ]
        .map(text);
        INFO.emit(sink, values.each_ref().map(String::as_str), true);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines};

    #[test]
    fn the_kernel_names_itself() {
        let text = lines(&Host::new(&[]), &DEF);
        assert!(
            text.starts_with("node_uname_info{") && text.contains("sysname=\"Linux\""),
            "{text}"
        );
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert!(text.contains(&format!("release={:?}", release.trim())), "{text}");
    }
}
