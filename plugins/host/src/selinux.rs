//! `selinux`: whether SELinux is there and enforces its policy (SYS/fs/selinux, ROOTFS/etc/selinux/config).
//!
//! Modes are told only where it is enabled: 1 enforcing, 0 permissive, -1 disabled or unknown. It must not know
//! the policy.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::lines;

static ENABLED: Family = Family::gauge("node_selinux_enabled", "Whether SELinux is enabled.", []);
static CONFIG_MODE: Family = Family::gauge(
    "node_selinux_config_mode",
    "SELinux mode of the configuration: 1 enforcing, 0 permissive, -1 disabled.",
    [],
);
static CURRENT_MODE: Family = Family::gauge(
    "node_selinux_current_mode",
    "SELinux mode in force: 1 enforcing, 0 permissive, -1 unknown.",
    [],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("selinux", "Whether SELinux enforces its policy.")
        .reads("SYS/fs/selinux/enforce, PROC/1/attr/current, ROOTFS/etc/selinux/config")
        .families(&[ENABLED.doc(), CONFIG_MODE.doc(), CURRENT_MODE.doc()]),
    build: |setting| {
        Ok(Box::new(SeLinux {
            enforce: FileReader::new(setting.paths.sys("fs/selinux/enforce")),
            label: FileReader::new(setting.paths.proc_init("attr/current")),
            config: FileReader::new(setting.paths.root("/etc/selinux/config")),
        }))
    },
};

struct SeLinux {
    enforce: FileReader,
    label: FileReader,
    config: FileReader,
}

impl Collector for SeLinux {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let enabled = self.is_enabled();
        ENABLED.emit(sink, [], enabled);
        if enabled {
            CONFIG_MODE.emit(sink, [], self.config.read().map_or(UNKNOWN, configured));
            CURRENT_MODE.emit(sink, [], self.enforce.read().map_or(UNKNOWN, current));
        }
        Ok(())
    }
}

impl SeLinux {
    /// The kernel shows the file system when SELinux was chosen at boot; until a policy is loaded every process
    /// has the label `kernel`.
    fn is_enabled(&mut self) -> bool {
        self.enforce.path().exists() && !self.label.read().is_ok_and(is_kernel)
    }
}

const ENFORCING: i64 = 1;
const PERMISSIVE: i64 = 0;
/// Or disabled, in the configuration.
const UNKNOWN: i64 = -1;

/// Some kernels end the label with a zero byte.
fn is_kernel(label: &[u8]) -> bool {
    label.split(|byte| matches!(byte, 0 | b'\n')).next() == Some(b"kernel")
}

fn current(enforce: &[u8]) -> i64 {
    match enforce.trim_ascii() {
        b"0" => PERMISSIVE,
        b"1" => ENFORCING,
        _ => UNKNOWN,
    }
}

/// The first line `SELINUX=` with a mode, in any case: as libselinux reads the file.
fn configured(config: &[u8]) -> i64 {
    let mut values =
        lines(config).filter_map(|(_, line)| line.trim_ascii().strip_prefix(b"SELINUX="));
    let mode = |value: &[u8]| match &*value.trim_ascii().to_ascii_lowercase() {
        b"enforcing" => Some(ENFORCING),
        b"permissive" => Some(PERMISSIVE),
        b"disabled" => Some(UNKNOWN),
        _ => None,
    };
    values.find_map(mode).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines};

    const ENFORCE: &str = "sys/fs/selinux/enforce";
    const LABEL: &str = "proc/1/attr/current";

    #[test]
    fn most_hosts_have_none() {
        assert_eq!(lines(&Host::new(&[]), &DEF), "node_selinux_enabled 0\n");
    }

    #[test]
    fn the_mode_in_force_is_told() {
        let host = Host::new(&[(ENFORCE, "1"), (LABEL, "system_u:system_r:init_t:s0\0")]);
        let text = lines(&host, &DEF);
        assert!(text.starts_with("node_selinux_enabled 1\n"), "{text}");
        assert!(text.ends_with("node_selinux_current_mode 1\n"), "{text}");
    }

    #[test]
    fn before_a_policy_is_loaded_it_is_not_enabled() {
        let host = Host::new(&[(ENFORCE, "0"), (LABEL, "kernel\0")]);
        assert_eq!(lines(&host, &DEF), "node_selinux_enabled 0\n");
    }

    #[test]
    fn the_configuration_is_understood() {
        let file = b"# SELINUX=disabled\nSELINUX=Permissive \nSELINUXTYPE=targeted\n";
        assert_eq!(configured(file), 0);
        assert_eq!(configured(b"SELINUX=enforcing"), 1);
        assert_eq!(configured(b"SELINUX=disabled\n"), -1);
        assert_eq!(configured(b"SELINUX=maybe\nSELINUX=enforcing\nSELINUX=permissive\n"), 1);
        assert_eq!(configured(b""), -1);
        assert_eq!((current(b"0\n"), current(b"1"), current(b"")), (0, 1, -1));
    }
}
