//! Bucket boundaries. Invariant: bucket `i` of an exponential schema ends at `2^(i / 2^schema)`.
//!
//! Source: Prometheus `model/histogram/generic.go` v3.13 (`getBound`, `getBoundExponential`).

use std::sync::LazyLock;

use super::{CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN};

/// `2^(i/256)` for the finest schema; coarser ones read every second, fourth … entry.
static FRACTIONS: LazyLock<[f64; 256]> = LazyLock::new(|| std::array::from_fn(|i| (i as f64 / 256.0).exp2()));

/// Whether the schema is one of the exponential ones.
#[must_use]
pub fn is_exponential(schema: i32) -> bool {
    (EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX).contains(&schema)
}

/// The upper bound of a bucket of an exponential schema. The last bucket of regular numbers ends at
/// `f64::MAX`, the one beyond it at infinity.
#[must_use]
pub fn exponential_bound(index: i32, schema: i32) -> f64 {
    if schema < 0 {
        let exponent = i64::from(index) << -schema;
        return if exponent == 1024 { f64::MAX } else { power_of_two(exponent) };
    }
    let schema = schema.min(EXPONENTIAL_SCHEMA_MAX);
    let fraction = index & ((1 << schema) - 1);
    let exponent = i64::from(index >> schema);
    if fraction == 0 {
        return if exponent == 1024 { f64::MAX } else { power_of_two(exponent) };
    }
    FRACTIONS[(fraction as usize) << (EXPONENTIAL_SCHEMA_MAX - schema)] * power_of_two(exponent)
}

/// The upper bound of bucket `index`; a custom schema's bucket 0 starts at -Inf and its last ends at +Inf.
pub(super) fn bound(index: i32, schema: i32, custom_values: &[f64]) -> f64 {
    if schema != CUSTOM_BUCKETS_SCHEMA {
        return exponential_bound(index, schema);
    }
    match usize::try_from(index) {
        Err(_) => f64::NEG_INFINITY,
        Ok(i) => custom_values.get(i).copied().unwrap_or(f64::INFINITY),
    }
}

fn power_of_two(exponent: i64) -> f64 {
    match i32::try_from(exponent) {
        Ok(e) => f64::exp2(f64::from(e)),
        Err(_) => {
            if exponent > 0 {
                f64::INFINITY
            } else {
                0.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_every_two_to_the_schema() {
        for (index, schema, want) in [
            (0, 0, 1.0),
            (1, 0, 2.0),
            (-1, 0, 0.5),
            (4, 2, 2.0),
            (1, 1, std::f64::consts::SQRT_2),
            (-3, -1, 1.0 / 64.0),
            (1024, 0, f64::MAX),
            (1025, 0, f64::INFINITY),
            (64, -4, f64::MAX),
            (8192, 3, f64::MAX),
            (-1074, 0, 5e-324),
        ] {
            assert_eq!(exponential_bound(index, schema), want, "bucket {index} of schema {schema}");
        }
    }
}
