//! Compensated summation. Invariant: an infinite sum carries no compensation.
//!
//! Source: Neumaier's variant of Kahan's algorithm, with the treatment of infinities of Prometheus
//! `util/kahansum/kahansum.go` v3.13.

/// A running sum and what rounding has lost of it so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kahan {
    /// The sum as rounded.
    pub sum: f64,
    /// What is to be added to it.
    pub lost: f64,
}

impl Kahan {
    /// A sum that starts at `sum`.
    #[must_use]
    pub fn new(sum: f64) -> Self {
        Self { sum, lost: 0.0 }
    }

    /// Adds `v`.
    #[inline]
    pub fn add(&mut self, v: f64) {
        let total = self.sum + v;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= v.abs() {
            self.lost += (self.sum - total) + v;
        } else {
            self.lost += (v - total) + self.sum;
        }
        self.sum = total;
    }

    /// The sum with its compensation.
    #[inline]
    #[must_use]
    pub fn total(self) -> f64 {
        self.sum + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_a_large_one() {
        let mut k = Kahan::default();
        for v in [1.0, 1e100, 1.0, -1e100] {
            k.add(v);
        }
        assert_eq!(k.total(), 2.0);
        k.add(f64::INFINITY);
        assert_eq!(k.total(), f64::INFINITY);
    }
}
