//! Logging in, and bearer tokens.
//!
//! Invariant: a token is unguessable, good until it expires and no longer, and the number kept is bounded.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rand::Rng as _;

use super::options::{Role, User};

/// Tokens kept at most. Beyond it those that expired go first, then those that expire soonest.
const MOST_TOKENS: usize = 100_000;

/// Who may ask, and the tokens given out.
pub struct Auth {
    users: Vec<User>,
    lifetime: Duration,
    tokens: Mutex<HashMap<String, (Role, Instant)>>,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none, or it is not a bearer token.
    #[error("a bearer token is needed: log in at POST /login")]
    Missing,
    /// Nobody was given this token.
    #[error("the token is unknown: log in at POST /login")]
    Unknown,
    /// It was good once.
    #[error("the token has expired: log in again at POST /login")]
    Expired,
}

impl Auth {
    /// The users that can log in, and how long their tokens are good for.
    #[must_use]
    pub fn new(users: Vec<User>, lifetime: Duration) -> Self {
        Self { users, lifetime, tokens: Mutex::default() }
    }

    /// How long a token is good for.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new token, where the user exists and the password is theirs.
    pub fn log_in(&self, name: &str, password: &str, now: Instant) -> Option<(String, Role)> {
        // All users are compared whole, so that the time taken does not tell which names exist.
        let mut found = None;
        for user in &self.users {
            if same(&user.name, name) & same(&user.password, password) {
                found = Some(user.role);
            }
        }
        let role = found?;
        let mut bytes = [0u8; 24];
        rand::rng().fill_bytes(&mut bytes);
        let token: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST_TOKENS {
            forget(&mut tokens, now);
        }
        tokens.insert(token.clone(), (role, now + self.lifetime));
        Some((token, role))
    }

    /// The role of the token in an `Authorization` header.
    ///
    /// # Errors
    /// Where the header has no bearer token, or not one that is good at `now`.
    pub fn check(&self, authorization: Option<&str>, now: Instant) -> Result<Role, Refused> {
        let (scheme, token) = authorization.and_then(|h| h.split_once(' ')).ok_or(Refused::Missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refused::Missing);
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        match tokens.get(token.trim()) {
            None => Err(Refused::Unknown),
            Some((_, expires)) if *expires <= now => Err(Refused::Expired),
            Some((role, _)) => Ok(*role),
        }
    }
}

fn forget(tokens: &mut HashMap<String, (Role, Instant)>, now: Instant) {
    tokens.retain(|_, (_, expires)| *expires > now);
    if tokens.len() >= MOST_TOKENS {
        let mut ends: Vec<Instant> = tokens.values().map(|(_, expires)| *expires).collect();
        let (_, median, _) = ends.select_nth_unstable(MOST_TOKENS / 2);
        let median = *median;
        tokens.retain(|_, (_, expires)| *expires > median);
    }
}

/// Equality whose time depends on the given text alone.
fn same(known: &str, given: &str) -> bool {
    let (known, given) = (known.as_bytes(), given.as_bytes());
    let mut differs = u8::from(known.len() != given.len());
    for (i, byte) in given.iter().enumerate() {
        differs |= byte ^ known.get(i).copied().unwrap_or(!byte);
    }
    differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_checked_and_expire() {
        let user = User { name: "amy".into(), password: "secret".into(), role: Role::Resident };
        let auth = Auth::new(vec![user], Duration::from_secs(60));
        let now = Instant::now();
        assert_eq!(auth.log_in("amy", "Secret", now), None);
        assert_eq!(auth.log_in("amy", "secret1", now), None);
        assert_eq!(auth.log_in("bob", "secret", now), None);
        let (token, role) = auth.log_in("amy", "secret", now).unwrap();
        assert_eq!((token.len(), role), (48, Role::Resident));
        let check =
            |header: Option<&str>, later_s: u64| auth.check(header, now + Duration::from_secs(later_s));
        assert_eq!(check(Some(&format!("Bearer {token}")), 59), Ok(Role::Resident));
        assert_eq!(check(Some(&format!("bearer {token}")), 0), Ok(Role::Resident));
        assert_eq!(check(Some(&format!("Bearer {token}")), 60), Err(Refused::Expired));
        assert_eq!(check(Some(&format!("Basic {token}")), 0), Err(Refused::Missing));
        assert_eq!(check(Some("Bearer x"), 0), Err(Refused::Unknown));
        assert_eq!(check(None, 0), Err(Refused::Missing));
    }

    #[test]
    fn the_number_of_tokens_is_bounded() {
        let now = Instant::now();
        let later = |s: usize| now + Duration::from_secs(s as u64);
        let mut tokens: HashMap<_, _> =
            (1..=MOST_TOKENS).map(|i| (i.to_string(), (Role::Nurse, later(i)))).collect();
        forget(&mut tokens, now);
        assert!(tokens.len() < MOST_TOKENS && tokens.contains_key(&MOST_TOKENS.to_string()));
    }
}
