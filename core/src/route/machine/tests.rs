//! Scripts of times and events: what is said, to whom, when and why.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::alert::Matchers;
use crate::config::parse_yaml;
use crate::notify::{Reason, Status};
use crate::route::inhibit::InhibitRule;
use crate::route::plan::Receiver;
use crate::route::tree::Tree;
use crate::route::view::AlertState;

fn at(second: i64) -> Timestamp {
    // Far enough from 1970 for alerts that began long before.
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// A plan with the receivers `r` (hears of resolved alerts) and `deaf` (does not).
fn plan(route: &str) -> Arc<Plan> {
    let node = parse_yaml("a.yml", route).unwrap();
    let names: [Arc<str>; 2] = ["r".into(), "deaf".into()];
    let tree = Tree::read(&node, &names).unwrap();
    let receiver = |name: &Arc<str>| Receiver {
        name: name.clone(),
        integrations: vec![Integration {
            kind: "test".into(),
            index: 0,
            send_resolved: &**name == "r",
        }],
    };
    let mut plan = Plan::new(tree, names.iter().map(receiver).collect());
    let rule = "source_match: {sev: critical}\ntarget_match: {sev: warning}\nequal: [zone]";
    plan.inhibit_rules = vec![InhibitRule::read(&parse_yaml("i", rule).unwrap()).unwrap()];
    plan.into()
}

const ROUTE: &str = "{receiver: r, group_by: [alertname], group_wait: 30s, group_interval: 5m, \
    repeat_interval: 1h}";

fn machine() -> Machine {
    Machine::new(plan(ROUTE), State::default(), at(0))
}

fn labels(text: &str) -> LabelSet {
    Matchers::parse(text).unwrap().0.iter().map(|m| (m.name(), m.value())).collect()
}

/// Posts an alert that fires until it is said to end.
fn fire(machine: &mut Machine, text: &str, now: i64) {
    post(machine, text, now, now, now + 100_000);
}

fn resolve(machine: &mut Machine, text: &str, now: i64) {
    post(machine, text, now, now, now);
}

fn post(machine: &mut Machine, text: &str, now: i64, starts: i64, ends: i64) {
    let alert = PostedAlert {
        labels: labels(text),
        starts_at: Some(at(starts)),
        ends_at: Some(at(ends)),
        ..PostedAlert::default()
    };
    let posted = machine.post(vec![alert], at(now));
    assert!(posted.refused.is_empty() && posted.dropped == 0);
}

fn silence(machine: &mut Machine, matchers: &str, now: i64, ends: i64) {
    let posted = PostedSilence {
        id: String::new(),
        matchers: Matchers::parse(matchers).unwrap(),
        starts_at: at(now),
        ends_at: at(ends),
        created_by: String::new(),
        comment: String::new(),
        annotations: LabelSet::default(),
    };
    let change = machine.set_silence(posted, format!("s{now}"), at(now)).unwrap();
    machine.silence(change, at(now));
}

/// One notification in short: reason and how many alerts fire and are resolved.
type Said = (Reason, usize, usize);

fn short(delivery: &Delivery) -> Said {
    let Notification { reason, alerts, now, .. } = &delivery.notification;
    let resolved = alerts.iter().filter(|alert| alert.is_resolved(*now)).count();
    (*reason, alerts.len() - resolved, resolved)
}

/// What is due at `now`, all of it delivered.
fn said(machine: &mut Machine, now: i64) -> Vec<Said> {
    let mut said = Vec::new();
    while let Some(delivery) = machine.poll(at(now)) {
        said.push(short(&delivery));
        machine.delivered(delivery.id, Ok(()), at(now));
    }
    said
}

use Reason::{AllResolved, FirstNotification, NewAlerts, RepeatInterval, SomeResolved};

#[test]
fn a_group_waits_then_speaks_once() {
    let mut machine = machine();
    fire(&mut machine, "alertname=A,i=1", 0);
    fire(&mut machine, "alertname=A,i=2", 10);
    assert_eq!(machine.next_wakeup(), at(30));
    assert!(machine.poll(at(29)).is_none());
    let delivery = machine.poll(at(30)).unwrap();
    assert_eq!(short(&delivery), (FirstNotification, 2, 0));
    let notification = &delivery.notification;
    assert_eq!(notification.group_key, r#"{}:{alertname="A"}"#);
    assert_eq!((&*notification.receiver, notification.status()), ("r", Status::Firing));
    assert_eq!(delivery.time_limit, Duration::from_secs(300));
    machine.delivered(delivery.id, Ok(()), at(31));
    assert_eq!(machine.next_wakeup(), at(330));
    assert_eq!(said(&mut machine, 330), []);
}

#[test]
fn each_change_is_told_at_the_next_look() {
    let mut machine = machine();
    fire(&mut machine, "alertname=A,i=1", 0);
    assert_eq!(said(&mut machine, 30), [(FirstNotification, 1, 0)]);
    fire(&mut machine, "alertname=A,i=2", 40);
    assert_eq!(said(&mut machine, 300), []);
    assert_eq!(said(&mut machine, 330), [(NewAlerts, 2, 0)]);
    resolve(&mut machine, "alertname=A,i=1", 400);
    assert_eq!(said(&mut machine, 630), [(SomeResolved, 1, 1)]);
    resolve(&mut machine, "alertname=A,i=2", 700);
    assert_eq!(said(&mut machine, 930), [(AllResolved, 0, 1)], "the first one has left");
    assert!(machine.state(at(931)).alerts.is_empty(), "all have left");
    assert_eq!(machine.counts(at(931)).groups, 0);
    assert_eq!(machine.next_wakeup(), at(900 + 930), "only maintenance is left");
}

#[test]
fn equal_news_is_repeated_at_the_interval_and_not_at_twice_of_it() {
    let mut machine = machine();
    fire(&mut machine, "alertname=A", 0);
    let times: Vec<i64> = (0..=11_000).filter(|t| !said(&mut machine, *t).is_empty()).collect();
    assert_eq!(times, [30, 30 + 3600, 30 + 2 * 3600, 30 + 3 * 3600]);
}

#[test]
fn a_failure_is_tried_again_at_the_next_look() {
    let mut machine = machine();
    fire(&mut machine, "alertname=A", 0);
    let delivery = machine.poll(at(30)).unwrap();
    resolve(&mut machine, "alertname=A", 32);
    assert!(machine.poll(at(400)).is_none(), "the group waits for its delivery");
    machine.delivered(delivery.id, Err("no route".into()), at(400));
    assert_eq!(said(&mut machine, 400), [], "nobody heard of it");
    fire(&mut machine, "alertname=B", 500);
    let delivery = machine.poll(at(530)).unwrap();
    machine.delivered(delivery.id, Err("no route".into()), at(531));
    let view = machine.view(at(531));
    assert_eq!(view.groups[0].failure.as_deref(), Some("test: no route"));
    assert_eq!(said(&mut machine, 830), [(FirstNotification, 1, 0)]);
    assert_eq!(machine.view(at(831)).groups[0].failure, None);
}

#[test]
fn without_send_resolved_only_the_log_learns_of_the_end() {
    let route = ROUTE.replace("receiver: r", "receiver: deaf");
    let mut machine = Machine::new(plan(&route), State::default(), at(0));
    fire(&mut machine, "alertname=A,i=1", 0);
    fire(&mut machine, "alertname=A,i=2", 0);
    assert_eq!(said(&mut machine, 30), [(FirstNotification, 2, 0)]);
    resolve(&mut machine, "alertname=A,i=1", 40);
    assert_eq!(said(&mut machine, 330), []);
    resolve(&mut machine, "alertname=A,i=2", 340);
    assert_eq!(said(&mut machine, 630), []);
    fire(&mut machine, "alertname=A,i=2", 640);
    assert_eq!(said(&mut machine, 670), [(FirstNotification, 1, 0)]);
}

#[test]
fn a_silence_mutes_and_its_end_speaks() {
    let mut machine = machine();
    fire(&mut machine, "alertname=A", 0);
    silence(&mut machine, "alertname=A", 10, 400);
    assert_eq!(said(&mut machine, 30), []);
    let view = machine.view(at(31));
    assert_eq!(view.alerts[0].state, AlertState::Suppressed);
    assert_eq!(view.alerts[0].silenced_by, ["s10"]);
    assert_eq!(machine.take_suppressed().silenced, 1);
    assert_eq!(said(&mut machine, 330), []);
    assert_eq!(machine.view(at(401)).alerts[0].state, AlertState::Active);
    assert_eq!(said(&mut machine, 630), [(FirstNotification, 1, 0)]);
}

#[test]
fn a_firing_source_inhibits_until_it_ends() {
    let mut machine = machine();
    fire(&mut machine, "alertname=W,sev=warning", 0);
    post(&mut machine, "alertname=C,sev=critical", 0, 0, 200);
    assert_eq!(said(&mut machine, 30), [(FirstNotification, 1, 0)]);
    let view = machine.view(at(31));
    let states: Vec<_> = view.alerts.iter().map(|a| (a.alert.name(), a.state)).collect();
    assert!(states.contains(&("W", AlertState::Suppressed)));
    let counts = machine.counts(at(31));
    assert_eq!((counts.active, counts.suppressed, counts.groups), (1, 1, 2));
    assert_eq!(said(&mut machine, 330), [(FirstNotification, 1, 0), (AllResolved, 0, 1)]);
}

#[test]
fn an_alert_nobody_repeats_ends_by_itself() {
    let mut machine = machine();
    let alert = PostedAlert { labels: labels("alertname=A"), ..PostedAlert::default() };
    machine.post(vec![alert], at(0));
    assert_eq!(said(&mut machine, 30), [(FirstNotification, 1, 0)]);
    assert_eq!(machine.view(at(299)).alerts.len(), 1);
    assert_eq!(machine.view(at(300)).alerts.len(), 0);
    assert_eq!(said(&mut machine, 330), [(AllResolved, 0, 1)]);
}

#[test]
fn an_old_alert_does_not_wait_except_after_the_start() {
    let mut machine = machine();
    post(&mut machine, "alertname=A", 5, -3600, 9_000);
    assert_eq!(said(&mut machine, 5), [], "what inhibits it may not be there yet");
    assert_eq!(said(&mut machine, 35), [(FirstNotification, 1, 0)]);
    post(&mut machine, "alertname=B", 100, -3600, 9_000);
    assert_eq!(said(&mut machine, 100), [(FirstNotification, 1, 0)]);
}

/// A machine that goes on from what another had, as after `kill -9`.
fn restarted(machine: &Machine, now: i64) -> Machine {
    Machine::new(plan(ROUTE), machine.state(at(now)), at(now))
}

#[test]
fn a_restart_says_nothing_twice_and_forgets_nothing() {
    let mut machine = machine();
    fire(&mut machine, "alertname=A", 0);
    post(&mut machine, "alertname=B", 0, 0, 200);
    assert_eq!(said(&mut machine, 30).len(), 2);
    silence(&mut machine, "alertname=C", 40, 9_000);
    let mut machine = restarted(&machine, 1000);
    assert_eq!(machine.view(at(1000)).alerts.len(), 2, "B is given time to be posted again");
    fire(&mut machine, "alertname=C", 1001);
    for second in 1000..1299 {
        assert_eq!(said(&mut machine, second), [], "{second}");
    }
    assert_eq!(said(&mut machine, 1630), [(AllResolved, 0, 1)], "B's end is told");
    assert_eq!(said(&mut machine, 3630 + 300), [(RepeatInterval, 1, 0)], "A is repeated in time");
}

#[test]
fn a_reload_keeps_alerts_timers_and_what_is_under_way() {
    let mut machine = machine();
    fire(&mut machine, "alertname=A", 0);
    let delivery = machine.poll(at(30)).unwrap();
    let before = machine.view(at(30));
    machine.reload(plan(ROUTE), at(40));
    assert_eq!(machine.view(at(40)).alerts.len(), before.alerts.len());
    machine.delivered(delivery.id, Ok(()), at(41));
    assert_eq!(machine.next_wakeup(), at(330));
    assert_eq!(said(&mut machine, 330), []);
    let other = ROUTE.replace("group_by: [alertname]", "group_by: []");
    machine.reload(plan(&other), at(400));
    assert_eq!(machine.view(at(400)).groups[0].key, "{}:{}");
    assert_eq!(said(&mut machine, 430), [(FirstNotification, 1, 0)], "a new group has a new log");
}

#[test]
fn a_clock_that_is_set_back_holds_up_nothing() {
    let mut machine = machine();
    fire(&mut machine, "alertname=A", 10_000);
    assert_eq!(said(&mut machine, 10_030), [(FirstNotification, 1, 0)]);
    fire(&mut machine, "alertname=A,i=2", 5_000);
    silence(&mut machine, "alertname=B", 5_000, 9_000);
    assert_eq!(machine.next_wakeup(), at(5_300));
    assert_eq!(said(&mut machine, 5_300), [(NewAlerts, 2, 0)]);
    assert_eq!(said(&mut machine, 5_600), [], "the log knows");
}

#[test]
fn a_view_stays_the_same_while_nothing_changes() {
    let mut machine = machine();
    fire(&mut machine, "alertname=A", 0);
    let first = machine.view(at(1));
    assert!(Arc::ptr_eq(&first, &machine.view(at(2))));
    fire(&mut machine, "alertname=B", 3);
    let second = machine.view(at(3));
    assert!(second.version > first.version);
    let a = |view: &View| view.alerts.iter().find(|a| a.alert.name() == "A").cloned().unwrap();
    assert!(Arc::ptr_eq(&a(&first), &a(&second)), "what did not change is shared");
}

#[test]
fn only_what_a_restart_needs_is_stored() {
    let mut machine = machine();
    fire(&mut machine, "alertname=A", 0);
    assert!(matches!(machine.take_changes()[..], [Change::Alert(_)]));
    fire(&mut machine, "alertname=A", 60);
    assert!(machine.take_changes().is_empty(), "a repetition says nothing new");
    said(&mut machine, 61);
    assert!(matches!(machine.take_changes()[..], [Change::Notified(_)]));
    resolve(&mut machine, "alertname=A", 70);
    said(&mut machine, 1000);
    let changes = machine.take_changes();
    assert!(matches!(changes[..], [Change::Alert(_), Change::Notified(_), Change::Gone(_)]));
}
