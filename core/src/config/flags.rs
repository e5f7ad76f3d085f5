//! Flags as data: declared by the code they configure, filled by whoever parses the words.
//!
//! The command line, the configuration file and an embedding program all end in [`Flags`], so a
//! collector asks one place. It must not know the parser that filled it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::Place;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagKind {
    /// `--x` and `--no-x`.
    Switch,
    /// `--x VALUE`, the last one counts.
    Text,
    /// `--x VALUE`, repeatable.
    List,
}

/// A flag's declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagDef {
    /// Without the dashes.
    pub name: &'static str,
    /// What it takes.
    pub kind: FlagKind,
    /// `true` or `false` for a switch; empty for none.
    pub default: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// Older spellings that still work.
    pub aliases: &'static [&'static str],
}

impl FlagDef {
    /// A flag with a value.
    #[must_use]
    pub const fn text(name: &'static str, default: &'static str, help: &'static str) -> Self {
        FlagDef { name, kind: FlagKind::Text, default, help, aliases: &[] }
    }

    /// A flag that may be given several times.
    #[must_use]
    pub const fn list(name: &'static str, default: &'static str, help: &'static str) -> Self {
        FlagDef { name, kind: FlagKind::List, default, help, aliases: &[] }
    }

    /// A flag that is on or off.
    #[must_use]
    pub const fn switch(name: &'static str, default: bool, help: &'static str) -> Self {
        let default = if default { "true" } else { "false" };
        FlagDef { name, kind: FlagKind::Switch, default, help, aliases: &[] }
    }

    /// Adds older spellings.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

/// A flag's value that does not fit.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{origin}: {what}")]
pub struct FlagError {
    /// `--flag`, or file, line and column where a file set it.
    origin: String,
    what: String,
}

/// The values of all flags.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    values: BTreeMap<String, Held>,
}

#[derive(Clone, Debug)]
struct Held {
    values: Vec<String>,
    given: Option<Origin>,
}

/// Who set a flag.
#[derive(Clone, Debug)]
enum Origin {
    CommandLine,
    File(Place),
}

impl Flags {
    /// Every flag at its default.
    pub fn new<'a>(defs: impl IntoIterator<Item = &'a FlagDef>) -> Self {
        let mut flags = Flags::default();
        for def in defs {
            flags.declare(def.name, def.default);
        }
        flags
    }

    /// Adds a flag at its default.
    pub fn declare(&mut self, name: impl Into<String>, default: &str) {
        let values = if default.is_empty() { Vec::new() } else { vec![default.to_owned()] };
        self.values.insert(name.into(), Held { values, given: None });
    }

    /// Sets what a user gave on the command line.
    pub fn set(&mut self, name: impl Into<String>, values: Vec<String>) {
        self.values.insert(name.into(), Held { values, given: Some(Origin::CommandLine) });
    }

    /// Sets what a user wrote in a file; errors then name the place.
    pub fn set_at(&mut self, place: Place, name: impl Into<String>, values: Vec<String>) {
        self.values.insert(name.into(), Held { values, given: Some(Origin::File(place)) });
    }

    /// An error in the value of a flag, naming the place that set it.
    pub fn error(&self, name: &str, what: impl Into<String>) -> FlagError {
        let given = self.values.get(name).and_then(|held| held.given.as_ref());
        let origin = match given {
            Some(Origin::File(place)) => place.to_string(),
            _ => format!("--{name}"),
        };
        FlagError { origin, what: what.into() }
    }

    /// Whether a user gave it.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|held| held.given.is_some())
    }

    /// The value, empty when there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.list(name).last().map_or("", String::as_str)
    }

    /// The value as a path; one that stands in a file starts at the folder of that file.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let text = Some(self.text(name)).filter(|text| !text.is_empty())?;
        match self.values.get(name).and_then(|held| held.given.as_ref()) {
            Some(Origin::File(place)) => Some(place.resolve(Path::new(text))),
            _ => Some(PathBuf::from(text)),
        }
    }

    /// Whether the switch is on.
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// All values.
    #[must_use]
    pub fn list(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], |held| &held.values)
    }

    /// The value as a regular expression, searched unanchored as node_exporter does; `None` when
    /// it is empty.
    ///
    /// # Errors
    /// When it is no regular expression.
    pub fn regex(&self, name: &str) -> Result<Option<Regex>, FlagError> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        Regex::new(text).map(Some).map_err(|error| self.error(name, regex_reason(&error)))
    }
}

/// The last line of a regex error: the one that says what is wrong.
fn regex_reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
    format!("not a regular expression: {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_stand_until_something_is_given() {
        let mut flags = Flags::new(&[
            FlagDef::text("a", "x", ""),
            FlagDef::switch("s", true, ""),
            FlagDef::list("l", "", ""),
        ]);
        assert!(flags.text("a") == "x" && flags.switch("s") && flags.list("l").is_empty());
        flags.set("l", vec!["1".into(), "2".into()]);
        assert!(flags.is_given("l") && !flags.is_given("a") && flags.list("l").len() == 2);
        assert!(flags.text("never declared").is_empty());
    }

    #[test]
    fn a_path_starts_where_it_is_written() {
        let mut flags = Flags::default();
        assert_eq!(flags.path("x"), None);
        flags.set("x", vec!["a.yml".into()]);
        assert_eq!(flags.path("x"), Some("a.yml".into()));
        flags.set_at(Place::file("/etc/vigie/vigie.yml"), "x", vec!["a.yml".into()]);
        assert_eq!(flags.path("x"), Some("/etc/vigie/a.yml".into()));
    }

    #[test]
    fn a_bad_regex_names_its_flag() {
        let mut flags = Flags::default();
        flags.set("collector.x.exclude", vec!["(".into()]);
        let error = flags.regex("collector.x.exclude").unwrap_err().to_string();
        assert!(error.starts_with("--collector.x.exclude: not a regular expression"), "{error}");
        let place = Place { file: "vigie.yml".into(), line: 3, column: 5 };
        flags.set_at(place, "collector.x.exclude", vec!["(".into()]);
        let error = flags.regex("collector.x.exclude").unwrap_err().to_string();
        assert!(error.starts_with("vigie.yml:3:5: not a regular expression"), "{error}");
    }
}
