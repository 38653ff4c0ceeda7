//! Exact search in process: every passage that the role may read is compared.
//!
//! Invariant: the result depends on nothing but the passages, the question and the role.

use super::Hit;
use crate::service::{
    embed::{DIMENSIONS, Vector},
    role::Role,
};

/// The passages' vectors, one after the other, and who may read each.
pub(crate) struct Exact {
    access: Vec<Role>,
    vectors: Vec<f32>,
}

impl Exact {
    pub(crate) fn new(access: Vec<Role>, vectors: &[Vector]) -> Self {
        Self { access, vectors: vectors.iter().flat_map(|v| v.iter().copied()).collect() }
    }

    /// The `k` nearest passages that `role` may read, the nearest first, and of equals the first.
    pub(crate) fn nearest(&self, question: &[f32; DIMENSIONS], role: Role, k: usize) -> Vec<Hit> {
        let mut best: Vec<Hit> = Vec::with_capacity(k + 1);
        let rows = self.access.iter().zip(self.vectors.chunks_exact(DIMENSIONS));
        for (passage, (access, vector)) in rows.enumerate() {
            if *access > role {
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
    use crate::service::{corpus::passages, embed::hashing::embed};

    #[test]
    fn the_nearest_comes_first_and_only_what_may_be_read() {
        let passages = passages().unwrap();
        let vectors: Vec<_> = passages.iter().map(|p| embed(&p.full_text())).collect();
        let index = Exact::new(passages.iter().map(|p| p.access).collect(), &vectors);
        let target = passages.iter().position(|p| p.id == "gout:incident").unwrap();
        let found = index.nearest(&embed(&passages[target].text), Role::Admin, 3);
        assert_eq!((found.len(), found[0].passage), (3, target));
        assert!(found[0].score > found[1].score && found[1].score >= found[2].score);
        for role in Role::ALL {
            let hits = index.nearest(&vectors[target], role, 50);
            assert!(hits.len() == 50 && hits.iter().all(|hit| passages[hit.passage].access <= role));
        }
        assert!(index.nearest(&vectors[target], Role::Nurse, 0).is_empty());
    }
}
