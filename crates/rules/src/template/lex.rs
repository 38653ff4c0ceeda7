//! Splits a template into text and the tokens of its actions.
//!
//! Invariant: every token's `pos` is the byte where it begins in the text, so that errors can point there.
//! Source of the language: Go's `text/template` package documentation (go1.24).

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Text outside actions, trimmed as the markers next to it say.
    Text,
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// White space inside an action, which separates arguments.
    Space,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `|`
    Pipe,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `.Name`; the token's text is the name without the dot.
    Field,
    /// `$` or `$name`, the dollar included.
    Variable,
    /// A name: keyword, function, `true`, `false` or `nil`.
    Word,
    /// A number or character constant as written.
    Number,
    /// A string constant, unquoted; the raw text is kept for messages.
    Str {
        /// As written, quotes included.
        quoted: String,
    },
    /// The end of the template.
    End,
}

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its text; see [`Kind`] for what is left out.
    pub(crate) text: String,
    /// Where it begins, in bytes.
    pub(crate) pos: usize,
}

/// Why a template cannot be read, and the byte at which.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) pos: usize,
}

/// Splits `text` into tokens; the last is [`Kind::End`].
pub(crate) fn lex(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut lexer = Lexer { text, pos: 0, out: Vec::new() };
    lexer.run()?;
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    out: Vec<Token>,
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    fn push(&mut self, kind: Kind, text: impl Into<String>, pos: usize) {
        self.out.push(Token { kind, text: text.into(), pos });
    }

    fn fail<T>(&self, message: impl Into<String>, pos: usize) -> Result<T, SyntaxError> {
        Err(SyntaxError { message: message.into(), pos })
    }

    fn run(&mut self) -> Result<(), SyntaxError> {
        // Whether the action before ended in ` -}}`, which trims the text that follows.
        let mut trim_left = false;
        loop {
            let rest = self.rest();
            let open = rest.find("{{");
            let mut text = &rest[..open.unwrap_or(rest.len())];
            let trim_right = open.is_some_and(|at| has_left_trim(&rest[at + 2..]));
            let mut start = self.pos;
            if trim_left {
                let trimmed = text.trim_start_matches(is_space);
                start += text.len() - trimmed.len();
                text = trimmed;
            }
            if trim_right {
                text = text.trim_end_matches(is_space);
            }
            if !text.is_empty() {
                self.push(Kind::Text, text, start);
            }
            let Some(at) = open else {
                self.pos = self.text.len();
                self.push(Kind::End, "", self.pos);
                return Ok(());
            };
            self.pos += at;
            trim_left = self.action(trim_right)?;
        }
    }

    /// Reads one action from its `{{` on; yields whether it ended in a trim marker.
    fn action(&mut self, trimmed: bool) -> Result<bool, SyntaxError> {
        let open = self.pos;
        self.pos += 2 + 2 * usize::from(trimmed);
        if self.rest().starts_with("/*") {
            return self.comment(open);
        }
        self.push(Kind::Open, "{{", open);
        let mut depth = 0usize;
        loop {
            let rest = self.rest();
            let pos = self.pos;
            let trim = rest.starts_with(is_space) && rest[1..].starts_with("-}}");
            if trim || rest.starts_with("}}") {
                if depth > 0 {
                    return self.fail("unclosed left paren", pos);
                }
                self.pos += if trim { 4 } else { 2 };
                self.push(Kind::Close, "}}", pos + if trim { 2 } else { 0 });
                return Ok(trim);
            }
            let Some(c) = rest.chars().next() else { return self.fail("unclosed action", open) };
            match c {
                c if is_space(c) => {
                    // A space before ` -}}` belongs to the marker.
                    let all = rest.len() - rest.trim_start_matches(is_space).len();
                    let n = if rest[all..].starts_with("-}}") { all - 1 } else { all };
                    self.pos += n;
                    self.push(Kind::Space, " ", pos);
                }
                '(' => {
                    depth += 1;
                    self.single(Kind::LeftParen, "(");
                }
                ')' => {
                    if depth == 0 {
                        return self.fail("unexpected right paren", pos);
                    }
                    depth -= 1;
                    self.single(Kind::RightParen, ")");
                }
                '|' => self.single(Kind::Pipe, "|"),
                ',' => self.single(Kind::Comma, ","),
                '=' => self.single(Kind::Assign, "="),
                ':' if rest.starts_with(":=") => {
                    self.pos += 2;
                    self.push(Kind::Declare, ":=", pos);
                }
                ':' => return self.fail("expected :=", pos),
                '"' => self.quoted()?,
                '`' => self.raw()?,
                '\'' => self.character()?,
                '$' => self.variable()?,
                '.' if !rest[1..].starts_with(|d: char| d.is_ascii_digit()) => self.field()?,
                '+' | '-' | '.' | '0'..='9' => self.number()?,
                c if is_word(c) => self.word()?,
                c => {
                    return self
                        .fail(format!("unrecognized character in action: U+{:04X} '{c}'", c as u32), pos);
                }
            }
        }
    }

    fn single(&mut self, kind: Kind, text: &str) {
        self.push(kind, text, self.pos);
        self.pos += 1;
    }

    fn comment(&mut self, open: usize) -> Result<bool, SyntaxError> {
        let Some(end) = self.rest().find("*/") else { return self.fail("unclosed comment", open) };
        self.pos += end + 2;
        let rest = self.rest();
        if rest.starts_with("}}") {
            self.pos += 2;
            return Ok(false);
        }
        if rest.starts_with(is_space) && rest[1..].starts_with("-}}") {
            self.pos += 4;
            return Ok(true);
        }
        self.fail("comment ends before closing delimiter", self.pos)
    }

    fn variable(&mut self) -> Result<(), SyntaxError> {
        let pos = self.pos;
        let rest = self.rest();
        let end = rest[1..].find(|c| !is_word(c)).map_or(rest.len(), |n| n + 1);
        self.pos += end;
        self.push(Kind::Variable, &rest[..end], pos);
        self.check_terminator()
    }

    fn field(&mut self) -> Result<(), SyntaxError> {
        let pos = self.pos;
        let rest = self.rest();
        let end = rest[1..].find(|c| !is_word(c)).map_or(rest.len(), |n| n + 1);
        self.pos += end;
        if end == 1 {
            self.push(Kind::Dot, ".", pos);
            return Ok(());
        }
        self.push(Kind::Field, &rest[1..end], pos);
        self.check_terminator()
    }

    fn word(&mut self) -> Result<(), SyntaxError> {
        let pos = self.pos;
        let rest = self.rest();
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.pos += end;
        self.push(Kind::Word, &rest[..end], pos);
        self.check_terminator()
    }

    /// A name must be followed by something that ends it: `$x+1` is no expression of this language.
    fn check_terminator(&self) -> Result<(), SyntaxError> {
        match self.rest().chars().next() {
            None | Some('.' | ',' | '|' | ':' | '=' | '(' | ')') => Ok(()),
            Some(c) if is_space(c) => Ok(()),
            Some('}') if self.rest().starts_with("}}") => Ok(()),
            Some(c) => self.fail(format!("bad character U+{:04X} '{c}'", c as u32), self.pos),
        }
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        let pos = self.pos;
        let rest = self.rest();
        let end = rest
            .char_indices()
            .find(|(i, c)| {
                let after_exponent = *i > 0 && matches!(rest.as_bytes()[i - 1], b'e' | b'E' | b'p' | b'P');
                !(is_word(*c) || *c == '.' || ((*c == '+' || *c == '-') && (*i == 0 || after_exponent)))
            })
            .map_or(rest.len(), |(i, _)| i);
        let text = &rest[..end];
        if super::number::parse(text).is_none() {
            return self.fail(format!("bad number syntax: {text:?}"), pos);
        }
        self.pos += end;
        self.push(Kind::Number, text, pos);
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), SyntaxError> {
        let pos = self.pos;
        let rest = self.rest();
        let mut escaped = false;
        for (i, c) in rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let raw = &rest[..=i];
                    let Some(text) = super::number::unquote(raw) else {
                        return self.fail("invalid syntax", pos);
                    };
                    self.pos += i + 1;
                    self.push(Kind::Str { quoted: raw.to_owned() }, text, pos);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.fail("unterminated quoted string", pos)
    }

    fn raw(&mut self) -> Result<(), SyntaxError> {
        let pos = self.pos;
        let rest = self.rest();
        let Some(end) = rest[1..].find('`') else { return self.fail("unterminated raw quoted string", pos) };
        self.pos += end + 2;
        let text = rest[1..=end].replace('\r', "");
        self.push(Kind::Str { quoted: rest[..end + 2].to_owned() }, text, pos);
        Ok(())
    }

    fn character(&mut self) -> Result<(), SyntaxError> {
        let pos = self.pos;
        let rest = self.rest();
        let mut escaped = false;
        for (i, c) in rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\'' => {
                    let raw = &rest[..=i];
                    if super::number::parse(raw).is_none() {
                        return self.fail(format!("malformed character constant: {raw}"), pos);
                    }
                    self.pos += i + 1;
                    self.push(Kind::Number, raw, pos);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.fail("unterminated character constant", pos)
    }
}

/// Whether an action begins with `- `: the marker that trims the text before it.
fn has_left_trim(after_open: &str) -> bool {
    after_open.starts_with('-') && after_open[1..].starts_with(is_space)
}
