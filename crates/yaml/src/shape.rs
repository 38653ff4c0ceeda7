//! What the maps of a file look like, as data: which keys there are, of what type, with which default.
//!
//! The reader of a file, its reference ([`reference()`]) and its schema for editors ([`schema()`]) come from the same tables.
//! Invariant: a reader that was made of a shape ([`crate::Cx::read`]) knows exactly the keys of the shape.

mod json_schema;
mod tables;

pub use json_schema::schema;
pub use tables::reference;

/// A map whose keys are the format's.
#[derive(Debug)]
pub struct Shape {
    /// Its heading in the reference, unique among the shapes of a file.
    pub title: &'static str,
    /// What it is called in messages: `a step`.
    pub what: &'static str,
    /// What it is for, in a sentence or two of Markdown.
    pub about: &'static str,
    /// Its keys, in the order in which they are best read.
    pub keys: &'static [Key],
    /// Keys of which there is exactly one; empty for no such rule.
    pub one_of: &'static [&'static str],
}

/// A key of a map.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What applies without it.
    pub default: Fallback,
    /// A value as it may be written, in YAML's flow style.
    pub example: &'static str,
    /// What it does, in Markdown, without a full stop.
    pub about: &'static str,
}

/// What applies without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The key must be there.
    Required,
    /// Nothing.
    Nothing,
    /// This value, as it would be written.
    Is(&'static str),
    /// What is not one value, in words.
    Words(&'static str),
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text; a number or a boolean is taken as it is written.
    Text,
    /// A text of a kind that is named: `a URL`, `a JSONPath`.
    Special(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// True or false.
    Boolean,
    /// A whole number of at least this.
    Whole(u32),
    /// A number of at least 0.
    Number,
    /// A number above 0.
    Positive,
    /// A number from 0 to 1.
    Share,
    /// A duration as Prometheus writes it.
    Duration,
    /// A rate such as `10/s`.
    Rate,
    /// Anything.
    Json,
    /// A list.
    List(&'static Kind),
    /// A list of two.
    Pair(&'static Kind),
    /// One, or a list.
    OneOrMore(&'static Kind),
    /// A map whose keys are the user's: what they are, and what the values are.
    Names(&'static str, &'static Kind),
    /// A map whose keys are the format's.
    Map(&'static Shape),
    /// A map that has more keys, according to one of them.
    Tagged(&'static Tagged),
    /// A map that names one of the others, and changes some of its keys.
    Change(&'static Tagged, &'static Key),
    /// One of several.
    Any(&'static [Kind]),
}

/// Maps that differ in their keys according to the value of one.
#[derive(Debug)]
pub struct Tagged {
    /// What they have in common.
    pub common: &'static Shape,
    /// The key whose value decides.
    pub tag: &'static str,
    /// The values, with what each adds.
    pub cases: &'static [Case],
}

/// What a value of the deciding key adds.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The value.
    pub name: &'static str,
    /// What it means, in a sentence of Markdown.
    pub about: &'static str,
    /// The keys that come with it.
    pub keys: &'static [Key],
}

impl Key {
    /// A key that may be left out.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Self {
        Self { name, kind, default: Fallback::Nothing, example, about }
    }

    /// The same key, which must be there.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { default: Fallback::Required, ..self }
    }

    /// The same key, without which this value applies.
    #[must_use]
    pub const fn or(self, value: &'static str) -> Self {
        Self { default: Fallback::Is(value), ..self }
    }

    /// The same key, without which this applies.
    #[must_use]
    pub const fn otherwise(self, words: &'static str) -> Self {
        Self { default: Fallback::Words(words), ..self }
    }
}

impl Kind {
    /// The shapes that a value of this kind may be made of, those inside of them not among them.
    pub(crate) fn shapes(&self) -> Vec<Part> {
        match self {
            Self::List(inner) | Self::Pair(inner) | Self::OneOrMore(inner) | Self::Names(_, inner) => {
                inner.shapes()
            }
            Self::Map(shape) => vec![Part::Shape(shape)],
            Self::Tagged(tagged) | Self::Change(tagged, _) => vec![Part::Tagged(tagged)],
            Self::Any(kinds) => kinds.iter().flat_map(Self::shapes).collect(),
            _ => Vec::new(),
        }
    }
}

/// A shape, or several that differ by a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Shape(&'static Shape),
    Tagged(&'static Tagged),
}

impl Part {
    pub(crate) fn shape(self) -> &'static Shape {
        match self {
            Self::Shape(shape) => shape,
            Self::Tagged(tagged) => tagged.common,
        }
    }

    fn keys(self) -> impl Iterator<Item = &'static Key> {
        let more = match self {
            Self::Shape(_) => &[][..],
            Self::Tagged(tagged) => tagged.cases,
        };
        self.shape().keys.iter().chain(more.iter().flat_map(|case| case.keys))
    }
}

/// All shapes that can be in a file of this root, each with the cases that it differs in, if it does.
#[must_use]
pub fn all(root: &'static Shape) -> Vec<(&'static Shape, Option<&'static Tagged>)> {
    let both = |part| match part {
        Part::Shape(shape) => (shape, None),
        Part::Tagged(tagged) => (tagged.common, Some(tagged)),
    };
    reachable(root).into_iter().map(both).collect()
}

/// All shapes that can be in a file of this root, each once, in the order in which they are met.
pub(crate) fn reachable(root: &'static Shape) -> Vec<Part> {
    let mut found = vec![Part::Shape(root)];
    let mut next = 0;
    while let Some(part) = found.get(next).copied() {
        for inner in part.keys().flat_map(|key| key.kind.shapes()) {
            if found.iter().all(|known| known.shape().title != inner.shape().title) {
                found.push(inner);
            }
        }
        next += 1;
    }
    found
}
