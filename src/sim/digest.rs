//! Stable made-up digests: the same words always give the same one.

use sha2::{Digest, Sha256};

/// The SHA-256 of a text, in hex.
pub(crate) fn hex(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The first `length` digits of it, for what is shorter.
pub(crate) fn short(text: &str, length: usize) -> String {
    hex(text).chars().take(length).collect()
}

/// A number between 0 and 1 that belongs to a text and a counter.
pub(crate) fn unit(seed: u64, counter: u64) -> f64 {
    // SplitMix64 (Steele, Lea, Flood 2014): one multiply chain, no state.
    let mut mixed = seed ^ counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    f64::from(u32::try_from(mixed >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

/// A seed that belongs to a text.
pub(crate) fn seed(text: &str) -> u64 {
    // FNV-1a, 64 bit.
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
