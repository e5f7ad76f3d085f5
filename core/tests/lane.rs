//! What the lane promises: a collector that fails, panics, hangs or lies harms nobody else.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vigie_core::collect::{
    Bound, BuildError, CollectError, Collector, CollectorInfo, Filter, FilterError, Registry,
    Scrape, Scraper, Wish,
};
use vigie_core::encode::Format;
use vigie_core::http::Query;
use vigie_core::metric::{Family, MetricSink};

static UP: Family<1> = Family::gauge("up_of", "Whose.", ["who"]);

/// A collector made of a closure.
struct Act<F>(F);

impl<F: FnMut(&mut dyn MetricSink) -> Result<(), CollectError> + Send> Collector for Act<F> {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        (self.0)(sink)
    }
}

fn bound<F>(name: &'static str, act: F) -> Bound
where
    F: FnMut(&mut dyn MetricSink) -> Result<(), CollectError> + Clone + Send + Sync + 'static,
{
    let info = CollectorInfo::new(name, "A test.");
    Bound::new(info, move || Ok(Box::new(Act(act.clone()))))
}

fn good(name: &'static str) -> Bound {
    bound(name, move |sink| {
        UP.emit(sink, [name], true);
        Ok(())
    })
}

/// A collector that waits for the gate to open, and says when it was entered.
fn hanging(name: &'static str) -> (Bound, Sender<()>, Receiver<()>) {
    let (open, gate) = channel::<()>();
    let (entered, entries) = channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let act = move |sink: &mut dyn MetricSink| {
        entered.send(()).ok();
        gate.lock().unwrap().recv().ok();
        UP.emit(sink, [name], true);
        Ok(())
    };
    // Only those that hang have little time: a loaded machine must not fail the others.
    let mut bound = bound(name, act);
    bound.info.timeout = Some(Duration::from_millis(100));
    (bound, open, entries)
}

fn scraper(collectors: Vec<Bound>) -> Arc<Scraper> {
    Arc::new(Scraper::new(Registry::new(collectors).unwrap()))
}

fn page(scraper: &Arc<Scraper>) -> String {
    page_within(scraper, Wish::default(), None)
}

fn page_within(scraper: &Arc<Scraper>, wish: Wish, timeout: Option<Duration>) -> String {
    let page = runtime().block_on(scraper.scrape(wish, timeout)).unwrap();
    String::from_utf8(page.to_vec()).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn success(page: &str, name: &str) -> Option<bool> {
    let series = format!("node_scrape_collector_success{{collector=\"{name}\"}} ");
    page.lines().find_map(|line| Some(line.strip_prefix(&series)? == "1"))
}

fn failures(page: &str, name: &str, reason: &str) -> u64 {
    let series =
        format!("vigie_collector_failures_total{{collector=\"{name}\",reason=\"{reason}\"}} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&series));
    value.map_or(0, |value| value.parse().unwrap())
}

fn lane_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("vigie-lane")).count()
}

/// The tests of this file count the process' lane threads, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn samples_before_an_error_are_kept_and_no_data_is_no_failure() {
    let _turn = turn();
    let scraper = scraper(vec![
        bound("partial", |sink| {
            UP.emit(sink, ["partial"], true);
            Err(CollectError::parse("/proc/x", 3, "a number was expected"))
        }),
        bound("absent", |_| Err(CollectError::no_data("no such bus"))),
        good("good"),
    ]);
    let page = page(&scraper);
    assert!(
        page.contains("up_of{who=\"partial\"} 1\n") && page.contains("up_of{who=\"good\"} 1\n")
    );
    assert_eq!(page.matches("# TYPE up_of gauge").count(), 1, "one family, one header");
    assert_eq!(success(&page, "partial"), Some(false));
    assert_eq!(success(&page, "absent"), Some(false));
    assert_eq!(success(&page, "good"), Some(true));
    assert_eq!(failures(&page, "partial", "parse"), 1);
    assert!(!page.contains("collector=\"absent\",reason"));
    let report = scraper.registry().report();
    assert_eq!(report[0].1.state.to_string(), "/proc/x:3: a number was expected");
    assert_eq!(report[1].1.state.to_string(), "no data: no such bus");
}

#[test]
fn a_panic_drops_the_output_and_the_collector_is_built_anew() {
    let _turn = turn();
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let scraper = scraper(vec![
        bound("bad", |sink| {
            UP.emit(sink, ["bad"], true);
            assert!(CALLS.fetch_add(1, Ordering::SeqCst) > 0, "the first call panics");
            Ok(())
        }),
        good("good"),
    ]);
    let first = page(&scraper);
    assert!(!first.contains("who=\"bad\"") && first.contains("who=\"good\""));
    assert_eq!(failures(&first, "bad", "panic"), 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    while success(&page(&scraper), "bad") != Some(true) {
        assert!(Instant::now() < deadline, "it is built anew after a pause");
        std::thread::yield_now();
    }
}

#[test]
fn a_hang_costs_one_thread_and_nobody_else() {
    let _turn = turn();
    let (stuck, open, entered) = hanging("stuck");
    let scraper = scraper(vec![good("before"), stuck, good("after")]);
    let first = page(&scraper);
    entered.recv().unwrap();
    assert!(first.contains("who=\"before\"") && first.contains("who=\"after\""));
    assert_eq!(success(&first, "stuck"), Some(false));
    assert_eq!(failures(&first, "stuck", "timeout"), 1);
    let threads = lane_threads();
    for busy in 1..=50 {
        let again = page(&scraper);
        assert!(again.contains("who=\"after\""));
        assert_eq!(failures(&again, "stuck", "busy"), busy);
    }
    assert_eq!(lane_threads(), threads, "one stuck thread, however many scrapes");
    assert!(entered.try_recv().is_err(), "never called twice at once");

    open.send(()).unwrap();
    drop(open);
    let deadline = Instant::now() + Duration::from_secs(20);
    while success(&page(&scraper), "stuck") != Some(true) {
        assert!(Instant::now() < deadline, "it recovers when the call returns");
        std::thread::yield_now();
    }
    while lane_threads() >= threads {
        assert!(Instant::now() < deadline, "the thread that was stuck has ended");
        std::thread::yield_now();
    }
}

#[test]
fn every_collector_may_hang_at_once() {
    let _turn = turn();
    let (a, _open_a, _) = hanging("a");
    let (b, _open_b, _) = hanging("b");
    let scraper = scraper(vec![a, b, good("good")]);
    for _ in 0..3 {
        assert!(page(&scraper).contains("who=\"good\""));
    }
}

#[test]
fn the_client_s_own_time_bounds_the_whole_scrape() {
    let _turn = turn();
    let name = |at| ["a", "b", "c", "d", "e", "f"][at];
    let (mut collectors, mut gates) = (vec![good("before")], Vec::new());
    for at in 0..6 {
        let (mut stuck, gate, entered) = hanging(name(at));
        stuck.info.timeout = Some(Duration::from_secs(3600));
        collectors.push(stuck);
        gates.push((gate, entered));
    }
    collectors.push(good("after"));
    let timeout = Some(Duration::from_millis(2000));
    let page = page_within(&scraper(collectors), Wish::default(), timeout);
    for at in 0..6 {
        assert_eq!(failures(&page, name(at), "timeout"), 1, "{page}");
    }
    assert!(page.contains("who=\"before\""));
    assert!(
        page.contains("who=\"after\""),
        "each takes half of what is left, so something is left"
    );
}

#[test]
fn a_scrape_without_time_skips_what_it_cannot_begin() {
    let _turn = turn();
    let scraper = scraper(vec![good("good")]);
    let page = page_within(&scraper, Wish::default(), Some(Duration::ZERO));
    assert_eq!(failures(&page, "good", "skipped"), 1);
}

/// A collector that counts its calls and waits for a word at each.
fn counting() -> (Bound, Arc<AtomicUsize>, Sender<()>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let (open, gate) = channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let counted = calls.clone();
    let mut slow = bound("slow", move |sink| {
        counted.fetch_add(1, Ordering::SeqCst);
        gate.lock().unwrap().recv().ok();
        UP.emit(sink, ["slow"], true);
        Ok(())
    });
    slow.info.timeout = Some(Duration::from_secs(60));
    (slow, calls, open)
}

#[test]
fn equal_scrapes_are_joined_and_others_wait_for_their_turn() {
    let _turn = turn();
    let (slow, calls, open) = counting();
    let scraper = scraper(vec![slow]);
    runtime().block_on(async {
        let packed = Wish { gzip: true, ..Wish::default() };
        let mut clients = tokio::task::JoinSet::new();
        for wish in [vec![Wish::default(); 8], vec![packed; 3]].concat() {
            let scraper = scraper.clone();
            let timeout = Some(Duration::from_secs(120));
            clients.spawn(async move { scraper.scrape(wish, timeout).await.unwrap() });
        }
        // On one thread, tasks take turns: all have asked by then.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        open.send(()).unwrap();
        open.send(()).unwrap();
        let pages = clients.join_all().await;
        let plain = pages.iter().filter(|page| page.windows(9).any(|at| at == b"who=\"slow"));
        assert_eq!((plain.count(), pages.len()), (8, 11));
    });
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_scrape_that_waits_for_its_turn_answers_in_time() {
    let _turn = turn();
    let (slow, calls, open) = counting();
    let scraper = scraper(vec![slow]);
    runtime().block_on(async {
        let (long, short) = (Duration::from_secs(120), Duration::from_millis(100));
        let first = tokio::spawn({
            let scraper = scraper.clone();
            async move { scraper.scrape(Wish::default(), Some(long)).await.unwrap() }
        });
        tokio::task::yield_now().await;
        let other = Wish { format: Format::OpenMetrics, ..Wish::default() };
        let page = scraper.scrape(other, Some(short)).await.unwrap();
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert_eq!((success(&page, "slow"), failures(&page, "slow", "skipped")), (Some(false), 1));
        open.send(()).unwrap();
        assert!(String::from_utf8(first.await.unwrap().to_vec()).unwrap().contains("who=\"slow"));
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_scrape_goes_on_when_its_client_has_left() {
    let _turn = turn();
    let (slow, calls, open) = counting();
    let scraper = scraper(vec![slow]);
    let threads = lane_threads();
    runtime().block_on(async {
        let timeout = Some(Duration::from_secs(120));
        let mut left = Box::pin(scraper.scrape(Wish::default(), timeout));
        let soon = tokio::time::timeout(Duration::from_millis(1), &mut left).await;
        assert!(soon.is_err(), "it waits");
        drop(left);
        open.send(()).unwrap();
        open.send(()).unwrap();
        let openmetrics = Wish { format: Format::OpenMetrics, ..Wish::default() };
        assert!(scraper.scrape(openmetrics, timeout).await.is_some());
    });
    assert_eq!(calls.load(Ordering::SeqCst), 2, "one after the other");
    assert!(lane_threads() <= threads + 1, "on one thread");
}

#[test]
fn filters_are_node_exporter_s() {
    let _turn = turn();
    let registry = Registry::new(vec![good("cpu"), good("stat"), good("time")]).unwrap();
    let filter = |query: &str| Filter::from_query(&Query::parse(query), &registry);
    let takes = |query: &str| {
        let filter = filter(query).unwrap();
        ["cpu", "stat", "time"].map(|name| filter.takes(name))
    };
    assert_eq!(takes(""), [true, true, true]);
    assert_eq!(takes("collect[]=cpu&collect[]=time"), [true, false, true]);
    assert_eq!(takes("exclude[]=cpu"), [false, true, true]);
    assert_eq!(takes("exclude[]=cpu&exclude[]=off&exclude[]="), [false, true, true]);
    assert_eq!(filter("exclude[]=cpu&collect[]=stat"), Err(FilterError::Both));
    let unknown = filter("collect[]=stta").unwrap_err().to_string();
    assert_eq!(unknown, "missing or disabled collector: \"stta\"; did you mean \"stat\"?");
    let scraper = Arc::new(Scraper::new(registry));
    let filter = Filter::from_query(&Query::parse("collect[]=stat"), scraper.registry()).unwrap();
    let wish = Wish { format: Format::OpenMetrics, filter, gzip: false };
    let page = page_within(&scraper, wish, None);
    assert!(page.contains("up_of{who=\"stat\"} 1\n") && !page.contains("who=\"cpu\""));
    assert!(page.contains("node_scrape_collector_success{collector=\"stat\"} 1"));
    assert!(!page.contains("collector=\"cpu\"") && page.ends_with("# EOF\n"));
}

#[test]
fn collectors_that_cannot_be_built_are_all_named() {
    let broken = |name| {
        let info = CollectorInfo::new(name, "Broken.");
        Bound::new(info, || Err(BuildError::new("--collector.x: not a regular expression")))
    };
    let errors = Registry::new(vec![broken("a"), good("b"), broken("c"), good("b")]).unwrap_err();
    let names: Vec<_> = errors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "c", "b"]);
}
