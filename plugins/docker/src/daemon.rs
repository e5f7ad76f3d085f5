//! The collector `docker`: the daemon's own page, and this node's place in a swarm.
//!
//! The page keeps its names and types, so that dashboards made for the daemon work unchanged; what
//! is left out would collide with vigie's own. It must not fetch anything itself.

use std::sync::Arc;
use std::time::Duration;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::Context;
use crate::latest::Latest;
use crate::page::{Page, PageLink};
use crate::snapshot::{Link, Snapshot};

/// The definition.
pub(crate) static DEF: CollectorDef<Context> = CollectorDef {
    info: CollectorInfo::new("docker", "The Docker daemon's own metrics, and this node of a swarm")
        .reads("the daemon's metrics-addr, the Docker socket")
        .families(&FAMILIES),
    build: |context| {
        Ok(Box::new(DaemonCollector {
            snapshot: Arc::clone(&context.snapshot),
            page: context.page.clone(),
            node_meta: context.node_meta,
        }))
    },
};

static UP: Family = Family::gauge("vigie_docker_up", "Whether the Docker daemon answers.", []);

static NODE_META: Family<3> = Family::gauge(
    "node_meta",
    "This node of the swarm, with the value 1.",
    ["container_label_com_docker_swarm_node_id", "node_id", "node_name"],
);

static FAMILIES: [FamilyDoc; 2] = [UP.doc(), NODE_META.doc()];

/// Longest time a scrape waits for a page; on loopback it comes in a few milliseconds.
const WAIT: Duration = Duration::from_millis(250);

/// What every Go program shows of itself, as vigie does.
const OWN: [&str; 3] = ["go_", "process_", "promhttp_"];

struct DaemonCollector {
    snapshot: Arc<Latest<Snapshot>>,
    page: Option<Arc<PageLink>>,
    node_meta: bool,
}

impl Collector for DaemonCollector {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let snapshot = self.snapshot.get();
        if snapshot.link != Link::Unseen {
            UP.emit(sink, [], snapshot.link == Link::Up);
        }
        if let Some(node) = snapshot.node.as_ref().filter(|_| self.node_meta) {
            NODE_META.emit(sink, [&node.id, &node.id, &node.name], true);
        }
        let failed = |what: &str| Err(CollectError::Other(format!("the daemon's page: {what}")));
        match self.page.as_ref().map(|link| link.ask(WAIT)) {
            Some(Some(page)) => match &*page {
                Page::Shown(page) => {
                    page.emit(|name| !OWN.iter().any(|own| name.starts_with(own)), sink);
                    Ok(())
                }
                Page::Wrong(what) => failed(what),
                Page::Late => failed("no whole answer in time"),
                Page::Absent => nothing_more(snapshot.link),
            },
            Some(None) => failed("not fetched in time"),
            None => nothing_more(snapshot.link),
        }
    }
}

fn nothing_more(link: Link) -> Result<(), CollectError> {
    match link {
        Link::Unseen => Err(CollectError::no_data("no Docker daemon answers")),
        Link::Up | Link::Down => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use super::*;
    use crate::snapshot::SwarmNode;
    use crate::testing::exposition;

    fn collect(link: Link, node_meta: bool) -> (String, Result<(), CollectError>) {
        let node = Some(SwarmNode { id: "abc".into(), name: "n1".into() });
        let snapshot = Arc::new(Latest::default());
        if link != Link::Unseen {
            snapshot.set(Snapshot { link, node, ..Snapshot::default() });
        }
        let mut collector = DaemonCollector { snapshot, page: None, node_meta };
        let mut outcome = Ok(());
        let scrape = Scrape::new(SystemTime::UNIX_EPOCH, Instant::now());
        let text = exposition(|sink| outcome = collector.collect(&scrape, sink));
        (text, outcome)
    }

    #[test]
    fn a_node_of_a_swarm_is_told_as_swarmprom_tells_it() {
        let (text, _) = collect(Link::Up, true);
        let node = r#"node_meta{container_label_com_docker_swarm_node_id="abc",node_id="abc",node_name="n1"} 1"#;
        assert!(text.contains(node) && text.contains("\nvigie_docker_up 1\n"), "{text}");
        assert!(!collect(Link::Up, false).0.contains("node_meta"));
    }

    #[test]
    fn a_daemon_that_was_never_seen_is_silence() {
        let (text, outcome) = collect(Link::Unseen, true);
        assert_eq!((text.as_str(), outcome.unwrap_err().kind()), ("", "no_data"));
        let (text, outcome) = collect(Link::Down, true);
        assert!(text.contains("\nvigie_docker_up 0\n") && outcome.is_ok(), "{text}");
    }
}
