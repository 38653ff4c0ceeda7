//! A server that speaks as the usual services of generation do, on every kind of wire; what it notes of each answer is the
//! truth that the generator is held to: the class, the tokens, the content.

mod answers;
mod dialects;
mod times;
mod wire;

use std::collections::HashMap;

use self::{answers::Answer, dialects::Dialect, wire::Wire};
use crate::server::{Server, respond, run};

/// An answer of a dialect on a wire.
struct Case {
    name: String,
    answer: Answer,
    wire: Wire,
    has_usage: bool,
}

/// What is true of a response, as the server knows it.
#[derive(Debug, PartialEq)]
struct Truth {
    class: Option<String>,
    /// Input and output tokens; pieces of content where no tokens were counted.
    tokens: (u64, u64),
    is_counted: bool,
    content: Option<String>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for has_usage in [true, false] {
        for answer in Answer::all() {
            for wire in Wire::all() {
                let usage = if has_usage { "usage" } else { "none" };
                let name = format!("{}-{}-{usage}", answer.name, wire.name);
                cases.push(Case { name, answer: answer.clone(), wire, has_usage });
            }
        }
    }
    cases
}

impl Case {
    fn truth(&self, dialect: &Dialect) -> Truth {
        let frames = dialect.frames(&self.answer, self.has_usage);
        let sent = self.wire.sent(&frames);
        let pieces = sent.iter().filter(|frame| frame.is_content).count() as u64;
        let counted = sent.iter().filter_map(|frame| frame.usage).next_back();
        let class = match (self.wire.is_cut, self.wire.has_error) {
            (true, _) => Some("cut_stream".to_owned()),
            (false, true) => Some("reported_error".to_owned()),
            (false, false) => None,
        };
        let content: String = sent.iter().map(|frame| frame.text.as_str()).collect();
        Truth {
            tokens: counted.unwrap_or((0, pieces)),
            is_counted: counted.is_some() || pieces == 0,
            content: Some(content).filter(|text| class.is_none() && !text.is_empty()),
            class,
        }
    }
}

/// What the generator makes of every case of a dialect.
fn check(dialect: &'static Dialect) {
    let cases = cases();
    let mut flow = String::new();
    for (i, case) in cases.iter().enumerate() {
        let truth = case.truth(dialect);
        let kind = if dialect.is_ndjson { "ndjson" } else { "sse" };
        let capture = if truth.content.is_some() {
            format!(", capture: {{a{i}: {{content: all}}}}")
        } else {
            String::new()
        };
        flow.push_str(&format!(
            "  - {{name: {}, post: /ask/{i}, stream: {kind}, on_failure: continue{capture}}}\n",
            case.name
        ));
        if truth.content.is_some() {
            flow.push_str(&format!("  - {{name: echo-{i}, post: /echo/{i}, body: \"{{{{ a{i} }}}}\"}}\n"));
        }
    }
    let replies: HashMap<String, _> = cases
        .iter()
        .enumerate()
        .map(|(i, case)| {
            (
                format!("POST /ask/{i}"),
                case.wire.actions(dialect, &dialect.frames(&case.answer, case.has_usage)),
            )
        })
        .collect();
    let server = Server::start(move |seen| {
        replies.get(seen.line()).cloned().unwrap_or_else(|| respond(200, "", "ok"))
    });
    let scenario = format!("scenario: zoo\nflow:\n{flow}phases: {{p: {{executor: per-vu-iterations}}}}\n");
    let summary = run(&server, &scenario);
    let echoes: HashMap<String, String> =
        server.seen().into_iter().map(|seen| (seen.line().to_owned(), seen.body)).collect();
    for (i, case) in cases.iter().enumerate() {
        let step = summary.phases[0].steps.iter().find(|s| s.name == case.name).expect("the step");
        let generation = step.generation.as_ref().expect("a generation");
        let class = step.error_types.first().map(|(class, _)| class.clone());
        let mut truth = case.truth(dialect);
        let mut found = Truth {
            class,
            tokens: (generation.input_tokens, generation.output_tokens),
            is_counted: generation.is_counted_by_server,
            content: echoes.get(&format!("POST /echo/{i}")).cloned(),
        };
        assert_eq!(step.requests, 1, "{} {}", dialect.name, case.name);
        if case.wire.is_cut {
            // How much of it came before the end depends on the kernel.
            (truth.tokens, truth.is_counted) = (found.tokens, found.is_counted);
        }
        if truth.class.is_some() {
            found.content = None;
        }
        assert_eq!(found, truth, "{} {}", dialect.name, case.name);
    }
}

#[test]
fn there_are_enough_of_them() {
    assert!(Wire::all().len() * Answer::all().len() * 2 >= 40, "variations of each dialect");
    assert!(dialects::ALL.len() >= 10);
}

macro_rules! dialects {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            let name = stringify!($name).replace('_', "-");
            check(dialects::ALL.iter().find(|d| d.name == name).expect("a dialect"));
        })+

        #[test]
        fn every_dialect_has_a_test() {
            let tested = [$(stringify!($name).replace('_', "-")),+];
            assert!(dialects::ALL.iter().all(|d| tested.contains(&d.name.to_owned())));
        }
    };
}

dialects! {
    openai_chat, openai_completions, openai_responses, azure, vllm, llama_cpp, llama_cpp_chat, tgi, anthropic, gemini,
    ollama_chat, ollama_generate,
}
