//! Reads typed values out of nodes and collects what is wrong. Invariant: a reader that returns `None` has
//! recorded why.

use std::{fmt, str::FromStr};

use assay_model::duration;

use crate::{
    Diagnostic, Diagnostics, Document, Node, Position,
    shape::{Fallback, Key, Kind, Shape},
};

/// A reading of one document.
#[derive(Debug)]
pub struct Cx<'d> {
    document: &'d Document,
    problems: Diagnostics,
}

impl<'d> Cx<'d> {
    /// A reading without problems so far.
    #[must_use]
    pub fn new(document: &'d Document) -> Self {
        Self { document, problems: Diagnostics::default() }
    }

    /// The document that is read.
    #[must_use]
    pub fn document(&self) -> &'d Document {
        self.document
    }

    /// Records a problem at a node.
    pub fn error(&mut self, node: &Node, message: impl fmt::Display) {
        self.error_at(node.position, message);
    }

    /// Records a problem at byte `offset` of a scalar's text.
    pub fn error_in(&mut self, node: &Node, offset: usize, message: impl fmt::Display) {
        self.error_at(node.position_of(self.document.text(), offset), message);
    }

    /// Records a problem at a position.
    pub fn error_at(&mut self, position: Position, message: impl fmt::Display) {
        self.problems.push(Diagnostic {
            file: self.document.file().to_owned(),
            position: Some(position),
            message: message.to_string(),
        });
    }

    /// Whether a problem was recorded.
    #[must_use]
    pub fn failed(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All problems, sorted by their position, where there are any.
    pub fn finish(mut self) -> Result<(), Diagnostics> {
        if self.problems.is_empty() {
            return Ok(());
        }
        self.problems.list.sort_by_key(|d| d.position);
        Err(self.problems)
    }

    /// A map; `what` names it in messages ("a rule group").
    pub fn map<'n>(&mut self, node: &'n Node, what: &'static str) -> Option<MapReader<'n>> {
        if node.as_map().is_none() {
            self.error(node, format!("expected {what} as a map of keys, found {}", node.describe()));
            return None;
        }
        Some(MapReader { node, what, known: Vec::new(), table: Vec::new() })
    }

    /// A map of a known shape, all of whose keys are known from the start.
    pub fn read<'n>(&mut self, node: &'n Node, shape: &'static Shape) -> Option<MapReader<'n>> {
        let mut map = self.map(node, shape.what)?;
        map.also(shape.keys);
        Some(map)
    }

    /// A list.
    pub fn seq<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        let items = node.as_seq();
        if items.is_none() {
            self.error(node, format!("expected a list of {what}, found {}", node.describe()));
        }
        items
    }

    /// A text; a number or boolean is taken as it is written.
    pub fn string(&mut self, node: &Node) -> Option<String> {
        match node.as_str() {
            Some(text) if !node.is_null() => Some(text.to_owned()),
            _ => {
                self.error(node, format!("expected a text, found {}", node.describe()));
                None
            }
        }
    }

    /// A boolean.
    pub fn boolean(&mut self, node: &Node) -> Option<bool> {
        let value = node.as_bool();
        if value.is_none() {
            self.error(node, format!("expected true or false, found {}", node.describe()));
        }
        value
    }

    /// A whole number that fits `T`.
    pub fn integer<T: FromStr>(&mut self, node: &Node) -> Option<T> {
        self.parsed(node, "a whole number")
    }

    /// A number.
    pub fn number(&mut self, node: &Node) -> Option<f64> {
        self.parsed(node, "a number").filter(|n: &f64| n.is_finite())
    }

    /// A duration as Prometheus writes it, in milliseconds.
    pub fn duration_ms(&mut self, node: &Node) -> Option<i64> {
        match node.as_str().map(duration::parse_ms) {
            Some(Ok(ms)) => Some(ms),
            _ => {
                let found = node.describe();
                self.error(node, format!("expected a duration such as 30s, 5m or 1h30m, found {found}"));
                None
            }
        }
    }

    /// A list of texts, or one text on its own.
    pub fn strings(&mut self, node: &Node) -> Option<Vec<String>> {
        match node.as_seq() {
            Some(items) => items.iter().map(|n| self.string(n)).collect(),
            None => self.string(node).map(|s| vec![s]),
        }
    }

    /// A map of texts to texts, in the order of the file.
    pub fn string_map(&mut self, node: &Node, what: &'static str) -> Option<Vec<(String, String)>> {
        if node.is_null() {
            return Some(Vec::new());
        }
        let pairs = self.map(node, what)?.node.as_map()?;
        pairs.iter().map(|(k, v)| Some((self.string(k)?, self.string(v)?))).collect()
    }

    fn parsed<T: FromStr>(&mut self, node: &Node, what: &str) -> Option<T> {
        let value = node.as_str().and_then(|t| t.parse().ok());
        if value.is_none() {
            self.error(node, format!("expected {what}, found {}", node.describe()));
        }
        value
    }
}

/// The keys of a map. Every key asked for is a known one; [`MapReader::finish`] reports the others.
#[derive(Debug)]
pub struct MapReader<'n> {
    node: &'n Node,
    what: &'static str,
    known: Vec<&'static str>,
    /// Where the map is of a known shape, its keys; a reader must not ask for others.
    table: Vec<&'static Key>,
}

impl<'n> MapReader<'n> {
    /// The map's node.
    #[must_use]
    pub fn node(&self) -> &'n Node {
        self.node
    }

    /// Makes more keys known: those that the value of another key adds.
    pub fn also(&mut self, keys: &'static [Key]) {
        self.table.extend(keys);
        self.known.extend(keys.iter().map(|key| key.name));
    }

    /// Makes keys known that the map could have in another place, so that a slip in one of them is seen.
    pub fn could_be(&mut self, keys: impl IntoIterator<Item = &'static str>) {
        self.known.extend(keys);
    }

    /// The least that a whole number may be, where the map's shape says so.
    #[must_use]
    pub fn least(&self, key: &str) -> u32 {
        self.table
            .iter()
            .find_map(|known| match known.kind {
                Kind::Whole(least) if known.name == key => Some(least),
                _ => None,
            })
            .unwrap_or(0)
    }

    /// The value of a key, or `None` where the key is absent or null.
    pub fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        if self.table.is_empty() {
            self.known.push(key);
        }
        debug_assert!(self.known.contains(&key), "{key:?} is not in the table of {}", self.what);
        self.node.get(key).filter(|n| !n.is_null())
    }

    /// The value of a key that must be there.
    pub fn require(&mut self, cx: &mut Cx<'_>, key: &'static str) -> Option<&'n Node> {
        let value = self.get(key);
        if value.is_none() {
            cx.error(self.node, format!("{} lacks the key {key:?}", self.what));
        }
        value
    }

    /// Reports the keys that nobody asked for, each with the nearest known one.
    pub fn finish(self, cx: &mut Cx<'_>) {
        for (key, _) in self.node.as_map().unwrap_or_default() {
            let name = key.as_str().unwrap_or_default();
            if self.known.contains(&name) {
                continue;
            }
            let hint = match nearest(name, self.known.iter().copied()) {
                Some(k) => format!("did you mean {k:?}?{}", self.consequence(k)),
                None => format!("known keys: {}", self.known.join(", ")),
            };
            cx.error(key, format!("unknown key {} in {}; {hint}", key.describe(), self.what));
        }
    }
}

impl MapReader<'_> {
    /// What would apply instead of a key whose name has a slip in it.
    fn consequence(&self, name: &str) -> String {
        let is_there = self.node.get(name).is_some();
        match self.table.iter().find(|key| key.name == name).map(|key| key.default) {
            Some(Fallback::Is(value)) if !is_there => format!(" Without it the default is {value}"),
            Some(Fallback::Words(words)) if !is_there => format!(" Without it: {words}"),
            _ => String::new(),
        }
    }
}

/// The candidate nearest to `name` by Damerau–Levenshtein distance, where one is near enough to be meant.
pub fn nearest<'k>(name: &str, candidates: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let bound = (name.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(name, k), k))
        .filter(|(d, k)| *d <= bound && *d < k.chars().count())
        .min()
        .map(|(_, k)| k)
}
