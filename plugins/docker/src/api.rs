//! Asking the Docker daemon: the only file that knows bollard and the shapes of its answers.
//!
//! Everything is optional in those shapes, since daemons of any age answer; what is missing stays
//! missing. It must not know who wants the answers nor when.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{
    ContainerInspectResponse, ContainerSummary, EventMessage, HealthStatusEnum, SystemInfo,
};
use bollard::query_parameters::{EventsOptions, InspectContainerOptions, ListContainersOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::Stream;
use vigie_core::clock::Timestamp;

use crate::config::Host;
use crate::label::LabelFilter;
use crate::snapshot::{Container, Health, State, SwarmNode};

/// Longest time an answer may take, whole: bollard's own limit ends with the headers.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The events after which a container may look different.
const EVENTS: [&str; 9] =
    ["create", "start", "die", "destroy", "rename", "update", "pause", "unpause", "health_status"];

/// A connection to the daemon.
pub(crate) struct Api {
    docker: Docker,
}

impl Api {
    /// Connects and agrees on a version: a daemon refuses versions newer than its own.
    pub(crate) async fn connect(host: &Host) -> Result<Api, Error> {
        let docker = match host {
            Host::Unix(path) => {
                Docker::connect_with_unix(path, TIMEOUT.as_secs(), API_DEFAULT_VERSION)?
            }
            Host::Tcp(address) => {
                Docker::connect_with_http(address, TIMEOUT.as_secs(), API_DEFAULT_VERSION)?
            }
        };
        Ok(Api { docker: within(docker.negotiate_version()).await? })
    }

    /// All containers, stopped ones included.
    pub(crate) async fn list(&self) -> Result<Vec<ContainerSummary>, Error> {
        let all = ListContainersOptions { all: true, ..ListContainersOptions::default() };
        within(self.docker.list_containers(Some(all))).await
    }

    /// One container; nothing when it is gone.
    pub(crate) async fn inspect(
        &self,
        id: &str,
    ) -> Result<Option<ContainerInspectResponse>, Error> {
        match within(self.docker.inspect_container(id, None::<InspectContainerOptions>)).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// This machine's place in a swarm, if it has one.
    pub(crate) async fn swarm_node(&self) -> Result<Option<SwarmNode>, Error> {
        within(self.docker.info()).await.map(swarm_node)
    }

    /// The containers that something happens to, from `since` on.
    pub(crate) fn events(
        &self,
        since: Timestamp,
    ) -> impl Stream<Item = Result<EventMessage, Error>> + use<> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let filters = HashMap::from([
            ("type".to_owned(), words(&["container"])),
            ("event".to_owned(), words(&EVENTS)),
        ]);
        let since = Some(since.as_second().to_string());
        self.docker.events(Some(EventsOptions { since, until: None, filters: Some(filters) }))
    }
}

async fn within<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(TIMEOUT, answer).await.unwrap_or(Err(Error::RequestTimeoutError))
}

/// The id of the container an event is about.
pub(crate) fn event_container(event: EventMessage) -> Option<String> {
    event.actor?.id.filter(|id| is_id(id))
}

/// What the list alone says of a container: enough for a name.
pub(crate) fn from_summary(
    summary: ContainerSummary,
    filter: &LabelFilter,
) -> Option<(String, Container)> {
    let id = summary.id.filter(|id| is_id(id))?;
    let container = Container {
        // A linked container has further names, of the form /other/alias.
        name: summary
            .names
            .unwrap_or_default()
            .iter()
            .find_map(|name| plain_name(name))
            .unwrap_or_default(),
        image: bounded(summary.image.unwrap_or_default()),
        labels: filter.apply(summary.labels.unwrap_or_default()),
        state: summary.state.and_then(|state| State::parse(state.as_ref())),
        ..Container::default()
    };
    Some((id, container))
}

/// What an inspection says of a container.
pub(crate) fn from_inspection(found: ContainerInspectResponse, filter: &LabelFilter) -> Container {
    let config = found.config.unwrap_or_default();
    let state = found.state.unwrap_or_default();
    let network = found.host_config.and_then(|host| host.network_mode).unwrap_or_default();
    let word = state.status.map(|status| status.to_string()).unwrap_or_default();
    let time = |text: Option<String>| text.as_deref().and_then(parse_time);
    Container {
        name: found.name.as_deref().and_then(plain_name).unwrap_or_default(),
        image: bounded(config.image.or(found.image).unwrap_or_default()),
        labels: filter.apply(config.labels.unwrap_or_default()),
        state: State::parse(&word),
        pid: state.pid.and_then(|pid| u64::try_from(pid).ok()).filter(|&pid| pid > 0),
        started: time(state.started_at),
        finished: time(state.finished_at),
        exit_code: state.exit_code,
        restarts: found.restart_count.and_then(|count| u64::try_from(count).ok()),
        oom_killed: state.oom_killed,
        health: Some(health(state.health.and_then(|health| health.status))),
        foreign_network: network.starts_with("container:"),
    }
}

fn health(status: Option<HealthStatusEnum>) -> Health {
    match status {
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        _ => Health::Unchecked,
    }
}

fn swarm_node(info: SystemInfo) -> Option<SwarmNode> {
    let id = info.swarm?.node_id.filter(|id| !id.is_empty())?;
    Some(SwarmNode { id: bounded(id), name: bounded(info.name.unwrap_or_default()) })
}

fn is_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

fn plain_name(name: &str) -> Option<String> {
    let name = name.strip_prefix('/').unwrap_or(name);
    (!name.is_empty() && !name.contains('/')).then(|| bounded(name.to_owned()))
}

/// Docker's own limits are far below; a label value must not grow without one.
fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(512));
    text
}

/// Unix seconds of an RFC 3339 time; Docker writes the year 1 for "never".
fn parse_time(text: &str) -> Option<i64> {
    let time: Timestamp = text.parse().ok()?;
    Some(time.as_second()).filter(|&second| second > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn inspection(json: &str) -> Container {
        from_inspection(serde_json::from_str(json).unwrap(), &LabelFilter::default())
    }

    #[test]
    fn an_inspection_is_read() {
        let container = inspection(
            r#"{"Id": "x", "Name": "/web-1", "RestartCount": 2, "Image": "sha256:1",
                "HostConfig": {"NetworkMode": "container:abc"},
                "Config": {"Image": "nginx:1", "Labels": {"com.docker.compose.service": "web", "a": "b"}},
                "State": {"Status": "exited", "Pid": 0, "ExitCode": 137, "OOMKilled": true,
                          "StartedAt": "2026-11-20T18:00:01.5Z", "FinishedAt": "2026-11-20T18:00:09Z",
                          "Health": {"Status": "unhealthy"}}}"#,
        );
        assert_eq!((container.name.as_str(), container.image.as_str()), ("web-1", "nginx:1"));
        assert_eq!(
            container.labels,
            [("container_label_com_docker_compose_service".into(), "web".into())]
        );
        assert_eq!(
            (container.state, container.exit_code, container.pid),
            (Some(State::Exited), Some(137), None)
        );
        assert_eq!(
            (container.started, container.finished),
            (Some(1_795_197_601), Some(1_795_197_609))
        );
        assert_eq!((container.restarts, container.oom_killed), (Some(2), Some(true)));
        assert!(container.foreign_network && container.health == Some(Health::Unhealthy));
    }

    #[test]
    fn what_is_missing_stays_missing() {
        let container = inspection("{}");
        assert_eq!(
            container,
            Container { health: Some(Health::Unchecked), ..Container::default() }
        );
        let never = inspection(r#"{"State": {"FinishedAt": "0001-01-01T00:00:00Z", "Pid": -1}}"#);
        assert_eq!((never.finished, never.pid), (None, None));
    }

    #[test]
    fn a_list_entry_has_the_name_that_is_no_link() {
        let summary = |id: &str| {
            let json =
                format!(r#"{{"Id": "{id}", "Names": ["/other/db", "/db"], "State": "running"}}"#);
            from_summary(serde_json::from_str(&json).unwrap(), &LabelFilter::All)
        };
        let (id, container) = summary(ID).unwrap();
        assert_eq!(
            (id.as_str(), container.name.as_str(), container.state),
            (ID, "db", Some(State::Running))
        );
        assert_eq!(summary("../../etc/passwd"), None, "an id is a part of paths");
    }

    #[test]
    fn a_node_has_an_id_only_in_a_swarm() {
        let node = |json: &str| swarm_node(serde_json::from_str(json).unwrap());
        assert_eq!(node(r#"{"Name": "n1", "Swarm": {"NodeID": ""}}"#), None);
        let expected = SwarmNode { id: "abc".into(), name: "n1".into() };
        assert_eq!(node(r#"{"Name": "n1", "Swarm": {"NodeID": "abc"}}"#), Some(expected));
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in ".*") {
            let _ = (parse_time(&text), is_id(&text));
            prop_assert!(plain_name(&text).is_none_or(|name| name.len() <= 512));
        }
    }
}
