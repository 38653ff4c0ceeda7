//! A histogram as text, such as `count_values` puts into a label. Invariant: empty buckets are left out.
//!
//! Source: Prometheus `model/histogram/float_histogram.go` v3.13 (`FloatHistogram.String`).

use std::fmt;

use super::{Bucket, FloatHistogram};
use crate::number::format_g;

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let (lower, upper, count) = (format_g(self.lower), format_g(self.upper), format_g(self.count));
        write!(f, "{open}{lower},{upper}{close}:{count}")
    }
}

impl fmt::Display for FloatHistogram {
    /// `{count:3, sum:1.5, [-0.001,0.001]:1, (0.5,1]:2}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", format_g(self.count), format_g(self.sum))?;
        let zero = (self.zero_count != 0.0).then(|| self.zero());
        let negative = self.negative().into_iter().rev();
        for bucket in negative.chain(zero).chain(self.positive()).filter(|b| b.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}
