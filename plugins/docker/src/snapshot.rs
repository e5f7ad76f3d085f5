//! What the daemon says of its containers, as it was last heard.
//!
//! Names, labels and states change with events, not with scrapes, so collectors read this copy. It
//! must not know the API it came from nor the kernel's figures.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The daemon's containers at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// By id, 64 hexadecimal digits.
    pub(crate) containers: BTreeMap<String, Arc<Container>>,
    /// This node of a swarm.
    pub(crate) node: Option<SwarmNode>,
    pub(crate) link: Link,
}

/// More than any machine runs.
const MAX_CONTAINERS: usize = 10_000;

impl Snapshot {
    /// Adds or replaces a container, up to a limit that bounds what a daemon may make us keep.
    pub(crate) fn put(&mut self, id: String, container: Arc<Container>) {
        if self.containers.len() < MAX_CONTAINERS || self.containers.contains_key(&id) {
            self.containers.insert(id, container);
        }
    }
}

/// How it stands with the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Link {
    /// Never reached since the start.
    #[default]
    Unseen,
    /// It answers; the snapshot is what it says.
    Up,
    /// It has answered before: names stand, since nobody can change them now; states do not.
    Down,
}

/// This machine as a member of a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SwarmNode {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// One container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    /// Without the leading slash.
    pub(crate) name: String,
    /// As it was asked for, which may be a bare id.
    pub(crate) image: String,
    /// `(container_label_..., value)`.
    pub(crate) labels: Vec<(String, String)>,
    /// `None` when the daemon used a word that is not known here.
    pub(crate) state: Option<State>,
    /// The first process, while it runs.
    pub(crate) pid: Option<u64>,
    /// Unix seconds.
    pub(crate) started: Option<i64>,
    /// Unix seconds.
    pub(crate) finished: Option<i64>,
    /// Of the last run.
    pub(crate) exit_code: Option<i64>,
    /// By the restart policy.
    pub(crate) restarts: Option<u64>,
    pub(crate) oom_killed: Option<bool>,
    pub(crate) health: Option<Health>,
    /// It lives in the network of another container, where its traffic is counted already.
    pub(crate) foreign_network: bool,
}

impl Container {
    /// Whether its last run is over, so that there is an exit code.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, Some(State::Exited | State::Dead))
    }
}

/// Docker's `State.Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl State {
    pub(crate) const ALL: [State; 7] = [
        State::Created,
        State::Running,
        State::Paused,
        State::Restarting,
        State::Removing,
        State::Exited,
        State::Dead,
    ];

    /// Docker's word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Running => "running",
            State::Paused => "paused",
            State::Restarting => "restarting",
            State::Removing => "removing",
            State::Exited => "exited",
            State::Dead => "dead",
        }
    }

    /// The state that goes by this word.
    pub(crate) fn parse(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// The outcome of a container's own health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It has no check.
    Unchecked,
    Starting,
    Healthy,
    Unhealthy,
}

impl Health {
    /// cAdvisor's number for it.
    pub(crate) const fn as_number(self) -> i64 {
        match self {
            Health::Unchecked => -1,
            Health::Starting | Health::Unhealthy => 0,
            Health::Healthy => 1,
        }
    }
}
