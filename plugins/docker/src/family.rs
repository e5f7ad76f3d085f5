//! The container families: cAdvisor's names and help texts, and where each value comes from.
//!
//! A flat catalogue, so that the name a dashboard asks for leads to the figure in one step. It
//! must not know how figures are read or labels are made.

use vigie_core::metric::{Desc, FamilyDoc, Kind, MetricSink, Sample, Value};

use crate::cgroup::{Disk, Usage};
use crate::netdev::Interface;
use crate::snapshot::Health;

/// Everything known of one cgroup at a scrape, apart from its labels.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) usage: Usage,
    pub(crate) interfaces: Vec<Interface>,
    /// Unix seconds.
    pub(crate) started: Option<i64>,
    pub(crate) health: Option<Health>,
    /// Unix seconds of the scrape.
    pub(crate) seen: u64,
}

/// A family and how its value is had from a `T`; `None` gives no sample.
pub(crate) struct Column<T: 'static> {
    pub(crate) doc: FamilyDoc,
    value: fn(&T) -> Option<Value<'static>>,
}

/// Labels of a series, in the order they are written.
pub(crate) type Labels<'a> = [(&'a str, &'a str)];

impl<T> Column<T> {
    /// Pushes the family with one sample for each row that has a value; without any it is not
    /// opened.
    pub(crate) fn emit<'a, 'r>(
        &self,
        sink: &mut dyn MetricSink,
        rows: impl Iterator<Item = (&'r Labels<'a>, &'r T)>,
    ) where
        'a: 'r,
        T: 'r,
    {
        let mut opened = false;
        for (labels, row) in rows {
            let Some(value) = (self.value)(row) else { continue };
            if !opened {
                sink.family(&describe(&self.doc));
                opened = true;
            }
            sink.sample(&Sample::new(labels, value));
        }
    }
}

/// What a sink is told of a family.
pub(crate) const fn describe(doc: &FamilyDoc) -> Desc<'static> {
    Desc { name: doc.name, help: doc.help, kind: doc.kind }
}

const BASE: &[&str] = &["id", "image", "name"];
const INTERFACE: &[&str] = &["id", "image", "name", "interface"];
const DEVICE: &[&str] = &["id", "image", "name", "device"];

/// A column.
pub(crate) const fn column<T>(
    kind: Kind,
    labels: &'static [&'static str],
    name: &'static str,
    help: &'static str,
    value: fn(&T) -> Option<Value<'static>>,
) -> Column<T> {
    Column { doc: FamilyDoc { name, help, kind, labels }, value }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    value: fn(&Figures) -> Option<Value<'static>>,
) -> Column<Figures> {
    column(Kind::Gauge, BASE, name, help, value)
}

const fn counter(
    name: &'static str,
    help: &'static str,
    value: fn(&Figures) -> Option<Value<'static>>,
) -> Column<Figures> {
    column(Kind::Counter, BASE, name, help, value)
}

const fn interface(
    name: &'static str,
    help: &'static str,
    value: fn(&Interface) -> Option<Value<'static>>,
) -> Column<Interface> {
    column(Kind::Counter, INTERFACE, name, help, value)
}

const fn device(
    name: &'static str,
    help: &'static str,
    value: fn(&Disk) -> Option<Value<'static>>,
) -> Column<Disk> {
    column(Kind::Counter, DEVICE, name, help, value)
}

fn whole(value: Option<u64>) -> Option<Value<'static>> {
    value.map(Value::U64)
}

fn nanoseconds(value: Option<u64>) -> Option<Value<'static>> {
    value.map(|value| Value::F64(value as f64 / 1e9))
}

fn microseconds(value: Option<u64>) -> Option<Value<'static>> {
    value.map(|value| Value::F64(value as f64 / 1e6))
}

/// One value for each container.
pub(crate) static PLAIN: [Column<Figures>; 32] = [
    gauge("container_last_seen", "Last time a container was seen by the exporter", |f| {
        whole(Some(f.seen))
    }),
    gauge("container_health_state", "The result of the container's health check", |f| {
        f.health.map(|health| Value::from(health.as_number()))
    }),
    gauge(
        "container_start_time_seconds",
        "Start time of the container since unix epoch in seconds.",
        |f| f.started.map(Value::from),
    ),
    gauge("container_spec_cpu_period", "CPU period of the container.", |f| {
        whole(f.usage.cpu.period)
    }),
    gauge("container_spec_cpu_quota", "CPU quota of the container.", |f| whole(f.usage.cpu.quota)),
    gauge("container_spec_cpu_shares", "CPU share of the container.", |f| {
        whole(f.usage.cpu.shares)
    }),
    gauge("container_spec_memory_limit_bytes", "Memory limit for the container.", |f| {
        whole(f.usage.memory.limit)
    }),
    gauge("container_spec_memory_swap_limit_bytes", "Memory swap limit for the container.", |f| {
        whole(f.usage.memory.swap_limit)
    }),
    gauge(
        "container_spec_memory_reservation_limit_bytes",
        "Memory reservation limit for the container.",
        |f| whole(f.usage.memory.reservation),
    ),
    counter(
        "container_cpu_user_seconds_total",
        "Cumulative user cpu time consumed in seconds.",
        |f| nanoseconds(f.usage.cpu.user),
    ),
    counter(
        "container_cpu_system_seconds_total",
        "Cumulative system cpu time consumed in seconds.",
        |f| nanoseconds(f.usage.cpu.system),
    ),
    counter(
        "container_cpu_cfs_periods_total",
        "Number of elapsed enforcement period intervals.",
        |f| whole(f.usage.cpu.throttling.periods),
    ),
    counter(
        "container_cpu_cfs_throttled_periods_total",
        "Number of throttled period intervals.",
        |f| whole(f.usage.cpu.throttling.throttled),
    ),
    counter(
        "container_cpu_cfs_throttled_seconds_total",
        "Total time duration the container has been throttled.",
        |f| nanoseconds(f.usage.cpu.throttling.time),
    ),
    gauge(
        "container_memory_usage_bytes",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        |f| whole(f.usage.memory.usage),
    ),
    gauge("container_memory_working_set_bytes", "Current working set in bytes.", |f| {
        whole(f.usage.memory.working_set())
    }),
    gauge("container_memory_rss", "Size of RSS in bytes.", |f| whole(f.usage.memory.rss)),
    gauge("container_memory_cache", "Number of bytes of page cache memory.", |f| {
        whole(f.usage.memory.cache)
    }),
    gauge("container_memory_swap", "Container swap usage in bytes.", |f| {
        whole(f.usage.memory.swap)
    }),
    gauge("container_memory_mapped_file", "Size of memory mapped files in bytes.", |f| {
        whole(f.usage.memory.mapped_file)
    }),
    gauge("container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes", |f| {
        whole(f.usage.memory.peak)
    }),
    counter("container_memory_failcnt", "Number of memory usage hits limits", |f| {
        whole(f.usage.memory.failures)
    }),
    counter(
        "container_oom_events_total",
        "Count of out of memory events observed for the container",
        |f| whole(f.usage.memory.oom_kills),
    ),
    gauge("container_processes", "Number of processes running inside the container.", |f| {
        whole(f.usage.tasks.processes)
    }),
    gauge("container_threads", "Number of threads running inside the container", |f| {
        whole(f.usage.tasks.threads)
    }),
    gauge(
        "container_threads_max",
        "Maximum number of threads allowed inside the container, infinity if value is zero",
        |f| whole(f.usage.tasks.threads_limit),
    ),
    counter(
        "container_pressure_cpu_waiting_seconds_total",
        "Total time duration tasks in the container have waited due to CPU congestion.",
        |f| microseconds(f.usage.pressure.cpu.some),
    ),
    counter(
        "container_pressure_cpu_stalled_seconds_total",
        "Total time duration no tasks in the container could make progress due to CPU congestion.",
        |f| microseconds(f.usage.pressure.cpu.full),
    ),
    counter(
        "container_pressure_memory_waiting_seconds_total",
        "Total time duration tasks in the container have waited due to memory congestion.",
        |f| microseconds(f.usage.pressure.memory.some),
    ),
    counter(
        "container_pressure_memory_stalled_seconds_total",
        "Total time duration no tasks in the container could make progress due to memory congestion.",
        |f| microseconds(f.usage.pressure.memory.full),
    ),
    counter(
        "container_pressure_io_waiting_seconds_total",
        "Total time duration tasks in the container have waited due to IO congestion.",
        |f| microseconds(f.usage.pressure.io.some),
    ),
    counter(
        "container_pressure_io_stalled_seconds_total",
        "Total time duration no tasks in the container could make progress due to IO congestion.",
        |f| microseconds(f.usage.pressure.io.full),
    ),
];

/// One value for each interface of a container.
pub(crate) static NETWORK: [Column<Interface>; 8] = [
    interface("container_network_receive_bytes_total", "Cumulative count of bytes received", |i| {
        whole(Some(i.receive.bytes))
    }),
    interface(
        "container_network_receive_packets_total",
        "Cumulative count of packets received",
        |i| whole(Some(i.receive.packets)),
    ),
    interface(
        "container_network_receive_packets_dropped_total",
        "Cumulative count of packets dropped while receiving",
        |i| whole(Some(i.receive.dropped)),
    ),
    interface(
        "container_network_receive_errors_total",
        "Cumulative count of errors encountered while receiving",
        |i| whole(Some(i.receive.errors)),
    ),
    interface(
        "container_network_transmit_bytes_total",
        "Cumulative count of bytes transmitted",
        |i| whole(Some(i.transmit.bytes)),
    ),
    interface(
        "container_network_transmit_packets_total",
        "Cumulative count of packets transmitted",
        |i| whole(Some(i.transmit.packets)),
    ),
    interface(
        "container_network_transmit_packets_dropped_total",
        "Cumulative count of packets dropped while transmitting",
        |i| whole(Some(i.transmit.dropped)),
    ),
    interface(
        "container_network_transmit_errors_total",
        "Cumulative count of errors encountered while transmitting",
        |i| whole(Some(i.transmit.errors)),
    ),
];

/// One value for each block device a container has used.
pub(crate) static DISKS: [Column<Disk>; 4] = [
    device("container_fs_reads_bytes_total", "Cumulative count of bytes read", |d| {
        whole(Some(d.read_bytes))
    }),
    device("container_fs_writes_bytes_total", "Cumulative count of bytes written", |d| {
        whole(Some(d.written_bytes))
    }),
    device("container_fs_reads_total", "Cumulative count of reads completed", |d| {
        whole(Some(d.reads))
    }),
    device("container_fs_writes_total", "Cumulative count of writes completed", |d| {
        whole(Some(d.writes))
    }),
];

/// Has a series for each core, or one `cpu="total"` where the kernel does not tell them apart.
pub(crate) static CPU_USAGE: FamilyDoc = FamilyDoc {
    name: "container_cpu_usage_seconds_total",
    help: "Cumulative cpu time consumed in seconds.",
    kind: Kind::Counter,
    labels: &["id", "image", "name", "cpu"],
};

/// Has four series: two kinds of page fault in two scopes, which are equal.
pub(crate) static MEMORY_FAILURES: FamilyDoc = FamilyDoc {
    name: "container_memory_failures_total",
    help: "Cumulative count of memory allocation failures.",
    kind: Kind::Counter,
    labels: &["id", "image", "name", "failure_type", "scope"],
};

/// Whether reading the cgroups failed as a whole.
pub(crate) static SCRAPE_ERROR: FamilyDoc = FamilyDoc {
    name: "container_scrape_error",
    help: "1 if there was an error while getting container metrics, 0 otherwise",
    kind: Kind::Gauge,
    labels: &[],
};
