//! Paths that match a pattern, as Go's `filepath.Glob` finds them.
//!
//! Flags that name directories take `*`, `?`, `[a-z]` and `\` in each part of a path. It must not
//! know what the paths are for.

use std::path::{Path, PathBuf};

/// The existing paths that match, sorted; the pattern itself when it has no wildcard or when
/// nothing matches, so that the caller's error names it.
pub(crate) fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut found = if has_wildcard(pattern) { walk(pattern) } else { Vec::new() };
    if found.is_empty() {
        found.push(pattern.into());
    }
    found
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

fn walk(pattern: &str) -> Vec<PathBuf> {
    let root = if pattern.starts_with('/') { "/" } else { "" };
    let mut paths = vec![PathBuf::from(root)];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        paths = paths.iter().flat_map(|path| step(path, part)).collect();
    }
    paths
}

fn step(directory: &Path, part: &str) -> Vec<PathBuf> {
    if !has_wildcard(part) {
        let path = directory.join(part);
        return if path.exists() { vec![path] } else { Vec::new() };
    }
    let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(here)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| matches(part, &entry.file_name().to_string_lossy()))
        .map(|entry| directory.join(entry.file_name()))
        .collect();
    paths.sort();
    paths
}

/// Whether `name` matches `pattern`; a pattern that is not well formed matches nothing.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut retry = None;
    loop {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            retry = Some((p, n));
            continue;
        }
        if p == pattern.len() && n == name.len() {
            return true;
        }
        if let Some(length) = name.get(n).and_then(|&c| one(&pattern[p..], c)) {
            p += length;
            n += 1;
            continue;
        }
        let Some((after_star, start)) = retry.filter(|(_, start)| *start < name.len()) else {
            return false;
        };
        retry = Some((after_star, start + 1));
        (p, n) = (after_star, start + 1);
    }
}

/// The length of the pattern element at the start of `pattern`, if it takes `c`.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', class @ ..] => class_takes(class, c),
        [plain, ..] => (*plain == c).then_some(1),
        [] => None,
    }
}

fn class_takes(class: &[char], c: char) -> Option<usize> {
    let negated = class.first() == Some(&'^');
    let end = class.iter().skip(usize::from(negated) + 1).position(|&c| c == ']')?;
    let end = end + usize::from(negated) + 1;
    let mut inside = &class[usize::from(negated)..end];
    let mut taken = false;
    while let [first, rest @ ..] = inside {
        (taken, inside) = match rest {
            ['-', last, rest @ ..] => (taken || (*first..=*last).contains(&c), rest),
            _ => (taken || *first == c, rest),
        };
    }
    (taken != negated).then_some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name) in [
            ("*", ""),
            ("a*c*", "abcd"),
            ("?b", "ab"),
            ("[a-c]x", "bx"),
            ("[^a]", "b"),
            ("\\*", "*"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "a"),
            ("a*c", "abcd"),
            ("?", ""),
            ("[a-c]", "d"),
            ("[^a]", "a"),
            ("[a", "a"),
            ("\\*", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn existing_paths_are_found_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/metrics", "a/metrics", "c/other"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let root = dir.path().to_str().unwrap();
        let found = expand(&format!("{root}/*/metrics"));
        assert_eq!(found, [dir.path().join("a/metrics"), dir.path().join("b/metrics")]);
        for same in [format!("{root}/x/*"), format!("{root}/x")] {
            assert_eq!(expand(&same), [PathBuf::from(&same)]);
        }
    }

    proptest! {
        #[test]
        fn any_pattern_is_an_answer(pattern in "[*?\\[\\]\\\\^a-c-]{0,12}", name in "[a-c]{0,12}") {
            let _ = matches(&pattern, &name);
        }
    }
}
