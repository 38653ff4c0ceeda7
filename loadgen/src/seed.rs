//! Random numbers from a seed. Invariant: equal seeds give equal runs, on every machine.

/// The mixing step of SplitMix64.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A whole number from 0 up to, and without, `count`, of 64 random bits.
pub(crate) fn scaled(random: u64, count: u128) -> u64 {
    // A count of 2^64 and all bits set come to just below 2^64.
    ((u128::from(random) * count) >> 64) as u64
}
