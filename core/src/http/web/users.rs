//! `basic_auth_users`: who may come in, by bcrypt hashes.
//!
//! bcrypt is slow on purpose, so it runs on few threads beside the server and what it has found
//! right is remembered. An unknown user costs the same time as a known one. It must not know what is
//! behind the door.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bcrypt::HashParts;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

use crate::config::Secret;

/// Hashes computed at once: each takes a whole core for as long as it lasts.
const WORKERS: usize = 2;
/// Logins that may wait for a worker; a flood of wrong passwords is refused beyond.
const WAITING: usize = 64;
/// Right credentials that are remembered.
const REMEMBERED: usize = 256;
/// More would keep a core busy for minutes; 2^20 rounds take about a minute.
const MOST_COST: u32 = 20;
/// Stands in for the hash of an unknown user, behind `$2b$` and the cost.
const NOBODY: &str = ".....................................................";

/// The users of one configuration file; what is remembered is forgotten with it.
pub(super) struct Users {
    hashes: HashMap<String, Secret>,
    /// The costs that occur, each once: an unknown user gets one of them.
    costs: Vec<u32>,
    seed: RandomState,
    salt: [u8; 32],
    right: Mutex<Remembered>,
    workers: Arc<Semaphore>,
    waiting: Semaphore,
}

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// Come in.
    Granted,
    /// No credentials, or wrong ones.
    Refused,
    /// Too many are trying.
    Busy,
}

impl Users {
    /// No users: everybody comes in.
    pub(super) fn new() -> Self {
        let mut salt = [0; 32];
        // Without random bytes the digests are still no passwords, only not salted.
        let _ = SystemRandom::new().fill(&mut salt);
        Users {
            hashes: HashMap::new(),
            costs: Vec::new(),
            seed: RandomState::new(),
            salt,
            right: Mutex::default(),
            workers: Arc::new(Semaphore::new(WORKERS)),
            waiting: Semaphore::new(WAITING + WORKERS),
        }
    }

    /// Adds a user.
    ///
    /// # Errors
    /// When the text is no bcrypt hash, or one that takes minutes; the hash is not repeated.
    pub(super) fn add(&mut self, name: &str, hash: Secret) -> Result<(), String> {
        let parts: HashParts =
            hash.expose().parse().map_err(|_| "this is no bcrypt hash".to_owned())?;
        let cost = parts.get_cost();
        if !(4..=MOST_COST).contains(&cost) {
            return Err(format!("the cost of a bcrypt hash goes from 4 to {MOST_COST} here"));
        }
        if !self.costs.contains(&cost) {
            self.costs.push(cost);
        }
        self.hashes.insert(name.to_owned(), hash);
        Ok(())
    }

    /// Whether anybody has to say who he is.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Judges the value of an `Authorization` header.
    pub(super) async fn login(&self, authorization: &[u8]) -> Login {
        let Some((name, password)) = credentials(authorization) else { return Login::Refused };
        let known = std::str::from_utf8(&name).ok().and_then(|name| self.hashes.get(name));
        let hash = known.map_or_else(|| self.nobody(&name), Secret::clone);
        let digest = self.digest(&[&name, hash.expose().as_bytes(), &password]);
        if known.is_some() && self.remembered().holds(&digest) {
            return Login::Granted;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Login::Busy };
        // Workers are never closed; the permit goes with the thread, which a client that leaves does
        // not end.
        let Ok(permit) = self.workers.clone().acquire_owned().await else { return Login::Busy };
        let verified = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            bcrypt::verify(&password, hash.expose()).unwrap_or(false)
        });
        if !verified.await.unwrap_or(false) || known.is_none() {
            return Login::Refused;
        }
        self.remembered().keep(digest);
        Login::Granted
    }

    /// A hash that fits no password, as costly as those of the users. The same unknown name gets the
    /// same cost each time, as a user would.
    fn nobody(&self, name: &[u8]) -> Secret {
        let pick = usize::try_from(self.seed.hash_one(name)).unwrap_or(0);
        let cost = self.costs.get(pick % self.costs.len().max(1)).copied().unwrap_or(10);
        Secret::new(format!("$2b${cost:02}${NOBODY}"))
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.salt);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.finish().as_ref().try_into().unwrap_or_default()
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} users", self.hashes.len())
    }
}

/// Digests of credentials that were right, the oldest forgotten first.
#[derive(Default)]
struct Remembered {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Remembered {
    fn holds(&self, digest: &[u8; 32]) -> bool {
        self.known.contains(digest)
    }

    fn keep(&mut self, digest: [u8; 32]) {
        if !self.known.insert(digest) {
            return;
        }
        self.order.push_back(digest);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// Name and password of `Basic BASE64(NAME:PASSWORD)` (RFC 7617, section 2).
fn credentials(authorization: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut name = BASE64_STANDARD.decode(encoded).ok()?;
    let colon = name.iter().position(|&byte| byte == b':')?;
    let password = name.split_off(colon + 1);
    name.pop();
    Some((name, password))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn users(of: &[(&str, &str, u32)]) -> Users {
        let mut users = Users::new();
        for (name, password, cost) in of {
            let hash = bcrypt::hash(password, *cost).unwrap();
            users.add(name, Secret::new(hash)).unwrap();
        }
        users
    }

    fn basic(name: &str, password: &str) -> Vec<u8> {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}"))).into_bytes()
    }

    #[tokio::test]
    async fn who_knows_the_password_comes_in() {
        let users = users(&[("alice", "hunter2", 4), ("bob", "correct:horse", 5), ("", "x", 4)]);
        for (name, password, expected) in [
            ("alice", "hunter2", Login::Granted),
            ("alice", "hunter2", Login::Granted),
            ("bob", "correct:horse", Login::Granted),
            ("", "x", Login::Granted),
            ("alice", "correct:horse", Login::Refused),
            ("alice", "", Login::Refused),
            ("Alice", "hunter2", Login::Refused),
            ("carol", "hunter2", Login::Refused),
            ("carol", "fakepassword", Login::Refused),
        ] {
            assert_eq!(users.login(&basic(name, password)).await, expected, "{name}");
        }
        assert_eq!(users.remembered().order.len(), 3, "only what was right is remembered");
        for strange in [&b""[..], b"Basic", b"Basic ", b"Basic ?", b"Bearer x", b"Basic YWxpY2U="] {
            assert_eq!(users.login(strange).await, Login::Refused, "{strange:?}");
        }
        let shouted =
            String::from_utf8(basic("alice", "hunter2")).unwrap().replace("Basic", "BASIC");
        assert_eq!(users.login(shouted.as_bytes()).await, Login::Granted);
    }

    #[tokio::test]
    async fn a_flood_of_wrong_passwords_is_told_to_wait_and_does_not_lock_out_who_was_in() {
        let users = Arc::new(users(&[("alice", "hunter2", 4)]));
        assert_eq!(users.login(&basic("alice", "hunter2")).await, Login::Granted);
        let all = users.workers.clone().acquire_many_owned(WORKERS as u32).await.unwrap();
        let tries: Vec<_> = (0..WAITING + WORKERS + 10)
            .map(|at| {
                let users = users.clone();
                tokio::spawn(async move { users.login(&basic("alice", &at.to_string())).await })
            })
            .collect();
        while users.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(users.login(&basic("alice", "other")).await, Login::Busy);
        assert_eq!(users.login(&basic("alice", "hunter2")).await, Login::Granted);
        drop(all);
        for task in tries {
            assert_ne!(task.await.unwrap(), Login::Granted);
        }
        assert_eq!(users.waiting.available_permits(), WAITING + WORKERS);
    }

    #[test]
    fn an_unknown_user_costs_what_a_user_costs() {
        let users = users(&[("a", "x", 4), ("b", "y", 6), ("c", "z", 6)]);
        let costs: HashSet<u32> = (0..200u32)
            .map(|at| users.nobody(&at.to_be_bytes()).expose().parse::<HashParts>().unwrap())
            .map(|parts| parts.get_cost())
            .collect();
        assert_eq!(costs, HashSet::from([4, 6]));
        assert_eq!(users.nobody(b"q"), users.nobody(b"q"));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_not_repeated() {
        let mut users = Users::new();
        for bad in ["", "hunter2", "$2y$10$short", "$1$abc", &format!("$2b$31${NOBODY}")] {
            let error = users.add("alice", Secret::new(bad)).unwrap_err();
            assert!(error.contains("bcrypt hash") && !error.contains("hunter2"), "{error}");
        }
        for version in ["2a", "2b", "2x", "2y"] {
            users.add("alice", Secret::new(format!("${version}$10${NOBODY}"))).unwrap();
        }
        assert_eq!(format!("{users:?}"), "1 users");
    }

    #[test]
    fn only_so_much_is_remembered() {
        let mut remembered = Remembered::default();
        for at in 0..=REMEMBERED as u64 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&at.to_be_bytes());
            remembered.keep(digest);
            remembered.keep(digest);
        }
        assert_eq!((remembered.known.len(), remembered.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!remembered.holds(&[0; 32]));
    }

    proptest! {
        #[test]
        fn credentials_come_back_as_they_went(name in "[^:]{0,20}", password in any::<String>()) {
            let (found, secret) = credentials(&basic(&name, &password)).unwrap();
            prop_assert_eq!((found, secret), (name.into_bytes(), password.into_bytes()));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..100), scheme in any::<bool>()) {
            let header = if scheme { [b"Basic ".to_vec(), bytes].concat() } else { bytes };
            credentials(&header);
        }
    }
}
