//! All silences: making, changing, expiring them, and which alerts they mute.
//!
//! The rules are Alertmanager's. A change is first worked out, then stored, then applied, so that
//! nothing stands that could be lost; an alert is matched once per silence and version, so that a
//! costly expression is never run again for a reader. It must not know how changes are stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::RETENTION;
use super::machine::Change;
use super::silence::{PostedSilence, Silence, SilenceError, SilenceState};
use crate::alert::{LabelSet, Matcher, Matchers};
use crate::clock;

/// Silences kept, expired ones included (`--silences.max-silences`).
const MAX_SILENCES: usize = 10_000;
/// Bytes of all texts of one silence (`--silences.max-silence-size-bytes`).
const MAX_SIZE: usize = 64 << 10;
/// Matchers of one silence.
const MAX_MATCHERS: usize = 64;

/// A change that is worked out but does not stand yet.
#[derive(Clone, Debug)]
pub struct SilenceChange {
    /// The silence to answer with.
    pub(super) id: String,
    /// The silences as they will be: the new or changed one, and one it replaces.
    pub(super) silences: Vec<Arc<Silence>>,
}

impl SilenceChange {
    /// The id of the silence that was asked for.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What must be stored before the change may stand.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        self.silences.iter().cloned().map(Change::Silence).collect()
    }
}

/// The silences whose matchers an alert satisfies, as of a version.
#[derive(Debug, Default)]
pub(super) struct Matched {
    version: u64,
    ids: Vec<String>,
}

#[derive(Debug)]
struct Known {
    silence: Arc<Silence>,
    version: u64,
}

/// All silences that are known.
#[derive(Debug, Default)]
pub(super) struct Silences {
    known: HashMap<String, Known>,
    /// Which silence got which version: what is new to an alert is found without looking at all.
    versions: BTreeMap<u64, String>,
    version: u64,
}

impl Silences {
    /// Works out what posting a silence changes; `new_id` is used when it becomes a new one.
    pub(super) fn set(
        &self,
        posted: PostedSilence,
        new_id: String,
        now: Timestamp,
    ) -> Result<SilenceChange, SilenceError> {
        check(&posted, now)?;
        let known = if posted.id.is_empty() { None } else { Some(self.get(&posted.id)?) };
        let mut silence = Silence {
            id: posted.id,
            matchers: posted.matchers,
            starts_at: posted.starts_at,
            ends_at: posted.ends_at,
            updated_at: now,
            created_by: posted.created_by,
            comment: posted.comment,
            annotations: posted.annotations,
        };
        if known.is_some_and(|known| may_change(known, &silence, now)) {
            return Ok(SilenceChange { id: silence.id.clone(), silences: vec![silence.into()] });
        }
        let count = self.known.len();
        if count >= MAX_SILENCES {
            let what = format!("exceeded maximum number of silences: {count} (limit: {count})");
            return Err(SilenceError::Full(what));
        }
        let replaced = known.filter(|known| known.state(now) != SilenceState::Expired);
        let replaced = replaced.map(|known| Arc::new(expired(known, now)));
        silence.starts_at = silence.starts_at.max(now);
        silence.id = new_id;
        let id = silence.id.clone();
        Ok(SilenceChange { id, silences: replaced.into_iter().chain([silence.into()]).collect() })
    }

    /// Works out what expiring a silence changes; nothing when it is over already.
    pub(super) fn expire(&self, id: &str, now: Timestamp) -> Result<SilenceChange, SilenceError> {
        let known = self.get(id)?;
        let over = known.state(now) == SilenceState::Expired;
        let silences = if over { Vec::new() } else { vec![Arc::new(expired(known, now))] };
        Ok(SilenceChange { id: id.to_owned(), silences })
    }

    /// Takes a silence in its latest state.
    pub(super) fn apply(&mut self, silence: Arc<Silence>) {
        self.version += 1;
        let id = silence.id.clone();
        self.versions.insert(self.version, id.clone());
        let known = Known { silence, version: self.version };
        if let Some(old) = self.known.insert(id, known) {
            self.versions.remove(&old.version);
        }
    }

    /// Forgets silences that ended `RETENTION` ago; says whether there were any.
    pub(super) fn collect(&mut self, now: Timestamp) -> bool {
        let before = self.known.len();
        let kept = |known: &Known| clock::add(known.silence.ends_at, RETENTION) > now;
        self.known.retain(|_, known| kept(known));
        self.versions.retain(|_, id| self.known.contains_key(id));
        self.known.len() < before
    }

    /// Ids of the active silences that mute an alert; `matched` is what was found before.
    pub(super) fn muting(
        &self,
        labels: &LabelSet,
        matched: &mut Matched,
        now: Timestamp,
    ) -> Vec<String> {
        self.update(labels, matched, now);
        matched.ids.iter().filter(|id| self.is_active(id, now)).cloned().collect()
    }

    /// Whether any active silence mutes an alert.
    pub(super) fn is_muting(
        &self,
        labels: &LabelSet,
        matched: &mut Matched,
        now: Timestamp,
    ) -> bool {
        self.update(labels, matched, now);
        matched.ids.iter().any(|id| self.is_active(id, now))
    }

    fn is_active(&self, id: &str, now: Timestamp) -> bool {
        let known = self.known.get(id);
        known.is_some_and(|known| known.silence.state(now) == SilenceState::Active)
    }

    fn update(&self, labels: &LabelSet, matched: &mut Matched, now: Timestamp) {
        if matched.version == self.version {
            return;
        }
        for id in self.versions.range(matched.version + 1..).map(|(_, id)| id) {
            matched.ids.retain(|known| known != id);
            // Nothing wakes a silence that has expired, so it need not be matched.
            let living = self.known.get(id).filter(|k| k.silence.ends_at > now);
            if living.is_some_and(|known| known.silence.matchers.matches(labels)) {
                matched.ids.push(id.clone());
            }
        }
        matched.ids.sort_unstable();
        matched.version = self.version;
    }

    /// The next time after `now` at which a silence begins or ends.
    pub(super) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let times = self.known.values().flat_map(|k| [k.silence.starts_at, k.silence.ends_at]);
        times.filter(|time| *time > now).min()
    }

    /// How many there are in a state.
    pub(super) fn count(&self, state: SilenceState, now: Timestamp) -> usize {
        self.known.values().filter(|known| known.silence.state(now) == state).count()
    }

    /// All of them in the order of the API: active by end, pending by start, expired by end,
    /// newest first.
    pub(super) fn all(&self, now: Timestamp) -> Vec<Arc<Silence>> {
        let mut all: Vec<_> = self.known.values().map(|known| known.silence.clone()).collect();
        all.sort_by_cached_key(|silence| {
            let (rank, time) = match silence.state(now) {
                SilenceState::Active => (0, silence.ends_at.as_nanosecond()),
                SilenceState::Pending => (1, silence.starts_at.as_nanosecond()),
                SilenceState::Expired => (2, -silence.ends_at.as_nanosecond()),
            };
            (rank, time, silence.id.clone())
        });
        all
    }

    fn get(&self, id: &str) -> Result<&Silence, SilenceError> {
        let known = self.known.get(id).map(|known| known.silence.as_ref());
        known.ok_or_else(|| SilenceError::NotFound(id.chars().take(64).collect()))
    }
}

fn check(posted: &PostedSilence, now: Timestamp) -> Result<(), SilenceError> {
    let invalid = |what: &str| Err(SilenceError::Invalid(what.into()));
    let matchers = &posted.matchers.0;
    if matchers.is_empty() {
        return invalid("at least one matcher required");
    }
    if matchers.len() > MAX_MATCHERS {
        return invalid("more than 64 matchers");
    }
    if matchers.iter().all(|matcher| matcher.matches("")) {
        return invalid("at least one matcher must not match the empty string");
    }
    if posted.starts_at >= posted.ends_at {
        return invalid("start time must be before end time");
    }
    if posted.ends_at < now {
        return invalid("end time can't be in the past");
    }
    let size = size(posted);
    if size > MAX_SIZE {
        return Err(SilenceError::Invalid(format!(
            "silence exceeded maximum size: {size} bytes (limit: {MAX_SIZE} bytes)"
        )));
    }
    Ok(())
}

fn size(posted: &PostedSilence) -> usize {
    let matchers = posted.matchers.0.iter().map(|m| m.name().len() + m.value().len());
    let annotations = posted.annotations.iter().map(|(name, value)| name.len() + value.len());
    matchers.chain(annotations).sum::<usize>() + posted.comment.len() + posted.created_by.len()
}

fn sorted(matchers: &Matchers) -> Vec<&Matcher> {
    let mut sorted: Vec<_> = matchers.0.iter().collect();
    sorted.sort();
    sorted
}

/// Whether `new` may take the place of `old` under the same id (Alertmanager `canUpdate`).
fn may_change(old: &Silence, new: &Silence, now: Timestamp) -> bool {
    let times_allow = match old.state(now) {
        SilenceState::Active => {
            new.starts_at.as_second() == old.starts_at.as_second() && new.ends_at >= now
        }
        SilenceState::Pending => new.starts_at >= now,
        SilenceState::Expired => false,
    };
    times_allow && sorted(&old.matchers) == sorted(&new.matchers)
}

fn expired(silence: &Silence, now: Timestamp) -> Silence {
    Silence {
        starts_at: silence.starts_at.min(now),
        ends_at: now,
        updated_at: now,
        ..silence.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn posted(id: &str, matchers: &str, starts: i64, ends: i64) -> PostedSilence {
        PostedSilence {
            id: id.into(),
            matchers: Matchers::parse(matchers).unwrap(),
            starts_at: at(starts),
            ends_at: at(ends),
            created_by: "me".into(),
            comment: "why".into(),
            annotations: LabelSet::default(),
        }
    }

    fn set(silences: &mut Silences, posted: PostedSilence, new_id: &str, now: i64) -> String {
        let change = silences.set(posted, new_id.into(), at(now)).unwrap();
        change.silences.into_iter().for_each(|silence| silences.apply(silence));
        change.id
    }

    fn states(silences: &Silences, now: i64) -> Vec<(String, SilenceState)> {
        silences.all(at(now)).iter().map(|s| (s.id.clone(), s.state(at(now)))).collect()
    }

    use SilenceState::{Active, Expired, Pending};

    #[test]
    fn an_active_silence_is_changed_in_place_or_replaced() {
        let mut all = Silences::default();
        assert_eq!(set(&mut all, posted("", "a=b", 0, 100), "1", 10), "1");
        assert_eq!(all.get("1").unwrap().starts_at, at(10), "the past becomes now");
        assert_eq!(set(&mut all, posted("1", "a=b", 10, 200), "2", 20), "1");
        assert_eq!(all.get("1").unwrap().ends_at, at(200));
        assert_eq!(set(&mut all, posted("1", "a=c", 10, 200), "2", 30), "2");
        assert_eq!(states(&all, 30), [("2".into(), Active), ("1".into(), Expired)]);
        assert_eq!(set(&mut all, posted("2", "a=c", 99, 200), "3", 30), "3", "other start");
    }

    #[test]
    fn pending_and_expired_silences() {
        let mut all = Silences::default();
        set(&mut all, posted("", "a=b", 50, 100), "1", 10);
        assert_eq!(states(&all, 10), [("1".into(), Pending)]);
        assert_eq!(set(&mut all, posted("1", "a=b", 60, 100), "2", 10), "1");
        assert_eq!(
            (all.next_change(at(10)), all.next_change(at(60))),
            (Some(at(60)), Some(at(100)))
        );
        let change = all.expire("1", at(20)).unwrap();
        assert_eq!((change.silences[0].starts_at, change.silences[0].ends_at), (at(20), at(20)));
        all.apply(change.silences[0].clone());
        assert!(all.expire("1", at(21)).unwrap().silences.is_empty(), "expiring twice is no error");
        assert_eq!(set(&mut all, posted("1", "a=b", 30, 100), "2", 30), "2");
        assert!(matches!(all.expire("9", at(0)), Err(SilenceError::NotFound(_))));
        assert!(all.collect(at(20 + 120 * 3600)) && all.get("1").is_err());
        assert_eq!(all.count(Active, at(31)), 1);
    }

    #[test]
    fn impossible_silences_are_refused() {
        let all = Silences::default();
        for (silence, expected) in [
            (posted("", "", 0, 9), "at least one matcher required"),
            (posted("", "a=~.*", 0, 9), "must not match the empty string"),
            (posted("", "a=b", 9, 9), "start time must be before end time"),
            (posted("", "a=b", 0, 4), "end time can't be in the past"),
            (posted("x", "a=b", 0, 9), "silence x not found"),
            (
                PostedSilence { comment: "x".repeat(70_000), ..posted("", "a=b", 0, 9) },
                "exceeded maximum size",
            ),
        ] {
            let error = all.set(silence, "1".into(), at(5)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut all = Silences::default();
        for n in 0..MAX_SILENCES {
            set(&mut all, posted("", "a=b", 0, 100), &n.to_string(), 0);
        }
        let full = all.set(posted("", "a=b", 0, 100), "more".into(), at(0));
        assert!(matches!(full, Err(SilenceError::Full(_))));
        assert_eq!(set(&mut all, posted("7", "a=b", 0, 200), "more", 0), "7", "a change is none");
    }

    #[test]
    fn an_alert_is_matched_once_per_silence_and_version() {
        let mut all = Silences::default();
        let mut matched = Matched::default();
        let labels = LabelSet::new([("a", "b")]);
        set(&mut all, posted("", "a=b", 0, 100), "1", 0);
        set(&mut all, posted("", "a=c", 0, 100), "2", 0);
        assert_eq!(all.muting(&labels, &mut matched, at(0)), ["1"]);
        let version = matched.version;
        set(&mut all, posted("", "a=~b", 50, 100), "3", 10);
        assert_eq!(all.muting(&labels, &mut matched, at(10)), ["1"], "3 is pending");
        assert!(matched.version > version);
        assert_eq!(all.muting(&labels, &mut matched, at(50)), ["1", "3"]);
        set(&mut all, posted("1", "a=x", 0, 200), "4", 60);
        assert_eq!(all.muting(&labels, &mut matched, at(60)), ["3"]);
        assert!(all.muting(&labels, &mut matched, at(100)).is_empty());
    }
}
