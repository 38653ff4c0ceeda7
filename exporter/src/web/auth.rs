//! HTTP basic authentication against bcrypt hashes.
//!
//! Invariant: a password is hashed once, right or wrong, because bcrypt is slow on purpose, and one at a time; no password
//! is kept.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, PoisonError},
};

use base64::Engine as _;

/// Credentials remembered at most.
const MOST_REMEMBERED: usize = 100;

/// A hash of no password, for users who do not exist.
const NOBODY: &str = "$2b$10$e0MYzXyjpJS7Pd0RVvHwHe1FiyKUWqSDGzXvQTsUoYxMDHYv9oKEe";

/// Credentials that were checked.
#[derive(Debug, Default)]
pub(super) struct Verified {
    /// Two hashes with keys of their own, drawn at start: 128 bits that nobody outside can aim at.
    keys: (RandomState, RandomState),
    /// Whether they were right.
    remembered: Mutex<HashMap<(u64, u64), bool>>,
    hashing: tokio::sync::Mutex<()>,
}

impl Verified {
    /// Whether the password is the one that `hash` was made from; never where there is no hash.
    pub(super) async fn check(&self, user: String, password: String, hash: Option<String>) -> bool {
        let credentials = (&user, &password, &hash);
        let key = (self.keys.0.hash_one(credentials), self.keys.1.hash_one(credentials));
        if let Some(was_right) = self.remembered(key) {
            return was_right;
        }
        let _one_at_a_time = self.hashing.lock().await;
        if let Some(was_right) = self.remembered(key) {
            return was_right;
        }
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
        let verified = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let is_right = verified.await.unwrap_or(false) && exists;
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            // Guesses must not drive out what is right.
            remembered.retain(|_, was_right| *was_right);
            if remembered.len() >= MOST_REMEMBERED {
                remembered.clear();
            }
        }
        remembered.insert(key, is_right);
        is_right
    }

    fn remembered(&self, key: (u64, u64)) -> Option<bool> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
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

    #[test]
    fn nobodys_hash_is_a_hash() {
        assert!(!bcrypt::verify("", NOBODY).unwrap());
    }
}
