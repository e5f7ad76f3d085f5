//! A log under every kind of rotation, and a model that says what must be counted.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A writer, a log directory and a follower, which may crash.
struct World {
    dir: TempDir,
    writer: File,
    /// Lines completed by the writer.
    written: Vec<String>,
    half: bool,
    tail: Tail,
    seen: Vec<String>,
    stored: (Checkpoint, Vec<String>),
    now: i64,
    rotations: Vec<Rotation>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let tail = Tail::new(&path, Start::Beginning);
        let stored = (tail.checkpoint(), Vec::new());
        let mut world = World {
            writer: open(&path),
            dir,
            written: Vec::new(),
            half: false,
            tail,
            seen: Vec::new(),
            stored,
            now: 1,
            rotations: Vec::new(),
        };
        // What stood there before the first look is not ours to count.
        world.drain();
        world.store();
        world
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    fn write(&mut self, lines: usize) {
        self.end_half();
        for _ in 0..lines {
            let line = format!("line {}", self.written.len());
            writeln!(self.writer, "{line}").unwrap();
            self.written.push(line);
        }
    }

    fn write_half(&mut self) {
        self.end_half();
        write!(self.writer, "line {}", self.written.len()).unwrap();
        self.half = true;
    }

    fn end_half(&mut self) {
        if std::mem::take(&mut self.half) {
            self.writer.write_all(b"\n").unwrap();
            self.written.push(format!("line {}", self.written.len()));
        }
    }

    /// Moves the files up by one, as logrotate does, keeping five.
    fn shift(&self) {
        for n in (1..20).rev() {
            let from = self.dir.path().join(format!("access.log.{n}"));
            if from.exists() {
                fs::rename(from, self.dir.path().join(format!("access.log.{}", n + 1))).unwrap();
            }
        }
    }

    fn rename(&mut self) {
        if self.path().exists() {
            self.shift();
            fs::rename(self.path(), self.dir.path().join("access.log.1")).unwrap();
        }
    }

    fn reopen(&mut self) {
        self.end_half();
        self.writer = open(&self.path());
    }

    fn copytruncate(&mut self) {
        self.end_half();
        self.reopen();
        self.shift();
        fs::copy(self.path(), self.dir.path().join("access.log.1")).unwrap();
        self.writer.set_len(0).unwrap();
    }

    fn step(&mut self, budget: usize) -> bool {
        self.now += 1_000;
        let seen = &mut self.seen;
        let (step, outcome) = self.tail.step(self.now, budget, &mut |line| match line {
            Line::Whole(line) => seen.push(String::from_utf8(line.to_vec()).unwrap()),
            Line::TooLong => panic!("no such line was written"),
        });
        outcome.unwrap();
        self.rotations.extend(step.rotations);
        step.at_end
    }

    fn store(&mut self) {
        // Through JSON, as it is stored.
        let text = serde_json::to_string(&self.tail.checkpoint()).unwrap();
        self.stored = (serde_json::from_str(&text).unwrap(), self.seen.clone());
    }

    /// Everything since the last store is forgotten.
    fn crash(&mut self) {
        self.tail = Tail::new(&self.path(), Start::Beginning);
        self.seen = self.stored.1.clone();
        let lost = self.tail.restore(self.stored.0.clone());
        assert_eq!(lost, []);
    }

    fn drain(&mut self) {
        while !self.step(1 << 20) {}
    }

    fn assert_complete(&mut self) {
        self.end_half();
        self.drain();
        self.drain();
        let mut seen = self.seen.clone();
        seen.sort_by_key(|line| line[5..].parse::<u64>().unwrap());
        assert_eq!(seen, self.written);
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).read(true).open(path).unwrap()
}

#[test]
fn a_renamed_file_is_read_until_the_writer_leaves_it() {
    let mut world = World::new();
    world.write(3);
    world.drain();
    world.rename();
    world.drain();
    world.write(2);
    world.drain();
    assert_eq!((world.seen.len(), world.tail.is_present()), (5, false));
    // A new file that nobody writes to yet: the old one stays open for as long as it takes.
    File::create(world.path()).unwrap();
    world.drain();
    world.now += 10 * GRACE;
    world.write(1);
    world.assert_complete();
    world.reopen();
    world.write(1);
    world.assert_complete();
    assert_eq!(world.rotations, [Rotation::Rename]);
    world.now += GRACE;
    world.drain();
    assert!(world.tail.old.is_empty(), "closed once its successor was written to");
}

#[test]
fn a_copy_has_what_was_cut_off_unread() {
    let mut world = World::new();
    world.write(3);
    world.drain();
    world.write(4);
    world.copytruncate();
    world.write(2);
    world.assert_complete();
    assert_eq!(world.rotations, [Rotation::Truncate]);
    // Refilled beyond where we were: the size alone does not show it.
    world.copytruncate();
    world.write(50);
    world.assert_complete();
    assert_eq!(world.rotations, [Rotation::Truncate; 2]);
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut world = World::new();
    world.write(3);
    world.drain();
    world.write(1);
    fs::remove_file(world.path()).unwrap();
    world.reopen();
    world.write(2);
    world.assert_complete();
    assert_eq!(world.rotations, [Rotation::Delete]);
}

#[test]
fn several_rotations_while_down_lose_nothing() {
    let mut world = World::new();
    world.write(3);
    world.write_half();
    world.drain();
    world.store();
    for _ in 0..3 {
        world.write(2);
        world.rename();
        world.reopen();
    }
    world.write(1);
    world.crash();
    world.assert_complete();
}

#[test]
fn another_device_or_inode_is_the_same_file_if_it_begins_alike() {
    for key in ["dev", "ino"] {
        let mut world = World::new();
        world.write(3);
        world.drain();
        world.store();
        let mut stored = serde_json::to_value(&world.stored.0).unwrap();
        stored["places"][0][key] = 1_234_567.into();
        world.stored.0 = serde_json::from_value(stored).unwrap();
        world.write(2);
        world.crash();
        world.assert_complete();
    }
}

#[test]
fn a_file_that_is_gone_is_told() {
    let mut world = World::new();
    world.write(3);
    world.drain();
    world.store();
    fs::remove_file(world.path()).unwrap();
    world.reopen();
    world.write(1);
    world.tail = Tail::new(&world.path(), Start::Beginning);
    let lost = world.tail.restore(world.stored.0.clone());
    assert_eq!(lost.iter().map(|place| place.offset).collect::<Vec<_>>(), [21]);
    world.drain();
    assert_eq!(world.seen.len(), 4, "the new file is read from its beginning");
}

#[test]
fn the_end_is_a_start_for_the_first_file_only() {
    let mut world = World::new();
    world.write(5);
    world.tail = Tail::new(&world.path(), Start::End);
    world.drain();
    world.write(1);
    world.rename();
    world.reopen();
    world.write(1);
    world.drain();
    assert_eq!(world.seen, ["line 5", "line 6"]);
}

#[test]
fn what_is_no_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut tail = Tail::new(dir.path(), Start::Beginning);
    let (_, outcome) = tail.step(1, 1 << 20, &mut |_| ());
    assert_eq!(outcome.unwrap_err().to_string(), "it is a directory");
    let mut tail = Tail::new(Path::new("/dev/zero"), Start::Beginning);
    assert!(tail.step(1, 1 << 20, &mut |_| ()).1.is_err());
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Write(usize),
    WriteHalf,
    Rename,
    Reopen,
    CopyTruncate,
    Step(usize),
    Store,
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..6_usize).prop_map(Op::Write),
        2 => Just(Op::WriteHalf),
        1 => Just(Op::Rename),
        1 => Just(Op::Reopen),
        1 => Just(Op::CopyTruncate),
        4 => (1..64_usize).prop_map(Op::Step),
        1 => Just(Op::Store),
        1 => Just(Op::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn every_line_is_counted_exactly_once(ops in proptest::collection::vec(op(), 1..40)) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Write(lines) => world.write(lines),
                Op::WriteHalf => world.write_half(),
                Op::Rename => world.rename(),
                Op::Reopen => world.reopen(),
                Op::CopyTruncate => world.copytruncate(),
                Op::Step(budget) => { world.step(budget); }
                Op::Store => world.store(),
                Op::Crash => world.crash(),
            }
        }
        world.assert_complete();
    }
}
