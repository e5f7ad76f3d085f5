//! The kernel's own counters. Where it keeps them from us, the refusal must say why.

use std::path::Path;

use vigie_core::collect::CollectError;
use vigie_host::perf::DEF;

use crate::original;
use crate::subject::{Subject, Table};

const FAULTS: [(&str, &str); 3] = [
    ("collector.perf.disable-hardware-profilers", "true"),
    ("collector.perf.disable-cache-profilers", "true"),
    ("collector.perf.software-profilers", "MinorFault"),
];

/// One scrape, or nothing where the kernel refuses.
fn allowed(subject: &mut Subject) -> Option<Table> {
    match subject.scrape() {
        (table, Ok(())) => Some(table),
        (table, Err(error)) => {
            assert!(matches!(error, CollectError::NoData(_)), "{error}");
            assert!(error.to_string().contains("perf_event_paranoid is "), "{error}");
            assert!(table.is_empty());
            None
        }
    }
}

fn sum(table: &Table) -> f64 {
    table.iter().filter(|(series, _)| series.contains("minor_faults")).map(|(_, value)| value).sum()
}

#[test]
fn faults_are_counted_and_never_fall() {
    let mut subject = Subject::new(&DEF, Path::new("/"), &FAULTS);
    let Some(before) = allowed(&mut subject) else { return };
    assert!(before.keys().all(|series| series.starts_with("node_perf_minor_faults_total{cpu=")));
    let pages = 2000;
    let touched = vec![1u8; pages * 4096];
    let after = subject.table();
    assert!(touched.iter().all(|byte| *byte == 1));
    assert!(before.iter().all(|(series, value)| after[series] >= *value));
    assert!(sum(&after) - sum(&before) >= 1.0, "{before:?} {after:?}");
}

#[test]
fn every_series_of_the_original_is_there() {
    let Some(ours) = allowed(&mut Subject::new(&DEF, Path::new("/"), &[])) else { return };
    let original = original::scrape("perf", &[], &[]);
    original::assert_covers(&ours, &original, |_| true);
}

#[test]
fn only_the_cpus_asked_for_are_counted() {
    let flags = [&FAULTS[..], &[("collector.perf.cpus", "0")]].concat();
    let Some(shown) = allowed(&mut Subject::new(&DEF, Path::new("/"), &flags)) else { return };
    assert_eq!(shown.keys().collect::<Vec<_>>(), ["node_perf_minor_faults_total{cpu=0}"]);
}
