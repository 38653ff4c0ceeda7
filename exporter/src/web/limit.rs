//! The rate limit of the whole server: a token bucket.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::config::RateLimit;

/// Lets `burst` requests through at once, and one more each `interval`.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: RateLimit,
    /// Tokens, and when they were counted.
    state: Mutex<(f64, Instant)>,
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, state: Mutex::new((f64::from(limit.burst), Instant::now())) }
    }

    pub(super) fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Whether one more request may come at `now`.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, counted) = *state;
        let gained = now.saturating_duration_since(counted).as_secs_f64() / self.limit.interval.as_secs_f64();
        let tokens = (tokens + gained).min(f64::from(self.limit.burst));
        let is_allowed = tokens >= 1.0;
        *state = (if is_allowed { tokens - 1.0 } else { tokens }, now.max(counted));
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_one_each_interval() {
        let limiter = Limiter::new(RateLimit { interval: Duration::from_secs(1), burst: 2 });
        let start = Instant::now();
        let at = |ms: u64| limiter.allows(start + Duration::from_millis(ms));
        assert_eq!([at(0), at(0), at(0)], [true, true, false]);
        assert_eq!([at(1_500), at(1_500)], [true, false]);
        assert_eq!([at(60_000), at(60_000), at(60_000)], [true, true, false]);
    }
}
