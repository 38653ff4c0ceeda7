//! The passages nearest to a question.
//!
//! Invariant: every passage that the role may read is compared, and the result does not depend on anything else.

use super::{
    corpus::Passage,
    embed::{DIMENSIONS, Embedder},
    options::Role,
};

/// The passages with their vectors, one after the other.
pub(super) struct Index {
    passages: Vec<Passage>,
    vectors: Vec<f32>,
}

/// A passage that was found, by its number, and its cosine to the question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hit {
    pub(super) passage: usize,
    pub(super) score: f32,
}

impl Index {
    pub(super) fn new(passages: Vec<Passage>) -> Self {
        let mut embedder = Embedder::default();
        let mut vectors = Vec::with_capacity(passages.len() * DIMENSIONS);
        for passage in &passages {
            vectors.extend_from_slice(&embedder.embed(&format!("{} {}", passage.title, passage.text))[..]);
        }
        Self { passages, vectors }
    }

    pub(super) fn passage(&self, number: usize) -> &Passage {
        &self.passages[number]
    }

    pub(super) fn len(&self) -> usize {
        self.passages.len()
    }

    /// The `k` nearest passages that `role` may read, the nearest first, and of equals the first.
    pub(super) fn nearest(&self, question: &[f32; DIMENSIONS], role: Role, k: usize) -> Vec<Hit> {
        let mut best: Vec<Hit> = Vec::with_capacity(k + 1);
        let rows = self.passages.iter().zip(self.vectors.chunks_exact(DIMENSIONS));
        for (passage, (known, vector)) in rows.enumerate() {
            if known.access > role {
                continue;
            }
            let score = dot(question, vector);
            if best.len() < k || best.last().is_some_and(|worst| score > worst.score) {
                let at = best.partition_point(|hit| hit.score >= score);
                best.insert(at, Hit { passage, score });
                best.truncate(k);
            }
        }
        best
    }
}

/// Eight sums at once, which the compiler keeps in one vector register.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{corpus::passages, embed::embed};

    #[test]
    fn finds_what_was_asked_about_and_may_be_read() {
        let index = Index::new(passages(400, 3));
        let target = index.passages.iter().position(|p| p.access == Role::Attending).unwrap();
        let question = embed(&index.passage(target).text.clone());
        let found = index.nearest(&question, Role::Attending, 3);
        assert_eq!((found.len(), found[0].passage), (3, target));
        assert!(found[0].score > found[1].score && found[1].score >= found[2].score);
        for role in Role::ALL {
            let hits = index.nearest(&question, role, 50);
            assert!(hits.iter().all(|hit| index.passage(hit.passage).access <= role));
        }
        assert!(index.nearest(&question, Role::Nurse, 0).is_empty());
    }
}
