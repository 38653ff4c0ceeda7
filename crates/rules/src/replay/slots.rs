//! When a group is evaluated.
//!
//! Source: Prometheus `rules/group.go` (`EvalTimestamp`, `hash`) and `model/labels/labels_stringlabels.go` v3.13.
//! Invariant: a group's slots are `interval_ms` apart.

use xxhash_rust::xxh64::xxh64;

use super::ReplayOptions;
use crate::file::Group;

/// The most slots of a group: five years of one every 15 seconds.
const MOST_SLOTS: usize = 10_600_000;

/// Where the slots of a group lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SlotMode {
    /// The first at the replay's start.
    #[default]
    Start,
    /// Where a Prometheus server that loaded the same files has them: an offset for each group that follows from
    /// the file's path, as the server was given it, and the group's name.
    Prometheus,
}

/// The slots of a group within the replay's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slots {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) interval_ms: i64,
}

impl Slots {
    /// The slots of `group`; empty (`first_ms > last_ms`) where none is in the range.
    pub(crate) fn of(group: &Group, options: &ReplayOptions) -> Self {
        let interval_ms = group.interval_ms.unwrap_or(options.interval_ms).max(1);
        let first_ms = match options.slots {
            SlotMode::Start => options.start_ms,
            SlotMode::Prometheus => first_slot(&group.file, &group.name, interval_ms, options.start_ms),
        };
        let count = options.end_ms.saturating_sub(first_ms).div_euclid(interval_ms);
        Self { first_ms, last_ms: first_ms.saturating_add(count.saturating_mul(interval_ms)), interval_ms }
    }

    /// The same, but empty where there are more slots than a replay can have, with what is to be said of that.
    pub(crate) fn checked(self) -> (Self, Option<String>) {
        if self.len() <= MOST_SLOTS {
            return (self, None);
        }
        let years = (self.last_ms.saturating_sub(self.first_ms)) / (365 * 86_400_000);
        let message = format!(
            "not replayed: {} evaluations over {years} years are too many; are there samples with a wrong time?",
            self.len()
        );
        (Self { last_ms: self.first_ms.saturating_sub(1), ..self }, Some(message))
    }

    /// Whether a slot of these may be at the time of one of those.
    pub(crate) fn meet(self, other: Self) -> bool {
        let (mut a, mut b) = (self.interval_ms, other.interval_ms);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        self.first_ms.saturating_sub(other.first_ms) % a == 0
    }

    /// All slots, ascending.
    pub(crate) fn iter(self) -> impl Iterator<Item = i64> {
        (0..self.len() as i64).map(move |i| self.first_ms + i * self.interval_ms)
    }

    /// The number of the slot at `t_ms`, from 0.
    pub(crate) fn index(self, t_ms: i64) -> usize {
        ((t_ms - self.first_ms) / self.interval_ms).max(0) as usize
    }

    /// How many there are.
    pub(crate) fn len(self) -> usize {
        if self.last_ms < self.first_ms {
            return 0;
        }
        usize::try_from(self.last_ms.saturating_sub(self.first_ms) / self.interval_ms + 1)
            .unwrap_or(usize::MAX)
    }
}

/// How far after the multiples of its interval a Prometheus server evaluates a group: the server's own offset, in
/// nanoseconds there, is cut to milliseconds. `file` is the path as the server was given it.
#[must_use]
pub fn slot_offset_ms(file: &str, group: &str, interval_ms: i64) -> i64 {
    let interval_ns = i128::from(interval_ms.max(1)) * 1_000_000;
    (i128::from(hash(file, group)) % interval_ns / 1_000_000) as i64
}

/// The first slot at or after `start_ms`.
fn first_slot(file: &str, name: &str, interval_ms: i64, start_ms: i64) -> i64 {
    start_ms + (slot_offset_ms(file, name, interval_ms) - start_ms).rem_euclid(interval_ms)
}

/// The hash of the labels `{file, name}`.
fn hash(file: &str, name: &str) -> u64 {
    let mut bytes = Vec::new();
    for text in ["file", file, "name", name] {
        // A length of 255 or more takes four bytes.
        match u8::try_from(text.len()) {
            Ok(n) if n < 255 => bytes.push(n),
            _ => bytes.extend_from_slice(&[
                255,
                text.len() as u8,
                (text.len() >> 8) as u8,
                (text.len() >> 16) as u8,
            ]),
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxh64(&bytes, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_century_has_too_many_slots() {
        let slots = |last_ms| Slots { first_ms: 0, last_ms, interval_ms: 15_000 }.checked();
        assert!(slots(4 * 365 * 86_400_000).1.is_none());
        let (empty, message) = slots(100 * 365 * 86_400_000);
        assert_eq!(empty.len(), 0);
        let message = message.expect("is reported");
        assert!(message.contains("210240001 evaluations over 100 years"), "{message}");
        assert_eq!(slots(i64::MAX).0.len(), 0);
    }

    #[test]
    fn slots_meet_where_their_intervals_let_them() {
        let slots = |first_ms, interval_ms| Slots { first_ms, last_ms: 60_000, interval_ms };
        assert!(slots(0, 5_000).meet(slots(0, 7_000)));
        assert!(slots(3, 15_000).meet(slots(10_003, 10_000)));
        assert!(!slots(0, 15_000).meet(slots(1, 15_000)));
        assert!(slots(1, 10).meet(slots(0, 3)));
    }

    #[test]
    fn slots_are_at_or_after_the_start_and_keep_their_phase() {
        for start in [0, 1, 999, 1000, 1_700_000_000_123] {
            let slot = first_slot("/etc/rules.yml", "g", 1000, start);
            assert!((start..start + 1000).contains(&slot), "{slot}");
            assert_eq!(slot.rem_euclid(1000), first_slot("/etc/rules.yml", "g", 1000, 0));
        }
        assert_ne!(hash("a", "b"), hash("b", "a"));
    }
}
