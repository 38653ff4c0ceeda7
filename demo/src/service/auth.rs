//! Logging in, and bearer tokens.
//!
//! Invariant: a token is unguessable, good until it expires and no longer, and the number kept is bounded. A failed
//! login takes the same time for any user name, and a right one never waits for the failed ones.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::Rng as _;
use tokio::{sync::Semaphore, time::Instant};

use super::{
    options::{ServiceOptions, User},
    role::Role,
};

/// Tokens kept at most. Beyond it those that expired go first, then those that expire soonest.
const MOST_TOKENS: usize = 100_000;

/// Who may ask, and the tokens given out.
pub(crate) struct Auth {
    users: Vec<Arc<User>>,
    api_key: Option<String>,
    lifetime: Duration,
    failed_login: Duration,
    failing: Semaphore,
    tokens: Mutex<HashMap<String, (Caller, Instant)>>,
}

/// Someone who has shown a token or the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
}

/// A login that succeeded.
pub(crate) struct Session {
    pub(crate) token: String,
    pub(crate) user: Arc<User>,
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginError {
    /// There is no such user, or the password is another. Which of the two, nobody learns.
    #[error("the user name or the password is wrong")]
    Wrong,
    /// So many logins fail at the moment that this one is turned away.
    #[error("too many failed logins; try again later")]
    TooMany,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
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
    pub(crate) fn new(options: &ServiceOptions) -> Self {
        Self {
            users: options.users.iter().cloned().map(Arc::new).collect(),
            api_key: options.api_key.clone(),
            lifetime: options.token_lifetime,
            failed_login: options.timeouts.failed_login,
            failing: Semaphore::new(options.limits.failing_logins),
            tokens: Mutex::default(),
        }
    }

    /// How long a token is good for.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new token, if the user exists and the password is theirs.
    ///
    /// # Errors
    /// [`LoginError::Wrong`] after a time that is always the same; [`LoginError::TooMany`] at once.
    pub(crate) async fn log_in(&self, name: &str, password: &str) -> Result<Session, LoginError> {
        let now = Instant::now();
        // All users are compared whole, so that the time taken does not tell which names exist.
        let mut found = None;
        for user in &self.users {
            if same(&user.name, name) & same(&user.password, password) {
                found = Some(Arc::clone(user));
            }
        }
        let Some(user) = found else {
            let _failing = self.failing.try_acquire().map_err(|_| LoginError::TooMany)?;
            tokio::time::sleep_until(now + self.failed_login).await;
            return Err(LoginError::Wrong);
        };
        let mut bytes = [0u8; 24];
        rand::rng().fill_bytes(&mut bytes);
        let token: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let caller = Caller { name: user.name.as_str().into(), role: user.role };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST_TOKENS {
            forget(&mut tokens, now);
        }
        tokens.insert(token.clone(), (caller, now + self.lifetime));
        Ok(Session { token, user })
    }

    /// Who shows the token in an `Authorization` header. The key, if there is one, is as good as a resident's token.
    ///
    /// # Errors
    /// When the header has no bearer token, or not one that is good now.
    pub(crate) fn check(&self, authorization: Option<&str>) -> Result<Caller, Refused> {
        let (scheme, token) = authorization.and_then(|h| h.split_once(' ')).ok_or(Refused::Missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refused::Missing);
        }
        let token = token.trim();
        if self.api_key.as_ref().is_some_and(|key| same(key, token)) {
            return Ok(Caller { name: "api-key".into(), role: Role::Resident });
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        match tokens.get(token) {
            None => Err(Refused::Unknown),
            Some((_, expires)) if *expires <= Instant::now() => Err(Refused::Expired),
            Some((caller, _)) => Ok(caller.clone()),
        }
    }
}

fn forget(tokens: &mut HashMap<String, (Caller, Instant)>, now: Instant) {
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

    fn auth() -> Auth {
        Auth::new(&ServiceOptions {
            token_lifetime: Duration::from_secs(60),
            ..ServiceOptions::with_password("secret")
        })
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_checked_and_expire() {
        let auth = auth();
        let session = auth.log_in("resident", "secret").await.ok().unwrap();
        assert_eq!((session.token.len(), session.user.role), (48, Role::Resident));
        let bearer = format!("bearer {}", session.token);
        let check = |header: Option<&str>| auth.check(header).map(|caller| caller.role);
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(check(Some(&bearer)), Ok(Role::Resident));
        assert_eq!(check(Some("Bearer demo")), Ok(Role::Resident), "the key");
        assert_eq!(check(Some(&bearer.replace("bearer", "Basic"))), Err(Refused::Missing));
        assert_eq!(check(Some("Bearer x")), Err(Refused::Unknown));
        assert_eq!(check(None), Err(Refused::Missing));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(check(Some(&bearer)), Err(Refused::Expired));
    }

    #[tokio::test(start_paused = true)]
    async fn failed_logins_take_one_time_and_delay_no_right_one() {
        let auth = Arc::new(auth());
        let start = Instant::now();
        for (name, password) in [("nurse", "wrong"), ("nobody", "secret"), ("", "")] {
            let start = Instant::now();
            assert_eq!(auth.log_in(name, password).await.err(), Some(LoginError::Wrong));
            assert_eq!(start.elapsed().as_millis(), 200, "{name}");
        }
        let flood: Vec<_> = (0..100)
            .map(|i| {
                let auth = Arc::clone(&auth);
                tokio::spawn(async move { auth.log_in("nurse", &i.to_string()).await.err() })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let before = start.elapsed();
        assert!(auth.log_in("nurse", "secret").await.is_ok());
        assert_eq!(start.elapsed(), before);
        let mut turned_away = 0;
        for guess in flood {
            turned_away += usize::from(guess.await.unwrap() == Some(LoginError::TooMany));
        }
        assert_eq!(turned_away, 84);
    }

    #[test]
    fn the_number_of_tokens_is_bounded() {
        let now = Instant::now();
        let caller = Caller { name: "nurse".into(), role: Role::Nurse };
        let entry = |i: usize| (i.to_string(), (caller.clone(), now + Duration::from_secs(i as u64)));
        let mut tokens: HashMap<_, _> = (1..=MOST_TOKENS).map(entry).collect();
        forget(&mut tokens, now);
        assert!(tokens.len() < MOST_TOKENS && tokens.contains_key(&MOST_TOKENS.to_string()));
    }
}
