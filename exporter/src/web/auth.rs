//! HTTP basic authentication against bcrypt hashes.
//!
//! Invariant: what is known to be right is right at once, whatever others try; a wrong password costs the same work for any
//! user name, whatever the costs of the hashes; and who tries many waits for himself. No password is kept.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::Engine as _;
use tokio::sync::Semaphore;

/// Wrong credentials remembered at most, and clients that tried them.
const MOST_REMEMBERED: usize = 1000;
/// Passwords of one client that wait to be checked at most; one is checked at a time.
const MOST_WAITING: usize = 16;
/// Passwords that are checked at the same time: those of clients that have failed, and others.
const PARALLEL_SUSPECTS: usize = 1;
const PARALLEL: usize = 4;

/// What follows the cost in a hash of no password.
const NOBODY: &str = "e0MYzXyjpJS7Pd0RVvHwHe1FiyKUWqSDGzXvQTsUoYxMDHYv9oKEe";

/// Two hashes with keys of their own, drawn at start: 128 bits that nobody outside can aim at.
type Key = (u64, u64);

/// A client, and whether it has failed as this user.
type LaneKey = (Option<IpAddr>, bool);

/// Credentials that were checked.
#[derive(Debug)]
pub(super) struct Verified {
    keys: (RandomState, RandomState),
    /// The right credentials by user: as many as there are users.
    right: Mutex<HashMap<String, Key>>,
    wrong: Mutex<HashSet<Key>>,
    /// Clients of failed logins, each alone and with the user.
    failed: Mutex<HashSet<u64>>,
    /// The queues of clients: of those who have failed as this user, and of others.
    lanes: Mutex<HashMap<LaneKey, Arc<Lane>>>,
    /// For clients that have failed as whatever user.
    suspects: Arc<Semaphore>,
    hashing: Arc<Semaphore>,
}

/// Where a client waits.
#[derive(Debug)]
struct Lane {
    turn: Semaphore,
    places: Semaphore,
}

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    Right,
    Wrong,
    /// Too many of this client's are being checked.
    TooMany,
}

/// Who wants to be let in.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) from: Option<IpAddr>,
    pub(super) user: String,
    pub(super) password: String,
    /// The hash of the user's password, if there is such a user.
    pub(super) hash: Option<String>,
    /// The highest cost of all users' hashes.
    pub(super) highest_cost: u32,
}

impl Default for Verified {
    fn default() -> Self {
        Self {
            keys: Default::default(),
            right: Mutex::default(),
            wrong: Mutex::default(),
            failed: Mutex::default(),
            lanes: Mutex::default(),
            suspects: Arc::new(Semaphore::new(PARALLEL_SUSPECTS)),
            hashing: Arc::new(Semaphore::new(PARALLEL)),
        }
    }
}

impl Verified {
    /// Whether the password is the one that the hash was made from; never where there is no hash.
    pub(super) async fn check(self: &Arc<Self>, attempt: Attempt) -> Login {
        let credentials = (&attempt.user, &attempt.password, &attempt.hash);
        let key = (self.keys.0.hash_one(credentials), self.keys.1.hash_one(credentials));
        if locked(&self.right).get(&attempt.user) == Some(&key) {
            return Login::Right;
        }
        let client = self.keys.0.hash_one(attempt.from);
        let as_user = self.keys.0.hash_one((attempt.from, &attempt.user));
        if locked(&self.wrong).contains(&key) {
            self.has_failed([client, as_user]);
            return Login::Wrong;
        }
        let at = (attempt.from, locked(&self.failed).contains(&as_user));
        // Dropped after `lane`, also where the client leaves in the middle.
        let _leave = Leave { lanes: &self.lanes, at };
        let lane = Arc::clone(locked(&self.lanes).entry(at).or_insert_with(|| {
            Arc::new(Lane { turn: Semaphore::new(1), places: Semaphore::new(MOST_WAITING) })
        }));
        self.queue(&lane, key, [client, as_user], attempt).await
    }

    async fn queue(self: &Arc<Self>, lane: &Lane, key: Key, client: [u64; 2], attempt: Attempt) -> Login {
        let Ok(_place) = lane.places.try_acquire() else { return Login::TooMany };
        // The semaphores are never closed.
        let _turn = lane.turn.acquire().await;
        // Who guesses takes no slot of others, however many addresses he guesses from.
        let is_suspect = locked(&self.failed).contains(&client[0]);
        let slots = if is_suspect { &self.suspects } else { &self.hashing };
        let slot = Arc::clone(slots).acquire_owned().await;
        // It may have been checked in the meantime.
        if locked(&self.right).get(&attempt.user) == Some(&key) {
            return Login::Right;
        }
        let verified = Arc::clone(self);
        // A client that leaves keeps its slot until the work is done, and has failed all the same.
        let hashed = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let is_right = is_right(&attempt);
            if is_right {
                locked(&verified.right).insert(attempt.user, key);
            } else {
                remember(&verified.wrong, key);
                verified.has_failed(client);
            }
            is_right
        });
        if hashed.await.unwrap_or(false) { Login::Right } else { Login::Wrong }
    }

    fn has_failed(&self, client: [u64; 2]) {
        client.into_iter().for_each(|client| remember(&self.failed, client));
    }
}

/// Forgets a queue when the last who waited in it is gone.
struct Leave<'a> {
    lanes: &'a Mutex<HashMap<LaneKey, Arc<Lane>>>,
    at: LaneKey,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut lanes = locked(self.lanes);
        if lanes.get(&self.at).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.at);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember<T: Eq + std::hash::Hash>(set: &Mutex<HashSet<T>>, item: T) {
    let mut set = locked(set);
    if set.len() >= MOST_REMEMBERED {
        set.clear();
    }
    set.insert(item);
}

/// Checks a password, and if it is wrong does the work that is missing.
fn is_right(attempt: &Attempt) -> bool {
    let own = attempt.hash.as_deref().and_then(cost);
    if attempt.hash.as_ref().is_some_and(|hash| bcrypt::verify(&attempt.password, hash).unwrap_or(false)) {
        return true;
    }
    for cost in missing(own, attempt.highest_cost) {
        let _ = bcrypt::verify(&attempt.password, &format!("$2b${cost:02}${NOBODY}"));
    }
    false
}

/// The cost of a hash: the work is two to the power of it.
pub(super) fn cost(hash: &str) -> Option<u32> {
    hash.split('$').nth(2)?.parse().ok()
}

/// The costs of the hashes that make a failed login as much work as one of the highest cost.
fn missing(own: Option<u32>, highest: u32) -> std::ops::Range<u32> {
    match own {
        // Once as much as it was, then twice, four times …
        Some(own) => own..highest,
        None => highest..highest + 1,
    }
}

/// User and password of an `Authorization: Basic` header.
pub(super) fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_from_the_header() {
        let check = |header: &str, want: Option<(&str, &str)>| {
            let got = credentials(header);
            assert_eq!(got.as_ref().map(|(u, p)| (u.as_str(), p.as_str())), want, "{header}");
        };
        check("Basic YW15OnM6M2NyZXQ=", Some(("amy", "s:3cret")));
        check("basic YW15Og==", Some(("amy", "")));
        check("Bearer YW15Og==", None);
        check("Basic !", None);
        check("Basic", None);
    }

    fn attempt(from: u8, user: &str, password: &str) -> Attempt {
        let hash = (user == "amy").then(|| HASH.to_owned());
        Attempt {
            from: Some([127, 0, 0, from].into()),
            user: user.to_owned(),
            password: password.to_owned(),
            hash,
            highest_cost: 4,
        }
    }

    /// Of "right", at the lowest cost.
    static HASH: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| bcrypt::hash("right", 4).unwrap());

    #[test]
    fn a_failed_login_is_the_same_work_for_every_user() {
        assert!(!bcrypt::verify("", &format!("$2b$04${NOBODY}")).unwrap(), "nobody's hash is a hash");
        assert_eq!(cost(&HASH), Some(4));
        let work = |own: Option<u32>, highest: u32| -> u64 {
            own.map_or(0, |c| 1 << c) + missing(own, highest).map(|c| 1u64 << c).sum::<u64>()
        };
        for highest in 4..=31 {
            assert_eq!(work(None, highest), 1 << highest);
            for own in 4..=highest {
                assert_eq!(work(Some(own), highest), 1 << highest, "{own} of {highest}");
            }
        }
    }

    #[tokio::test]
    async fn a_right_password_waits_for_no_wrong_one() {
        let verified = Arc::new(Verified::default());
        assert_eq!(verified.check(attempt(1, "amy", "right")).await, Login::Right);
        // As if as many as possible were being hashed, without end.
        let busy = verified.hashing.acquire_many(PARALLEL as u32).await.unwrap();
        let guesses: Vec<_> = (0..100)
            .map(|i| {
                let verified = Arc::clone(&verified);
                let user = if i % 2 == 0 { "amy" } else { "nobody" };
                tokio::spawn(async move { verified.check(attempt(1, user, &i.to_string())).await })
            })
            .collect();
        while guesses.iter().filter(|guess| guess.is_finished()).count() < 100 - MOST_WAITING {
            tokio::task::yield_now().await;
        }
        assert_eq!(verified.check(attempt(1, "amy", "right")).await, Login::Right);
        assert_eq!(verified.check(attempt(1, "amy", "another")).await, Login::TooMany);
        drop(busy);
        // Who comes from elsewhere has a queue of his own, with a right password that nobody has shown yet.
        assert_eq!(verified.check(attempt(2, "bob", "x")).await, Login::Wrong);
        let (mut wrong, mut turned_away) = (0, 0);
        for guess in guesses {
            match guess.await.unwrap() {
                Login::Wrong => wrong += 1,
                Login::TooMany => turned_away += 1,
                Login::Right => panic!("a guess was right"),
            }
        }
        assert_eq!((wrong, turned_away), (MOST_WAITING, 100 - MOST_WAITING));
        assert!(locked(&verified.lanes).is_empty(), "queues go with those who wait in them");
    }

    /// Not even the first time.
    #[tokio::test]
    async fn a_new_client_waits_for_none_that_has_failed() {
        let verified = Arc::new(Verified::default());
        for from in 1..=9 {
            assert_eq!(verified.check(attempt(from, "amy", "wrong")).await, Login::Wrong);
        }
        // As if one of them were being checked without end.
        let busy = verified.suspects.acquire_many(PARALLEL_SUSPECTS as u32).await.unwrap();
        let guesses: Vec<_> = (1..=9)
            .flat_map(|from| (0..10).map(move |i| (from, i)))
            .map(|(from, i)| {
                let verified = Arc::clone(&verified);
                tokio::spawn(async move { verified.check(attempt(from, &format!("u{i}"), "x")).await })
            })
            .collect();
        while locked(&verified.lanes).len() < 9 {
            tokio::task::yield_now().await;
        }
        assert_eq!(verified.hashing.available_permits(), PARALLEL);
        assert_eq!(verified.check(attempt(10, "amy", "right")).await, Login::Right);
        drop(busy);
        for guess in guesses {
            assert_eq!(guess.await.unwrap(), Login::Wrong);
        }
    }

    #[tokio::test]
    async fn who_leaves_has_failed_all_the_same() {
        let verified = Arc::new(Verified::default());
        let one = Arc::clone(&verified);
        let guess = tokio::spawn(async move { one.check(attempt(1, "amy", "wrong")).await });
        while verified.hashing.available_permits() == PARALLEL && locked(&verified.failed).is_empty() {
            tokio::task::yield_now().await;
        }
        guess.abort();
        let _ = guess.await;
        while locked(&verified.failed).is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(locked(&verified.lanes).is_empty());
    }

    #[tokio::test]
    async fn what_was_right_is_wrong_after_a_change() {
        let verified = Arc::new(Verified::default());
        assert_eq!(verified.check(attempt(1, "amy", "right")).await, Login::Right);
        let changed = Attempt { hash: Some(bcrypt::hash("new", 4).unwrap()), ..attempt(1, "amy", "right") };
        assert_eq!(verified.check(changed).await, Login::Wrong);
        assert_eq!(verified.check(attempt(1, "nobody", "right")).await, Login::Wrong);
    }
}
