//! Which kernel parameters a user asked for.
//!
//! `NAME` or `NAME:KEY,KEY`; whatever cannot work is refused at the start, with the flag that said it. It must
//! not know whether the running kernel has the parameter.

use std::collections::HashSet;

use vigie_core::config::{FlagError, Flags};

use crate::parse::name_part;

/// One value of a flag.
#[derive(Debug, PartialEq)]
pub(super) struct Choice {
    /// As given, such as `net.ipv4.tcp_rmem`.
    pub(super) name: String,
    /// A name for each number; without any, several numbers are told apart by their index.
    pub(super) keys: Vec<String>,
}

impl Choice {
    /// Reads the flag `flag`, whose values may have keys when `keyed`.
    pub(super) fn read(flags: &Flags, flag: &str, keyed: bool) -> Result<Vec<Self>, FlagError> {
        let mut choices = Vec::new();
        let mut metrics = HashSet::new();
        for text in flags.list(flag) {
            let refuse = |what: String| flags.error(flag, what);
            let choice = Choice::parse(text, keyed).map_err(refuse)?;
            if let Some(twice) =
                choice.metrics().into_iter().find(|name| !metrics.insert(name.clone()))
            {
                return Err(refuse(format!("{text:?} names {twice} a second time")));
            }
            choices.push(choice);
        }
        Ok(choices)
    }

    fn parse(text: &str, keyed: bool) -> Result<Self, String> {
        let (name, keys) = match text.split_once(':') {
            Some(_) if !keyed => {
                return Err(format!(
                    "expected a NAME without keys, found {text:?}: texts have no keys"
                ));
            }
            Some((name, keys)) => (name, keys.split(',').map(str::to_owned).collect()),
            None => (text, Vec::new()),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let is_name = |part: &str| !part.is_empty() && part.chars().all(fits);
        if !name.split(['.', '/']).all(is_name) {
            return Err(format!("expected a NAME such as fs.file-nr, found {name:?}"));
        }
        if !keys.iter().all(|key| is_name(key)) {
            return Err(format!(
                "expected NAME:KEY,KEY,... with letters, digits and _ in each key, found {text:?}"
            ));
        }
        Ok(Choice { name: name.to_owned(), keys })
    }

    /// The names of its families, in the order of the keys.
    pub(super) fn metrics(&self) -> Vec<String> {
        let name = format!("node_sysctl_{}", name_part(&self.name));
        if self.keys.is_empty() {
            return vec![name];
        }
        self.keys.iter().map(|key| format!("{name}_{}", name_part(key))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str], keyed: bool) -> Result<Vec<Choice>, String> {
        let mut flags = Flags::default();
        flags.set("f", values.iter().map(|value| (*value).to_owned()).collect());
        Choice::read(&flags, "f", keyed).map_err(|error| error.to_string())
    }

    #[test]
    fn names_may_have_keys() {
        let choices = read(&["fs.file-nr:total,max", "kernel/threads-max"], true).unwrap();
        assert_eq!(choices[0].keys, ["total", "max"]);
        assert_eq!(
            choices[0].metrics(),
            ["node_sysctl_fs_file_nr_total", "node_sysctl_fs_file_nr_max"]
        );
        assert_eq!(choices[1].metrics(), ["node_sysctl_kernel_threads_max"]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in
            ["", ":a,b", ".kernel.x", "/etc/passwd", "a..b", "kernel.", "a b", "../x", "\u{e9}"]
        {
            let error = read(&[bad], true).unwrap_err();
            assert!(
                error.starts_with("--f: expected a NAME such as fs.file-nr, found "),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in ["a:", "a:b,", "a:b,,c", "a:b c", "a:b:c"] {
            let error = read(&[bad], true).unwrap_err();
            assert!(
                error.starts_with("--f: expected NAME:KEY,KEY,... with letters"),
                "{bad}: {error}"
            );
        }
        let error = read(&["a:b"], false).unwrap_err();
        assert_eq!(error, "--f: expected a NAME without keys, found \"a:b\": texts have no keys");
    }

    #[test]
    fn no_series_is_asked_for_twice() {
        for (values, twice) in [
            (&["a.b", "a.b"][..], "\"a.b\" names node_sysctl_a_b"),
            (&["a.b-c", "a.b_c"], "\"a.b_c\" names node_sysctl_a_b_c"),
            (&["a.b:x,x"], "\"a.b:x,x\" names node_sysctl_a_b_x"),
            (&["a.b:x", "a.b.x"], "\"a.b.x\" names node_sysctl_a_b_x"),
        ] {
            assert_eq!(read(values, true).unwrap_err(), format!("--f: {twice} a second time"));
        }
    }
}
