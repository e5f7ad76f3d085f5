//! Loading plugins from `.so` files: vigie's side of the binary interface.
//!
//! A loaded plugin answers the same questions as a linked one, and nothing it says is believed
//! unchecked: versions, texts, samples, names; a call at start that never returns is given up. It
//! must not know any plugin. What it cannot do is stop a library that means harm: that one has all
//! rights of the process, as every library has.

#![allow(unsafe_code, reason = "a C interface is made of pointers")]

mod callback;
mod library;
mod remote;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::abi::{FAILED, Host, OK, PANICKED, Text};
use super::wire::{Built, Description, Flag, Order, Refusal, Tree};
use super::{LoadError, Parts, Reason, Setup};
use crate::collect::{Bound, CollectorInfo};
use crate::config::{ConfigError, FlagDef, Node, Value};
use callback::{Answer, answer, host};
use library::{Calls, open_library, read_table};
use remote::{OpenParts, build};

/// How long a plugin may take to describe itself, to open or to build a collector.
const LIMIT: Duration = Duration::from_secs(5);

/// Loads a plugin. Its crate `x` is expected in `libx.so`, wherever that lies. It stays loaded
/// until the process ends.
///
/// # Errors
/// When the file is no plugin, was made for another version of the interface, or describes
/// itself in a way that cannot be; always with its path.
pub fn load(path: &Path) -> Result<LoadedPlugin, LoadError> {
    let library = path.to_owned();
    let loaded = within(LIMIT, move || load_now(&library)).unwrap_or(Err(Reason::Hung(LIMIT)));
    loaded.map_err(|reason| LoadError { path: path.to_owned(), reason })
}

/// A plugin from a file; answers as a linked [`Plugin`](super::Plugin) does.
#[derive(Clone, Copy)]
pub struct LoadedPlugin(&'static Loaded);

struct Loaded {
    calls: Calls,
    host: &'static Host,
    name: &'static str,
    version: String,
    help: String,
    sections: Vec<String>,
    flags: &'static [FlagDef],
    collectors: Vec<CollectorInfo>,
}

impl LoadedPlugin {
    /// Name, and its section in `vigie.yml`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Version of the plugin.
    #[must_use]
    pub fn version(&self) -> &'static str {
        &self.0.version
    }

    /// One line for people.
    #[must_use]
    pub fn help(&self) -> &'static str {
        &self.0.help
    }

    /// Flags that belong to no single collector.
    #[must_use]
    pub fn flags(&self) -> &'static [FlagDef] {
        self.0.flags
    }

    /// Further top-level sections of `vigie.yml` it reads, besides the one of its name.
    #[must_use]
    pub fn sections(&self) -> &'static [String] {
        &self.0.sections
    }

    /// What its collectors are.
    #[must_use]
    pub fn collectors(&self) -> Vec<CollectorInfo> {
        self.0.collectors.clone()
    }

    /// Makes its parts: collectors and notes. It is given its own sections, its own flags and the
    /// paths, and nothing else of the configuration.
    ///
    /// # Errors
    /// Where its configuration is wrong; or that it panicked or did not return.
    pub fn build(&self, setup: &Setup<'_>) -> Result<Parts, ConfigError> {
        let loaded = self.0;
        let section = setup.section(loaded.name);
        let broken = |what: String| section.error(format!("plugin {}: {what}", loaded.name));
        let order =
            serde_json::to_string(&loaded.order(setup)).map_err(|e| broken(e.to_string()))?;
        let opened = within(LIMIT, move || loaded.open(&order))
            .ok_or_else(|| broken(Reason::Hung(LIMIT).to_string()))?;
        let (parts, answer) = opened;
        let text = answer.text.map_err(|refused| broken(refused.to_string()))?;
        let parts = match (answer.status, parts) {
            (OK, Some(parts)) => Arc::new(parts),
            (FAILED, _) => {
                let refusal: Result<Refusal, _> = serde_json::from_str(&text);
                return Err(refusal.map_or_else(|_| broken(text), Refusal::into_error));
            }
            (PANICKED, _) => return Err(broken(format!("it panicked: {text}"))),
            _ => return Err(broken("an answer that cannot be".into())),
        };
        let built: Built =
            serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
        let mut made = Parts { notes: built.notes, ..Parts::default() };
        for (number, name) in built.collectors.iter().enumerate() {
            let info = loaded.collectors.iter().find(|info| info.name == name);
            let info = info.ok_or_else(|| broken(format!("undeclared collector {name:?}")))?;
            let parts = parts.clone();
            made.collectors.push(Bound::new(*info, move || build(&parts, number)));
        }
        Ok(made)
    }
}

impl fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.name, self.0.version)
    }
}

fn load_now(path: &Path) -> Result<LoadedPlugin, Reason> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(Reason::NotAFile);
    }
    let calls = read_table(open_library(path)?)?;
    // SAFETY: the function stands in a table of our version, and takes an output.
    let answer = answer(|out| unsafe { (calls.describe)(out) });
    let text = answer.text.map_err(|refused| Reason::Description(refused.to_string()))?;
    match answer.status {
        OK => {}
        PANICKED => return Err(Reason::Panicked(text)),
        _ => return Err(Reason::Description(text)),
    }
    let description = serde_json::from_str(&text);
    let description = description.map_err(|error| Reason::Description(error.to_string()))?;
    let loaded = Loaded::new(calls, description).map_err(Reason::Description)?;
    Ok(LoadedPlugin(Box::leak(Box::new(loaded))))
}
impl Loaded {
    fn new(calls: Calls, description: Description) -> Result<Self, String> {
        let Description { name, version, help, sections, flags, collectors } = description;
        let mut infos: Vec<CollectorInfo> = Vec::new();
        check_name(&name)?;
        for collector in collectors {
            check_name(&collector.name)?;
            if infos.iter().any(|info| info.name == collector.name) {
                return Err(format!("the collector {:?} twice", collector.name));
            }
            infos.push(collector.leak()?);
        }
        let name: &'static str = name.leak();
        Ok(Loaded {
            calls,
            host: Box::leak(Box::new(host(name))),
            name,
            version,
            help,
            sections,
            flags: Flag::leak_all(flags)?,
            collectors: infos,
        })
    }

    fn order(&self, setup: &Setup<'_>) -> Order {
        let own = |key: &str| key == self.name || self.sections.iter().any(|name| name == key);
        let mut config = setup.config.clone();
        if let Value::Map(entries) = &mut config.value {
            entries.retain(|entry| own(&entry.key));
        }
        let flags = self.collectors.iter().flat_map(|info| info.flags).chain(self.flags);
        let value = |flag: &FlagDef| {
            let values = setup.flags.list(flag.name).to_vec();
            (flag.name.to_owned(), (values, setup.flags.is_given(flag.name)))
        };
        let section: Node = setup.section(self.name);
        Order {
            config: serde_json::value::RawValue::from_string(section.to_json()).unwrap_or_default(),
            tree: Tree::from(&config),
            file: config.place.file.to_string(),
            paths: (&setup.paths).into(),
            flags: flags.map(value).collect(),
        }
    }

    fn open(&'static self, order: &str) -> (Option<OpenParts>, Answer) {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the host lives for ever, text, place and output for the call.
        let answer = answer(|out| unsafe {
            (self.calls.open)(self.host, Text::of(order), &raw mut raw, out)
        });
        let opened = answer.status == OK && !raw.is_null();
        (opened.then(|| OpenParts::new(raw, self)), answer)
    }
}

/// Names of plugins and collectors end in flags, labels and file names.
fn check_name(name: &str) -> Result<(), String> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(format!("the name {shown:?}: 1 to 64 of a-z, 0-9, _, - and . are allowed"))
}
/// Runs a call that may never return on a thread of its own, and gives it up after a while.
fn within<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, wait) = mpsc::channel();
    let run = move || drop(done.send(call()));
    thread::Builder::new().name("plugin".into()).spawn(run).ok()?;
    wait.recv_timeout(limit).ok()
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(feature = "dynamic"))]
    fn a_static_build_says_that_it_loads_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = load(file.path()).unwrap_err().to_string();
        assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
        assert!(error.contains("without the feature \"dynamic\""), "{error}");
    }

    #[test]
    fn a_call_that_never_returns_is_given_up() {
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
        let never = || loop {
            thread::park();
        };
        assert_eq!(within::<u8>(Duration::from_millis(10), never), None);
    }

    #[test]
    fn names_are_plain() {
        assert!(check_name("dice.x-1_y").is_ok());
        for bad in ["", "Dice", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
