//! What the daemon knows and cgroups do not: the state of every container, stopped ones above all.
//!
//! cAdvisor has nothing for a container that has stopped, so these families are vigie's own. It
//! must not read any file.

use vigie_core::metric::{FamilyDoc, Kind, MetricSink, Sample, Value};

use crate::family::{Column, column, describe};
use crate::snapshot::{Container, Link, Snapshot, State};

const BASE: &[&str] = &["container_id", "image", "name"];

/// Has a series for each state.
pub(crate) static STATE: FamilyDoc = FamilyDoc {
    name: "vigie_container_state",
    help: "1 for the state the container is in, 0 for the others.",
    kind: Kind::Gauge,
    labels: &["container_id", "image", "name", "state"],
};

/// One value for each container.
pub(crate) static PLAIN: [Column<Container>; 4] = [
    column(
        Kind::Gauge,
        BASE,
        "vigie_container_exit_code",
        "Exit code of the last run, of a container that has stopped.",
        |c| c.exit_code.filter(|_| c.has_ended()).map(Value::from),
    ),
    column(
        Kind::Gauge,
        BASE,
        "vigie_container_oom_killed",
        "Whether the last run ended for want of memory, of a container that has stopped.",
        |c| c.oom_killed.filter(|_| c.has_ended()).map(Value::from),
    ),
    column(
        Kind::Gauge,
        BASE,
        "vigie_container_finished_time_seconds",
        "End of the last run since unix epoch in seconds, of a container that has stopped.",
        |c| c.finished.filter(|_| c.has_ended()).map(Value::from),
    ),
    column(
        Kind::Counter,
        BASE,
        "vigie_container_restarts_total",
        "How often the restart policy has started the container again.",
        |c| c.restarts.map(Value::from),
    ),
];

/// Pushes the states of all containers; nothing while the daemon is away, since they may have
/// changed.
pub(crate) fn emit(snapshot: &Snapshot, sink: &mut dyn MetricSink) {
    if snapshot.link != Link::Up {
        return;
    }
    let rows: Vec<_> = snapshot
        .containers
        .iter()
        .map(|(id, container)| (labels(id, container), &**container))
        .collect();
    if !rows.is_empty() {
        sink.family(&describe(&STATE));
    }
    for (labels, container) in &rows {
        let Some(current) = container.state else { continue };
        let mut labels = labels.clone();
        for state in State::ALL {
            labels.push(("state", state.as_str()));
            sink.sample(&Sample::new(&labels, (state == current).into()));
            labels.pop();
        }
    }
    for column in &PLAIN {
        column.emit(sink, rows.iter().map(|(labels, container)| (labels.as_slice(), *container)));
    }
}

fn labels<'a>(id: &'a str, container: &'a Container) -> Vec<(&'a str, &'a str)> {
    let mut labels = vec![
        ("container_id", id),
        ("image", container.image.as_str()),
        ("name", container.name.as_str()),
    ];
    labels.extend(container.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    labels
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::exposition;

    fn snapshot(link: Link) -> Snapshot {
        let container = Container {
            name: "web".into(),
            image: "nginx:1".into(),
            labels: vec![("container_label_a".into(), "b".into())],
            state: Some(State::Exited),
            exit_code: Some(137),
            oom_killed: Some(true),
            finished: Some(1_795_197_609),
            restarts: Some(2),
            ..Container::default()
        };
        let running = Container {
            name: "db".into(),
            state: Some(State::Running),
            exit_code: Some(0),
            ..Container::default()
        };
        let containers =
            [("aa".to_owned(), Arc::new(container)), ("bb".to_owned(), Arc::new(running))];
        Snapshot { containers: containers.into(), node: None, link }
    }

    #[test]
    fn a_stopped_container_has_a_state_and_an_exit_code() {
        let text = exposition(|sink| emit(&snapshot(Link::Up), sink));
        let base = r#"container_id="aa",image="nginx:1",name="web",container_label_a="b""#;
        for line in [
            format!("vigie_container_state{{{base},state=\"exited\"}} 1\n"),
            format!("vigie_container_state{{{base},state=\"running\"}} 0\n"),
            format!("vigie_container_exit_code{{{base}}} 137\n"),
            format!("vigie_container_oom_killed{{{base}}} 1\n"),
            format!("vigie_container_restarts_total{{{base}}} 2\n"),
            "vigie_container_state{container_id=\"bb\",name=\"db\",state=\"running\"} 1\n"
                .to_owned(),
        ] {
            assert!(text.contains(&line), "{line} in\n{text}");
        }
        assert!(!text.contains("vigie_container_exit_code{container_id=\"bb\""), "it runs");
    }

    #[test]
    fn nothing_is_said_while_the_daemon_is_away() {
        assert_eq!(exposition(|sink| emit(&snapshot(Link::Down), sink)), "");
    }
}
