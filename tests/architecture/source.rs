//! Sources as the architecture test sees them.
//!
//! A rule such as "core never names hyper" is about code, so comments, texts and unit tests have to be
//! gone before a word is looked for, and lines have to stay where they are. It must not know any rule.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A Rust file.
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// As it stands on disk.
    pub(crate) text: String,
    /// Without comments, texts and unit tests; every line where it was.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let code = without_unit_tests(&blank(&text));
        Source { path: path.into(), text, code }
    }

    /// The lines of the code in which `pattern` occurs, from 1.
    pub(crate) fn lines_with(&self, pattern: &Regex) -> Vec<usize> {
        let starts = pattern.find_iter(&self.code).map(|found| found.start());
        let mut lines: Vec<usize> =
            starts.map(|at| self.code[..at].matches('\n').count() + 1).collect();
        lines.dedup();
        lines
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the repository, in order.
pub(crate) fn sources() -> Vec<Source> {
    files(&root())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| Source::new(relative(&path), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// Every file of the repository that is not built nor Git's own, in order.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let kind = fs::symlink_metadata(&path).unwrap();
        let name = path.file_name().unwrap_or_default();
        if kind.is_dir() && name != "target" && name != ".git" {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found
}

/// A path from the root of the repository.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// Blanks comments and the insides of texts, keeping every line break.
fn blank(text: &str) -> String {
    // In the order in which they are tried at one place; a lifetime is no character.
    let token = Regex::new(concat!(
        r"//[^\n]*",
        r"|(?s:/\*.*?\*/)",
        r####"|b?r"[^"]*"|b?r#"(?s:.*?)"#|b?r##"(?s:.*?)"##|b?r###"(?s:.*?)"###"####,
        r##"|b?c?"(?s:\\.|[^"\\])*""##,
        r"|b?'(?:\\[^\n]+?|[^'\\\n])'",
    ))
    .unwrap();
    let blanked = token.replace_all(text, |found: &regex::Captures<'_>| {
        let found = &found[0];
        let ends = if found.starts_with('/') { "" } else { "\"" };
        format!("{ends}{}{ends}", "\n".repeat(found.matches('\n').count()))
    });
    blanked.into_owned()
}

/// Blanks every item under `#[cfg(test)]`.
fn without_unit_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        let (before, item) = rest.split_at(at);
        let end = item_end(item);
        out.push_str(before);
        out.push_str(&"\n".repeat(item[..end].matches('\n').count()));
        rest = &item[end..];
    }
    out + rest
}

/// Where an item ends: at a `;` before any brace, or where its braces close.
fn item_end(item: &str) -> usize {
    let mut depth = 0usize;
    for (at, byte) in item.bytes().enumerate() {
        match byte {
            b';' if depth == 0 => return at + 1,
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    item.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_texts_and_unit_tests_are_no_code() {
        let source = Source::new(
            "a.rs",
            concat!(
                "//! word\nfn a<'x>(c: char) { /* word\n word */ let s = \"word \\\" word\"; }\n",
                "const R: &str = r#\"word \" word\"#; const C: char = '\"'; fn word() {}\n",
                "#[cfg(test)]\nmod tests { fn f() { word(); } }\nfn after() { word() }\n",
            ),
        );
        assert_eq!(source.lines_with(&Regex::new(r"\bword\b").unwrap()), [4, 7]);
        assert_eq!(source.code.lines().count(), source.text.lines().count());
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_blanked_too() {
        let code = without_unit_tests("#[cfg(test)]\nmod tests;\nfn kept() {}\n");
        assert_eq!(code, "\n\nfn kept() {}\n");
    }
}
