//! The prompt, and the answer that the model will give to it.
//!
//! Invariant: an answer says what the passages found say, in their order, and names them.

use rand::{RngExt as _, rngs::SmallRng};

use super::corpus::Passage;

/// What the model is given, and what it will say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    /// The prompt's text.
    pub(super) text: String,
    /// How many tokens it has.
    pub(super) tokens: u32,
    /// The answer, token by token; put together they are its text.
    pub(super) answer: Vec<String>,
}

const INSTRUCTIONS: &str = "You assist clinicians. Answer the question about the patient from the passages below and \
     from nothing else. Say which passage each statement comes from. Where the passages do not answer the \
     question, say so.";

/// Sentences taken from a passage, least and most.
const SENTENCES: std::ops::RangeInclusive<usize> = 1..=2;

/// Words that make a token longer than this are two tokens, about as tokenizers for English have it.
const LETTERS_PER_TOKEN: usize = 7;

pub(super) fn build(question: &str, patient_id: &str, passages: &[&Passage], rng: &mut SmallRng) -> Prompt {
    let mut text = format!("{INSTRUCTIONS}\n\nPatient: {patient_id}\n\n");
    for passage in passages {
        text.push_str(&format!("[{}] {}\n{}\n\n", passage.id, passage.title, passage.text));
    }
    text.push_str(&format!("Question: {question}\nAnswer:"));
    let tokens = tokenize(&text).len() as u32;
    Prompt { text, tokens, answer: tokenize(&answer(passages, rng)) }
}

fn answer(passages: &[&Passage], rng: &mut SmallRng) -> String {
    if passages.is_empty() {
        return "The passages do not answer the question.".into();
    }
    let statements = passages.iter().map(|passage| {
        let n = rng.random_range(SENTENCES);
        let sentences: Vec<&str> = passage.text.split_inclusive(". ").take(n).map(str::trim).collect();
        format!("{} [{}]", sentences.join(" "), passage.id)
    });
    statements.collect::<Vec<_>>().join(" ")
}

/// Words with the blank before them, long ones in pieces: put together they are the text again.
pub(super) fn tokenize(text: &str) -> Vec<String> {
    let mut tokens = Vec::with_capacity(text.len() / 4);
    let mut token = String::new();
    for c in text.chars() {
        let letters = token.trim_start().chars().count();
        if !token.is_empty() && (c.is_whitespace() || letters >= LETTERS_PER_TOKEN) {
            tokens.push(std::mem::take(&mut token));
        }
        token.push(c);
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::service::corpus::passages;

    #[test]
    fn tokens_are_the_text() {
        for text in ["Start apixaban within 4 hours.", "", " a  b\n\nc", "chronic obstructive", "é̀ßüöäåø"]
        {
            assert_eq!(tokenize(text).concat(), text);
        }
        assert_eq!(tokenize("Start apixaban now"), ["Start", " apixaba", "n", " now"]);
    }

    #[test]
    fn an_answer_names_its_passages() {
        let all = passages(8, 1);
        let found: Vec<&Passage> = all.iter().take(3).collect();
        let prompt = build("Which dose?", "P001", &found, &mut SmallRng::seed_from_u64(1));
        let answer = prompt.answer.concat();
        for passage in &found {
            assert!(prompt.text.contains(&passage.text) && answer.contains(&format!("[{}]", passage.id)));
        }
        assert!(prompt.text.contains("P001") && prompt.tokens > 100);
        let nothing = build("Which dose?", "P001", &[], &mut SmallRng::seed_from_u64(1));
        assert_eq!(nothing.answer.concat(), "The passages do not answer the question.");
    }
}
