//! Lines for a terminal. Invariant: a line is one line, whatever is in it; only the page's own marks steer the terminal.

use std::fmt;

use crate::escape::{Clean, escaped};

/// Text for a terminal in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    text: String,
}

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The text of a page that is written.
    pub fn written(write: impl FnOnce(&mut Self)) -> String {
        let mut page = Self::new();
        write(&mut page);
        page.into_text()
    }

    /// Adds a line.
    pub fn line(&mut self, text: impl fmt::Display) {
        self.marked("", text);
    }

    /// Adds a line that begins with a mark of the program's own, which may be coloured.
    pub fn marked(&mut self, mark: &str, text: impl fmt::Display) {
        self.text.push_str(mark);
        self.text.push_str(&Clean(text).to_string());
        self.text.push('\n');
    }

    /// Adds lines: layout whose values went through [`Clean`], such as a table.
    pub fn lines(&mut self, text: impl fmt::Display) {
        let text = text.to_string();
        for line in text.lines() {
            self.text.push_str(&escaped(line, true));
            self.text.push('\n');
        }
    }

    /// Adds lines with colours of the program's own; every value in them went through [`Clean`].
    pub fn painted(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}
