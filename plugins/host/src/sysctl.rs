//! `sysctl`: kernel parameters that the user names (PROC/sys).
//!
//! Numbers become series without a type, because only the user knows what they are; texts become information
//! series. It must not know any parameter.

use std::path::PathBuf;

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Desc, Family, Kind, MetricSink, Sample, Value};

use crate::parse::{number, shown, signed, text, words};

mod choice;

use choice::Choice;

const INCLUDE: &str = "collector.sysctl.include";
const INCLUDE_INFO: &str = "collector.sysctl.include-info";

static INFO: Family<3> = Family::gauge(
    "node_sysctl_info",
    "Kernel parameters that are text; always 1.",
    ["name", "value", "index"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("sysctl", "Kernel parameters of your choice.").needs("names in --collector.sysctl.include or include-info")
        .reads("PROC/sys/...")
        .off_by_default()
        .flags(&[
            FlagDef::list(
                INCLUDE,
                "",
                "Kernel parameter to export as numbers, as NAME or NAME:KEY,KEY,... with a key for each; repeatable.",
            ),
            FlagDef::list(INCLUDE_INFO, "", "Kernel parameter to export as text; repeatable."),
        ])
        .families(&[INFO.doc()]),
    build: |setting| {
        let numbers = Choice::read(&setting.flags, INCLUDE, true)?;
        let texts = Choice::read(&setting.flags, INCLUDE_INFO, false)?;
        Ok(Box::new(Sysctl {
            numbers: numbers.into_iter().map(|choice| Numbers::new(choice, setting)).collect(),
            texts: texts.into_iter().map(|choice| Texts::new(choice, setting)).collect(),
        }))
    },
};

struct Sysctl {
    numbers: Vec<Numbers>,
    texts: Vec<Texts>,
}

impl Collector for Sysctl {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut result = Ok(());
        for parameter in &mut self.numbers {
            result = result.and(parameter.emit(sink));
        }
        for parameter in &mut self.texts {
            result = result.and(parameter.emit(sink));
        }
        result
    }
}

/// Dots in the name are directories, and slashes between them dots; where a slash comes first, all stand for themselves
/// (sysctl.d(5)). So an interface whose name has a dot can be named.
fn path(name: &str, setting: &Setting) -> PathBuf {
    let sys = setting.paths.proc("sys");
    if name.find(['.', '/']).is_some_and(|first| name[first..].starts_with('/')) {
        return sys.join(name);
    }
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    sys.join(name.chars().map(swap).collect::<String>())
}

/// A parameter of numbers.
struct Numbers {
    choice: Choice,
    file: FileReader,
    /// A family for each key; without keys one.
    metrics: Vec<String>,
    help: String,
}

impl Numbers {
    fn new(choice: Choice, setting: &Setting) -> Self {
        Numbers {
            file: FileReader::new(path(&choice.name, setting)),
            metrics: choice.metrics(),
            help: format!("Kernel parameter {}.", choice.name),
            choice,
        }
    }

    fn emit(&mut self, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let values = parse(self.file.read()?);
        let values = values.and_then(|values| self.check(values));
        let values = values.map_err(|what| CollectError::parse(self.file.path(), 1, what))?;
        let with_index = self.choice.keys.is_empty() && values.len() > 1;
        for (index, value) in values.into_iter().enumerate() {
            let metric = self.metrics.get(index).or(self.metrics.last());
            let Some(name) = metric else { continue };
            sink.family(&Desc { name, help: &self.help, kind: Kind::Untyped });
            let index = if with_index { index.to_string() } else { String::new() };
            sink.sample(&Sample::new(&[("index", &index)], value));
        }
        Ok(())
    }

    /// As many values as keys, where there are keys.
    fn check(&self, values: Vec<Value<'static>>) -> Result<Vec<Value<'static>>, String> {
        let keys = &self.choice.keys;
        if keys.is_empty() || keys.len() == values.len() {
            return Ok(values);
        }
        let (expected, found) = (keys.len(), values.len());
        Err(format!(
            "--{INCLUDE} {}: expected {expected} values, as it has keys, found {found}",
            self.choice.name
        ))
    }
}

/// Whole numbers between blanks.
fn parse(text: &[u8]) -> Result<Vec<Value<'static>>, String> {
    let value = |word| {
        let value = number(word).map(Value::U64).or_else(|| signed(word).map(Value::from));
        value.ok_or_else(|| {
            format!("expected whole numbers, found {}; text is for --{INCLUDE_INFO}", shown(word))
        })
    };
    words(text).map(value).collect()
}

/// A parameter of texts.
struct Texts {
    name: String,
    file: FileReader,
}

impl Texts {
    fn new(choice: Choice, setting: &Setting) -> Self {
        Texts { file: FileReader::new(path(&choice.name, setting)), name: choice.name }
    }

    fn emit(&mut self, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut family = INFO.open(sink);
        for (index, word) in words(self.file.read()?).enumerate() {
            family.emit([&self.name, &text(word), &index.to_string()], true);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    fn host() -> Host {
        Host::new(&[
            ("proc/sys/fs/file-nr", "1024\t0\t1631329\n"),
            ("proc/sys/kernel/threads-max", "7801\n"),
            ("proc/sys/kernel/sched_rt_runtime_us", "-1\n"),
            ("proc/sys/kernel/seccomp/actions_avail", "kill_process trap\n"),
        ])
    }

    fn host_with(flag: &str, values: &[&str]) -> Host {
        host().flag(flag, values)
    }

    #[test]
    fn numbers_have_names_keys_or_indices() {
        let flag = |values: &[&str]| lines(&host_with(INCLUDE, values), &DEF);
        assert_eq!(flag(&["kernel.threads-max"]), "node_sysctl_kernel_threads_max 7801\n");
        assert_eq!(
            flag(&["kernel.sched_rt_runtime_us"]),
            "node_sysctl_kernel_sched_rt_runtime_us -1\n"
        );
        assert_eq!(
            flag(&["fs.file-nr"]),
            "node_sysctl_fs_file_nr{index=\"0\"} 1024\nnode_sysctl_fs_file_nr{index=\"1\"} 0\n\
             node_sysctl_fs_file_nr{index=\"2\"} 1631329\n"
        );
        assert_eq!(
            flag(&["fs.file-nr:total,current,max"]),
            "node_sysctl_fs_file_nr_total 1024\nnode_sysctl_fs_file_nr_current 0\n\
             node_sysctl_fs_file_nr_max 1631329\n"
        );
    }

    #[test]
    fn an_interface_may_have_a_dot_in_its_name() {
        let host = Host::new(&[("proc/sys/net/ipv4/conf/eth0.100/rp_filter", "2\n")]);
        let host = host.flag(
            INCLUDE,
            &["net.ipv4.conf.eth0/100.rp_filter:a", "net/ipv4/conf/eth0.100/rp_filter:b"],
        );
        assert_eq!(
            lines(&host, &DEF),
            "node_sysctl_net_ipv4_conf_eth0_100_rp_filter_a 2\n\
             node_sysctl_net_ipv4_conf_eth0_100_rp_filter_b 2\n"
        );
    }

    #[test]
    fn texts_are_information() {
        assert_eq!(
            lines(&host_with(INCLUDE_INFO, &["kernel.seccomp.actions_avail"]), &DEF),
            "node_sysctl_info{name=\"kernel.seccomp.actions_avail\",value=\"kill_process\",index=\"0\"} 1\n\
             node_sysctl_info{name=\"kernel.seccomp.actions_avail\",value=\"trap\",index=\"1\"} 1\n"
        );
    }

    #[test]
    fn a_parameter_that_does_not_fit_costs_itself_only() {
        for (bad, said) in [
            (
                "fs.file-nr:a,b",
                "file-nr:1: --collector.sysctl.include fs.file-nr: expected 2 values, as it has keys, found 3",
            ),
            (
                "kernel.seccomp.actions_avail",
                "actions_avail:1: expected whole numbers, found \"kill_process\"; text is for --collector.sysctl.include-info",
            ),
            ("kernel.nothing", "No such file or directory (os error 2)"),
        ] {
            let host = host_with(INCLUDE, &[bad, "kernel.threads-max"]);
            let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
            assert_eq!(text, "node_sysctl_kernel_threads_max 7801\n", "{bad}");
            let error = result.unwrap_err().to_string();
            assert!(error.ends_with(said), "{error}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_at_the_start() {
        let error = host_with(INCLUDE, &["/etc/passwd"]).build(&DEF).err().unwrap();
        assert_eq!(
            error,
            "--collector.sysctl.include: expected a NAME such as fs.file-nr, found \"/etc/passwd\""
        );
        let error = host_with(INCLUDE_INFO, &["fs.file-nr:a"]).build(&DEF).err().unwrap();
        assert!(
            error.starts_with("--collector.sysctl.include-info: expected a NAME without keys"),
            "{error}"
        );
    }
}
