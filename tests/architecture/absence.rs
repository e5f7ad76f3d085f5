//! What is deliberately missing from the sources.
//!
//! A reader cannot see an absence; each one is a line here, with its reason, and the test names every
//! place that breaks it. It must not know how sources are found or stripped.

use regex::Regex;

use crate::source::Source;

/// A pattern that occurs in no code, but for the places it is for.
pub(crate) struct Absence {
    /// What a message calls it.
    pub(crate) what: &'static str,
    /// What is looked for.
    pub(crate) pattern: &'static str,
    /// Prefixes of the paths that are looked at.
    pub(crate) within: &'static [&'static str],
    /// Prefixes of the paths where it belongs.
    pub(crate) except: &'static [&'static str],
    /// Why.
    pub(crate) why: &'static str,
}

/// Where `route` meets the world: the task that owns the machine, its hands and its files.
const RIM: &[&str] =
    &["core/src/route/driver/", "core/src/route/journal.rs", "core/src/route/metrics.rs"];

/// The code that ends in the program.
const PRODUCT: &[&str] = &["core/src/", "plugins/", "src/"];

pub(crate) const ABSENCES: &[Absence] = &[
    Absence {
        what: "a plugin's crate",
        pattern: r"\bvigie_(host|docker|accesslog|alertmanager|email|webhook)\b",
        within: &["core/", "plugins/"],
        except: &[],
        why: "core names no plugin and plugins do not know each other: the facade joins them",
    },
    Absence {
        what: "tokio",
        pattern: r"\btokio\b",
        within: &["core/src/route/", "core/src/metric/", "core/src/alert/", "core/src/template/"],
        except: RIM,
        why: "the model and the router are pure: every order of events is tested in microseconds",
    },
    Absence {
        what: "a clock",
        pattern: r"\b(Timestamp|Zoned|SystemTime|Instant)::now\b",
        within: &["core/src/route/", "core/src/metric/", "core/src/alert/", "core/src/template/"],
        except: RIM,
        why: "time is an argument",
    },
    Absence {
        what: "hyper",
        pattern: r"\bhyper(_util)?\b",
        within: PRODUCT,
        except: &["core/src/http/"],
        why: "one server; notifiers use reqwest, docker uses bollard, routes use neutral types",
    },
    Absence {
        what: "the prometheus crate",
        pattern: r"(^|[^:\w])(::)?prometheus::|\buse prometheus\b",
        within: PRODUCT,
        except: &[
            "core/src/bridge",
            "core/src/collect/selfmetrics",
            "core/src/http/server/metrics.rs",
            "core/src/route/metrics.rs",
            // They hand the registry out and count failed writes.
            "core/src/http/server/mod.rs",
            "core/src/route/driver/",
        ],
        why: "it is the bridge to the ecosystem and the home of vigie's own counters, never the hot path",
    },
    Absence {
        what: "the YAML crate",
        pattern: r"\b(granit_parser|serde_saphyr|serde_yaml|serde_norway)\b",
        within: PRODUCT,
        except: &["core/src/config/yaml.rs"],
        why: "what people write reaches the code as nodes with a place, from one file",
    },
    Absence {
        what: "unsafe code",
        pattern: r"\bunsafe\b|allow\(unsafe_code",
        within: &["core/", "plugins/", "src/", "examples/"],
        except: &[
            "core/src/plugin/abi",
            "core/src/plugin/load",
            "core/src/plugin/export",
            "plugins/host/src/sys.rs",
        ],
        why: "the C ABI and a few system calls are the only corners that need it",
    },
    Absence {
        what: "starting a program",
        pattern: r"\bprocess::(\{[^}]*)?\bCommand\b|\btokio::process\b|\blibc::(fork|vfork|exec\w*|system|posix_spawnp?)\b",
        within: &["core/src/", "plugins/", "src/", "examples/"],
        except: &[],
        why: "an agent that runs programs is a way in; what they print is read from the kernel",
    },
    Absence {
        what: "global mutable state",
        pattern: r"\bstatic\s+mut\b|\blazy_static!|\bstatic\s+\w+\s*:[^=;]*\b(Mutex|RwLock|OnceLock|OnceCell|RefCell|Atomic\w+)\b",
        within: PRODUCT,
        except: &["core/src/plugin/export"],
        why: "two instances live in one process",
    },
    Absence {
        what: "unfinished code",
        pattern: r"\b(todo|unimplemented)!|allow\([^)]*\bdead_code\b|#\[ignore\b",
        within: &["core/", "plugins/", "src/", "examples/", "tests/", "benches/"],
        except: &[],
        why: "what is here works, what does not is not here",
    },
];

impl Absence {
    /// A line for every place that breaks it.
    pub(crate) fn broken_by(&self, sources: &[Source]) -> Vec<String> {
        let pattern = Regex::new(self.pattern).unwrap();
        let looked_at = sources.iter().filter(|source| self.covers(&source.path));
        looked_at
            .flat_map(|source| {
                let lines = source.lines_with(&pattern);
                lines
                    .into_iter()
                    .map(|line| format!("{}:{line}: {} ({})", source.path, self.what, self.why))
            })
            .collect()
    }

    fn covers(&self, path: &str) -> bool {
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
        begins(self.within) && !begins(self.except) && !is_test(path)
            || begins(self.within) && self.within.contains(&"tests/")
    }
}

/// Integration tests and benches of a member crate, and unit tests in files of their own.
fn is_test(path: &str) -> bool {
    let own_file = path.ends_with("/tests.rs") || path.ends_with("/testing.rs");
    own_file || path.contains("/tests/") || path.contains("/benches/")
}

/// One line of code that breaks each absence, in a file where it counts.
#[test]
fn every_absence_can_be_broken() {
    for (what, path, line) in [
        ("a plugin's crate", "plugins/host/src/cpu.rs", "use vigie_docker::x;"),
        ("tokio", "core/src/route/machine.rs", "use tokio::time;"),
        ("a clock", "core/src/route/group.rs", "let now = Timestamp::now();"),
        ("hyper", "plugins/docker/src/daemon.rs", "use hyper_util::rt;"),
        ("the prometheus crate", "core/src/encode/text.rs", "prometheus::Registry::new();"),
        ("the YAML crate", "plugins/accesslog/src/lib.rs", "use granit_parser::Parser;"),
        ("unsafe code", "plugins/host/src/cpu.rs", "unsafe { f() }"),
        ("starting a program", "plugins/host/src/cpu.rs", "use std::process::{Child, Command};"),
        ("starting a program", "src/cli/serve.rs", "std::process::Command::new(x);"),
        ("global mutable state", "core/src/clock.rs", "static X: Mutex<u8> = Mutex::new(0);"),
        ("unfinished code", "tests/story.rs", "todo!()"),
    ] {
        let absence = ABSENCES.iter().find(|absence| absence.what == what).unwrap();
        let source = Source::new(path, format!("// fine\n{line}\n"));
        assert_eq!(absence.broken_by(&[source]).len(), 1, "{what}: {line}");
    }
}

#[test]
fn what_is_allowed_breaks_nothing() {
    for (path, line) in [
        ("core/src/http/server.rs", "use hyper::server::conn::http1;"),
        ("core/src/route/driver/mod.rs", "use tokio::sync::mpsc;"),
        ("core/src/bridge.rs", "use prometheus::Registry;"),
        ("core/src/clock.rs", "static SET: LazyLock<Set> = LazyLock::new(Set::new);"),
        ("plugins/host/src/cpu.rs", "crate::prometheus::f(); use clap::Command;"),
        ("plugins/host/tests/peer.rs", "use std::process::Command;"),
        ("core/src/collect/lane.rs", "// unsafe, hyper and tokio::process are words here"),
    ] {
        let source = Source::new(path, line);
        for absence in ABSENCES {
            assert_eq!(absence.broken_by(&[Source::new(path, line)]), [""; 0], "{}", source.path);
        }
    }
}
