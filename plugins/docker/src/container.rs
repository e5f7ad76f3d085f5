//! The collector `container`: cAdvisor's families for each container and for the whole machine.
//!
//! Figures come from the kernel at the scrape, names from the snapshot; where there is no name the
//! figures go out under the container's path alone. It must not talk to the daemon.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Paths, Scrape};
use vigie_core::metric::{FamilyDoc, MetricSink, Sample, Value};

use crate::Context;
use crate::cgroup::{Cgroups, Disk, Files, Found, lines};
use crate::family::{
    self, CPU_USAGE, Column, DISKS, Figures, Labels, MEMORY_FAILURES, NETWORK, SCRAPE_ERROR,
    describe,
};
use crate::latest::Latest;
use crate::machine::{self, Identity, Machine};
use crate::netdev::parse_net_dev;
use crate::snapshot::{Container, Link, Snapshot, State};
use crate::state;

/// The definition.
pub(crate) static DEF: CollectorDef<Context> = CollectorDef {
    info: CollectorInfo::new(
        "container",
        "Figures and states of containers, under cAdvisor's names",
    )
    .reads("/sys/fs/cgroup, /proc/PID/net/dev, the Docker socket")
    .families(&FAMILIES),
    build: |context| Ok(Box::new(ContainerCollector::new(context))),
};

const COUNT: usize = family::PLAIN.len() + NETWORK.len() + DISKS.len() + state::PLAIN.len() + 7;

static FAMILIES: [FamilyDoc; COUNT] = families();

const fn families() -> [FamilyDoc; COUNT] {
    let mut all = [CPU_USAGE; COUNT];
    all[1] = MEMORY_FAILURES;
    all[2] = SCRAPE_ERROR;
    all[3] = state::STATE;
    [all[4], all[5], all[6]] = machine::FAMILIES;
    let at = append(&mut all, 7, &family::PLAIN);
    let at = append(&mut all, at, &NETWORK);
    let at = append(&mut all, at, &DISKS);
    append(&mut all, at, &state::PLAIN);
    all
}

const fn append<T>(all: &mut [FamilyDoc; COUNT], from: usize, columns: &[Column<T>]) -> usize {
    let mut i = 0;
    while i < columns.len() {
        all[from + i] = columns[i].doc;
        i += 1;
    }
    from + i
}

/// Longest time the first scrape waits for the daemon's first answer: series that begin without
/// their names would leave ghosts behind.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The collector.
struct ContainerCollector {
    paths: Paths,
    snapshot: Arc<Latest<Snapshot>>,
    /// Somebody asks the daemon, and was not waited for yet.
    expectant: bool,
    /// Whether the two below were looked for: in the first scrape, where a file system that hangs holds nobody up.
    looked: bool,
    cgroups: Option<Cgroups>,
    identity: Identity,
    files: Files,
    /// Names of block devices by their numbers, which do not change while the machine runs.
    devices: HashMap<(u32, u32), String>,
}

/// One cgroup with what is known of it.
struct Row<'a> {
    labels: Vec<(&'a str, &'a str)>,
    figures: Figures,
}

impl Collector for ContainerCollector {
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        if std::mem::take(&mut self.expectant) {
            self.snapshot.newer_than(0, FIRST_WAIT);
        }
        if !std::mem::replace(&mut self.looked, true) {
            self.identity = Identity::read(&self.paths, &mut self.files);
            self.cgroups = Cgroups::detect(&self.paths);
        }
        let snapshot = self.snapshot.get();
        let found = self.cgroups.as_ref().map(Cgroups::containers).unwrap_or_default();
        if found.is_empty() && snapshot.link == Link::Unseen {
            return Err(CollectError::no_data("neither a container nor a Docker daemon"));
        }
        let machine = Machine::read(&self.paths, &mut self.files);
        let rows = self.rows(&machine, &found, &snapshot, scrape);
        emit_rows(&rows, &self.devices, sink);
        state::emit(&snapshot, sink);
        machine.emit(&self.identity, sink);
        sink.family(&describe(&SCRAPE_ERROR));
        sink.sample(&Sample::new(&[], self.cgroups.is_none().into()));
        Ok(())
    }
}

impl ContainerCollector {
    fn new(context: &Context) -> Self {
        ContainerCollector {
            looked: false,
            cgroups: None,
            identity: Identity::default(),
            paths: context.paths.clone(),
            snapshot: Arc::clone(&context.snapshot),
            expectant: context.follows,
            files: Files::new(),
            devices: HashMap::new(),
        }
    }

    /// The machine, then the containers.
    fn rows<'a>(
        &mut self,
        machine: &Machine,
        found: &'a [Found],
        snapshot: &'a Snapshot,
        scrape: &Scrape,
    ) -> Vec<Row<'a>> {
        let Some(cgroups) = &self.cgroups else { return Vec::new() };
        let seen = scrape.now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut rows = vec![Row {
            labels: vec![("id", "/")],
            figures: root_figures(cgroups, machine, &self.paths, &mut self.files),
        }];
        for Found { cgroup, container } in found {
            let known = snapshot.containers.get(container).map(|container| &**container);
            let mut figures =
                Figures { usage: cgroups.read(cgroup, &mut self.files), ..Figures::default() };
            // The directory of a container outlives its last process for a moment.
            let runs = known.is_some_and(|known| known.state == Some(State::Running));
            if !figures.usage.tasks.are_alive() && !runs {
                continue;
            }
            // What the kernel says now, before what the daemon said when the container began; but
            // from another PID namespace the kernel says nothing.
            let first = figures.usage.tasks.first.or_else(|| known?.pid);
            if !known.is_some_and(|known| known.foreign_network) {
                figures.interfaces = interfaces(first, &self.paths, &mut self.files);
            }
            figures.started = known
                .and_then(|known| known.started)
                .or_else(|| machine.process_start(first?, &self.paths, &mut self.files));
            figures.health = known.and_then(|known| known.health);
            rows.push(Row { labels: labels(cgroup, known), figures });
        }
        for row in &mut rows {
            row.figures.seen = seen;
            for disk in &row.figures.usage.disks {
                let at = (disk.major, disk.minor);
                let files = &mut self.files;
                self.devices.entry(at).or_insert_with(|| device_name(at, &self.paths, files));
            }
        }
        rows
    }
}

/// The whole machine: its limits are what it has, its network is that of the first process.
fn root_figures(cgroups: &Cgroups, machine: &Machine, paths: &Paths, files: &mut Files) -> Figures {
    let mut usage = cgroups.read("/", files);
    usage.memory.limit = machine.memory;
    usage.memory.swap_limit = machine.swap;
    Figures {
        interfaces: interfaces(usage.tasks.first, paths, files),
        usage,
        started: machine.booted.and_then(|second| i64::try_from(second).ok()),
        ..Figures::default()
    }
}

fn interfaces(pid: Option<u64>, paths: &Paths, files: &mut Files) -> Vec<crate::netdev::Interface> {
    let path = pid.map(|pid| paths.proc(format!("{pid}/net/dev")));
    path.and_then(|path| files.read_path(&path).map(parse_net_dev)).unwrap_or_default()
}

fn labels<'a>(cgroup: &'a str, known: Option<&'a Container>) -> Vec<(&'a str, &'a str)> {
    let mut labels = vec![("id", cgroup)];
    if let Some(known) = known {
        labels.push(("image", known.image.as_str()));
        labels.push(("name", known.name.as_str()));
        labels.extend(known.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }
    labels
}

/// `/dev/NAME` as udev would call it, else the numbers.
fn device_name((major, minor): (u32, u32), paths: &Paths, files: &mut Files) -> String {
    let path = paths.sys(format!("dev/block/{major}:{minor}/uevent"));
    let name = files.read_path(&path).and_then(|text| {
        let name = lines(text).find_map(|line| line.strip_prefix(b"DEVNAME="))?;
        std::str::from_utf8(name).ok().map(|name| format!("/dev/{name}"))
    });
    name.unwrap_or_else(|| format!("{major}:{minor}"))
}

fn emit_rows(rows: &[Row<'_>], devices: &HashMap<(u32, u32), String>, sink: &mut dyn MetricSink) {
    emit_cpu(rows, sink);
    for column in &family::PLAIN {
        column.emit(sink, rows.iter().map(|row| (row.labels.as_slice(), &row.figures)));
    }
    emit_page_faults(rows, sink);
    let interfaces =
        each(rows, "interface", |figures| &figures.interfaces, |one| one.name.as_str());
    emit_each(&NETWORK, &interfaces, sink);
    let name = |disk: &Disk| devices.get(&(disk.major, disk.minor)).map_or("", String::as_str);
    let disks = each(rows, "device", |figures| &figures.usage.disks, name);
    emit_each(&DISKS, &disks, sink);
}

/// The parts of all rows, each with its row's labels and one more.
fn each<'r, T>(
    rows: &'r [Row<'_>],
    label: &'r str,
    parts: impl Fn(&'r Figures) -> &'r [T],
    name: impl Fn(&'r T) -> &'r str,
) -> Vec<(Vec<(&'r str, &'r str)>, &'r T)> {
    let mut all = Vec::new();
    for row in rows {
        for part in parts(&row.figures) {
            all.push((with(&row.labels, label, name(part)), part));
        }
    }
    all
}

fn emit_each<T>(
    columns: &[Column<T>],
    parts: &[(Vec<(&str, &str)>, &T)],
    sink: &mut dyn MetricSink,
) {
    for column in columns {
        column.emit(sink, parts.iter().map(|(labels, part)| (labels.as_slice(), *part)));
    }
}

fn with<'a>(labels: &Labels<'a>, name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    labels.iter().copied().chain([(name, value)]).collect()
}

fn emit_cpu(rows: &[Row<'_>], sink: &mut dyn MetricSink) {
    sink.family(&describe(&CPU_USAGE));
    for row in rows {
        let cpu = &row.figures.usage.cpu;
        let cores =
            cpu.per_core.iter().enumerate().map(|(core, &time)| (format!("cpu{core:02}"), time));
        let total = cpu.total.map(|time| ("total".to_owned(), time));
        // A core that was never used has no series, as in cAdvisor.
        for (core, time) in cores.chain(total).filter(|&(_, time)| time > 0) {
            let labels = with(&row.labels, "cpu", &core);
            sink.sample(&Sample::new(&labels, Value::F64(time as f64 / 1e9)));
        }
    }
}

fn emit_page_faults(rows: &[Row<'_>], sink: &mut dyn MetricSink) {
    sink.family(&describe(&MEMORY_FAILURES));
    for row in rows {
        let memory = &row.figures.usage.memory;
        for (kind, count) in
            [("pgfault", memory.page_faults), ("pgmajfault", memory.major_page_faults)]
        {
            let Some(count) = count else { continue };
            let mut labels = with(&row.labels, "failure_type", kind);
            for scope in ["container", "hierarchy"] {
                labels.push(("scope", scope));
                sink.sample(&Sample::new(&labels, Value::U64(count)));
                labels.pop();
            }
        }
    }
}
