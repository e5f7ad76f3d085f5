//! How bad an alert is.
//!
//! The words people use in the label `severity`, in five ranks, so that the worst stands first and
//! looks it. It must not know pages.

use vigie_core::alert::LabelSet;

/// Five ranks, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Somebody must get up.
    Critical,
    /// Something is broken.
    Error,
    /// Something will be.
    Warning,
    /// Good to know.
    Info,
    /// Nobody said.
    Other,
}

impl Severity {
    /// From the label.
    pub(super) fn of(labels: &LabelSet) -> Self {
        match labels.get("severity").to_ascii_lowercase().as_str() {
            "critical" | "crit" | "page" | "fatal" | "emergency" | "disaster" => Severity::Critical,
            "error" | "major" | "high" => Severity::Error,
            "warning" | "warn" | "minor" | "medium" => Severity::Warning,
            "info" | "information" | "informational" | "notice" | "low" => Severity::Info,
            _ => Severity::Other,
        }
    }

    /// The class in the style sheet, and the word where the label has none.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
            Severity::Other => "other",
        }
    }

    /// A shape for those who do not see the colour.
    pub(super) const fn icon(self) -> &'static str {
        match self {
            Severity::Critical => "\u{25c6}",
            Severity::Error => "\u{25a0}",
            Severity::Warning => "\u{25b2}",
            Severity::Info => "\u{25cf}",
            Severity::Other => "\u{25cb}",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_ranks() {
        let of = |word: &str| Severity::of(&LabelSet::new([("severity", word)]));
        assert!(of("PAGE") == Severity::Critical && of("warn") == Severity::Warning);
        assert!(of("page") < of("error") && of("error") < of("warning"));
        assert_eq!(
            (of("info"), of("purple"), of("")),
            (Severity::Info, Severity::Other, Severity::Other)
        );
    }
}
