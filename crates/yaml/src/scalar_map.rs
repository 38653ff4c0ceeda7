//! Maps an offset in a scalar's text back to the file. Invariant: the walk never leaves the scalar's span,
//! so a mismatch costs precision within the scalar, never more.

use crate::{Node, Position, Style};

/// The position in `document` of byte `offset` of the scalar's decoded `text`.
pub(crate) fn position(node: &Node, text: &str, style: Style, document: &str, offset: usize) -> Position {
    let raw: Vec<char> = document.chars().skip(node.span.start).take(node.span.len()).collect();
    let mut walk = Walk { raw: &raw, at: 0, position: node.position };
    walk.skip_opening(style);
    let block = matches!(style, Style::Literal | Style::Folded);
    for (i, c) in text.char_indices() {
        walk.align(c, style, block);
        if i >= offset {
            break;
        }
        walk.consume(c, style);
    }
    walk.position
}

struct Walk<'a> {
    raw: &'a [char],
    at: usize,
    position: Position,
}

impl Walk<'_> {
    fn peek(&self) -> Option<char> {
        self.raw.get(self.at).copied()
    }

    fn step(&mut self) {
        match self.peek() {
            Some('\n') => self.position = Position { line: self.position.line + 1, col: 1 },
            Some(_) => self.position.col += 1,
            None => return,
        }
        self.at += 1;
    }

    /// Passes the quote, or the header line of a block scalar.
    fn skip_opening(&mut self, style: Style) {
        match style {
            Style::Plain => {}
            Style::Single | Style::Double => self.step(),
            Style::Literal | Style::Folded => {
                if self.peek().is_some_and(|c| c == '|' || c == '>') {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.step();
                    }
                    self.step();
                }
            }
        }
    }

    /// Moves to where the decoded character `c` begins: past indentation, and past an escaped line break.
    fn align(&mut self, c: char, style: Style, block: bool) {
        if style == Style::Double {
            while self.peek() == Some('\\') && self.raw.get(self.at + 1) == Some(&'\n') {
                self.step();
                self.step();
                self.skip_blank();
            }
        }
        let after_break = self.position.col == 1 || self.at == 0;
        if !c.is_whitespace() || (block && after_break && c == ' ') {
            self.skip_blank();
        }
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.step();
        }
    }

    /// Moves past the raw form of the decoded character `c`.
    fn consume(&mut self, c: char, style: Style) {
        match (self.peek(), style) {
            (Some('\\'), Style::Double) => {
                let digits = match self.raw.get(self.at + 1) {
                    Some('x') => 2,
                    Some('u') => 4,
                    Some('U') => 8,
                    _ => 0,
                };
                for _ in 0..2 + digits {
                    self.step();
                }
            }
            (Some('\''), Style::Single) => {
                self.step();
                self.step();
            }
            // A folded line break stands for a space; the indentation after it is passed by `align`.
            (Some(r), _) if r == c || (c.is_whitespace() && r.is_whitespace()) => self.step(),
            _ => {}
        }
    }
}
