//! Answers that were given before.
//!
//! Invariant: an answer is only given again to the role that it was made for, about the same patient; the number kept
//! is bounded, the oldest go first.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::Instant;

use super::{llm::Usage, options::CacheOptions, pipeline::Source, role::Role};

/// What makes two questions the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) role: Role,
    pub(crate) patient: String,
    pub(crate) question: String,
    pub(crate) k: usize,
}

/// An answer as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    pub(crate) text: String,
    pub(crate) sources: Arc<[Source]>,
    pub(crate) usage: Usage,
}

/// How a question met the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CacheResult {
    Hit,
    Miss,
    /// The client asked for a fresh answer, or the cache is off.
    Bypass,
}

impl CacheResult {
    pub(crate) const ALL: [Self; 3] = [Self::Hit, Self::Miss, Self::Bypass];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// The cache.
pub(crate) struct Cache {
    options: CacheOptions,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Key, (Cached, Instant)>,
    /// Oldest first; a key that was renewed is here twice, and only its newer place counts.
    order: VecDeque<(Key, Instant)>,
}

impl Cache {
    pub(crate) fn new(options: CacheOptions) -> Self {
        Self { options, entries: Mutex::default() }
    }

    /// The answer, if it is still good.
    pub(crate) fn get(&self, key: &Key) -> Option<Cached> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, stored) = entries.by_key.get(key)?;
        (stored.elapsed() < self.options.lifetime).then(|| answer.clone())
    }

    /// Keeps an answer.
    pub(crate) fn put(&self, key: Key, answer: Cached) {
        if self.options.entries == 0 {
            return;
        }
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.by_key.insert(key.clone(), (answer, now));
        entries.order.push_back((key, now));
        while entries.by_key.len() > self.options.entries || entries.order.len() > 2 * self.options.entries {
            let Some((oldest, stored)) = entries.order.pop_front() else { return };
            if entries.by_key.get(&oldest).is_some_and(|(_, at)| *at == stored) {
                entries.by_key.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(question: &str, role: Role) -> Key {
        Key { role, patient: "P-0001".to_owned(), question: question.to_owned(), k: 5 }
    }

    fn answer(text: &str) -> Cached {
        let usage = Usage { prompt_tokens: 1, output_tokens: 1, cut: false };
        Cached { text: text.to_owned(), sources: Arc::new([]), usage }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_given_again_until_it_is_old_and_to_nobody_else() {
        let cache = Cache::new(CacheOptions { entries: 2, lifetime: Duration::from_secs(60) });
        let text = |key: &Key| cache.get(key).map(|a| a.text);
        cache.put(key("a", Role::Nurse), answer("1"));
        assert_eq!(text(&key("a", Role::Nurse)).as_deref(), Some("1"));
        assert_eq!(text(&key("a", Role::Admin)), None);
        cache.put(key("b", Role::Nurse), answer("2"));
        cache.put(key("c", Role::Nurse), answer("3"));
        assert_eq!(text(&key("a", Role::Nurse)), None, "the oldest goes first");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(text(&key("c", Role::Nurse)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn renewing_one_answer_for_ever_keeps_the_cache_small() {
        let cache = Cache::new(CacheOptions { entries: 2, lifetime: Duration::from_secs(60) });
        for i in 0..100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            cache.put(key("a", Role::Nurse), answer(&i.to_string()));
        }
        assert!(cache.entries.lock().unwrap().order.len() <= 4);
        assert_eq!(cache.get(&key("a", Role::Nurse)).unwrap().text, "99");
    }
}
