//! The parser of PROC/mdstat (drivers/md/md.c, `md_seq_show`).
//!
//! An array is a line that names it, a line of its size and disks, and lines of what it is doing. It must not
//! know metrics.

use std::collections::HashSet;

use crate::parse::{lines, number, shown, words};

/// An array.
#[derive(Debug, PartialEq)]
pub(super) struct Array<'a> {
    pub(super) name: &'a [u8],
    pub(super) state: State,
    /// Disks of the complete array.
    pub(super) disks: u64,
    pub(super) active: u64,
    pub(super) failed: u64,
    pub(super) spare: u64,
    /// Of 1 KiB.
    pub(super) blocks: u64,
    /// What is running has done so many; all when nothing is.
    pub(super) synced: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Active,
    Inactive,
    Recovering,
    Resyncing,
    Checking,
    Reshaping,
    /// One that no kernel known here has.
    Other,
}

/// The arrays that are understood, each once, and the first line that is not.
pub(super) fn parse(file: &[u8]) -> (Vec<Array<'_>>, Option<(usize, String)>) {
    let mut arrays = Vec::new();
    let mut broken = None;
    let mut names = HashSet::new();
    let mut lines = lines(file).peekable();
    while let Some((line_number, line)) = lines.next() {
        if !names_an_array(line) {
            continue;
        }
        let mut details = Vec::new();
        while let Some(detail) = lines.next_if(|(_, line)| line.starts_with(b" ")) {
            details.push(detail);
        }
        match parse_array((line_number, line), &details) {
            Ok(array) if names.insert(array.name) => arrays.push(array),
            Ok(_) => {}
            Err(error) => {
                broken.get_or_insert(error);
            }
        }
    }
    (arrays, broken)
}

/// Details of arrays are indented, all other lines are about the whole.
fn names_an_array(line: &[u8]) -> bool {
    !line.trim_ascii().is_empty()
        && !line.starts_with(b" ")
        && !line.starts_with(b"\t")
        && !line.starts_with(b"Personalities")
        && !line.starts_with(b"unused")
}

type Line<'a> = (usize, &'a [u8]);

fn parse_array<'a>(
    (line_number, line): Line<'a>,
    details: &[Line<'a>],
) -> Result<Array<'a>, (usize, String)> {
    let no_array = || (line_number, format!("expected an array, found {}", shown(line)));
    let mut head = words(line);
    let name = head.next().ok_or_else(no_array)?;
    let state = match head.nth(1).ok_or_else(no_array)? {
        b"active" => State::Active,
        b"inactive" => State::Inactive,
        _ => State::Other,
    };
    let no_size = || (line_number, format!("expected a line of blocks after {}", shown(line)));
    let &(size_number, size) = details.first().ok_or_else(no_size)?;
    // Of an array without a single disk the kernel prints no size.
    let is_empty = state == State::Inactive && !line.contains(&b'[');
    let sized = if is_empty { Ok((0, None)) } else { parse_size(size) };
    let (blocks, status) = sized.map_err(|what| (size_number, what))?;
    let (disks, active) = match status {
        // Levels without redundancy tell no status: each disk has its number in brackets.
        _ if contains(line, b"raid0") || contains(line, b"linear") => {
            let disks = line.iter().filter(|&&byte| byte == b'[').count() as u64;
            (disks, disks)
        }
        _ if state == State::Inactive => (0, 0),
        Some(status) => status,
        None => {
            let what = format!("expected [disks/active], found {}", shown(size));
            return Err((size_number, what));
        }
    };
    let mut array = Array {
        name,
        state,
        disks,
        active,
        failed: count(line, b"(F)"),
        spare: count(line, b"(S)"),
        blocks,
        synced: blocks,
    };
    for &(number, line) in &details[1..] {
        array.take_progress(line).map_err(|what| (number, what))?;
    }
    Ok(array)
}

/// `1044160 blocks super 1.2 [2/1] [U_]`: the blocks, and the disks wanted and active where they are told.
fn parse_size(line: &[u8]) -> Result<(u64, Option<(u64, u64)>), String> {
    let word = words(line).next().unwrap_or_default();
    let blocks = number(word)
        .ok_or_else(|| format!("expected a number of blocks, found {}", shown(word)))?;
    Ok((blocks, words(line).find_map(|word| pair(word, b"[", b"]"))))
}

/// `[2/1]`, `(16/256)`.
fn pair(word: &[u8], open: &[u8], close: &[u8]) -> Option<(u64, u64)> {
    let inner = word.strip_prefix(open)?.strip_suffix(close)?;
    let mut parts = inner.split(|&byte| byte == b'/');
    let pair = (number(parts.next()?)?, number(parts.next()?)?);
    parts.next().is_none().then_some(pair)
}

impl Array<'_> {
    /// `[=>...]  recovery = 8.5% (16775552/195310144) finish=17.0min`, or `resync=DELAYED`, or `recover=REMOTE` where
    /// another node of a cluster does it; other lines, such as those of bitmaps, say nothing of it.
    fn take_progress(&mut self, line: &[u8]) -> Result<(), String> {
        let running = [
            (&b"recover"[..], State::Recovering),
            (b"check", State::Checking),
            (b"reshape", State::Reshaping),
            (b"resync", State::Resyncing),
        ];
        let Some((_, state)) = running.into_iter().find(|(word, _)| contains(line, word)) else {
            return Ok(());
        };
        self.state = state;
        let is_told =
            ![&b"PENDING"[..], b"DELAYED", b"REMOTE"].iter().any(|word| contains(line, word));
        self.synced = if !is_told {
            0
        } else {
            let done = words(line).find_map(|word| pair(word, b"(", b")"));
            done.ok_or_else(|| format!("expected (blocks/blocks), found {}", shown(line)))?.0
        };
        Ok(())
    }
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(line, part).is_some()
}

fn count(line: &[u8], part: &[u8]) -> u64 {
    memchr::memmem::find_iter(line, part).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The only array of `text`.
    fn array(text: &str) -> Array<'_> {
        let (mut arrays, broken) = parse(text.as_bytes());
        assert_eq!((arrays.len(), broken), (1, None));
        arrays.remove(0)
    }

    #[test]
    fn a_recovery_with_bitmap_failed_and_spare_disks() {
        let array = array(
            "md8 : active raid1 sdb1[1] sda1[0] sdc[2](S) sde[3](F)\n\
             \x20     195310144 blocks [2/1] [U_]\n\
             \x20     bitmap: 0/30 pages [0KB], 65536KB chunk\n\
             \x20     [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min\n\n",
        );
        assert_eq!((array.state, array.synced), (State::Recovering, 16_775_552));
        assert_eq!((array.disks, array.active, array.failed, array.spare), (2, 1, 1, 1));
    }

    #[test]
    fn what_waits_has_done_nothing() {
        for (word, state) in [
            ("resync=PENDING", State::Resyncing),
            ("resync=DELAYED", State::Resyncing),
            ("check=DELAYED", State::Checking),
            ("resync=REMOTE", State::Resyncing),
            ("recover=REMOTE", State::Recovering),
        ] {
            let text =
                format!("md8 : active raid1 sdb1[1] sda1[0]\n  19 blocks [2/2] [UU]\n  {word}\n");
            let array = array(&text);
            assert_eq!((array.state, array.synced, array.blocks), (state, 0, 19));
        }
    }

    #[test]
    fn levels_without_redundancy_count_their_disks() {
        let array = array("md42 : active raid0 sda[0] sde1[1]\n  314159265 blocks 64k chunks\n");
        assert_eq!((array.disks, array.active, array.state), (2, 2, State::Active));
    }

    #[test]
    fn an_inactive_array_has_no_disks() {
        let array =
            array("md219 : inactive sdb[2](S) sdc[1](S)\n  7932 blocks super external:imsm\n");
        assert_eq!((array.disks, array.active, array.spare), (0, 0, 2));
        assert_eq!(array.state, State::Inactive);
    }

    #[test]
    fn an_array_may_have_lost_all_its_disks() {
        let array = array("md0 : inactive super 1.2\n       \n");
        assert_eq!((array.disks, array.blocks, array.state), (0, 0, State::Inactive));
    }

    #[test]
    fn read_only_arrays_are_active_and_a_reshape_is_its_own_state() {
        let array = array(
            "md0 : active (auto-read-only) raid5 sda[0] sdb[1] sdc[2]\n\
             \x20 44 blocks super 1.2 level 5, 512k chunk, algorithm 2 [3/3] [UUU]\n\
             \x20 [>..] reshape =  0.5% (7/22) finish=1min speed=1K/sec\n",
        );
        assert_eq!((array.disks, array.state, array.synced), (3, State::Reshaping, 7));
    }

    #[test]
    fn what_is_cut_off_is_named() {
        for (text, line, what) in [
            ("md0\n", 1, "expected an array, found \"md0\""),
            ("md0 : active raid1 sda[0]\n", 1, "expected a line of blocks after"),
            ("md0 : active raid1 sda[0]\n  7 blocks\n", 2, "expected [disks/active], found"),
            (
                "md0 : active raid1 sda[0]\n  7 blocks [1/1]\n  check = 1% (7\n",
                3,
                "expected (blocks/blocks)",
            ),
        ] {
            let (arrays, broken) = parse(text.as_bytes());
            let (at, message) = broken.unwrap();
            assert!(arrays.is_empty() && at == line && message.starts_with(what), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_blocks_are_survived(
            text in "((md[01] : (in)?active raid[01] sda\\[0\\]|  [0-9]{0,21} blocks \\[[0-9/]{0,9}\\]|  (check|resync) ?= ?(DELAYED|\\([0-9]/[0-9]\\)))\n){0,8}"
        ) {
            let (arrays, _) = parse(text.as_bytes());
            let names: HashSet<_> = arrays.iter().map(|array| array.name).collect();
            assert_eq!(names.len(), arrays.len());
        }
    }
}
