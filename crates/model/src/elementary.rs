//! Logarithms and powers to the last bit as the reference computes them.
//!
//! Go computes these functions itself and not by the C library, whose results may differ by one unit in the last place.
//! The methods are those of FreeBSD's libm (`e_log.c`, `e_exp.c`), whose order of operations Go follows in
//! `src/math/{log,log10,exp2,pow}.go` (Go 1.24). The exponential is Shibata's ("Efficient evaluation methods of
//! elementary functions suitable for SIMD computation", 2010), which Go has for amd64 (`exp_amd64.s`), as processors with
//! fused multiplication compute it. Invariant: no other operation is fused with another.

use std::f64::consts::{LOG2_E, LOG10_E};

const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
const HALF_SQRT_2: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// The coefficients of the logarithm's odd and even terms.
const LOG_ODD: [f64; 4] = [
    f64::from_bits(0x3fe5_5555_5555_5593),
    f64::from_bits(0x3fd2_4924_9422_9359),
    f64::from_bits(0x3fc7_4664_96cb_03de),
    f64::from_bits(0x3fc2_f112_df3e_5244),
];
const LOG_EVEN: [f64; 3] = [
    f64::from_bits(0x3fd9_9999_9997_fa04),
    f64::from_bits(0x3fcc_71c5_1d8e_78af),
    f64::from_bits(0x3fc3_9a09_d078_c69f),
];
/// The coefficients of the exponential's remainder.
const EXP: [f64; 5] = [
    f64::from_bits(0x3fc5_5555_5555_5555),
    f64::from_bits(0xbf66_c16c_16be_bd93),
    f64::from_bits(0x3f11_566a_af25_de2c),
    f64::from_bits(0xbebb_bd41_c5d2_6bf1),
    f64::from_bits(0x3e66_3769_72be_a4d0),
];

/// A fraction of at least a half and below one, and the power of two that it is to be multiplied by.
fn split(v: f64) -> (f64, i32) {
    if v == 0.0 || !v.is_finite() {
        return (v, 0);
    }
    let (v, shift) = if v.abs() < f64::MIN_POSITIVE { (v * 2f64.powi(52), -52) } else { (v, 0) };
    let bits = v.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | (1022 << 52)), exponent + shift)
}

/// `fraction` times two to the power of `exponent`, rounded once.
fn join(fraction: f64, exponent: i64) -> f64 {
    let (fraction, own) = split(fraction);
    if fraction == 0.0 || !fraction.is_finite() {
        return fraction;
    }
    let exponent = exponent.saturating_add(i64::from(own));
    if exponent > 1024 {
        return f64::INFINITY.copysign(fraction);
    }
    if exponent < -1074 {
        return 0f64.copysign(fraction);
    }
    let scale = |e: i64| f64::from_bits(((e + 1023) as u64) << 52);
    if exponent < -1021 {
        // Subnormal results are rounded by the last multiplication alone.
        return fraction * scale(exponent + 53) * scale(-53);
    }
    fraction * 2.0 * scale(exponent - 1)
}

/// The natural logarithm.
#[must_use]
pub fn ln(v: f64) -> f64 {
    if v.is_nan() || v == f64::INFINITY {
        return v;
    }
    if v <= 0.0 {
        return if v == 0.0 { f64::NEG_INFINITY } else { f64::NAN };
    }
    let (mut fraction, mut exponent) = split(v);
    if fraction < HALF_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let (f, k) = (fraction - 1.0, f64::from(exponent));
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd = s2 * (LOG_ODD[0] + s4 * (LOG_ODD[1] + s4 * (LOG_ODD[2] + s4 * LOG_ODD[3])));
    let even = s4 * (LOG_EVEN[0] + s4 * (LOG_EVEN[1] + s4 * LOG_EVEN[2]));
    let rest = odd + even;
    let half_square = 0.5 * f * f;
    k * LN2_HIGH - ((half_square - (s * (half_square + rest) + k * LN2_LOW)) - f)
}

/// The logarithm to the base of two; exact for powers of two.
#[must_use]
pub fn log2(v: f64) -> f64 {
    let (fraction, exponent) = split(v);
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    ln(fraction) * LOG2_E + f64::from(exponent)
}

/// The logarithm to the base of ten.
#[must_use]
pub fn log10(v: f64) -> f64 {
    ln(v) * LOG10_E
}

/// Two to a power.
#[must_use]
pub fn exp2(v: f64) -> f64 {
    if v.is_nan() || v == f64::INFINITY {
        return v;
    }
    if v > 1_023.999_999_999_999_9 {
        return f64::INFINITY;
    }
    if v < -1074.0 {
        return 0.0;
    }
    let k = if v > 0.0 {
        (v + 0.5) as i64
    } else if v < 0.0 {
        (v - 0.5) as i64
    } else {
        0
    };
    let t = v - k as f64;
    let (high, low) = (t * LN2_HIGH, -t * LN2_LOW);
    let r = high - low;
    let square = r * r;
    let c =
        r - square * (EXP[0] + square * (EXP[1] + square * (EXP[2] + square * (EXP[3] + square * EXP[4]))));
    join(1.0 - ((low - (r * c) / (2.0 - c)) - high), k)
}

/// The parts of ln 2 by which the argument of the exponential is reduced.
const LN2_UPPER: f64 = 0.693_147_180_559_662_956_511_601_805_686_950_683_593_75;
const LN2_LOWER: f64 = 0.282_352_905_630_315_771_225_884_481_750_134_360_255_254_120_68e-12;

/// The exponential.
#[must_use]
pub fn exp(v: f64) -> f64 {
    if v.is_nan() || v == f64::INFINITY {
        return v;
    }
    if v > 7.097_827_128_933_84e2 {
        return f64::INFINITY;
    }
    if v < -800.0 {
        return 0.0;
    }
    let k = (LOG2_E * v).round_ties_even();
    let x = (-LN2_LOWER).mul_add(k, (-LN2_UPPER).mul_add(k, v)) * 0.0625;
    let terms = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0];
    let series = terms.into_iter().fold(1.0 / 40320.0, |sum: f64, term| sum.mul_add(x, term));
    // One less than the exponential of a sixteenth, squared back up.
    let mut less_one = x * series;
    for _ in 0..3 {
        less_one *= less_one + 2.0;
    }
    join((less_one + 2.0).mul_add(less_one, 1.0), k as i64)
}

/// A power. Whole exponents are multiplied out; the rest of one is an exponential.
#[must_use]
pub fn pow(base: f64, exponent: f64) -> f64 {
    let magnitude = exponent.abs();
    // What is special, and what is too large to be multiplied out, is the same everywhere.
    if base == 0.0
        || base == 1.0
        || !base.is_finite()
        || magnitude >= 9.223_372_036_854_776e18
        || exponent.is_nan()
    {
        return base.powf(exponent);
    }
    if exponent == 0.5 {
        return base.sqrt();
    }
    if exponent == -0.5 {
        return 1.0 / base.sqrt();
    }
    let (mut whole, mut part) = (magnitude.trunc(), magnitude.fract());
    if part != 0.0 && base < 0.0 {
        return f64::NAN;
    }
    let mut result = 1.0;
    if part != 0.0 {
        if part > 0.5 {
            part -= 1.0;
            whole += 1.0;
        }
        result = exp(part * ln(base));
    }
    let (mut fraction, own) = split(base);
    let (mut own, mut power) = (i64::from(own), 0i64);
    let mut left = whole as i64;
    while left != 0 {
        if !(-(1 << 12)..=(1 << 12)).contains(&own) {
            // Beyond all that a float can hold.
            power += own;
            break;
        }
        if left & 1 == 1 {
            result *= fraction;
            power += own;
        }
        fraction *= fraction;
        own <<= 1;
        if fraction < 0.5 {
            fraction += fraction;
            own -= 1;
        }
        left >>= 1;
    }
    if exponent < 0.0 {
        result = 1.0 / result;
        power = -power;
    }
    join(result, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_values_are_those_of_the_library() {
        let values = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -0.5,
            2.0,
            3.0,
            -3.0,
            1e308,
            -1e308,
            5e-324,
            1e-310,
            1e19,
            -1e19,
            1023.0,
            1024.0,
            -1074.0,
            -1075.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        let alike = |a: f64, b: f64| {
            a == b && a.is_sign_negative() == b.is_sign_negative() || a.is_nan() && b.is_nan()
        };
        let near = |a: f64, b: f64| {
            alike(a, b) || (a - b).abs() <= 1e-15 * b.abs() || (a - b).abs() <= f64::from_bits(1)
        };
        for a in values {
            for (name, got, want) in [
                ("ln", ln(a), a.ln()),
                ("log2", log2(a), a.log2()),
                ("log10", log10(a), a.log10()),
                ("exp2", exp2(a), a.exp2()),
                ("exp", exp(a), a.exp()),
            ] {
                assert!(near(got, want), "{name}({a}) is {got}, not {want}");
            }
            for b in values {
                let (got, want) = (pow(a, b), a.powf(b));
                assert!(near(got, want), "{a}^{b} is {got}, not {want}");
            }
        }
    }

    #[test]
    fn the_last_bits_are_those_of_the_reference() {
        // As Prometheus 3.5 answers them; the C library's results differ from each of these.
        let check = |got: f64, want: f64| assert_eq!(got.to_bits(), want.to_bits(), "{got}, not {want}");
        check(ln(0.005920001), -5.129418661167318);
        check(ln(0.022570001), -3.7911336438460923);
        check(ln(0.038110001), -3.2672785378565363);
        check(log2(0.04033), -4.632002784030936);
        check(log2(0.06364), -3.973922354105764);
        check(log2(0.07807), -3.6790879201006765);
        check(log10(710000.0), 5.8512583487190755);
        check(log10(2840000.0), 6.453318340047038);
        check(log10(4970000.0), 6.696356388733332);
        check(pow(0.286, 3.0), 0.023393655999999992);
        check(pow(0.325, 3.0), 0.03432812500000001);
        check(pow(0.598, 3.0), 0.213847192);
        check(pow(0.013, -7.0), 15936631617923.338);
        check(pow(0.052, -7.0), 972694800.8986412);
        check(pow(0.091, -7.0), 19351304.810948957);
    }
}
