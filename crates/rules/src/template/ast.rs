//! The tree of a template.
//!
//! Invariant: each node prints as Go prints it, since error messages quote nodes.

use std::fmt;

use super::number::Number;

/// One thing that a list of a template holds.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Literal text.
    Text(String),
    /// `{{ pipeline }}`
    Action(Pipe),
    /// `{{ if }}`
    If(Branch),
    /// `{{ with }}`
    With(Branch),
    /// `{{ range }}`
    Range(Branch),
    /// `{{ template "name" pipeline }}`
    Template {
        /// Where it begins.
        pos: usize,
        /// Whose template to run.
        name: String,
        /// What is its dot.
        pipe: Option<Pipe>,
    },
    /// `{{ break }}`
    Break,
    /// `{{ continue }}`
    Continue,
}

/// A list with a condition and what to run where it fails.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) list: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// `$x := command | command`
#[derive(Clone, Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    /// Whether the variables are assigned to (`=`) and not declared.
    pub(crate) is_assign: bool,
    /// The variables, dollar included.
    pub(crate) variables: Vec<String>,
    pub(crate) commands: Vec<Command>,
}

/// A function or operand with its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) args: Vec<Operand>,
}

/// A word of a command.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub(crate) pos: usize,
    pub(crate) kind: OperandKind,
}

/// What an operand is.
#[derive(Clone, Debug)]
pub(crate) enum OperandKind {
    Dot,
    Nil,
    Bool(bool),
    Number {
        text: String,
        number: Number,
    },
    Str {
        quoted: String,
        text: String,
    },
    /// `$x.a.b`: the variable first, then the fields.
    Variable(Vec<String>),
    /// `.a.b`
    Field(Vec<String>),
    /// `(pipeline).a.b`
    Chain(Box<Operand>, Vec<String>),
    Function(String),
    Pipe(Pipe),
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            f.write_str(&self.variables.join(", "))?;
            f.write_str(if self.is_assign { " = " } else { " := " })?;
        }
        for (i, command) in self.commands.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            command.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arg) in self.args.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            match &arg.kind {
                OperandKind::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => arg.fmt(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            OperandKind::Dot => f.write_str("."),
            OperandKind::Nil => f.write_str("nil"),
            OperandKind::Bool(b) => write!(f, "{b}"),
            OperandKind::Number { text, .. } => f.write_str(text),
            OperandKind::Str { quoted, .. } => f.write_str(quoted),
            OperandKind::Variable(path) => f.write_str(&path.join(".")),
            OperandKind::Field(path) => path.iter().try_for_each(|p| write!(f, ".{p}")),
            OperandKind::Chain(inner, path) => {
                match &inner.kind {
                    OperandKind::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => inner.fmt(f)?,
                }
                path.iter().try_for_each(|p| write!(f, ".{p}"))
            }
            OperandKind::Function(name) => f.write_str(name),
            OperandKind::Pipe(pipe) => pipe.fmt(f),
        }
    }
}
