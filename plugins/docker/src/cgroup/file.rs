//! The few forms in which the kernel writes cgroup files, and reading them.
//!
//! v1 and v2 differ in names and units but share these forms, so the parsers stand once. They
//! must not know which file they are given.

use std::path::{Path, PathBuf};

use vigie_core::collect::FileReader;

/// Values above this mean "no limit": v1 writes 2^63 rounded down to a page.
const UNLIMITED: u64 = 1 << 62;

/// Reads files of cgroups into one buffer.
#[derive(Debug)]
pub(crate) struct Files {
    reader: FileReader,
    path: PathBuf,
}

impl Files {
    pub(crate) fn new() -> Self {
        Files { reader: FileReader::new(""), path: PathBuf::new() }
    }

    /// `ROOT/cgroup/name`, where `cgroup` begins with a slash. `None` when it cannot be read: the
    /// kernel has no such file, or the container has just gone.
    pub(crate) fn read(&mut self, root: &Path, cgroup: &str, name: &str) -> Option<&[u8]> {
        self.path.as_mut_os_string().clear();
        self.path.push(root);
        self.path.push(cgroup.trim_start_matches('/'));
        self.path.push(name);
        self.reader.read_from(&self.path).ok()
    }

    /// Any file.
    pub(crate) fn read_path(&mut self, path: &Path) -> Option<&[u8]> {
        self.reader.read_from(path).ok()
    }

    /// A file with a single number.
    pub(crate) fn number(&mut self, root: &Path, cgroup: &str, name: &str) -> Option<u64> {
        parse_number(self.read(root, cgroup, name)?)
    }

    /// A file with a single limit.
    pub(crate) fn limit(&mut self, root: &Path, cgroup: &str, name: &str) -> Option<u64> {
        parse_limit(self.read(root, cgroup, name)?)
    }
}

/// One unsigned decimal number, white space around it.
pub(crate) fn parse_number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// A limit in bytes or a count; 0 for "none", as cAdvisor shows it.
pub(crate) fn parse_limit(text: &[u8]) -> Option<u64> {
    match text.trim_ascii() {
        b"max" => Some(0),
        text => parse_number(text).map(|limit| if limit > UNLIMITED { 0 } else { limit }),
    }
}

/// Lines of `key number`; lines of another form are passed over.
pub(crate) fn keyed(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    lines(text).filter_map(|line| {
        let (key, value) = split_once(line, b' ')?;
        Some((key, parse_number(value)?))
    })
}

/// Numbers separated by white space.
pub(crate) fn numbers(text: &[u8]) -> impl Iterator<Item = u64> {
    text.split(u8::is_ascii_whitespace).filter_map(parse_number)
}

/// The lines of a file that are not empty.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// What stands before and after the first `separator`.
pub(crate) fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Pressure stall totals in microseconds, of a file `*.pressure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stall {
    /// At least one task waited.
    pub(crate) some: Option<u64>,
    /// Nobody got on.
    pub(crate) full: Option<u64>,
}

/// Reads `some avg10=0.00 ... total=N` and `full ...`.
pub(crate) fn parse_pressure(text: &[u8]) -> Stall {
    let mut stall = Stall::default();
    for line in lines(text) {
        let total = line
            .split(|&byte| byte == b' ')
            .find_map(|word| parse_number(word.strip_prefix(b"total=")?));
        match line.split(|&byte| byte == b' ').next() {
            Some(b"some") => stall.some = total,
            Some(b"full") => stall.full = total,
            _ => {}
        }
    }
    stall
}

/// `MAJOR:MINOR`.
pub(crate) fn parse_device(text: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = split_once(text, b':')?;
    let narrow = |text| parse_number(text).and_then(|number| u32::try_from(number).ok());
    Some((narrow(major)?, narrow(minor)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_that_are_none_are_zero() {
        for (text, limit) in [
            ("max\n", Some(0)),
            ("9223372036854771712\n", Some(0)),
            ("67108864\n", Some(67_108_864)),
            ("-1\n", None),
            ("", None),
        ] {
            assert_eq!(parse_limit(text.as_bytes()), limit, "{text:?}");
        }
    }

    #[test]
    fn pressure_is_its_totals() {
        let text = b"some avg10=0.00 avg60=0.12 avg300=0.05 total=4711\n\
                     full avg10=0.00 avg60=0.00 avg300=0.00 total=17\n";
        assert_eq!(parse_pressure(text), Stall { some: Some(4711), full: Some(17) });
        assert_eq!(parse_pressure(b"some total=x\nhalf total=3\n"), Stall::default());
    }

    #[test]
    fn keyed_lines_of_another_form_are_passed_over() {
        let pairs: Vec<_> = keyed(b"cache 12\nbroken\nrss x\n\nswap 3\n").collect();
        assert_eq!(pairs, [(&b"cache"[..], 12), (&b"swap"[..], 3)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(text: Vec<u8>) {
            let _ = (parse_limit(&text), parse_pressure(&text), parse_device(&text));
            prop_assert!(keyed(&text).count() <= text.len());
            prop_assert!(numbers(&text).count() <= text.len());
        }

        #[test]
        fn what_is_written_is_read(value: u64, some: u64, full: u64) {
            prop_assert_eq!(parse_number(format!(" {value}\n").as_bytes()), Some(value));
            let text = format!("some avg10=1.00 total={some}\nfull avg10=0.10 total={full}\n");
            let stall = Stall { some: Some(some), full: Some(full) };
            prop_assert_eq!(parse_pressure(text.as_bytes()), stall);
        }
    }
}
