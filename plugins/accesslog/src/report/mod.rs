//! Service levels of whole files: what `vigie sla FILE...` shows.
//!
//! Files stream through the parsers and judges of the live service; what is kept grows with the
//! number of services and minutes, not with the files. It must not know the command line, except
//! for the exit code it implies.

mod group;
mod summary;
mod text;
mod worst;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use crate::format::{Parser, UnknownFormat};
use crate::gaps::Gaps;
use crate::lines::{Line, Lines};
use crate::record::{Malformed, Record};
use crate::slo::Objective;
use group::{Groups, Scored};
use worst::Minutes;

pub use summary::{Durations, FileSummary, GroupSummary, ObjectiveSummary, Outcome, Summary};
pub use text::TextStyle;
pub use worst::WorstWindow;

/// Thresholds that are reported when none are given.
pub const WITHIN: [Duration; 9] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(300),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// What a report is about.
#[derive(Clone, Debug)]
pub struct Options {
    /// `auto` or the name of a format.
    pub format: String,
    /// Thresholds under which requests are counted; those of the objectives are added.
    pub within: Vec<Duration>,
    /// What was promised. Without any, nothing can be broken.
    pub objectives: Vec<Objective>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            format: crate::format::AUTO.into(),
            within: WITHIN.to_vec(),
            objectives: Vec::new(),
        }
    }
}

/// Why a file was not read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {name}: {source}")]
pub struct ReadError {
    /// The file.
    pub name: String,
    /// Why.
    pub source: io::Error,
}

/// A report that takes files.
#[derive(Debug)]
pub struct Report {
    parser: Parser,
    groups: Groups,
    objectives: Vec<Scored>,
    minutes: Minutes,
    gaps: Gaps,
    lines: u64,
    malformed: [u64; Malformed::ALL.len()],
    without_duration: u64,
    first: Option<i64>,
    last: Option<i64>,
    files: Vec<FileSummary>,
    seen: HashSet<(u64, u64)>,
}

impl Report {
    /// An empty report.
    ///
    /// # Errors
    /// When the format is not known.
    pub fn new(options: Options) -> Result<Self, UnknownFormat> {
        let mut within = options.within;
        within.extend(options.objectives.iter().filter_map(|o| o.goal.limit()));
        within.sort_unstable();
        within.dedup();
        Ok(Report {
            parser: Parser::new(&options.format)?,
            groups: Groups::new(within),
            objectives: options.objectives.into_iter().map(Scored::new).collect(),
            minutes: Minutes::default(),
            gaps: Gaps::default(),
            lines: 0,
            malformed: [0; Malformed::ALL.len()],
            without_duration: 0,
            first: None,
            last: None,
            files: Vec::new(),
            seen: HashSet::new(),
        })
    }

    /// Reads a file, or standard input for `-`; a file given before is skipped and says so in the
    /// summary. `progress` is told the bytes read so far and the file's size (0 where unknown).
    ///
    /// # Errors
    /// When it cannot be opened or read to its end. What was read is counted, the summary names
    /// the failure, and other files can follow.
    pub fn read_path(
        &mut self,
        path: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), ReadError> {
        let name = path.display().to_string();
        if name == "-" {
            return self.read(&mut Counted::new(io::stdin().lock(), 0, progress), "-");
        }
        match open(path) {
            Ok((_, id, _)) if !self.seen.insert(id) => {
                self.files.push(FileSummary::skipped(&name, "given twice, read once"));
                Ok(())
            }
            Ok((file, _, size)) => self.read(&mut Counted::new(file, size, progress), &name),
            Err(source) => Err(self.fail(&name, 0, source)),
        }
    }

    /// Reads a stream to its end; gzip is recognised by its first bytes.
    ///
    /// # Errors
    /// When reading fails, for example in a gzip file that was cut. What was read is counted.
    pub fn read(&mut self, input: &mut dyn Read, name: &str) -> Result<(), ReadError> {
        let before = self.lines;
        match self.stream(input) {
            Ok(()) => {
                self.files.push(FileSummary::read(name, self.lines - before));
                Ok(())
            }
            Err(source) => Err(self.fail(name, self.lines - before, source)),
        }
    }

    /// The figures.
    #[must_use]
    pub fn finish(self) -> Summary {
        summary::summarize(self)
    }

    fn fail(&mut self, name: &str, lines: u64, source: io::Error) -> ReadError {
        self.files.push(FileSummary::failed(name, lines, &source));
        ReadError { name: name.to_owned(), source }
    }

    fn stream(&mut self, input: &mut dyn Read) -> io::Result<()> {
        let mut magic = [0; 2];
        let got = read_full(input, &mut magic)?;
        let head = io::Cursor::new(magic).take(got as u64);
        if magic == [0x1f, 0x8b] {
            self.lines_of(&mut MultiGzDecoder::new(io::BufReader::new(head.chain(input))))
        } else {
            self.lines_of(&mut head.chain(input))
        }
    }

    fn lines_of(&mut self, input: &mut dyn Read) -> io::Result<()> {
        let mut lines = Lines::default();
        let mut buffer = vec![0; 256 << 10];
        let outcome = loop {
            match input.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(size) => lines.push(&buffer[..size], |line| self.line(line)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        lines.finish(|line| self.line(line));
        outcome
    }

    fn line(&mut self, line: Line<'_>) {
        self.lines += 1;
        let parsed = match line {
            Line::Whole(line) => self.parser.parse(line),
            Line::TooLong => Err(Malformed::TooLong),
        };
        match parsed {
            Ok(record) => self.record(&record),
            Err(reason) => self.malformed[reason as usize] += 1,
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        self.groups.add(record);
        self.without_duration += u64::from(record.duration.is_none());
        for objective in &mut self.objectives {
            objective.add(record);
        }
        if let Some(number) = record.number {
            self.gaps.see(number, record.end.unwrap_or(0));
        }
        if let Some(end) = record.end {
            self.minutes.add(end, record);
            self.first = Some(self.first.map_or(end, |first| first.min(end)));
            self.last = Some(self.last.map_or(end, |last| last.max(end)));
        }
    }
}

type Opened = (File, (u64, u64), u64);

fn open(path: &Path) -> io::Result<Opened> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    let id = (metadata.dev(), metadata.ino());
    Ok((file, id, metadata.len()))
}

fn read_full(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match input.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(size) => got += size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Tells how far the reading of the file (not of what it unpacks to) has come.
struct Counted<'p, R> {
    inner: R,
    done: u64,
    size: u64,
    progress: &'p mut dyn FnMut(u64, u64),
}

impl<'p, R> Counted<'p, R> {
    fn new(inner: R, size: u64, progress: &'p mut dyn FnMut(u64, u64)) -> Self {
        Counted { inner, done: 0, size, progress }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.inner.read(buffer)?;
        self.done += size as u64;
        (self.progress)(self.done, self.size);
        Ok(size)
    }
}

#[cfg(test)]
mod tests;
