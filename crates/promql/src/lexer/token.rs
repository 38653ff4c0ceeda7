//! Tokens and keywords. Invariant: keywords are matched whatever their case, as Prometheus does.

use crate::ast::{AggregateOp, BinaryOp, Span};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Eof,
    /// The text cannot be read on from here; the lexer says why.
    Error,
    Identifier,
    /// A name with a colon in it.
    MetricIdentifier,
    Number,
    Duration,
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    Equal,
    RegexMatch,
    NotRegexMatch,
    At,
    Operator(BinaryOp),
    Aggregator(AggregateOp),
    Bool,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Offset,
    Anchored,
    Smoothed,
    Start,
    End,
    Step,
    Range,
    MinOf,
    MaxOf,
}

/// A token and the bytes it stands on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    /// The bytes that it stands on.
    pub(crate) fn span(self) -> Span {
        self.start..self.end
    }

    /// The token in messages, as Prometheus shows it: `identifier "foo"`, `<op:+>`, `"("`, `end of input`.
    pub(crate) fn describe(self, text: &str) -> String {
        use TokenKind as T;
        let word = &text[self.span()];
        match self.kind {
            T::Eof => "end of input".to_owned(),
            T::Identifier => format!("identifier {word:?}"),
            T::MetricIdentifier => format!("metric identifier {word:?}"),
            T::Number => format!("number {word:?}"),
            T::Duration => format!("duration {word:?}"),
            T::String => format!("string {}", shortened(word)),
            T::Operator(_) | T::RegexMatch | T::NotRegexMatch | T::At => format!("<op:{word}>"),
            T::Aggregator(_) => format!("<aggr:{word}>"),
            kind if kind.is_keyword() => format!("<{word}>"),
            _ => shortened(word),
        }
    }
}

fn shortened(word: &str) -> String {
    if word.chars().count() > 10 {
        let head: String = word.chars().take(10).collect();
        return format!("{head:?}...");
    }
    format!("{word:?}")
}

impl TokenKind {
    fn is_keyword(self) -> bool {
        use TokenKind as T;
        matches!(
            self,
            T::Bool
                | T::By
                | T::Without
                | T::On
                | T::Ignoring
                | T::GroupLeft
                | T::GroupRight
                | T::Fill
                | T::FillLeft
                | T::FillRight
                | T::Offset
                | T::Anchored
                | T::Smoothed
        )
    }

    /// Whether the word may be a metric's name: all but `bool`, `on`, `ignoring`, `group_…` and `atan2`.
    pub(crate) fn can_name_metric(self) -> bool {
        use TokenKind as T;
        match self {
            T::Operator(op) => op.is_set(),
            T::Identifier | T::MetricIdentifier | T::Aggregator(_) | T::By | T::Without | T::Offset => true,
            T::Fill | T::FillLeft | T::FillRight | T::Anchored | T::Smoothed => true,
            kind => kind.is_preprocessor(),
        }
    }

    /// Whether the word may be a label's name in `by (…)` and the like.
    pub(crate) fn can_name_label(self) -> bool {
        use TokenKind as T;
        match self {
            T::Without => false,
            T::Operator(BinaryOp::Atan2) | T::Bool | T::On | T::Ignoring | T::GroupLeft | T::GroupRight => {
                true
            }
            kind => kind.can_name_metric(),
        }
    }

    /// Whether it is one of the words that are functions too: `start`, `end`, `step`, `range`, `min_of`, `max_of`.
    pub(crate) fn is_preprocessor(self) -> bool {
        use TokenKind as T;
        matches!(self, T::Start | T::End | T::Step | T::Range | T::MinOf | T::MaxOf)
    }
}

/// The keyword that a word is, if any. `inf` and `nan` are numbers.
pub(crate) fn keyword(word: &str) -> Option<TokenKind> {
    use TokenKind as T;
    let word = word.to_ascii_lowercase();
    if let Some(op) = AggregateOp::ALL.iter().find(|op| op.as_str() == word) {
        return Some(T::Aggregator(*op));
    }
    if let Some(op) = BinaryOp::ALL.iter().find(|op| op.as_str() == word) {
        return Some(T::Operator(*op));
    }
    Some(match word.as_str() {
        "offset" => T::Offset,
        "smoothed" => T::Smoothed,
        "anchored" => T::Anchored,
        "by" => T::By,
        "without" => T::Without,
        "on" => T::On,
        "ignoring" => T::Ignoring,
        "group_left" => T::GroupLeft,
        "group_right" => T::GroupRight,
        "fill" => T::Fill,
        "fill_left" => T::FillLeft,
        "fill_right" => T::FillRight,
        "bool" => T::Bool,
        "start" => T::Start,
        "end" => T::End,
        "step" => T::Step,
        "range" => T::Range,
        "min_of" => T::MinOf,
        "max_of" => T::MaxOf,
        "inf" | "nan" => T::Number,
        _ => return None,
    })
}
