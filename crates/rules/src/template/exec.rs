//! Runs a template's tree.
//!
//! Source: the documentation of Go's `text/template` (go1.24), with its `missingkey=zero` option, as Prometheus
//! sets it. Invariant: a template cannot loop without end or recurse beyond [`MAX_DEPTH`].

use std::{collections::HashMap, sync::Arc};

use super::{
    Context,
    ast::{Branch, Command, Node, Operand, OperandKind, Pipe},
    functions::{self, Param, builtin},
    time,
    value::{Sample, Value},
};

/// How deeply templates may call each other.
const MAX_DEPTH: usize = 200;

/// What runs: the parsed text and where it stands for messages.
pub(crate) struct Program<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    pub(crate) defined: &'a HashMap<String, Vec<Node>>,
    pub(crate) context: &'a Context<'a>,
}

/// Runs `nodes` with `dot` and appends what they print to `out`.
pub(crate) fn run(
    program: &Program<'_>,
    nodes: &[Node],
    dot: &Value,
    out: &mut String,
) -> Result<(), String> {
    let mut state = State {
        program,
        template: program.name.to_owned(),
        variables: vec![("$".to_owned(), dot.clone())],
        out,
        depth: 0,
    };
    state.walk(nodes, dot).map(|_| ())
}

/// How a list ended.
#[derive(PartialEq)]
enum Flow {
    Through,
    Break,
    Continue,
}

struct State<'p, 'o> {
    program: &'p Program<'p>,
    /// The template that runs: the text itself, or one that it defines.
    template: String,
    variables: Vec<(String, Value)>,
    out: &'o mut String,
    depth: usize,
}

type Outcome<T> = Result<T, String>;

impl State<'_, '_> {
    /// An error at a node, as Go words it.
    fn fail<T>(&self, pos: usize, node: &str, message: &str) -> Outcome<T> {
        let before = &self.program.text[..pos.min(self.program.text.len())];
        let line = 1 + before.matches('\n').count();
        let column = before.rfind('\n').map_or(pos, |at| pos - at - 1);
        Err(format!(
            "template: {}:{line}:{column}: executing {:?} at <{node}>: {message}",
            self.program.name, self.template
        ))
    }

    fn walk(&mut self, nodes: &[Node], dot: &Value) -> Outcome<Flow> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::Through
                }
                Node::Action(pipe) => {
                    let value = self.pipeline(dot, pipe)?;
                    if pipe.variables.is_empty() {
                        let text = value.print();
                        self.out.push_str(&text);
                    }
                    Flow::Through
                }
                Node::If(branch) => self.condition(branch, dot, false)?,
                Node::With(branch) => self.condition(branch, dot, true)?,
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Template { pos, name, pipe } => {
                    self.call_template(*pos, name, pipe.as_ref(), dot)?;
                    Flow::Through
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Through {
                return Ok(flow);
            }
        }
        Ok(Flow::Through)
    }

    fn condition(&mut self, branch: &Branch, dot: &Value, rebind: bool) -> Outcome<Flow> {
        let scope = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.truth() {
            self.walk(&branch.list, if rebind { &value } else { dot })?
        } else {
            self.walk(&branch.otherwise, dot)?
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Outcome<Flow> {
        let outer = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let items: Vec<(Value, Value)> = match &value {
            Value::Vector(v) => {
                let item =
                    |(i, s): (usize, &Arc<Sample>)| (Value::Int(i as i64), Value::Sample(Arc::clone(s)));
                v.iter().enumerate().map(item).collect()
            }
            Value::Labels(l) => l.iter().map(|(n, v)| (Value::str(n), Value::str(v))).collect(),
            Value::Map(m) => m.iter().map(|(n, v)| (Value::str(n.as_str()), v.clone())).collect(),
            Value::Int(n) => (0..(*n).min(1_000_000)).map(|i| (Value::Int(i), Value::Int(i))).collect(),
            Value::Nothing => Vec::new(),
            other => {
                let message = format!("range can't iterate over {}", other.print());
                return self.fail(branch.pipe.pos, &branch.pipe.to_string(), &message);
            }
        };
        let scope = self.variables.len();
        for (key, item) in &items {
            self.bind(&branch.pipe, key, item);
            let flow = self.walk(&branch.list, item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        // The branch for nothing stands outside the loop: a `break` in it belongs to the loop around.
        let flow = if items.is_empty() { self.walk(&branch.otherwise, dot)? } else { Flow::Through };
        self.variables.truncate(outer);
        Ok(flow)
    }

    /// Gives a range's variables their values for one turn.
    fn bind(&mut self, pipe: &Pipe, key: &Value, item: &Value) {
        let values = match pipe.variables.len() {
            0 => return,
            1 => vec![item],
            _ => vec![key, item],
        };
        for (name, value) in pipe.variables.iter().zip(values) {
            self.assign(name, value.clone());
        }
    }

    fn assign(&mut self, name: &str, value: Value) {
        if let Some(slot) = self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            slot.1 = value;
        }
    }

    fn call_template(&mut self, pos: usize, name: &str, pipe: Option<&Pipe>, dot: &Value) -> Outcome<()> {
        let shown = match pipe {
            Some(pipe) => format!("{{{{template {name:?} {pipe}}}}}"),
            None => format!("{{{{template {name:?}}}}}"),
        };
        let program = self.program;
        let Some(nodes) = program.defined.get(name) else {
            return self.fail(pos, &shown, &format!("template {name:?} not defined"));
        };
        if self.depth == MAX_DEPTH {
            return self.fail(pos, &shown, &format!("exceeded maximum template depth ({MAX_DEPTH})"));
        }
        let inner = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Nothing,
        };
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), inner.clone())]);
        let template = std::mem::replace(&mut self.template, name.to_owned());
        self.depth += 1;
        let done = self.walk(nodes, &inner);
        self.depth -= 1;
        self.variables = outer;
        self.template = template;
        done.map(|_| ())
    }

    fn pipeline(&mut self, dot: &Value, pipe: &Pipe) -> Outcome<Value> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?);
        }
        let value = value.unwrap_or(Value::Nothing);
        for name in &pipe.variables {
            if pipe.is_assign {
                self.assign(name, value.clone());
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    /// A command; `piped` is what the command before it left, its last argument.
    fn command(&mut self, dot: &Value, command: &Command, piped: Option<Value>) -> Outcome<Value> {
        let [first, args @ ..] = command.args.as_slice() else { return Ok(Value::Nothing) };
        let given = !args.is_empty() || piped.is_some();
        match &first.kind {
            OperandKind::Function(name) => return self.function(dot, name, command, args, piped),
            OperandKind::Field(path) => {
                return self.fields(dot, dot.clone(), path, first, args, piped.as_ref());
            }
            OperandKind::Variable(path) => {
                let value = self.variable(&path[0]);
                if path.len() == 1 {
                    self.not_a_function(first, given)?;
                    return Ok(value);
                }
                return self.fields(dot, value, &path[1..], first, args, piped.as_ref());
            }
            OperandKind::Chain(inner, path) => {
                let value = self.operand(dot, inner)?;
                return self.fields(dot, value, path, first, args, piped.as_ref());
            }
            _ => {}
        }
        self.not_a_function(first, given)?;
        if let OperandKind::Nil = first.kind {
            return self.fail(first.pos, "nil", "nil is not a command");
        }
        self.operand(dot, first)
    }

    fn not_a_function(&self, first: &Operand, given: bool) -> Outcome<()> {
        if !given {
            return Ok(());
        }
        let shown = first.to_string();
        self.fail(first.pos, &shown, &format!("can't give argument to non-function {shown}"))
    }

    fn variable(&self, name: &str) -> Value {
        self.variables.iter().rev().find(|(n, _)| n == name).map_or(Value::Nothing, |(_, v)| v.clone())
    }

    /// An operand's value where it stands alone.
    fn operand(&mut self, dot: &Value, operand: &Operand) -> Outcome<Value> {
        match &operand.kind {
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Nil => Ok(Value::Nothing),
            OperandKind::Bool(b) => Ok(Value::Bool(*b)),
            OperandKind::Str { text, .. } => Ok(Value::str(text.as_str())),
            OperandKind::Number { text, number } => match (number.is_float, number.int) {
                (true, _) => Ok(Value::Float(number.float)),
                (false, Some(i)) => Ok(Value::Int(i)),
                (false, None) => self.fail(operand.pos, text, &format!("{text} overflows int")),
            },
            OperandKind::Pipe(pipe) => self.pipeline(dot, pipe),
            OperandKind::Function(_)
            | OperandKind::Field(_)
            | OperandKind::Variable(_)
            | OperandKind::Chain(..) => {
                let command = Command { pos: operand.pos, args: vec![operand.clone()] };
                self.command(dot, &command, None)
            }
        }
    }

    /// `.a.b.c`: fields of the receiver; the last may be a method with arguments.
    fn fields(
        &mut self,
        dot: &Value,
        receiver: Value,
        path: &[String],
        node: &Operand,
        args: &[Operand],
        piped: Option<&Value>,
    ) -> Outcome<Value> {
        let mut value = receiver;
        for (i, name) in path.iter().enumerate() {
            let mut given = Vec::new();
            if i + 1 == path.len() {
                for arg in args {
                    given.push(self.operand(dot, arg)?);
                }
                given.extend(piped.cloned());
            }
            value = match field(&value, name, &given) {
                Ok(value) => value,
                Err(message) => return self.fail(node.pos, &node.to_string(), &message),
            };
        }
        Ok(value)
    }

    fn function(
        &mut self,
        dot: &Value,
        name: &str,
        command: &Command,
        args: &[Operand],
        piped: Option<Value>,
    ) -> Outcome<Value> {
        let count = args.len() + usize::from(piped.is_some());
        let shown = command.to_string();
        let (least, most) = match functions::signature(name) {
            Some(params) => (params.len(), Some(params.len())),
            None if name == "args" => (0, None),
            None => builtin::arity(name),
        };
        if count < least || most.is_some_and(|m| count > m) {
            let want = if most.is_some() { least.to_string() } else { format!("at least {least}") };
            let message = format!("wrong number of args for {name}: want {want} got {count}");
            return self.fail(command.pos, &shown, &message);
        }
        if matches!(name, "and" | "or") {
            return self.first_decisive(dot, name == "or", args, piped);
        }
        // `printf` is the one built-in function with a parameter that must be a text.
        let params = |i: usize| match functions::signature(name) {
            Some(params) => Some(params[i]),
            None => (name == "printf" && i == 0).then_some(Param::Str),
        };
        let mut values = Vec::with_capacity(count);
        for (i, arg) in args.iter().enumerate() {
            let value = self.operand(dot, arg)?;
            self.check(params(i), &value, arg.pos, &arg.to_string(), is_constant(arg))?;
            values.push(value);
        }
        if let Some(value) = piped {
            self.check(params(values.len()), &value, command.pos, &shown, false)?;
            values.push(value);
        }
        let result = if builtin::exists(name) {
            builtin::call(name, &values)
        } else {
            functions::call(name, &values, self.program.context)
        };
        match result {
            Ok(value) => Ok(value),
            Err(cause) => self.fail(command.pos, &shown, &format!("error calling {name}: {cause}")),
        }
    }

    fn check(
        &self,
        param: Option<Param>,
        value: &Value,
        pos: usize,
        node: &str,
        constant: bool,
    ) -> Outcome<()> {
        let Some(param) = param else { return Ok(()) };
        if param.accepts(value) {
            return Ok(());
        }
        let name = param.type_name();
        let message = match value {
            _ if constant && param == Param::Str => format!("expected string; found {node}"),
            _ if constant => format!("can't handle {node} for arg of type {name}"),
            Value::Nothing if param == Param::Str => format!("invalid value; expected {name}"),
            value => format!("wrong type for value; expected {name}; got {}", value.type_name()),
        };
        self.fail(pos, node, &message)
    }

    /// `and` and `or`: the first argument that decides, else the last.
    fn first_decisive(
        &mut self,
        dot: &Value,
        decisive: bool,
        args: &[Operand],
        piped: Option<Value>,
    ) -> Outcome<Value> {
        let mut value = Value::Nothing;
        for arg in args {
            value = self.operand(dot, arg)?;
            if value.truth() == decisive {
                return Ok(value);
            }
        }
        Ok(piped.unwrap_or(value))
    }
}

fn is_constant(operand: &Operand) -> bool {
    matches!(operand.kind, OperandKind::Bool(_) | OperandKind::Number { .. } | OperandKind::Str { .. })
}

/// A field, map entry or method of a value.
fn field(receiver: &Value, name: &str, args: &[Value]) -> Result<Value, String> {
    let method = match receiver {
        Value::Time(ms) => time::method(*ms, name, args),
        Value::Duration(ns) => time::duration_method(*ns, name, args),
        Value::Histogram(_) if name == "String" && args.is_empty() => Some(Value::str(receiver.print())),
        _ => None,
    };
    if let Some(value) = method {
        return Ok(value);
    }
    let value = match receiver {
        Value::Nothing => return Err(format!("nil data; no entry for key {name:?}")),
        Value::Labels(labels) => Some(Value::str(labels.get(name).unwrap_or(""))),
        Value::Map(map) => Some(map.get(name).cloned().unwrap_or(Value::Nothing)),
        Value::Sample(sample) => match name {
            "Labels" => Some(Value::Labels(sample.labels.clone())),
            "Value" => Some(sample.value.clone()),
            _ => None,
        },
        Value::Data(data) => match name {
            "Labels" => Some(Value::Labels(data.labels.clone())),
            "ExternalLabels" => Some(Value::Labels(data.external_labels.clone())),
            "ExternalURL" => Some(Value::str(data.external_url.as_str())),
            "Value" => Some(data.value.clone()),
            _ => None,
        },
        Value::Histogram(h) => match name {
            "Count" => Some(Value::Float(h.count)),
            "Sum" => Some(Value::Float(h.sum)),
            "ZeroCount" => Some(Value::Float(h.zero_count)),
            "ZeroThreshold" => Some(Value::Float(h.zero_threshold)),
            "Schema" => Some(Value::Int(i64::from(h.schema))),
            _ => None,
        },
        _ => None,
    };
    match value {
        Some(_) if !args.is_empty() && matches!(receiver, Value::Labels(_) | Value::Map(_)) => {
            Err(format!("{name} is not a method but has arguments"))
        }
        Some(_) if !args.is_empty() => Err(format!("{name} has arguments but cannot be invoked as function")),
        Some(value) => Ok(value),
        None => Err(format!("can't evaluate field {name} in type {}", receiver.type_name())),
    }
}
