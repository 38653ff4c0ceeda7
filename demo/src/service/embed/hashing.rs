//! Feature hashing: words, pairs of words and trigrams, each a fixed random vector. It finds what shares words.
//!
//! Invariant: the same text has the same vector on every machine.

use std::collections::HashMap;

use super::{DIMENSIONS, EmbedError, Model, Vector};

const BITS: usize = u64::BITS as usize;

/// Words count for more than what they are made of and stand next to.
const WORD_WEIGHT: f32 = 1.0;
const PAIR_WEIGHT: f32 = 0.5;
const TRIGRAM_WEIGHT: f32 = 0.25;

/// The embedder without a model. Its tokens are words.
pub(crate) struct Hashing;

impl Model for Hashing {
    fn name(&self) -> &str {
        "assay-feature-hashing"
    }

    fn threshold(&self) -> f32 {
        0.15
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        // Words repeat from text to text.
        let mut known = HashMap::new();
        Ok(texts.iter().map(|text| embed_with(&mut known, text)).collect())
    }

    fn tokens(&self, text: &str) -> usize {
        words(text).len()
    }
}

fn embed_with(known: &mut HashMap<String, Vector>, text: &str) -> Vector {
    let words = words(text);
    let mut sum = zeros();
    for word in &words {
        let vector = known.entry(word.clone()).or_insert_with(|| word_vector(word));
        sum.iter_mut().zip(vector.iter()).for_each(|(s, v)| *s += v);
    }
    add_pairs(&mut sum, &words);
    normalize(sum)
}

/// The vector of `text`.
#[cfg(test)]
pub(crate) fn embed(text: &str) -> Vector {
    embed_with(&mut HashMap::new(), text)
}

fn zeros() -> Vector {
    Box::new([0.0; DIMENSIONS])
}

/// Lower case, letters and digits only.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// A word with its trigrams, so that "creatinine" is near "creatinines".
fn word_vector(word: &str) -> Vector {
    let mut sum = zeros();
    add(&mut sum, hash(&[word]), WORD_WEIGHT);
    let characters: Vec<char> = format!("^{word}$").chars().collect();
    for trigram in characters.windows(3) {
        let text: String = trigram.iter().collect();
        add(&mut sum, hash(&["#", &text]), TRIGRAM_WEIGHT);
    }
    sum
}

fn add_pairs(sum: &mut Vector, words: &[String]) {
    for pair in words.windows(2) {
        add(sum, hash(&[&pair[0], " ", &pair[1]]), PAIR_WEIGHT);
    }
}

/// Adds a feature: a vector of plus and minus `weight`, drawn from the feature's hash. Any two such vectors are
/// almost at right angles, which keeps features apart without a table of them.
fn add(sum: &mut Vector, feature: u64, weight: f32) {
    let mut state = feature;
    for chunk in sum.chunks_mut(BITS) {
        let signs = split_mix(&mut state);
        for (i, value) in chunk.iter_mut().enumerate() {
            *value += if signs >> i & 1 == 1 { weight } else { -weight };
        }
    }
}

fn normalize(mut sum: Vector) -> Vector {
    let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|v| *v /= length);
    }
    sum
}

/// FNV-1a, 64 bits.
fn hash(parts: &[&str]) -> u64 {
    parts
        .iter()
        .flat_map(|part| part.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str) -> f32 {
        embed(a).iter().zip(embed(b).iter()).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn likeness_follows_words() {
        assert!((cosine("Serum potassium", "serum, POTASSIUM!") - 1.0).abs() < 1e-5);
        let (near, far) = (
            cosine("dose of metoprolol", "metoprolol dosing"),
            cosine("dose of metoprolol", "chest radiograph"),
        );
        assert!(near > 0.4 && far.abs() < 0.25, "near {near}, far {far}");
        assert!(cosine("creatinine", "creatinines") > cosine("creatinine", "potassium") + 0.2);
        assert_eq!(embed(" ?! ")[0], 0.0);
    }
}
