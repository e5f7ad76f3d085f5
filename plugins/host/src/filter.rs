//! Which devices or mount points are reported.
//!
//! node_exporter's pairs of flags, of which one may be given: an include clears the default of its
//! exclude, both together are refused. It must not know what the names stand for.

use regex::Regex;
use vigie_core::collect::BuildError;
use vigie_core::config::Flags;

/// A compiled pair.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

impl Filter {
    /// Reads the pair of flags; an empty expression is none.
    pub(crate) fn from_flags(
        flags: &Flags,
        include: &str,
        exclude: &str,
    ) -> Result<Self, BuildError> {
        let included = flags.regex(include)?;
        let excluded = if included.is_some() && !flags.is_given(exclude) {
            None
        } else {
            flags.regex(exclude)?
        };
        if included.is_some() && excluded.is_some() {
            return Err(flags.error(include, format!("cannot go with --{exclude}")).into());
        }
        Ok(Filter { include: included, exclude: excluded })
    }

    /// Reads a pair of flags that may both be given: what is reported is included and not excluded.
    pub(crate) fn combined(
        flags: &Flags,
        include: &str,
        exclude: &str,
    ) -> Result<Self, BuildError> {
        Ok(Filter { include: flags.regex(include)?, exclude: flags.regex(exclude)? })
    }

    /// Reads a flag that only leaves out.
    pub(crate) fn excluding(flags: &Flags, exclude: &str) -> Result<Self, BuildError> {
        Ok(Filter { include: None, exclude: flags.regex(exclude)? })
    }

    /// Whether `name` is to be reported.
    pub(crate) fn admits(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|regex| regex.is_match(name))
            && !self.exclude.as_ref().is_some_and(|regex| regex.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigie_core::config::FlagDef;

    fn flags(given: &[(&str, &str)]) -> Flags {
        let mut flags = Flags::new(&[FlagDef::text("in", "", ""), FlagDef::text("ex", "^lo$", "")]);
        for (name, value) in given {
            flags.set(*name, vec![(*value).to_owned()]);
        }
        flags
    }

    #[test]
    fn an_include_clears_the_default_exclude() {
        let filter = Filter::from_flags(&flags(&[]), "in", "ex").unwrap();
        assert!(filter.admits("eth0") && !filter.admits("lo"));
        let filter = Filter::from_flags(&flags(&[("in", "lo")]), "in", "ex").unwrap();
        assert!(filter.admits("lo") && filter.admits("flo") && !filter.admits("eth0"));
        let filter = Filter::from_flags(&flags(&[("in", "e"), ("ex", "")]), "in", "ex").unwrap();
        assert!(filter.admits("eth0") && !filter.admits("lo"));
    }

    #[test]
    fn a_combined_pair_includes_and_excludes() {
        let filter = Filter::combined(&flags(&[("in", "^e")]), "in", "ex").unwrap();
        assert!(filter.admits("eth0") && !filter.admits("lo"));
        let filter = Filter::combined(&flags(&[("in", "^e"), ("ex", "0$")]), "in", "ex").unwrap();
        assert!(filter.admits("eth1") && !filter.admits("eth0"));
    }

    #[test]
    fn one_flag_may_leave_out() {
        let filter = Filter::excluding(&flags(&[]), "ex").unwrap();
        assert!(filter.admits("eth0") && !filter.admits("lo"));
    }

    #[test]
    fn both_are_refused_and_so_is_nonsense() {
        let error =
            Filter::from_flags(&flags(&[("in", "a"), ("ex", "b")]), "in", "ex").unwrap_err();
        assert_eq!(error.to_string(), "--in: cannot go with --ex");
        let error = Filter::from_flags(&flags(&[("ex", "(")]), "in", "ex").unwrap_err();
        assert!(error.to_string().starts_with("--ex: not a regular expression"));
    }
}
