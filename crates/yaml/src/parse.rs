//! Text to tree. Invariant: the tree has at most [`MAX_NODES`] nodes and [`MAX_DEPTH`] levels, aliases
//! resolved, and no map has a key twice.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path,
    sync::Arc,
};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::{Diagnostic, Diagnostics, Kind, Node, Position, Style};

/// The most nodes that a document may have, those that aliases repeat counted each time.
pub const MAX_NODES: usize = 1_000_000;

/// The most levels of lists and maps inside each other.
const MAX_DEPTH: usize = 128;

/// A YAML document: its name, its text and its tree.
#[derive(Clone, Debug)]
pub struct Document {
    file: String,
    /// The whole file's: positions count from its beginning.
    text: Arc<str>,
    root: Node,
}

impl Document {
    /// Parses one document. `file` is the name that messages show.
    ///
    /// # Errors
    /// Where the text is not YAML, holds a second document, repeats a key, or is beyond the limits. An empty
    /// text is a null root, not an error.
    pub fn parse(file: impl Into<String>, text: impl Into<String>) -> Result<Self, Diagnostics> {
        let mut all = Self::parse_all(file, text)?;
        match all.get(1) {
            None => Ok(all.remove(0)),
            Some(second) => {
                let message = "a second document begins here; write one to a file".to_owned();
                let position = Some(second.root.position);
                Err(Diagnostics { list: vec![Diagnostic { file: second.file.clone(), position, message }] })
            }
        }
    }

    /// Parses all documents of a text, one at least; each has its positions in the whole text.
    ///
    /// # Errors
    /// As [`Document::parse`], but for further documents.
    pub fn parse_all(file: impl Into<String>, text: impl Into<String>) -> Result<Vec<Self>, Diagnostics> {
        let (file, text) = (file.into(), Arc::<str>::from(text.into()));
        let mut builder = Builder::new(&file);
        builder.run(&text);
        if !builder.problems.is_empty() {
            return Err(builder.problems);
        }
        if builder.roots.is_empty() {
            builder.roots.push(nothing(Position { line: 1, col: 1 }));
        }
        let roots = builder.roots;
        Ok(roots.into_iter().map(|root| Self { root, file: file.clone(), text: Arc::clone(&text) }).collect())
    }

    /// Reads and parses a file.
    ///
    /// # Errors
    /// If it can't be read or is not UTF-8, and as [`Document::parse`].
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        let (name, text) = read(path)?;
        Self::parse(name, text)
    }

    /// Reads a file and parses all its documents.
    ///
    /// # Errors
    /// If it can't be read or is not UTF-8, and as [`Document::parse_all`].
    pub fn read_all(path: &Path) -> Result<Vec<Self>, Diagnostics> {
        let (name, text) = read(path)?;
        Self::parse_all(name, text)
    }

    /// The name that messages show.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The tree.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }
}

/// A file's name as messages show it, and its text.
fn read(path: &Path) -> Result<(String, String), Diagnostics> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(e) => Err(Diagnostics::file(name, format!("cannot be read: {e}"))),
    }
}

/// The root of an empty document.
fn nothing(position: Position) -> Node {
    Node { position, span: 0..0, kind: Kind::Scalar(String::new(), Style::Plain) }
}

/// A list or map that is still open.
struct Open {
    node: Node,
    key: Option<Node>,
    /// The keys of a map so far, with the lines that they are on.
    keys: HashMap<String, usize>,
    anchor: usize,
}

struct Builder<'f> {
    file: &'f str,
    problems: Diagnostics,
    stack: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    roots: Vec<Node>,
}

impl<'f> Builder<'f> {
    fn new(file: &'f str) -> Self {
        Self {
            file,
            problems: Diagnostics::default(),
            stack: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            roots: Vec::new(),
        }
    }

    fn problem(&mut self, position: Position, message: impl Into<String>) {
        let (file, message) = (self.file.to_owned(), message.into());
        self.problems.push(Diagnostic { file, position: Some(position), message });
    }

    fn run(&mut self, text: &str) {
        for event in Parser::new_from_str(text) {
            let (event, span) = match event {
                Ok(pair) => pair,
                Err(e) => {
                    let at = e.marker();
                    self.problem(Position { line: at.line(), col: at.col() + 1 }, e.info().to_owned());
                    break;
                }
            };
            self.event(event, span);
            if self.nodes > MAX_NODES || self.stack.len() > MAX_DEPTH {
                let limits = format!("more than {MAX_NODES} nodes or {MAX_DEPTH} levels");
                self.problem(position(span), format!("the document is too large: {limits}"));
                break;
            }
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let node = node(span, Kind::Scalar(text.into_owned(), style_of(style)));
                self.close(node, anchor, 1);
            }
            Event::SequenceStart(anchor, _) => self.open(span, Kind::Seq(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.open(span, Kind::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(mut open) = self.stack.pop() {
                    open.node.span.end = span.end.index().max(open.node.span.start);
                    self.close(open.node, open.anchor, 1);
                }
            }
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some((mut node, size)) => {
                    node.position = position(span);
                    self.close(node, 0, size);
                }
                None => self.problem(position(span), "an alias to an anchor that is not complete yet"),
            },
            _ => {}
        }
    }

    fn open(&mut self, span: Span, kind: Kind, anchor: usize) {
        self.stack.push(Open { node: node(span, kind), key: None, keys: HashMap::new(), anchor });
    }

    /// A complete node goes into the list or map that is open, or becomes the root.
    fn close(&mut self, node: Node, anchor: usize, size: usize) {
        self.nodes += size;
        if anchor > 0 {
            let size = count(&node);
            // The copy counts too: anchors within anchors would be many.
            self.nodes += size;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.stack.last_mut() else {
            self.roots.push(node);
            return;
        };
        match &mut open.node.kind {
            Kind::Seq(items) => items.push(node),
            Kind::Map(pairs) => match open.key.take() {
                None => open.key = Some(node),
                Some(key) => {
                    let (at, name) = (key.position, key.describe());
                    let problem = match &key.kind {
                        Kind::Scalar(text, _) => match open.keys.entry(text.clone()) {
                            Entry::Occupied(first) => {
                                Some(format!("duplicate key {name} (first used on line {})", first.get()))
                            }
                            Entry::Vacant(place) => {
                                place.insert(at.line);
                                None
                            }
                        },
                        Kind::Seq(_) | Kind::Map(_) => Some(format!("a key is text, not {name}")),
                    };
                    pairs.push((key, node));
                    if let Some(problem) = problem {
                        self.problem(at, problem);
                    }
                }
            },
            Kind::Scalar(..) => {}
        }
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar(..) => 0,
        Kind::Seq(items) => items.iter().map(count).sum(),
        Kind::Map(pairs) => pairs.iter().map(|(k, v)| count(k) + count(v)).sum(),
    }
}

fn node(span: Span, kind: Kind) -> Node {
    Node { position: position(span), span: span.start.index()..span.end.index(), kind }
}

fn position(span: Span) -> Position {
    Position { line: span.start.line(), col: span.start.col() + 1 }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}
