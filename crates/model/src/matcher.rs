//! Label matchers. Invariant: a regular expression is anchored at both ends, and `.` matches a newline, as
//! in Prometheus (`model/labels/regexp.go` compiles `^(?s:…)$`).

use std::{fmt, sync::Arc};

use crate::{
    labels::{is_classic_label_name, write_quoted},
    regexp,
};

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A condition on one label. A label that a series lacks has the empty value.
#[derive(Clone)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// How to compare.
    pub op: MatchOp,
    /// The value, or the regular expression as it was written.
    pub value: String,
    test: Test,
}

/// The compiled form: alternations of literals need no automaton.
#[derive(Clone)]
enum Test {
    Literal,
    AnyOf(Arc<[String]>),
    Regex(Arc<regex::Regex>),
}

impl Matcher {
    /// A matcher.
    ///
    /// # Errors
    /// Where `op` is a regular expression that does not compile; the message says where in it.
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self, regex::Error> {
        let test = match op {
            MatchOp::Equal | MatchOp::NotEqual => Test::Literal,
            MatchOp::Regex | MatchOp::NotRegex => match literals(value) {
                Some(list) => Test::AnyOf(list.into()),
                None => Test::Regex(Arc::new(regexp::compile(value)?)),
            },
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), test })
    }

    /// The matcher `name="value"`.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), test: Test::Literal }
    }

    /// Whether a label with this value (empty where the series lacks it) passes.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let hit = match &self.test {
            Test::Literal => value == self.value,
            Test::AnyOf(list) => list.iter().any(|l| l == value),
            Test::Regex(re) => re.is_match(value),
        };
        hit != matches!(self.op, MatchOp::NotEqual | MatchOp::NotRegex)
    }

    /// The values that alone can match, where the matcher is positive and lists them: `="a"`, `=~"a|b"`.
    #[must_use]
    pub fn set_matches(&self) -> Option<&[String]> {
        match (&self.test, self.op) {
            (Test::Literal, MatchOp::Equal) => Some(std::slice::from_ref(&self.value)),
            (Test::AnyOf(list), MatchOp::Regex) => Some(list),
            _ => None,
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.name == other.name && self.value == other.value
    }
}

impl Eq for Matcher {}

impl std::hash::Hash for Matcher {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.op, &self.name, &self.value).hash(state);
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_classic_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            write_quoted(f, &self.name)?;
        }
        f.write_str(self.op.as_str())?;
        write_quoted(f, &self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The literals of an expression such as `a|b|c`, or `None` where it has any other operator.
fn literals(pattern: &str) -> Option<Vec<String>> {
    let special = |c: char| "\\.+*?()[]{}^$".contains(c);
    (!pattern.contains(special)).then(|| pattern.split('|').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(op: MatchOp, value: &str, hits: &[&str], misses: &[&str]) {
        let m = Matcher::new(op, "l", value).expect("compiles");
        for h in hits {
            assert!(m.matches(h), "{m} should match {h:?}");
        }
        for h in misses {
            assert!(!m.matches(h), "{m} should not match {h:?}");
        }
    }

    #[test]
    fn matchers_are_anchored_and_absent_is_empty() {
        check(MatchOp::Equal, "a", &["a"], &["", "ab"]);
        check(MatchOp::NotEqual, "a", &["", "ab"], &["a"]);
        check(MatchOp::Regex, "a|b", &["a", "b"], &["ab", ""]);
        check(MatchOp::Regex, "a|", &["a", ""], &["b"]);
        check(MatchOp::Regex, "a.*", &["a", "a\nb"], &["ba"]);
        check(MatchOp::NotRegex, "a.+|b", &["a", ""], &["ab", "b"]);
        assert!(Matcher::new(MatchOp::Regex, "l", "(").is_err());
    }
}
