//! The usual places of a stream's events, read without building a tree of the event.
//!
//! Invariant: what is found is what the paths of [`super`] find in the whole document; an event of which this
//! cannot be sure is not read here.

use serde::Deserialize;
use serde_json::value::RawValue;

/// What an event has in the usual places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) is_content: bool,
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
}

/// A value that was passed over, and is where it was.
type Raw<'d> = Option<&'d RawValue>;

#[derive(Deserialize)]
struct Top<'d> {
    #[serde(borrow)]
    choices: Raw<'d>,
    delta: Raw<'d>,
    token: Raw<'d>,
    text: Raw<'d>,
    content: Raw<'d>,
    usage: Raw<'d>,
}

#[derive(Deserialize)]
struct Choice<'d> {
    #[serde(borrow)]
    delta: Raw<'d>,
    text: Raw<'d>,
}

#[derive(Deserialize)]
struct Delta<'d> {
    #[serde(borrow)]
    content: Raw<'d>,
    reasoning_content: Raw<'d>,
    reasoning: Raw<'d>,
}

#[derive(Deserialize)]
struct Usage<'d> {
    #[serde(borrow)]
    completion_tokens: Raw<'d>,
    output_tokens: Raw<'d>,
    prompt_tokens: Raw<'d>,
    input_tokens: Raw<'d>,
}

/// Reads an event that is an object; `None` where it is not, or where it has a place twice, which the tree has
/// to settle.
pub(super) fn read(data: &str) -> Option<Known> {
    let top: Top<'_> = object(data)?;
    let mut is_content = [top.delta, top.token, top.text, top.content].into_iter().any(is_text);
    if let Some(choices) = top.choices.filter(|c| c.get().starts_with('[')) {
        let choices: Vec<&RawValue> = serde_json::from_str(choices.get()).ok()?;
        if let Some(first) = choices.first().filter(|c| is_object(c.get())) {
            let choice: Choice<'_> = object(first.get())?;
            is_content |= is_text(choice.text);
            if let Some(delta) = choice.delta.filter(|d| is_object(d.get())) {
                let delta: Delta<'_> = object(delta.get())?;
                is_content |=
                    [delta.content, delta.reasoning_content, delta.reasoning].into_iter().any(is_text);
            }
        }
    }
    let mut known = Known { is_content, ..Known::default() };
    if let Some(usage) = top.usage.filter(|u| is_object(u.get())) {
        let usage: Usage<'_> = object(usage.get())?;
        known.output_tokens = count(usage.completion_tokens).or_else(|| count(usage.output_tokens));
        known.input_tokens = count(usage.prompt_tokens).or_else(|| count(usage.input_tokens));
    }
    Some(known)
}

/// A list would be read field by field, too.
fn object<'d, T: Deserialize<'d>>(text: &'d str) -> Option<T> {
    if is_object(text) { serde_json::from_str(text).ok() } else { None }
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Whether a value is a text that is not empty.
fn is_text(value: Raw<'_>) -> bool {
    value.is_some_and(|v| v.get().starts_with('"') && v.get() != "\"\"")
}

fn count(value: Raw<'_>) -> Option<u64> {
    // As in the tree: a number without sign, point and exponent.
    value?.get().parse().ok()
}
