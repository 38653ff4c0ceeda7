//! From tokens to a template's tree.
//!
//! Invariant: a tree that parses names only functions and variables that exist.

use std::collections::HashMap;

use super::{
    ast::{Branch, Command, Node, Operand, OperandKind, Pipe},
    functions,
    lex::{Kind, SyntaxError, Token, lex},
    number,
};

/// What a text parses to: its own nodes and the templates that it defines.
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) defined: HashMap<String, Vec<Node>>,
}

/// Parses a template's text.
pub(crate) fn parse(text: &str) -> Result<Tree, SyntaxError> {
    let mut parser = Parser {
        tokens: lex(text)?,
        at: 0,
        variables: vec!["$".to_owned()],
        ranges: 0,
        defined: HashMap::new(),
    };
    let (nodes, end) = parser.list(true)?;
    match end {
        Stop::End(token) if token.kind == Kind::End => Ok(Tree { nodes, defined: parser.defined }),
        Stop::End(token) | Stop::Else(token) => {
            Err(SyntaxError { message: format!("unexpected {{{{{}}}}}", token.text), pos: token.pos })
        }
    }
}

/// What ended a list: `{{ end }}` (or the text's end), or `{{ else`.
enum Stop {
    End(Token),
    Else(Token),
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    variables: Vec<String>,
    ranges: usize,
    defined: HashMap<String, Vec<Node>>,
}

type Parsed<T> = Result<T, SyntaxError>;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len());
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
    }

    fn peek_word(&mut self) -> Option<&str> {
        self.skip_space();
        let token = self.peek();
        (token.kind == Kind::Word).then_some(token.text.as_str())
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        let what = match &token.kind {
            Kind::End => "EOF".to_owned(),
            Kind::Word if is_keyword(&token.text) => format!("<{}>", token.text),
            Kind::Str { quoted } => format!("{quoted:?}"),
            Kind::Field => format!("\".{}\"", token.text),
            _ => format!("{:?}", token.text),
        };
        Err(SyntaxError { message: format!("unexpected {what} in {context}"), pos: token.pos })
    }

    fn expect_close(&mut self, context: &str) -> Parsed<()> {
        self.skip_space();
        let token = self.next();
        if token.kind == Kind::Close { Ok(()) } else { self.unexpected(&token, context) }
    }

    /// Nodes up to `{{ end }}`, `{{ else` or the end of the text.
    fn list(&mut self, top: bool) -> Parsed<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                Kind::Text => nodes.push(Node::Text(token.text)),
                Kind::End => {
                    if top {
                        return Ok((nodes, Stop::End(token)));
                    }
                    return Err(SyntaxError { message: "unexpected EOF".to_owned(), pos: token.pos });
                }
                Kind::Open => {
                    let word = self.peek_word().map(str::to_owned);
                    match word.as_deref() {
                        Some("end") => {
                            let token = self.next();
                            self.expect_close("end")?;
                            return Ok((nodes, Stop::End(token)));
                        }
                        Some("else") => {
                            let token = self.next();
                            return Ok((nodes, Stop::Else(token)));
                        }
                        Some("define") if top => self.define()?,
                        _ => nodes.push(self.action(word.as_deref())?),
                    }
                }
                _ => return self.unexpected(&token, "input"),
            }
        }
    }

    fn action(&mut self, word: Option<&str>) -> Parsed<Node> {
        match word {
            Some("if") => {
                self.next();
                Ok(Node::If(self.branch("if")?))
            }
            Some("with") => {
                self.next();
                Ok(Node::With(self.branch("with")?))
            }
            Some("range") => {
                self.next();
                Ok(Node::Range(self.branch("range")?))
            }
            Some("template") => self.template(),
            Some("block") => self.block(),
            Some(jump @ ("break" | "continue")) => {
                let token = self.next();
                if self.ranges == 0 {
                    let message = format!("{{{{{jump}}}}} outside {{{{range}}}}");
                    return Err(SyntaxError { message, pos: token.pos });
                }
                self.expect_close(jump)?;
                Ok(if jump == "break" { Node::Break } else { Node::Continue })
            }
            Some("define") => {
                let token = self.next();
                Err(SyntaxError { message: "unexpected {{define}}".to_owned(), pos: token.pos })
            }
            _ => Ok(Node::Action(self.pipeline("command", &Kind::Close)?)),
        }
    }

    fn branch(&mut self, context: &str) -> Parsed<Branch> {
        let scope = self.variables.len();
        let pipe = self.pipeline(context, &Kind::Close)?;
        self.ranges += usize::from(context == "range");
        let (list, stop) = self.list(false)?;
        self.ranges -= usize::from(context == "range");
        let mut otherwise = Vec::new();
        if let Stop::Else(token) = stop {
            let next = self.peek_word().map(str::to_owned);
            // `else if` and `else with` share the `end` of the branch they belong to.
            match (context, next.as_deref()) {
                ("if", Some("if")) => {
                    self.next();
                    otherwise.push(Node::If(self.branch("if")?));
                }
                ("with", Some("with")) => {
                    self.next();
                    otherwise.push(Node::With(self.branch("with")?));
                }
                _ => {
                    self.expect_close("else")?;
                    let (nodes, stop) = self.list(false)?;
                    if let Stop::Else(_) = stop {
                        let message = "expected end; found {{else}}".to_owned();
                        return Err(SyntaxError { message, pos: token.pos });
                    }
                    otherwise = nodes;
                }
            }
        }
        self.variables.truncate(scope);
        Ok(Branch { pipe, list, otherwise })
    }

    fn name(&mut self, context: &str) -> Parsed<String> {
        self.skip_space();
        let token = self.next();
        match token.kind {
            Kind::Str { .. } => Ok(token.text),
            _ => self.unexpected(&token, context),
        }
    }

    fn template(&mut self) -> Parsed<Node> {
        self.next();
        self.skip_space();
        let pos = self.peek().pos;
        let name = self.name("template clause")?;
        self.skip_space();
        let pipe = if self.peek().kind == Kind::Close {
            self.next();
            None
        } else {
            Some(self.pipeline("template clause", &Kind::Close)?)
        };
        Ok(Node::Template { pos, name, pipe })
    }

    fn block(&mut self) -> Parsed<Node> {
        let pos = self.next().pos;
        let name = self.name("block clause")?;
        let pipe = self.pipeline("block clause", &Kind::Close)?;
        self.body(&name)?;
        Ok(Node::Template { pos, name, pipe: Some(pipe) })
    }

    fn define(&mut self) -> Parsed<()> {
        self.next();
        let name = self.name("define clause")?;
        self.expect_close("define clause")?;
        self.body(&name)
    }

    /// The body of a named template, which sees no variable but `$`.
    fn body(&mut self, name: &str) -> Parsed<()> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (nodes, stop) = self.list(false)?;
        (self.variables, self.ranges) = (outer, ranges);
        if let Stop::Else(token) = stop {
            return Err(SyntaxError {
                message: "unexpected {{else}} in define clause".to_owned(),
                pos: token.pos,
            });
        }
        let blank = nodes.iter().all(|n| matches!(n, Node::Text(t) if t.trim().is_empty()));
        // A blank definition does not replace one with content.
        if !(blank && self.defined.contains_key(name)) {
            self.defined.insert(name.to_owned(), nodes);
        }
        Ok(())
    }

    fn pipeline(&mut self, context: &str, end: &Kind) -> Parsed<Pipe> {
        self.skip_space();
        let pos = self.peek().pos;
        let mut pipe = Pipe { pos, is_assign: false, variables: Vec::new(), commands: Vec::new() };
        self.declarations(context, &mut pipe)?;
        loop {
            self.skip_space();
            let token = self.peek().clone();
            if token.kind == *end {
                self.next();
                break;
            }
            match token.kind {
                Kind::Close
                | Kind::RightParen
                | Kind::End
                | Kind::Text
                | Kind::Pipe
                | Kind::Declare
                | Kind::Assign
                | Kind::Comma
                | Kind::Open => return self.unexpected(&token, context),
                Kind::Word if is_keyword(&token.text) => return self.unexpected(&token, context),
                _ => {
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
            }
        }
        self.check(&pipe, context)?;
        Ok(pipe)
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return Err(SyntaxError {
                message: format!("missing value for {context}"),
                pos: self.previous_pos(),
            });
        }
        for (i, command) in pipe.commands.iter().enumerate().skip(1) {
            let constant = matches!(
                command.args.first().map(|a| &a.kind),
                Some(
                    OperandKind::Bool(_)
                        | OperandKind::Dot
                        | OperandKind::Nil
                        | OperandKind::Number { .. }
                        | OperandKind::Str { .. }
                )
            );
            if constant {
                let message = format!("non executable command in pipeline stage {}", i + 1);
                return Err(SyntaxError { message, pos: command.pos });
            }
        }
        Ok(())
    }

    fn previous_pos(&self) -> usize {
        self.tokens[self.at.saturating_sub(1).min(self.tokens.len() - 1)].pos
    }

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`.
    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Parsed<()> {
        loop {
            self.skip_space();
            if self.peek().kind != Kind::Variable {
                return Ok(());
            }
            let before = self.at;
            let variable = self.next().text;
            self.skip_space();
            match self.peek().kind {
                Kind::Declare | Kind::Assign => {
                    let token = self.next();
                    pipe.is_assign = token.kind == Kind::Assign;
                    pipe.variables.push(variable);
                    if pipe.is_assign {
                        for name in &pipe.variables {
                            self.known(name, token.pos)?;
                        }
                    } else {
                        self.variables.extend(pipe.variables.iter().cloned());
                    }
                    return Ok(());
                }
                Kind::Comma if context == "range" && pipe.variables.is_empty() => {
                    self.next();
                    pipe.variables.push(variable);
                }
                Kind::Comma => {
                    let pos = self.peek().pos;
                    return Err(SyntaxError { message: format!("too many declarations in {context}"), pos });
                }
                _ => {
                    // Not a declaration after all.
                    self.at = before;
                    return Ok(());
                }
            }
        }
    }

    fn known(&self, variable: &str, pos: usize) -> Parsed<()> {
        if self.variables.iter().any(|v| v == variable) {
            return Ok(());
        }
        Err(SyntaxError { message: format!("undefined variable {variable:?}"), pos })
    }

    fn command(&mut self) -> Parsed<Command> {
        self.skip_space();
        let mut command = Command { pos: self.peek().pos, args: Vec::new() };
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let token = self.peek().clone();
            match token.kind {
                Kind::Space => {
                    self.next();
                }
                Kind::Close | Kind::RightParen => break,
                Kind::Pipe => {
                    self.next();
                    self.skip_space();
                    if matches!(self.peek().kind, Kind::Close | Kind::RightParen) {
                        let pos = self.peek().pos;
                        return Err(SyntaxError { message: "missing value for command".to_owned(), pos });
                    }
                    break;
                }
                _ => return self.unexpected(&token, "operand"),
            }
        }
        if command.args.is_empty() {
            return Err(SyntaxError { message: "empty command".to_owned(), pos: command.pos });
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(term) = self.term()? else { return Ok(None) };
        let mut path = Vec::new();
        let fields_pos = self.peek().pos;
        while self.peek().kind == Kind::Field {
            path.push(self.next().text);
        }
        if path.is_empty() {
            return Ok(Some(term));
        }
        // Messages about a path point at its first field that is not part of the term.
        let mut pos = fields_pos;
        let kind = match term.kind {
            OperandKind::Field(mut fields) => {
                fields.append(&mut path);
                OperandKind::Field(fields)
            }
            OperandKind::Variable(mut fields) => {
                fields.append(&mut path);
                OperandKind::Variable(fields)
            }
            OperandKind::Bool(_)
            | OperandKind::Str { .. }
            | OperandKind::Number { .. }
            | OperandKind::Nil
            | OperandKind::Dot => {
                pos = term.pos;
                let message = format!("unexpected . after term {:?}", term.to_string());
                return Err(SyntaxError { message, pos });
            }
            _ => OperandKind::Chain(Box::new(term), path),
        };
        Ok(Some(Operand { pos, kind }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.peek().clone();
        let pos = token.pos;
        let kind = match token.kind {
            Kind::Dot => OperandKind::Dot,
            Kind::Variable => {
                self.known(&token.text, pos)?;
                OperandKind::Variable(vec![token.text])
            }
            Kind::Field => OperandKind::Field(vec![token.text]),
            Kind::Number => {
                let Some(number) = number::parse(&token.text) else {
                    return Err(SyntaxError { message: format!("bad number syntax: {:?}", token.text), pos });
                };
                OperandKind::Number { text: token.text, number }
            }
            Kind::Str { quoted } => OperandKind::Str { quoted, text: token.text },
            Kind::Word => match token.text.as_str() {
                "nil" => OperandKind::Nil,
                "true" => OperandKind::Bool(true),
                "false" => OperandKind::Bool(false),
                word if is_keyword(word) => return Ok(None),
                name if functions::exists(name) => OperandKind::Function(token.text),
                name => {
                    return Err(SyntaxError { message: format!("function {name:?} not defined"), pos });
                }
            },
            Kind::LeftParen => {
                self.next();
                let pipe = self.pipeline("parenthesized pipeline", &Kind::RightParen)?;
                return Ok(Some(Operand { pos, kind: OperandKind::Pipe(pipe) }));
            }
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(Operand { pos, kind }))
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "block" | "break" | "continue" | "define" | "else" | "end" | "if" | "range" | "template" | "with"
    )
}
