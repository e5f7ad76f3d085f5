//! Plugins loaded from files: a good one against its linked self, and those that break things.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use vigie_core::alert::{AlertSink, BoxFuture, PostError, PostedAlert};
use vigie_core::collect::{Bound, CollectError, Collector, Registry, Scrape, Scraper, Wish};
use vigie_core::config::{ConfigError, Flags, Node, parse_yaml};
use vigie_core::encode::{Format, TextSink};
use vigie_core::plugin::{LoadedPlugin, Parts, Setup, load};

/// Where cargo leaves the files of the two plugin crates, beside this test.
fn built(name: &str) -> PathBuf {
    // Named, so that cargo links (and therefore builds) them.
    let _ = (&vigie_example_dice::PLUGIN, &vigie_hostile::PLUGIN);
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().join(format!("lib{name}.so"))
}

/// A table of the hostile file, reached by the file's name.
fn hostile(table: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(format!("lib{table}.so"));
    std::fs::copy(built("vigie_hostile"), &file).unwrap();
    (dir, file)
}

struct NoAlerts;

impl AlertSink for NoAlerts {
    fn post<'a>(&'a self, _: Vec<PostedAlert>) -> BoxFuture<'a, Result<(), PostError>> {
        Box::pin(async { Err(PostError::Closed) })
    }
}

fn setup(config: &Node) -> Setup<'_> {
    Setup::new(config, Arc::new(Flags::default()), Arc::new(NoAlerts))
}

fn build(plugin: LoadedPlugin, yaml: &str) -> Result<Parts, ConfigError> {
    plugin.build(&setup(&parse_yaml("vigie.yml", yaml).unwrap()))
}

fn collector(parts: &Parts, name: &str) -> Box<dyn Collector> {
    let bound = parts.collectors.iter().find(|bound| bound.info.name == name).unwrap();
    (bound.build)().unwrap()
}

fn collect(collector: &mut dyn Collector) -> (Result<(), CollectError>, String) {
    let mut sink = TextSink::new(Format::Text);
    let scrape = Scrape::new(SystemTime::now(), Instant::now() + Duration::from_secs(5));
    let result = collector.collect(&scrape, &mut sink);
    (result, String::from_utf8(sink.to_exposition()).unwrap())
}

/// Builds and calls a collector of the hostile plugin that is made by the rules.
fn failure(name: &str) -> (Result<(), CollectError>, String) {
    let parts = build(load(&built("vigie_hostile")).unwrap(), "").unwrap();
    collect(&mut *collector(&parts, name))
}

#[test]
fn a_loaded_plugin_gives_the_bytes_of_its_linked_self() {
    let config = parse_yaml("vigie.yml", "dice: {dice: 3, sides: 4, seed: 9}\n").unwrap();
    let linked = &vigie_example_dice::PLUGIN;
    let loaded = load(&built("vigie_example_dice")).unwrap();
    assert_eq!((loaded.name(), loaded.version()), (linked.name, linked.version));
    assert_eq!(loaded.help(), linked.help);
    assert_eq!(format!("{:?}", loaded.collectors()), format!("{:?}", (linked.collectors)()));

    let linked = (linked.build)(&setup(&config)).unwrap();
    let loaded = loaded.build(&setup(&config)).unwrap();
    let [mut linked, mut loaded] = [&linked, &loaded].map(|parts| collector(parts, "dice"));
    for throw in 1..=5 {
        let (result, expected) = collect(&mut *linked);
        assert!(result.is_ok() && expected.contains(&format!("vigie_dice_sum_count {throw}")));
        let (result, page) = collect(&mut *loaded);
        assert_eq!((result.is_ok(), page), (true, expected));
    }
}

#[test]
fn errors_in_its_section_name_the_same_place() {
    let linked = &vigie_example_dice::PLUGIN;
    let loaded = load(&built("vigie_example_dice")).unwrap();
    for (yaml, place) in [
        ("other: 1\ndice:\n  side: 6\n", "vigie.yml:3:3: unknown key \"side\"; did you mean"),
        ("dice:\n  sides: many\n", "vigie.yml:2:10: "),
        ("dice: [1]\n", "vigie.yml:1:7: "),
    ] {
        let config = parse_yaml("vigie.yml", yaml).unwrap();
        let expected = (linked.build)(&setup(&config)).err().unwrap();
        assert!(expected.to_string().starts_with(place), "{expected}");
        assert_eq!(loaded.build(&setup(&config)).err(), Some(expected));
    }
}

#[test]
fn it_sees_its_own_section_only() {
    let plugin = load(&built("vigie_hostile")).unwrap();
    let parts = build(plugin, "alerting: {password: p}\nhostile: {}\n").unwrap();
    assert_eq!(parts.notes, [r#"hostile sees ["hostile"]"#]);
}

#[test]
fn files_that_are_no_plugins_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("libtext.so");
    std::fs::write(&text, "no library").unwrap();
    let refused = |path: &Path, what: &str| {
        let error = load(path).unwrap_err().to_string();
        assert!(error.contains(&*path.to_string_lossy()) && error.contains(what), "{error}");
    };
    refused(Path::new("/nowhere/libx.so"), "No such file");
    refused(dir.path(), "not a regular file");
    refused(Path::new("/dev/null"), "not a regular file");
    refused(&text, "file too short");
    for (table, what) in [
        ("nothing", "exports no symbol \"vigie_plugin_nothing\""),
        ("old", "speaks version 77 of the plugin interface, this vigie speaks 1"),
        ("short", "table has 16 bytes, version 1 of the plugin interface has 56"),
        ("holes", "no function \"collect\""),
        ("garbled", "the name \"Not A Name\""),
        ("stuck", "did not return within 5 s"),
    ] {
        let (_dir, file) = hostile(table);
        refused(&file, what);
    }
}

#[test]
fn panics_stay_inside_and_say_where() {
    let parts = build(load(&built("vigie_hostile")).unwrap(), "").unwrap();
    for _ in 0..2 {
        let mut panics = collector(&parts, "panics");
        let panic = catch_unwind(AssertUnwindSafe(|| collect(&mut *panics))).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.starts_with("on purpose at ") && text.contains("lib.rs:"), "{text}");
    }
    let error = |name: &str| {
        let bound = parts.collectors.iter().find(|bound| bound.info.name == name).unwrap();
        (bound.build)().err().unwrap().to_string()
    };
    assert!(error("panics_in_build").starts_with("it panicked: while it was built at "));
    assert_eq!(error("refuses_to_build"), "not today");
    assert!(failure("works").0.is_ok());
}

#[test]
fn errors_keep_their_kind_and_drops_their_panics() {
    let (result, _) = failure("panics_once_dropped");
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), ("parse", "/x:7: a parse error".into()));
}

#[test]
fn samples_that_do_not_fit_are_refused_and_the_others_kept() {
    let (result, page) = failure("misnames");
    let error = result.unwrap_err().to_string();
    // The bad name itself, its sample, and the bad label.
    assert!(error.starts_with("3 samples or families refused") && error.contains("\"not-good\""));
    assert!(page.contains("good{x=\"3\"} 3") && !page.contains("worse{"), "{page}");
}

#[test]
fn lies_about_memory_are_refused_before_it_is_touched() {
    let (_dir, file) = hostile("lies");
    let parts = build(load(&file).unwrap(), "").unwrap();
    let (result, page) = collect(&mut *collector(&parts, "lies"));
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("15 samples") && error.contains("a null pointer"), "{error}");
    assert!(page.ends_with("\nlies 1\n"), "{page}");
}

#[test]
fn log_lines_come_out_under_its_name() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        // A copy: the level is told to a file when it is loaded first.
        let (_dir, file) = hostile("vigie_hostile");
        let parts = build(load(&file).unwrap(), "").unwrap();
        collect(&mut *collector(&parts, "logs")).0.unwrap();
    });
    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let line = lines.lines().find(|line| line.contains("a line")).expect(&lines);
    assert!(line.contains("WARN") && line.contains("of the plugin answer=42"), "{line}");
    assert!(line.contains("plugin=\"hostile\""), "{line}");
}

#[test]
fn a_scrape_goes_on_around_all_of_it() {
    let parts = build(load(&built("vigie_hostile")).unwrap(), "").unwrap();
    let whole = |bound: &Bound| !bound.info.name.ends_with("build");
    let registry = Registry::new(parts.collectors.into_iter().filter(whole).collect()).unwrap();
    let scraper = Arc::new(Scraper::new(registry));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..2 {
        let scrape = scraper.scrape(Wish::default(), Some(Duration::from_secs(2)));
        let page = runtime.block_on(scrape).unwrap();
        let page = String::from_utf8_lossy(&page);
        for (name, success) in [("panics", 0), ("hangs", 0), ("misnames", 0), ("works", 1)] {
            let line = format!("node_scrape_collector_success{{collector=\"{name}\"}} {success}\n");
            assert!(page.contains(&line), "{line} not in {page}");
        }
    }
}
