//! Following a log through every way of rotating it.
//!
//! A file is known by its inode and its first line, never by its name alone: renamed, it is read on
//! until the writer has left it; cut in place, its copy beside it is read to the end first. All of it
//! runs on plain files without a watcher or a clock; it must not know what a line says.

mod reader;
mod sibling;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::lines::Line;
pub(crate) use reader::Place;
use reader::Reader;
use sibling::Siblings;

/// Milliseconds that a file which was rotated away may stay silent before it is closed. By then
/// its successor has been written to, so the writer has left.
const GRACE: i64 = 60_000;
/// More files than any rotation leaves half read.
const MAX_OLD: usize = 32;
/// First lines that are remembered, to know again what was read already: more than anybody keeps
/// rotated files.
const REMEMBERED: usize = 4096;

/// Where a file begins that was never seen before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At its first line.
    #[default]
    #[serde(alias = "checkpoint")]
    Beginning,
    /// At its end: what stands in it already is not counted.
    End,
}

/// How a log was rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    Rename,
    Truncate,
    Delete,
}

impl Rotation {
    /// In the order of their numbers.
    pub(crate) const ALL: [Rotation; 3] = [Rotation::Rename, Rotation::Truncate, Rotation::Delete];

    /// The label `kind` of `vigie_accesslog_rotations_total`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Rotation::Rename => "rename",
            Rotation::Truncate => "truncate",
            Rotation::Delete => "delete",
        }
    }
}

/// What a step found.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Whether everything there is has been read.
    pub(crate) at_end: bool,
    /// Rotations noticed.
    pub(crate) rotations: Vec<Rotation>,
}

/// Follows one path.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    start: Start,
    current: Option<Reader>,
    /// Files that had the path before, oldest first.
    old: VecDeque<Reader>,
    /// First lines of files that were read or stood there before us.
    known: VecDeque<u64>,
    siblings: Siblings,
    /// Whether the path was ever looked at: only then is a new file really new.
    looked: bool,
    present: bool,
}

/// What outlives a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Where each open file was left, oldest first.
    places: Vec<Place>,
    known: VecDeque<u64>,
}

impl Tail {
    pub(crate) fn new(path: &Path, start: Start) -> Self {
        Tail {
            path: path.to_owned(),
            start,
            current: None,
            old: VecDeque::new(),
            known: VecDeque::new(),
            siblings: Siblings::default(),
            looked: false,
            present: false,
        }
    }

    /// Goes on where an earlier run stopped. Files are found again by inode and first line, also
    /// under the names that rotation gives; those that are gone are returned.
    pub(crate) fn restore(&mut self, checkpoint: Checkpoint) -> Vec<Place> {
        self.looked = true;
        self.known = checkpoint.known;
        let mut lost = Vec::new();
        for place in checkpoint.places {
            let found = Reader::resume(&self.path, &place)
                .map(|reader| (true, reader))
                .or_else(|| sibling::find(&self.path, &place).map(|reader| (false, reader)))
                // The whole directory may have moved to another file system.
                .or_else(|| Reader::resume_copy(&self.path, &place).map(|reader| (true, reader)));
            match found {
                Some((true, reader)) => self.current = Some(reader),
                Some((false, reader)) => self.old.push_back(reader),
                None => lost.push(place),
            }
        }
        lost
    }

    /// Where reading would go on after a restart: behind the last whole line of each file.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let places = self.open_files().map(Reader::place).collect();
        Checkpoint { places, known: self.known.clone() }
    }

    /// Looks at the path and reads at most about `budget` bytes; `now` is in Unix milliseconds.
    ///
    /// # Errors
    /// When the path is there but cannot be read as a regular file. Files that were open before
    /// are read all the same.
    pub(crate) fn step(
        &mut self,
        now: i64,
        budget: usize,
        on: &mut dyn FnMut(Line<'_>),
    ) -> (Step, io::Result<()>) {
        let mut step = Step { at_end: true, ..Step::default() };
        let looked = self.look(&mut step);
        let mut budget = budget;
        for reader in self.old.iter_mut().chain(&mut self.current) {
            match reader.read(now, &mut budget, on) {
                Ok(at_end) => step.at_end &= at_end,
                Err(error) => return (step, looked.and(Err(error))),
            }
            if !step.at_end {
                break;
            }
        }
        if step.at_end {
            self.close_finished(now, on);
        }
        (step, looked)
    }

    /// Whether there was a readable file at the path at the last look.
    pub(crate) fn is_present(&self) -> bool {
        self.present
    }

    /// Bytes in the open files that were not read, half lines included.
    pub(crate) fn unread(&self) -> u64 {
        self.open_files().map(Reader::unread).sum()
    }

    fn look(&mut self, step: &mut Step) -> io::Result<()> {
        let found = Reader::open(&self.path);
        self.present = found.is_ok();
        let first_look = !std::mem::replace(&mut self.looked, true);
        if first_look {
            let before_us = self.siblings.changed(&self.path);
            before_us.iter().for_each(|sibling| self.remember(sibling.head));
        }
        match found {
            Ok(mut found) => {
                if first_look && self.start == Start::End {
                    found.skip_to_end()?;
                }
                self.compare(found, step);
            }
            // Nothing is known yet: the file may come back, or a successor.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.restart_truncated(step);
        self.adopt_strangers();
        Ok(())
    }

    /// `found` has the path now.
    fn compare(&mut self, found: Reader, step: &mut Step) {
        let Some(current) = &self.current else {
            self.current = Some(self.take_back(&found).unwrap_or(found));
            return;
        };
        if current.is_same(&found) {
            return;
        }
        let deleted = current.is_deleted();
        step.rotations.push(if deleted { Rotation::Delete } else { Rotation::Rename });
        // The writer may go on in the old file until it is told.
        self.old.extend(self.current.take());
        self.current = Some(self.take_back(&found).unwrap_or(found));
    }

    /// Files that were cut in place begin anew. If a copy was made before, what was not read of the
    /// cut one stands there.
    fn restart_truncated(&mut self, step: &mut Step) {
        let mut copies = Vec::new();
        for reader in self.old.iter_mut().chain(&mut self.current) {
            if reader.was_truncated() {
                step.rotations.push(Rotation::Truncate);
                copies.extend(sibling::find(&self.path, &reader.place()));
                reader.restart();
            }
        }
        self.old.extend(copies);
    }

    /// A file that was moved away and back again.
    fn take_back(&mut self, found: &Reader) -> Option<Reader> {
        let index = self.old.iter().position(|reader| reader.is_same(found))?;
        self.old.remove(index)
    }

    /// Takes up files that came and were rotated away between two looks, or while nobody looked.
    fn adopt_strangers(&mut self) {
        self.remember_open();
        for sibling in self.siblings.changed(&self.path) {
            let is_open = self.open_files().any(|reader| reader.id() == sibling.id);
            if is_open || self.known.contains(&sibling.head) {
                continue;
            }
            self.remember(sibling.head);
            self.old.extend(Reader::open(&sibling.path).ok());
        }
    }

    fn open_files(&self) -> impl Iterator<Item = &Reader> {
        self.old.iter().chain(&self.current)
    }

    /// What is read here is never a stranger, under any name and in any copy.
    fn remember_open(&mut self) {
        let open = self.old.iter_mut().chain(&mut self.current);
        let heads: Vec<u64> = open.filter_map(Reader::head).collect();
        heads.into_iter().for_each(|head| self.remember(head));
    }

    fn remember(&mut self, head: u64) {
        if !self.known.contains(&head) {
            self.known.push_back(head);
        }
        if self.known.len() > REMEMBERED {
            self.known.pop_front();
        }
    }

    fn close_finished(&mut self, now: i64, on: &mut dyn FnMut(Line<'_>)) {
        let crowded = self.old.len() > MAX_OLD;
        let succeeded = crowded || self.current.as_ref().is_some_and(Reader::has_content);
        self.old.retain_mut(|reader| {
            let done = succeeded && reader.silent_since() <= now.saturating_sub(GRACE);
            if done {
                reader.finish(on);
            }
            !done
        });
    }
}

#[cfg(test)]
mod tests;
