//! A load that several machines share. Invariant: what the shards do together is what one machine would do
//! without them: every user, start, iteration and row of data belongs to exactly one.

use std::{fmt, str::FromStr};

/// Which part of a load this is; shards count from 0, as Kubernetes' indexed jobs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// Why a text names no shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The number is beyond the last shard's.
    #[error("shards count from 0: of {count} they are 0/{count} to {}/{count}", count - 1)]
    OutOfRange {
        /// How many shards there are.
        count: u32,
    },
    /// It is not of the form `index/count`.
    #[error("expected a shard such as 0/3, the first of three")]
    Malformed,
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl Shard {
    /// Its number, from 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether the load is shared at all.
    #[must_use]
    pub fn is_shared(self) -> bool {
        self.count > 1
    }

    /// This shard's share of a rate.
    pub(crate) fn of_rate(self, rate_per_s: f64) -> f64 {
        rate_per_s / f64::from(self.count)
    }

    /// This shard's users of so many.
    pub(crate) fn of_users(self, users: u32) -> u32 {
        users / self.count + u32::from(self.index < users % self.count)
    }

    /// This shard's iterations of those that so many users share: a shard without users has none.
    pub(crate) fn of_iterations(self, iterations: u64, users: u32) -> u64 {
        let with_users = u64::from(self.count.min(users).max(1));
        let own = u64::from(self.index);
        if own < with_users { iterations / with_users + u64::from(own < iterations % with_users) } else { 0 }
    }

    /// The number, among all shards' draws of rows in order, of this shard's draw `n`.
    pub(crate) fn of_rows(self, n: u64) -> u64 {
        n.saturating_mul(u64::from(self.count)).saturating_add(u64::from(self.index))
    }

    /// Where this shard's worker `worker` of `workers` stands among those of all shards that drive `users`
    /// users: its number, and the step to its next user or start. `None` where there are too few users for it.
    pub(crate) fn place(self, worker: u32, workers: u32, users: u32) -> Option<(u32, u32)> {
        // A worker without a user would never start what falls to it.
        let workers = (users / self.count).clamp(1, workers.max(1));
        (worker < workers).then(|| (self.index + self.count * worker, self.count * workers))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parsed {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            Some((_, count)) if count > 0 => Err(ShardError::OutOfRange { count }),
            _ => Err(ShardError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(count: u32) -> impl Iterator<Item = Shard> {
        (0..count).map(move |index| Shard { index, count })
    }

    #[test]
    fn every_user_and_start_belongs_to_one_worker_of_one_shard() {
        for count in 1..5 {
            for workers in 1..4u32 {
                for users in count..20 {
                    let mut owners = vec![0; 40];
                    for shard in all(count) {
                        // Each machine has workers of its own number.
                        let workers = workers + shard.index;
                        let places = (0..workers).filter_map(|w| shard.place(w, workers, users));
                        for (first, step) in places {
                            assert!(first < users, "a worker without a user");
                            (first..40).step_by(step as usize).for_each(|i| owners[i as usize] += 1);
                        }
                    }
                    assert_eq!(owners, vec![1; 40], "{count} shards, {workers} workers, {users} users");
                }
            }
        }
    }

    #[test]
    fn shares_add_up() {
        for count in 1..6 {
            for n in 0..30u32 {
                assert_eq!(all(count).map(|s| s.of_users(n)).sum::<u32>(), n);
                for users in 1..8 {
                    let own = |s: Shard| s.of_iterations(u64::from(n), users);
                    assert_eq!(all(count).map(own).sum::<u64>(), u64::from(n));
                    assert!(all(count).all(|s| own(s) == 0 || s.of_users(users) > 0), "{count} {n} {users}");
                }
            }
        }
        let rows: Vec<u64> = (0..3).flat_map(|n| all(3).map(move |s| s.of_rows(n))).collect();
        assert_eq!(rows, (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn shards_are_read() {
        let shard: Shard = "2/3".parse().expect("a shard");
        assert_eq!((shard.index(), shard.count(), shard.is_shared()), (2, 3, true));
        for (text, want) in
            [("3/3", "count from 0"), ("0/0", "such as 0/3"), ("1", "such as 0/3"), ("a/b", "0/3")]
        {
            assert!(text.parse::<Shard>().expect_err(text).to_string().contains(want), "{text}");
        }
    }
}
