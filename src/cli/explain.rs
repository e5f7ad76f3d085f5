//! `vigie collect --list --verbose`: why a collector shows what it shows on this host.
//!
//! Each file that a collector's definition names is looked for where the path flags say, so that a missing mount,
//! module or right is seen at a glance. It must not know any collector: what it says comes from the definitions.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use vigie::core::collect::{CollectorInfo, Paths, SlotReport, SlotState};

use super::terminal::Style;

/// One paragraph per collector; `report` is missing for those that are off.
pub(crate) fn paragraph(
    info: &CollectorInfo,
    report: Option<&SlotReport>,
    paths: &Paths,
    colour: bool,
) -> String {
    let (state, style) = match report.map(|report| &report.state) {
        None => ("off".to_owned(), Style::Dim),
        Some(SlotState::Ok) => ("ok".to_owned(), Style::Green),
        Some(state @ SlotState::NoData(_)) => (state.to_string(), Style::Yellow),
        Some(state) => (state.to_string(), Style::Red),
    };
    let head = Style::Bold.paint(info.name, colour);
    let mut text = format!("{head}: {}\n  {}\n", style.paint(&state, colour), info.help);
    if !info.needs.is_empty() {
        text += &format!("  needs {}\n", info.needs);
    }
    for source in sources(info.reads) {
        let line = match look(source, paths) {
            Some(found) => format!("  reads {source}: {found}"),
            None => format!("  reads {source}"),
        };
        text += &Style::Dim.paint(&line, colour);
        text.push('\n');
    }
    if report.is_none() && info.enabled {
        text += "  on by default, switched off here\n";
    }
    text
}

/// The sources of a definition, which are separated by commas outside braces.
fn sources(reads: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let parts = reads.split(move |c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// What is found of a source on this host; nothing is said of one that is no path.
fn look(source: &str, paths: &Paths) -> Option<String> {
    let path = source.split_whitespace().next()?;
    let (root, rest) = path.split_once('/').unwrap_or((path, ""));
    let root = match root {
        "PROC" => &paths.procfs,
        "SYS" => &paths.sysfs,
        "ROOTFS" => &paths.rootfs,
        "UDEV" => &paths.udev,
        "" => Path::new("/"),
        _ => return None,
    };
    let found: Vec<_> = alternatives(rest)
        .iter()
        .flat_map(|rest| glob::glob(&root.join(pattern(rest)).to_string_lossy()).ok())
        .flatten()
        .collect();
    Some(match found.as_slice() {
        [] => "not on this host".to_owned(),
        [Ok(path)] => readable(path),
        [Err(error)] => error.error().to_string(),
        several => {
            let refused = several.iter().flatten().filter_map(|path| refusal(path)).next();
            let note = refused.map(|error| format!(", some not readable: {error}"));
            format!("{} found{}", several.len(), note.unwrap_or_default())
        }
    })
}

fn readable(path: &Path) -> String {
    match refusal(path) {
        None => "found".to_owned(),
        Some(error) => format!("not readable: {error}"),
    }
}

fn refusal(path: &Path) -> Option<io::Error> {
    let kind = path.metadata().map(|found| found.file_type());
    if kind.is_ok_and(|kind| kind.is_socket()) {
        return None;
    }
    if path.is_dir() { std::fs::read_dir(path).err() } else { std::fs::File::open(path).err() }
}

/// `a/{b,c}` is `a/b` and `a/c`.
fn alternatives(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    let tails = alternatives(after);
    let words = inside.split(',').map(str::trim);
    words.flat_map(|word| tails.iter().map(move |tail| format!("{before}{word}{tail}"))).collect()
}

/// Words in capitals stand for names that differ from host to host, a capital N at the end of a word for a number.
fn pattern(path: &str) -> String {
    let part = |part: &str| {
        let is_word = part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        match part.strip_suffix('N') {
            _ if is_word => "*".to_owned(),
            Some(name) if !name.is_empty() => format!("{name}[0-9]*"),
            _ => part.to_owned(),
        }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn host(files: &[&str]) -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let mut paths = Paths::default();
        (paths.procfs, paths.sysfs) = (dir.path().join("proc"), dir.path().join("sys"));
        (dir, paths)
    }

    #[test]
    fn each_source_is_looked_for() {
        let files = ["proc/stat", "sys/cpu/cpu0/freq", "sys/cpu/cpu1/freq", "sys/fs/ab-1/size"];
        let (_dir, paths) = host(&files);
        for (source, found) in [
            ("PROC/stat", "found"),
            ("PROC/mdstat", "not on this host"),
            ("SYS/cpu/cpuN/freq", "2 found"),
            ("SYS/cpu/cpuN/{freq,nothing}", "2 found"),
            ("SYS/fs/UUID/size", "found"),
            ("SYS/fs/*", "found"),
            ("PROC/stat (once)", "found"),
        ] {
            assert_eq!(look(source, &paths).as_deref(), Some(found), "{source}");
        }
        assert_eq!(look("rtnetlink RTM_GETLINK", &paths), None);
    }

    #[test]
    fn sources_are_separated_outside_braces() {
        let all: Vec<_> = sources("PROC/{a,b}, SYS/c,statfs(2)").collect();
        assert_eq!(all, ["PROC/{a,b}", "SYS/c", "statfs(2)"]);
    }

    #[test]
    fn a_paragraph_says_what_is_missing() {
        let (_dir, paths) = host(&[]);
        let info = CollectorInfo::new("mdadm", "Software RAID.")
            .reads("PROC/mdstat")
            .needs("the kernel module md");
        let state = SlotState::NoData("/proc/mdstat does not exist".into());
        let report = SlotReport { state, took: Duration::ZERO };
        assert_eq!(
            paragraph(&info, Some(&report), &paths, false),
            "mdadm: no data: /proc/mdstat does not exist\n  Software RAID.\n  needs the kernel module md\n  \
             reads PROC/mdstat: not on this host\n"
        );
        let text = paragraph(&info, None, &paths, false);
        assert!(
            text.starts_with("mdadm: off\n") && text.ends_with("switched off here\n"),
            "{text}"
        );
    }
}
