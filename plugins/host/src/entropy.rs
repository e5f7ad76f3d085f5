//! `entropy`: how much randomness the kernel holds (PROC/sys/kernel/random).
//!
//! Kernels since 5.18 always say 256 bits of 256. It must not know who uses them up.

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::scalar::Scalar;

static AVAILABLE: Family =
    Family::gauge("node_entropy_available_bits", "Randomness that the kernel holds.", []);
static POOL: Family =
    Family::gauge("node_entropy_pool_size_bits", "Most randomness that the kernel can hold.", []);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("entropy", "Randomness that the kernel holds.")
        .reads("PROC/sys/kernel/random/entropy_avail, PROC/sys/kernel/random/poolsize")
        .families(&[AVAILABLE.doc(), POOL.doc()]),
    build: |setting| {
        let random = |name: &str| setting.paths.proc("sys/kernel/random").join(name);
        Ok(Box::new(Entropy {
            available: Scalar::new(&AVAILABLE, random("entropy_avail")),
            pool: Scalar::new(&POOL, random("poolsize")),
        }))
    },
};

struct Entropy {
    available: Scalar,
    pool: Scalar,
}

impl Collector for Entropy {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let available = self.available.emit(sink);
        let pool = self.pool.emit(sink);
        available.and(pool).map_err(CollectError::missing_is_no_data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const AVAILABLE: &str = "proc/sys/kernel/random/entropy_avail";
    const POOL: &str = "proc/sys/kernel/random/poolsize";

    #[test]
    fn both_figures_come_out() {
        let text = lines(&Host::new(&[(AVAILABLE, "1337\n"), (POOL, "4096\n")]), &DEF);
        assert_eq!(text, "node_entropy_available_bits 1337\nnode_entropy_pool_size_bits 4096\n");
    }

    #[test]
    fn a_bad_figure_costs_itself_only() {
        let host = Host::new(&[(AVAILABLE, "many\n"), (POOL, "256\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_entropy_pool_size_bits 256\n");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("entropy_avail:1: expected a count, found \"many\""), "{error}");
    }

    #[test]
    fn without_the_files_there_is_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
