//! The prompt, and what the simulated model says to it.
//!
//! Invariant: an answer says what the passages found say, in their order, and names them.

use rand::{RngExt as _, rngs::SmallRng};

use super::{corpus::Passage, patients::Patient};

/// What the model is given, and what a model that does not read will say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Role and text of each message.
    pub(crate) messages: Vec<(String, String)>,
    /// How many tokens they have.
    pub(crate) tokens: u32,
    /// The answer, token by token; put together they are its text.
    pub(crate) answer: Vec<String>,
}

const INSTRUCTIONS: &str = "You assist clinicians. Answer the question about the patient from the passages below and \
     from nothing else. Say which passage each statement comes from. When the passages do not answer the \
     question, say so.";

/// What is said when no passage is about the question.
pub(crate) const NOTHING_FOUND: &str = "No passage that you may read answers this question.";

/// Sentences taken from a passage, least and most.
const SENTENCES: std::ops::RangeInclusive<usize> = 1..=2;

/// Words that make a token longer than this are two tokens, about as tokenizers for English have it.
const LETTERS_PER_TOKEN: usize = 7;

/// Tokens of an answer of the simulated model when nobody asks for a length.
const FREE_TOKENS: std::ops::RangeInclusive<usize> = 80..=120;

pub(crate) fn build(question: &str, patient: &Patient, passages: &[&Passage], rng: &mut SmallRng) -> Prompt {
    let mut text = format!("Patient {}: {}\n\n", patient.id, patient.summary);
    for passage in passages {
        text.push_str(&format!("[{}] {}\n{}\n\n", passage.id, passage.title, passage.text));
    }
    text.push_str(&format!("Question: {question}"));
    let tokens = (tokenize(INSTRUCTIONS).len() + tokenize(&text).len()) as u32;
    let messages = vec![("system".to_owned(), INSTRUCTIONS.to_owned()), ("user".to_owned(), text)];
    Prompt { messages, tokens, answer: tokenize(&answer(passages, rng)) }
}

fn answer(passages: &[&Passage], rng: &mut SmallRng) -> String {
    let statements = passages.iter().map(|passage| {
        let n = rng.random_range(SENTENCES);
        let sentences: Vec<&str> = passage.text.split_inclusive(". ").take(n).map(str::trim).collect();
        format!("{} [{}]", sentences.join(" "), passage.id)
    });
    statements.collect::<Vec<_>>().join(" ")
}

/// What the simulated model says to a conversation that is not about passages: sentences of some of them, `length`
/// tokens or a length of its own.
pub(crate) fn chat(passages: &[Passage], length: Option<usize>, rng: &mut SmallRng) -> Vec<String> {
    let length = length.unwrap_or_else(|| rng.random_range(FREE_TOKENS));
    let mut tokens = Vec::with_capacity(length + 64);
    while tokens.len() < length && !passages.is_empty() {
        let passage = &passages[rng.random_range(0..passages.len())];
        let separator = if tokens.is_empty() { "" } else { " " };
        tokens.extend(tokenize(&format!("{separator}{}", passage.text)));
    }
    tokens.truncate(length);
    tokens
}

/// Words with the blank before them, long ones in pieces: put together they are the text again.
pub(crate) fn tokenize(text: &str) -> Vec<String> {
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
    use crate::service::{corpus::passages, patients::Patients};

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
        let all = passages().unwrap();
        let found: Vec<&Passage> = all.iter().take(3).collect();
        let patients = Patients::load();
        let patient = patients.get("P-0001").unwrap();
        let prompt = build("Which dose?", patient, &found, &mut SmallRng::seed_from_u64(1));
        let (answer, text) = (prompt.answer.concat(), &prompt.messages[1].1);
        for passage in &found {
            assert!(text.contains(&passage.text) && answer.contains(&format!("[{}]", passage.id)));
        }
        assert!(text.contains("P-0001") && prompt.tokens > 100);
    }

    #[test]
    fn a_chat_is_as_long_as_asked() {
        let all = passages().unwrap();
        let mut rng = SmallRng::seed_from_u64(1);
        assert_eq!(chat(&all, Some(100), &mut rng).len(), 100);
        assert!(FREE_TOKENS.contains(&chat(&all, None, &mut rng).len()));
    }
}
