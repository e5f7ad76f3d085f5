//! Groups of processes of one name, and what their processes used since they were first seen.
//!
//! A group's counters are sums of steps: what a process used stays in them when it ends. When all places are
//! taken, a name takes that of a group without processes, else it goes into the group of the others. It must
//! not know where processes are read.

use std::collections::HashMap;

use procfs::process::Stat;

/// The name of the group of all names that have none of their own.
pub(super) const OTHER: &str = "other";

/// What a process used: user ticks, system ticks, minor faults, major faults.
pub(super) type Counts = [u64; 4];

/// The words process-exporter has for states; what is none of the first four is the last.
pub(super) const STATES: [&str; 5] = ["Running", "Sleeping", "Waiting", "Zombie", "Other"];

/// A process as it was just read.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) name: String,
    /// Ticks between boot and its start; with the number it identifies a process.
    pub(super) start: u64,
    pub(super) counts: Counts,
    pub(super) figures: Figures,
}

/// What a process has, or the processes of a group together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) processes: u64,
    pub(super) threads: u64,
    pub(super) resident_pages: u64,
    pub(super) virtual_bytes: u64,
    /// Of those processes that could be asked; none if there is no such process.
    pub(super) open_files: Option<u64>,
    /// The earliest start.
    pub(super) oldest: Option<u64>,
    /// By position in [`STATES`].
    pub(super) states: [u64; STATES.len()],
}

impl Seen {
    pub(super) fn new(stat: Stat, open_files: Option<u64>) -> Self {
        let mut states = [0; STATES.len()];
        let state = ['R', 'S', 'D', 'Z'].iter().position(|&state| state == stat.state);
        states[state.unwrap_or(STATES.len() - 1)] = 1;
        Seen {
            start: stat.starttime,
            counts: [stat.utime, stat.stime, stat.minflt, stat.majflt],
            figures: Figures {
                processes: 1,
                threads: u64::try_from(stat.num_threads).unwrap_or_default(),
                resident_pages: stat.rss,
                virtual_bytes: stat.vsize,
                open_files,
                oldest: Some(stat.starttime),
                states,
            },
            name: stat.comm,
        }
    }
}

impl Figures {
    fn add(&mut self, other: &Figures) {
        self.processes += other.processes;
        self.threads = self.threads.saturating_add(other.threads);
        self.resident_pages = self.resident_pages.saturating_add(other.resident_pages);
        self.virtual_bytes = self.virtual_bytes.saturating_add(other.virtual_bytes);
        self.open_files = match (self.open_files, other.open_files) {
            (Some(ours), Some(theirs)) => Some(ours.saturating_add(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
        for (sum, &more) in self.states.iter_mut().zip(&other.states) {
            *sum += more;
        }
    }
}

/// The processes of one name.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) counts: Counts,
    pub(super) figures: Figures,
    /// Processes that were not seen to end; of a group without any the place may be taken.
    members: usize,
}

/// A process that was seen at the last reading.
#[derive(Debug)]
struct Member {
    name: String,
    start: u64,
    counts: Counts,
    place: usize,
    seen: bool,
}

/// All groups: the first is that of the others, then one for each name.
#[derive(Debug)]
pub(super) struct Groups {
    most: usize,
    groups: Vec<Group>,
    places: HashMap<String, usize>,
    members: HashMap<u32, Member>,
    overflowed: bool,
}

/// The place of the others.
const OTHERS: usize = 0;

impl Groups {
    /// At most `most` names have groups of their own.
    pub(super) fn new(most: usize) -> Self {
        Groups {
            most,
            groups: vec![Group { name: OTHER.to_owned(), ..Group::default() }],
            places: HashMap::from([(OTHER.to_owned(), OTHERS)]),
            members: HashMap::new(),
            overflowed: false,
        }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Whether there ever were more names than groups.
    pub(super) fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// The groups in the order of their places; that of the others only if it ever had a process.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        let is_used = |group: &&Group| group.members > 0 || group.counts != Counts::default();
        let (others, named) = self.groups.split_at(1);
        others.iter().filter(is_used).chain(named)
    }

    /// Begins a reading; processes that it does not meet have ended.
    pub(super) fn reading(&mut self) -> Reading<'_> {
        for group in &mut self.groups {
            group.figures = Figures::default();
        }
        Reading(self)
    }

    /// The place of a name.
    fn place(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let is_free = |group: &Group| group.members == 0 && group.figures.processes == 0;
        let group = Group { name: name.to_owned(), ..Group::default() };
        let place = self.groups.len();
        if place <= self.most {
            self.groups.push(group);
            self.places.insert(name.to_owned(), place);
            return place;
        }
        let free = self.groups.iter().skip(1).position(is_free).map(|index| index + 1);
        match free.and_then(|place| Some((place, self.groups.get_mut(place)?))) {
            Some((place, ended)) => {
                self.places.remove(&ended.name);
                self.places.insert(name.to_owned(), place);
                *ended = group;
                place
            }
            None => {
                self.overflowed = true;
                OTHERS
            }
        }
    }
}

/// A reading under way.
pub(super) struct Reading<'a>(&'a mut Groups);

impl Reading<'_> {
    /// Adds what a process used since the last reading to the group of its name. A process met for the first time
    /// used all it has; one that took another name used what it had under the old one.
    pub(super) fn see(&mut self, process: u32, seen: Seen) {
        let before = self.0.members.remove(&process).filter(|member| member.start == seen.start);
        let used = before.as_ref().map_or(Counts::default(), |member| member.counts);
        let place = match &before {
            Some(member) if member.name == seen.name => member.place,
            _ => self.0.place(&seen.name),
        };
        let counts = std::array::from_fn(|i| seen.counts[i].max(used[i]));
        if let Some(group) = self.0.groups.get_mut(place) {
            group.figures.add(&seen.figures);
            for (i, sum) in group.counts.iter_mut().enumerate() {
                *sum = sum.saturating_add(counts[i] - used[i]);
            }
        }
        let member = Member { name: seen.name, start: seen.start, counts, place, seen: true };
        self.0.members.insert(process, member);
    }

    /// A process that is there and cannot be read: what it used is known when it can be again.
    pub(super) fn keep(&mut self, process: u32) {
        if let Some(member) = self.0.members.get_mut(&process) {
            member.seen = true;
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let Groups { groups, members, .. } = &mut *self.0;
        members.retain(|_, member| std::mem::take(&mut member.seen));
        for group in groups.iter_mut() {
            group.members = 0;
        }
        for member in members.values() {
            if let Some(group) = groups.get_mut(member.place) {
                group.members += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(name: &str, start: u64, used: u64) -> Seen {
        let figures = Figures {
            processes: 1,
            threads: 2,
            resident_pages: 10,
            virtual_bytes: 4096,
            open_files: Some(3),
            oldest: Some(start),
            states: [0, 1, 0, 0, 0],
        };
        Seen { name: name.to_owned(), start, counts: [used, 0, 0, 0], figures }
    }

    fn read(groups: &mut Groups, processes: &[(u32, &str, u64, u64)]) {
        let mut reading = groups.reading();
        for &(process, name, start, used) in processes {
            reading.see(process, seen(name, start, used));
        }
    }

    /// `name=processes/used` of every group.
    fn shown(groups: &Groups) -> String {
        let groups = groups.iter();
        let shown = groups.map(|g| format!("{}={}/{}", g.name, g.figures.processes, g.counts[0]));
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_group_keeps_what_its_ended_processes_used() {
        let mut groups = Groups::new(10);
        read(&mut groups, &[(1, "a", 5, 100), (2, "a", 6, 50), (3, "b", 7, 1)]);
        assert_eq!(shown(&groups), "a=2/150 b=1/1");
        read(&mut groups, &[(1, "a", 5, 110)]);
        assert_eq!(shown(&groups), "a=1/160 b=0/1");
        read(&mut groups, &[]);
        assert_eq!(shown(&groups), "a=0/160 b=0/1");
    }

    #[test]
    fn a_number_that_is_used_again_is_another_process() {
        let mut groups = Groups::new(10);
        read(&mut groups, &[(1, "a", 5, 100)]);
        read(&mut groups, &[(1, "a", 9, 7)]);
        assert_eq!(shown(&groups), "a=1/107");
    }

    #[test]
    fn a_process_that_takes_another_name_takes_what_comes_along() {
        let mut groups = Groups::new(10);
        read(&mut groups, &[(1, "sh", 5, 100)]);
        read(&mut groups, &[(1, "nginx", 5, 130)]);
        assert_eq!(shown(&groups), "sh=0/100 nginx=1/30");
    }

    #[test]
    fn a_process_that_cannot_be_read_is_not_counted_twice() {
        let mut groups = Groups::new(10);
        read(&mut groups, &[(1, "a", 5, 100)]);
        groups.reading().keep(1);
        read(&mut groups, &[(1, "a", 5, 101)]);
        assert_eq!(shown(&groups), "a=1/101");
    }

    #[test]
    fn names_beyond_the_bound_are_summed() {
        let mut groups = Groups::new(2);
        read(&mut groups, &[(1, "a", 5, 1), (2, "b", 5, 2)]);
        assert!(!groups.overflowed());
        read(&mut groups, &[(1, "a", 5, 1), (2, "b", 5, 2), (3, "c", 5, 3), (4, "d", 5, 4)]);
        assert_eq!(shown(&groups), "other=2/7 a=1/1 b=1/2");
        assert!(groups.overflowed());
        read(&mut groups, &[(1, "a", 5, 1), (3, "c", 5, 13)]);
        assert_eq!(shown(&groups), "other=1/17 a=1/1 b=0/2", "c stays where it was");
        read(&mut groups, &[(1, "a", 5, 1), (5, "e", 9, 5)]);
        assert_eq!(shown(&groups), "other=0/17 a=1/1 e=1/5", "e has the place of b, which ended");
        assert_eq!((groups.members.len(), groups.places.len()), (2, 3));
    }

    #[test]
    fn a_process_named_like_the_others_is_one_of_them() {
        let mut groups = Groups::new(2);
        read(&mut groups, &[(1, "other", 5, 1)]);
        assert_eq!(shown(&groups), "other=1/1");
        assert!(!groups.overflowed());
    }

    #[test]
    fn figures_are_sums() {
        let mut groups = Groups::new(2);
        let mut reading = groups.reading();
        reading.see(1, seen("a", 5, 1));
        let mut foreign = seen("a", 3, 1);
        foreign.figures.open_files = None;
        reading.see(2, foreign);
        drop(reading);
        let figures = &groups.iter().next().unwrap().figures;
        assert_eq!((figures.processes, figures.threads, figures.resident_pages), (2, 4, 20));
        assert_eq!((figures.open_files, figures.oldest), (Some(3), Some(3)));
        assert_eq!(figures.states, [0, 2, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn no_counter_falls_and_nothing_is_lost(
            readings in proptest::collection::vec(
                proptest::collection::btree_map(0..6u32, ("[a-c]", 0..2u64, 0..100u64), 0..6), 1..8),
        ) {
            let mut groups = Groups::new(3);
            let mut before: HashMap<String, u64> = HashMap::new();
            for processes in readings {
                let mut reading = groups.reading();
                for (process, (name, start, used)) in &processes {
                    reading.see(*process, seen(name, *start, *used));
                }
                drop(reading);
                let now: HashMap<_, _> = groups.iter().map(|g| (g.name.clone(), g.counts[0])).collect();
                for (name, used) in &before {
                    prop_assert!(now.get(name).is_some_and(|now| now >= used), "{name}: {before:?} {now:?}");
                }
                let alive: u64 = groups.iter().map(|group| group.figures.processes).sum();
                prop_assert_eq!(alive, processes.len() as u64);
                before = now;
            }
        }
    }
}
