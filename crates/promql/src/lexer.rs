//! Text to tokens. Which characters may follow depends on whether a brace or bracket is open, as in
//! Prometheus' `promql/parser/lex.go` (v3.13), whose errors and their positions this lexer repeats.
//!
//! Invariant: the list ends with `Eof` or `Error`, and neither stands anywhere else.

mod number;
mod token;

pub(crate) use number::number_value;
pub(crate) use token::{Token, TokenKind};

use crate::ast::{BinaryOp, Span};
use token::keyword;

/// The tokens of a text, comments left out.
pub(crate) struct Tokens {
    /// The tokens.
    pub(crate) list: Vec<Token>,
    /// What the final `Error` is about.
    pub(crate) error: Option<(Span, String)>,
}

/// Splits a text into tokens.
pub(crate) fn lex(text: &str) -> Tokens {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), ..Lexer::default() };
    let mut list = Vec::new();
    loop {
        match lexer.next_token() {
            Ok(kind) => {
                list.push(Token { kind, start: lexer.start, end: lexer.pos });
                lexer.start = lexer.pos;
                if kind == TokenKind::Eof {
                    return Tokens { list, error: None };
                }
                if let Some(message) = lexer.pending.take() {
                    list.pop();
                    return failed(list, lexer.start, text.len(), message);
                }
            }
            Err(message) => return failed(list, lexer.start, text.len(), message),
        }
    }
}

fn failed(mut list: Vec<Token>, start: usize, end: usize, message: String) -> Tokens {
    list.push(Token { kind: TokenKind::Error, start, end });
    Tokens { list, error: Some((start..end, message)) }
}

/// The scanner's state between two tokens.
#[derive(Default)]
struct Lexer<'t> {
    text: &'t str,
    bytes: &'t [u8],
    /// Where the token in progress begins.
    start: usize,
    /// Where the scanner stands.
    pos: usize,
    paren_depth: i64,
    brace_open: bool,
    bracket_open: bool,
    /// Whether nothing but an operator, parenthesis or blank has come since `[`.
    in_duration: bool,
    /// Whether any bracket has held a number yet.
    got_duration: bool,
    got_colon: bool,
    /// An error that takes the place of the token just read, at its end.
    pending: Option<String>,
}

type Lexed = Result<TokenKind, String>;

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.pos..].chars().next()
    }

    fn peek_byte(&self) -> u8 {
        self.bytes.get(self.pos).copied().unwrap_or(0)
    }

    /// Steps over the next character where it is `b`.
    fn accept(&mut self, b: u8) -> bool {
        let hit = self.pos < self.bytes.len() && self.bytes[self.pos] == b;
        self.pos += usize::from(hit);
        hit
    }

    fn next_token(&mut self) -> Lexed {
        loop {
            while matches!(self.peek_byte(), b' ' | b'\t' | b'\n' | b'\r') {
                self.pos += 1;
            }
            self.start = self.pos;
            if self.in_duration || self.peek_byte() != b'#' {
                break;
            }
            while !matches!(self.peek(), None | Some('\n' | '\r')) {
                self.pos += self.peek().map_or(0, char::len_utf8);
            }
        }
        let next = self.peek();
        self.pos += next.map_or(0, char::len_utf8);
        if self.in_duration {
            self.duration(next)
        } else if self.brace_open {
            self.inside_braces(next)
        } else {
            self.statement(next)
        }
    }

    fn statement(&mut self, next: Option<char>) -> Lexed {
        use TokenKind as T;
        let Some(c) = next else {
            return match (self.paren_depth, self.bracket_open) {
                (0, false) => Ok(T::Eof),
                (0, true) => Err("unclosed left bracket".to_owned()),
                _ => Err("unclosed left parenthesis".to_owned()),
            };
        };
        Ok(match c {
            ',' => T::Comma,
            '=' if self.accept(b'=') => T::Operator(BinaryOp::Eql),
            '=' if self.peek_byte() == b'~' => return Err("unexpected character after '=': '~'".to_owned()),
            '=' => T::Equal,
            '!' if self.accept(b'=') => T::Operator(BinaryOp::Neq),
            '!' => return Err(format!("unexpected character after '!': {}", quoted(self.peek()))),
            '<' if self.accept(b'=') => T::Operator(BinaryOp::Lte),
            '<' if self.accept(b'/') => T::Operator(BinaryOp::TrimUpper),
            '<' => T::Operator(BinaryOp::Lss),
            '>' if self.accept(b'=') => T::Operator(BinaryOp::Gte),
            '>' if self.accept(b'/') => T::Operator(BinaryOp::TrimLower),
            '>' => T::Operator(BinaryOp::Gtr),
            '0'..='9' => return self.number_or_duration(),
            '.' if self.peek_byte().is_ascii_digit() => return self.number_or_duration(),
            '"' | '\'' => return self.string(c),
            '`' => return self.raw_string(),
            'a'..='z' | 'A'..='Z' | '_' | ':' if self.bracket_open => return self.in_brackets(c),
            'a'..='z' | 'A'..='Z' | '_' | ':' => self.keyword_or_identifier(),
            '(' => self.open_paren(),
            ')' => self.close_paren(),
            '{' => {
                self.brace_open = true;
                T::LeftBrace
            }
            '[' if self.bracket_open => return Err("unexpected left bracket '['".to_owned()),
            '[' => {
                (self.got_colon, self.bracket_open, self.in_duration) = (false, true, true);
                T::LeftBracket
            }
            ']' if !self.bracket_open => return Err("unexpected right bracket ']'".to_owned()),
            ']' => {
                self.bracket_open = false;
                T::RightBracket
            }
            '@' => T::At,
            _ => match arithmetic(c) {
                Some(op) => T::Operator(op),
                None => return Err(format!("unexpected character: {}", quoted(Some(c)))),
            },
        })
    }

    /// A letter or colon after the first number of a bracket: the colon of a subquery, or `step()` and kin.
    fn in_brackets(&mut self, c: char) -> Lexed {
        if c == ':' {
            if self.got_colon {
                return Err("unexpected colon ':'".to_owned());
            }
            self.got_colon = true;
            return Ok(TokenKind::Colon);
        }
        self.duration_keyword()
            .ok_or_else(|| format!("unexpected character: {}, expected ':'", quoted(Some(c))))
    }

    /// The inside of a bracket up to its first number.
    fn duration(&mut self, next: Option<char>) -> Lexed {
        use TokenKind as T;
        let Some(c) = next else {
            return Err("unexpected end of input in duration expression".to_owned());
        };
        Ok(match c {
            ']' => {
                (self.bracket_open, self.got_colon, self.in_duration) = (false, false, false);
                T::RightBracket
            }
            ':' => {
                if !self.got_duration {
                    self.pending = Some("unexpected colon before duration in duration expression".to_owned());
                } else if self.got_colon {
                    self.pending = Some("unexpected repeated colon in duration expression".to_owned());
                }
                self.got_colon = true;
                T::Colon
            }
            '(' => self.open_paren(),
            ')' => self.close_paren(),
            ',' => T::Comma,
            '0'..='9' => return self.number_in_duration(),
            '.' if self.peek_byte().is_ascii_digit() => return self.number_in_duration(),
            _ => {
                let fail = || format!("unexpected character in duration expression: {}", quoted(Some(c)));
                if let Some(op) = arithmetic(c) {
                    return Ok(T::Operator(op));
                }
                let letter = c.is_ascii_alphabetic() || c == '_';
                return letter.then(|| self.duration_keyword()).flatten().ok_or_else(fail);
            }
        })
    }

    fn number_in_duration(&mut self) -> Lexed {
        (self.got_duration, self.in_duration) = (true, false);
        self.number_or_duration()
    }

    /// `step`, `range`, `min_of`, `max_of`, whose first letter has been read.
    fn duration_keyword(&mut self) -> Option<TokenKind> {
        while self.peek_byte().is_ascii_alphabetic() || self.peek_byte() == b'_' {
            self.pos += 1;
        }
        let kind = keyword(&self.text[self.start..self.pos])?;
        matches!(kind, TokenKind::Step | TokenKind::Range | TokenKind::MinOf | TokenKind::MaxOf)
            .then_some(kind)
    }

    fn open_paren(&mut self) -> TokenKind {
        self.paren_depth += 1;
        TokenKind::LeftParen
    }

    fn close_paren(&mut self) -> TokenKind {
        self.paren_depth -= 1;
        if self.paren_depth < 0 {
            self.pending = Some("unexpected right parenthesis ')'".to_owned());
        }
        TokenKind::RightParen
    }

    fn inside_braces(&mut self, next: Option<char>) -> Lexed {
        use TokenKind as T;
        let Some(c) = next else {
            return Err("unexpected end of input inside braces".to_owned());
        };
        Ok(match c {
            'a'..='z' | 'A'..='Z' | '_' => {
                self.skip_alphanumeric(false);
                T::Identifier
            }
            ',' => T::Comma,
            '"' | '\'' => return self.string(c),
            '`' => return self.raw_string(),
            '=' if self.accept(b'~') => T::RegexMatch,
            '=' => T::Equal,
            '!' if self.accept(b'~') => T::NotRegexMatch,
            '!' if self.accept(b'=') => T::Operator(BinaryOp::Neq),
            '!' => {
                return Err(format!("unexpected character after '!' inside braces: {}", quoted(self.peek())));
            }
            '{' => return Err("unexpected left brace '{'".to_owned()),
            '}' => {
                self.brace_open = false;
                T::RightBrace
            }
            _ => return Err(format!("unexpected character inside braces: {}", quoted(Some(c)))),
        })
    }

    fn skip_alphanumeric(&mut self, colon_too: bool) {
        while self.peek_byte().is_ascii_alphanumeric()
            || self.peek_byte() == b'_'
            || (colon_too && self.peek_byte() == b':')
        {
            self.pos += 1;
        }
    }

    fn keyword_or_identifier(&mut self) -> TokenKind {
        self.skip_alphanumeric(true);
        let word = &self.text[self.start..self.pos];
        match keyword(word) {
            Some(TokenKind::Fill | TokenKind::FillLeft | TokenKind::FillRight) if !self.paren_follows() => {
                TokenKind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        }
    }

    /// `fill` and its kin stay usable as metric names: they are keywords before `(` alone.
    fn paren_follows(&self) -> bool {
        self.text[self.pos..].trim_start_matches([' ', '\t', '\n', '\r']).starts_with('(')
    }

    fn string(&mut self, quote: char) -> Lexed {
        loop {
            let Some(c) = self.peek() else {
                return Err("unterminated quoted string".to_owned());
            };
            self.pos += c.len_utf8();
            match c {
                '\n' => return Err("unterminated quoted string".to_owned()),
                '\\' => self.escape(quote)?,
                _ if c == quote => return Ok(TokenKind::String),
                _ => {}
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<(), String> {
        let Some(c) = self.peek() else {
            return Err("escape sequence not terminated".to_owned());
        };
        let (digits, base, most) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => (0, 8, 0),
            _ if c == quote => (0, 8, 0),
            '0'..='7' => (3, 8, 255),
            'x' => (2, 16, 255),
            'u' => (4, 16, 0x0010_ffff),
            'U' => (8, 16, 0x0010_ffff),
            _ => return Err(format!("unknown escape sequence U+{:04X} {}", c as u32, quoted(Some(c)))),
        };
        if digits == 0 || base == 16 {
            self.pos += c.len_utf8();
        }
        let mut value = 0u64;
        for _ in 0..digits {
            let Some(c) = self.peek() else {
                return Err("escape sequence not terminated".to_owned());
            };
            let Some(digit) = c.to_digit(base) else {
                return Err(format!(
                    "illegal character U+{:04X} {} in escape sequence",
                    c as u32,
                    quoted(Some(c))
                ));
            };
            value = value * u64::from(base) + u64::from(digit);
            self.pos += 1;
        }
        if value > most || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }

    fn raw_string(&mut self) -> Lexed {
        match self.text[self.pos..].find('`') {
            Some(length) => {
                self.pos += length + 1;
                Ok(TokenKind::String)
            }
            None => Err("unterminated raw string".to_owned()),
        }
    }
}

fn arithmetic(c: char) -> Option<BinaryOp> {
    Some(match c {
        '+' => BinaryOp::Add,
        '-' => BinaryOp::Sub,
        '*' => BinaryOp::Mul,
        '/' => BinaryOp::Div,
        '%' => BinaryOp::Mod,
        '^' => BinaryOp::Pow,
        _ => return None,
    })
}

/// A character as Go's `%q` shows it.
fn quoted(c: Option<char>) -> String {
    c.map_or_else(|| "end of input".to_owned(), |c| format!("{c:?}"))
}
