//! Texts with `{{ expressions }}`, compiled once. Expressions are minijinja's.
//!
//! Invariant: an expression whose value is undefined is an error, never an empty text in a request.

pub(crate) mod filters;
pub(crate) mod functions;
pub(crate) mod lexicon;

use std::{borrow::Cow, fmt, sync::LazyLock};

use minijinja::{Environment, Expression, UndefinedBehavior, Value};

/// Holds filters and functions only, so that compiled expressions can outlive every scenario.
static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    filters::add(&mut engine);
    engine
});

/// A text, parts of which may be computed.
pub(crate) struct Text {
    parts: Vec<Part>,
}

enum Part {
    Literal(String),
    Computed { source: String, offset: usize, expression: Box<Expression<'static, 'static>> },
}

/// A text that is not a template: the byte where it goes wrong, and what is wrong.
pub(crate) type TemplateError = (usize, String);

impl Text {
    /// Compiles a text.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(open) = text[at..].find("{{").map(|i| at + i) {
            if open > at {
                parts.push(Part::Literal(text[at..open].to_owned()));
            }
            let start = open + 2;
            let close = closing(&text[start..])
                .map(|i| start + i)
                .ok_or_else(|| (open, "the {{ has no matching }}".to_owned()))?;
            if text[start..close].trim().is_empty() {
                return Err((open, "there is no expression between {{ and }}".to_owned()));
            }
            parts.push(computed(text, start..close)?);
            at = close + 2;
        }
        if at < text.len() || parts.is_empty() {
            parts.push(Part::Literal(text[at..].to_owned()));
        }
        Ok(Self { parts })
    }

    /// Compiles an expression that has no braces around it.
    pub(crate) fn expression(text: &str) -> Result<Self, TemplateError> {
        Ok(Self { parts: vec![computed(text, 0..text.len())?] })
    }

    /// Whether it is one expression and nothing else.
    pub(crate) fn is_expression(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Computed { .. }])
    }

    /// Whether an expression alone is true.
    pub(crate) fn holds(&self, context: &Value) -> Result<bool, RenderError> {
        self.value(context).map(|value| value.is_true())
    }

    /// The filters and tests that expressions use, each with the byte where it is.
    pub(crate) fn words(&self) -> Vec<(lexicon::Word<'_>, usize)> {
        let words = self.parts.iter().flat_map(|part| match part {
            Part::Computed { source, offset, .. } => {
                lexicon::words(source).into_iter().map(|(word, at)| (word, offset + at)).collect()
            }
            Part::Literal(_) => Vec::new(),
        });
        words.collect()
    }

    /// The text itself, where nothing in it is computed.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The names that expressions use, such as `patients.random.id`, each with the byte where its expression
    /// begins.
    pub(crate) fn names(&self) -> Vec<(String, usize)> {
        let mut names = Vec::new();
        for part in &self.parts {
            if let Part::Computed { expression, offset, source } = part {
                let mut used: Vec<_> = expression.undeclared_variables(true).into_iter().collect();
                used.sort();
                names.extend(used.into_iter().map(|n| {
                    let root = n.split('.').next().unwrap_or(&n).to_owned();
                    let inside = source.find(root.as_str()).unwrap_or(0);
                    (n, offset + inside)
                }));
            }
        }
        names
    }

    /// Whether an expression gives `name` a default, or asks for it, so that it need not be there.
    pub(crate) fn has_default_for(&self, name: &str) -> bool {
        self.parts.iter().any(|p| match p {
            Part::Computed { source, .. } => {
                source.contains(name)
                    && ["default", "is defined", "is not defined", "is undefined"]
                        .iter()
                        .any(|w| source.contains(w))
            }
            Part::Literal(_) => false,
        })
    }

    /// The text with its expressions computed.
    pub(crate) fn render(&self, context: &Value) -> Result<Cow<'_, str>, RenderError> {
        if let Some(text) = self.literal() {
            return Ok(Cow::Borrowed(text));
        }
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Computed { source, expression, .. } => {
                    let value = compute(source, expression, context)?;
                    match value.as_str() {
                        Some(text) => out.push_str(text),
                        None => out.push_str(&value.to_string()),
                    }
                }
            }
        }
        Ok(Cow::Owned(out))
    }

    /// The value, typed where the text is one expression alone.
    pub(crate) fn value(&self, context: &Value) -> Result<Value, RenderError> {
        match self.parts.as_slice() {
            [Part::Computed { source, expression, .. }] => compute(source, expression, context),
            _ => self.render(context).map(|text| Value::from(text.into_owned())),
        }
    }
}

/// The expression in these bytes of a text.
fn computed(text: &str, range: std::ops::Range<usize>) -> Result<Part, TemplateError> {
    let inside = &text[range.clone()];
    let source = inside.trim();
    let offset = range.start + (inside.len() - inside.trim_start().len());
    let expression = ENGINE
        .compile_expression_owned(source.to_owned())
        .map_err(|e| (offset, format!("{source:?} is not a valid expression: {}", detail(&e))))?;
    Ok(Part::Computed { source: source.to_owned(), offset, expression: Box::new(expression) })
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(text)?,
                Part::Computed { source, .. } => write!(f, "{{{{ {source} }}}}")?,
            }
        }
        f.write_str("\"")
    }
}

/// A request or a value that templates could not make. The message names expressions, never the values in them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RenderError(String);

impl RenderError {
    pub(crate) fn new(cause: impl fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// The environment variable that a name such as `env.RAG_PASSWORD` reads.
pub(crate) fn environment_names(name: &str) -> Option<&str> {
    name.strip_prefix("env.").map(|n| n.split('.').next().unwrap_or(n))
}

fn compute(source: &str, expression: &Expression<'_, '_>, context: &Value) -> Result<Value, RenderError> {
    // The message names the expression, never the values in it: some are secret.
    let value = expression
        .eval(context.clone())
        .map_err(|e| RenderError::new(format!("{{{{ {source} }}}}: {}", detail(&e))))?;
    if value.is_undefined() {
        return Err(RenderError::new(format!("{{{{ {source} }}}} is not defined here")));
    }
    Ok(value)
}

fn detail(e: &minijinja::Error) -> String {
    e.detail().map_or_else(|| e.kind().to_string(), str::to_owned)
}

/// Where the `}}` is that ends an expression, texts in quotes passed over.
fn closing(text: &str) -> Option<usize> {
    let (bytes, mut quote, mut i) = (text.as_bytes(), None, 0);
    while i < bytes.len() {
        match (quote, bytes[i]) {
            (Some(_), b'\\') => i += 1,
            (Some(q), b) if b == q => quote = None,
            (None, b @ (b'\'' | b'"')) => quote = Some(b),
            (None, b'}') if bytes.get(i + 1) == Some(&b'}') => return Some(i),
            _ => {}
        }
        i += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[test]
    fn renders_and_types() {
        let ctx = context! { name => "Ada", n => 3, row => context!{ id => "p-1" } };
        let check = |text: &str, want: &str| {
            assert_eq!(Text::parse(text).expect("compiles").render(&ctx).as_deref(), Ok(want), "{text}");
        };
        check("plain", "plain");
        check("", "");
        check("{{ name }}", "Ada");
        check("a {{name}} b {{ row.id }}", "a Ada b p-1");
        check("{{ '}}' ~ name }}", "}}Ada");
        check("{{ missing | default('x') }}", "x");
        let typed = Text::parse("{{ n }}").expect("compiles").value(&ctx).expect("a value");
        assert_eq!(serde_json::to_string(&typed).expect("json"), "3");
    }

    #[test]
    fn errors_say_where_and_what() {
        let at = |text: &str| Text::parse(text).expect_err(text).0;
        assert_eq!(at("ab {{ name"), 3);
        assert_eq!(at("ab {{ }}"), 3);
        assert_eq!(at("ab {{ 1 + }}"), 6);
        let text = Text::parse("x {{ token }}").expect("compiles");
        let e = text.render(&context! {}).expect_err("undefined").to_string();
        assert!(e.contains("{{ token }}"), "{e}");
        assert_eq!(text.names(), [("token".to_owned(), 5)]);
    }
}
