//! What the fuzz targets call. Invariant: none of these panics, whatever the bytes.

use crate::{
    client::{http1, sse::Parser},
    scenario::read_document,
};

/// Parses an event stream whole and in two pieces; the first byte says where it is cut.
///
/// # Panics
/// If the two disagree, which is what a fuzzer looks for.
pub fn event_stream(bytes: &[u8]) {
    let Some((whole, pieces)) = cut(bytes) else { return };
    let events = |pieces: &[&[u8]]| {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for piece in pieces {
            let mut take = |event: crate::client::sse::Event<'_>| {
                events.push((event.name.to_owned(), event.data.to_owned()));
            };
            if parser.push(piece, &mut take).is_err() {
                return None;
            }
        }
        Some(events)
    };
    assert_eq!(events(&[whole]), events(&pieces));
}

/// Reads the JSON of a model server.
pub fn answer(text: &str) {
    let _ = read_document(text);
}

/// Reads a response head, and the same bytes as a chunked body; the first byte says where they are cut.
///
/// # Panics
/// If it matters where they are cut.
pub fn response(bytes: &[u8]) {
    let Some((whole, [first, rest])) = cut(bytes) else { return };
    http1::fuzzing::head(whole, first);
    http1::fuzzing::chunked(whole, [first, rest]);
}

/// The bytes behind the first one, and two pieces of them that it separates.
fn cut(bytes: &[u8]) -> Option<(&[u8], [&[u8]; 2])> {
    let (at, whole) = bytes.split_first()?;
    let (first, rest) = whole.split_at(usize::from(*at).min(whole.len()));
    Some((whole, [first, rest]))
}
