//! Bucket boundaries. Invariant: bucket `i` of an exponential schema ends at `2^(i / 2^schema)`.
//!
//! Source: Prometheus `model/histogram/generic.go` v3.13 (`getBound`, `getBoundExponential`), whose table is up to four units
//! in the last place off; these are its values, bit for bit.

use std::sync::LazyLock;

use super::{CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN};

/// `2^(i/256)` for the finest schema; coarser ones read every second, fourth … entry.
///
/// Each is a product of roots of two, the larger ones first, as in the table of the source; the square root of two is
/// the float below the nearest one there.
pub(super) static FRACTIONS: LazyLock<[f64; 256]> = LazyLock::new(|| {
    let mut roots = [std::f64::consts::SQRT_2; 8];
    for k in 1..8 {
        roots[k] = roots[k - 1].sqrt();
    }
    roots[0] = roots[0].next_down();
    let product =
        |i: usize| roots.iter().enumerate().filter(|(k, _)| i >> (7 - k) & 1 == 1).map(|(_, r)| r).product();
    std::array::from_fn(product)
});

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
            (1, 1, std::f64::consts::SQRT_2.next_down()),
            (54, 6, 1.794_709_075_003_106_5),
            (127, 7, 1.989_198_846_967_265_7),
            (252, 8, 1.978_456_026_387_950_5),
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
