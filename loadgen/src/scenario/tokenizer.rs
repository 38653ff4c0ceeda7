//! A model's tokenizer, from a local `tokenizer.json`. Invariant: nothing is fetched, and a prompt that is made of [`Tokenizer::words`]
//! has as many tokens as words.

use std::fmt;

use self::model::Model;

/// A tokenizer.
pub(crate) struct Tokenizer {
    model: Model,
    words: Vec<&'static str>,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer({} tokens)", self.model.size())
    }
}

/// The least words of one token that make a prompt.
const LEAST_WORDS: usize = 2;

impl Tokenizer {
    /// Reads a tokenizer; of `words`, those are kept that are one token each.
    pub(crate) fn parse(bytes: &[u8], words: &[&'static str]) -> Result<Self, String> {
        let mut tokenizer = Self { model: Model::read(bytes)?, words: Vec::new() };
        // At the start of a text, and behind a space.
        let is_one = |t: &Self, word: &str| t.count(word) == 1 && t.count(&format!("{word} {word}")) == 2;
        tokenizer.words = words.iter().copied().filter(|word| is_one(&tokenizer, word)).collect();
        if tokenizer.words.len() < LEAST_WORDS {
            return Err("it has no common English words, of which prompts are made".to_owned());
        }
        let all = tokenizer.words.join(" ");
        if tokenizer.count(&all) != tokenizer.words.len() {
            return Err(
                "its tokens reach over several words, so that prompts of a given length cannot be made"
                    .to_owned(),
            );
        }
        Ok(tokenizer)
    }

    /// How many tokens a text has, without those that a server adds at its ends.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.model.count(text)
    }

    /// Words that are one token each.
    pub(crate) fn words(&self) -> &[&'static str] {
        &self.words
    }
}

#[cfg(feature = "tokenizer")]
mod model {
    /// The crate's own.
    pub(super) struct Model(tokenizers::Tokenizer);

    impl Model {
        pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
            let mut tokenizer = tokenizers::Tokenizer::from_bytes(bytes)
                .map_err(|e| format!("not a tokenizer.json as Hugging Face's tokenizers write it: {e}"))?;
            // In files of embedding models every text is filled up to one length, and cut there.
            tokenizer.with_padding(None);
            tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
            Ok(Self(tokenizer))
        }

        pub(super) fn size(&self) -> usize {
            self.0.get_vocab_size(true)
        }

        pub(super) fn count(&self, text: &str) -> usize {
            self.0.encode_fast(text, false).map_or(0, |encoding| encoding.len())
        }
    }
}

#[cfg(not(feature = "tokenizer"))]
mod model {
    /// There is none in a program that was built without them.
    pub(super) enum Model {}

    impl Model {
        pub(super) fn read(_: &[u8]) -> Result<Self, String> {
            Err("this loadgen was built without tokenizers; build it with --features tokenizer".to_owned())
        }

        pub(super) fn size(&self) -> usize {
            match *self {}
        }

        pub(super) fn count(&self, _: &str) -> usize {
            match *self {}
        }
    }
}

#[cfg(all(test, feature = "tokenizer"))]
pub(crate) mod tests {
    use super::*;

    /// Byte pairs in which `the`, `of` and `water` are one token, and every other word is its letters.
    pub(crate) const SMALL: &str = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
        "model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,
        "fuse_unk":false,"byte_fallback":false,"ignore_merges":false,
        "vocab":{"a":0,"e":1,"f":2,"h":3,"n":4,"o":5,"t":6,"w":7,"r":8,"d":9,"th":10,"the":11,"of":12},
        "merges":["t h","th e","o f"]}}"#;

    #[test]
    fn words_are_one_token_each() {
        let tokenizer = Tokenizer::parse(SMALL.as_bytes(), &["the", "of", "and", "to"]).expect("a tokenizer");
        assert_eq!(tokenizer.words(), ["the", "of"]);
        assert_eq!(tokenizer.count("the end of the road"), 1 + 3 + 1 + 1 + 4);
        // As files of embedding models have it: filled up to four tokens, and cut there.
        let fixed = SMALL
            .replace("\"truncation\":null", r#""truncation":{"direction":"Right","max_length":4,"strategy":"LongestFirst","stride":0}"#)
            .replace("\"padding\":null", r#""padding":{"strategy":{"Fixed":4},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"a"}"#);
        assert!(fixed.contains("Fixed") && fixed.contains("max_length"));
        let fixed = Tokenizer::parse(fixed.as_bytes(), &["the", "of"]).expect("a tokenizer");
        assert_eq!(fixed.count("the end of the road"), tokenizer.count("the end of the road"));
        let e = Tokenizer::parse(SMALL.as_bytes(), &["and"]).expect_err("no words");
        assert!(e.contains("no common English words"), "{e}");
        let e = Tokenizer::parse(b"{\"model\": 1}", &[]).expect_err("no tokenizer");
        assert!(e.contains("not a tokenizer.json"), "{e}");
    }
}
