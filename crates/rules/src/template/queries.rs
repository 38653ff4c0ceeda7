//! Finds the queries that a template makes.
//!
//! Invariant: where a query is not a constant, nothing is said of the others either.

use super::ast::{Branch, Command, Node, Operand, OperandKind, Pipe};

/// Adds the queries of some nodes; `None` where one is not a constant.
pub(super) fn of(nodes: &[Node], found: &mut Vec<String>) -> Option<()> {
    for node in nodes {
        match node {
            Node::Action(pipe) | Node::Template { pipe: Some(pipe), .. } => pipeline(pipe, found)?,
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                let Branch { pipe, list, otherwise } = branch;
                pipeline(pipe, found)?;
                of(list, found)?;
                of(otherwise, found)?;
            }
            _ => {}
        }
    }
    Some(())
}

fn pipeline(pipe: &Pipe, found: &mut Vec<String>) -> Option<()> {
    let mut before: Option<&Command> = None;
    for command in &pipe.commands {
        if let Some(Operand { kind: OperandKind::Function(name), .. }) = command.args.first()
            && name == "query"
        {
            let argument = match (command.args.get(1), before.map(|b| b.args.as_slice())) {
                (Some(argument), _) => argument,
                (None, Some([argument])) => argument,
                _ => return None,
            };
            let OperandKind::Str { text, .. } = &argument.kind else { return None };
            found.push(text.clone());
        }
        for (i, argument) in command.args.iter().enumerate() {
            operand(argument, i == 0, found)?;
        }
        before = Some(command);
    }
    Some(())
}

fn operand(operand_: &Operand, first: bool, found: &mut Vec<String>) -> Option<()> {
    match &operand_.kind {
        OperandKind::Pipe(pipe) => pipeline(pipe, found),
        OperandKind::Chain(inner, _) => operand(inner, false, found),
        // The function's name as an argument of another calls it without a query.
        OperandKind::Function(name) if name == "query" && !first => None,
        _ => Some(()),
    }
}
