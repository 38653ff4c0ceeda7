//! Any text is an error or a tree: no panic, no stack that overflows, no time out of proportion.
//!
//! Invariant: the seed is fixed, so that a failure comes back.

#[path = "support/random.rs"]
mod random;

use assay_promql::{
    Engine, Expr, RangeQuery, parse, pretty,
    promqltest::{MemStorage, parse_metric},
};
use random::Random;

/// Words of the language, valid or nearly so, to make expressions of.
const WORDS: &[&str] = &[
    "foo",
    "up",
    "sum",
    "by",
    "without",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    "!=",
    "=~",
    "!~",
    "==",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "fill",
    "fill_left",
    "offset",
    "@",
    "start()",
    "end()",
    "step()",
    "range()",
    "min_of",
    "max_of",
    "anchored",
    "smoothed",
    "rate",
    "topk",
    "5",
    "0x1f",
    "1e3",
    "5m",
    "1h30m",
    "Inf",
    "\"a\"",
    "'b'",
    "`c`",
    "\"\\xff\"",
    "\\",
    "\"",
    "#x\n",
    "-",
    "+",
    "*",
    "/",
    "%",
    "^",
    "atan2",
    "and",
    "or",
    "unless",
    "</",
    ">/",
    "<",
    "é",
    "\u{1F600}",
    "\t",
    " ",
    "\n",
    "foo[5m]",
    "foo[1h:5m]",
    "sum by (a) (foo)",
    "rate(foo[5m])",
    "(1)",
    "-1",
    "a:b",
    "{\"q.x\", \"l l\"=\"v\"}",
    "count_values(\"v\", up)",
];

/// Parses; a tree must print to the same tree, an error must lie in the text.
fn check(text: &str) -> bool {
    match parse(text) {
        Ok(expr) => {
            for printed in [expr.to_string(), pretty(&expr)] {
                let again =
                    parse(&printed).unwrap_or_else(|e| panic!("{text:?} printed as {printed:?}: {e}"));
                assert_eq!(again.to_string(), expr.to_string(), "{text:?} printed as {printed:?}");
                assert_eq!(shape(&again), shape(&expr), "{text:?} printed as {printed:?}");
            }
            expr.walk(&mut |e| {
                let span = e.span();
                assert!(
                    span.start <= span.end
                        && text.is_char_boundary(span.start)
                        && text.is_char_boundary(span.end)
                );
            });
            true
        }
        Err(errors) => {
            for e in errors.list() {
                assert!(e.span.start <= e.span.end && e.span.end <= text.len(), "{text:?}: {e:?}");
            }
            false
        }
    }
}

/// The tree's nodes without their texts.
fn shape(expr: &Expr) -> Vec<std::mem::Discriminant<Expr>> {
    let mut out = Vec::new();
    expr.walk(&mut |e| out.push(std::mem::discriminant(e)));
    out
}

#[test]
fn random_words_are_errors_or_trees() {
    let mut random = Random::new(0x5eed_1234_abcd_0001);
    let mut trees = 0;
    for _ in 0..30_000 {
        let words = 1 + random.below(9);
        let text: Vec<_> = (0..words).map(|_| WORDS[random.below(WORDS.len())]).collect();
        trees += usize::from(check(&text.join([" ", ""][random.below(2)])));
    }
    assert!(trees > 250, "only {trees} texts were expressions");
}

#[test]
fn mutilated_expressions_are_errors_or_trees() {
    let mut random = Random::new(0x5eed_1234_abcd_0002);
    let seeds: Vec<_> =
        include_str!("../testdata/expressions.txt").lines().filter(|l| !l.starts_with('#')).collect();
    for seed in &seeds {
        assert!(check(seed), "{seed} is an expression");
    }
    for _ in 0..15_000 {
        let mut text: Vec<char> = seeds[random.below(seeds.len())].chars().collect();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len());
            match random.below(3) {
                0 if text.len() > 1 => drop(text.remove(at)),
                1 => text[at] = char::from(32 + random.below(95) as u8),
                _ => text.insert(at, char::from(32 + random.below(95) as u8)),
            }
        }
        check(&text.into_iter().collect::<String>());
    }
}

#[test]
fn depth_is_bounded() {
    let deep = |before: &str, open: &str, middle: &str, close: &str| {
        let n = 100_000;
        let text = format!("{before}{}{middle}{}", open.repeat(n), close.repeat(n));
        let errors = parse(&text).expect_err("too deep");
        assert!(errors.list()[0].message.contains("deep"), "{}", errors.list()[0]);
    };
    deep("", "(", "1", ")");
    deep("", "-", "foo", "");
    deep("", "abs(", "foo", ")");
    deep("", "sum by (a) (", "foo", ")");
    deep("", "1 + ", "1", "");
    deep("", "2 ^ ", "1", "");
    deep("", "foo or ", "foo", "");
    deep("", "", "foo", "[5m:]");
    deep("foo[", "5m + ", "5m]", "");
    deep("foo offset ", "(", "5m", ")");
    deep("foo offset ", "- ", "5m", "");
    deep("foo[", "min_of(5m, ", "5m]", ")");
}

#[test]
fn what_is_within_the_bounds_parses() {
    assert!(parse(&format!("{}1{}", "(".repeat(150), ")".repeat(150))).is_ok());
    assert!(parse(&format!("{}1", "1 + ".repeat(450))).is_ok());
}

/// The deepest trees that parse can be evaluated, printed and dropped on a test's small stack.
#[test]
fn the_deepest_trees_evaluate() {
    let mut storage = MemStorage::new();
    let up = parse_metric("foo{a=\"b\"}").expect("a metric");
    storage.append(&up, 0, 2.0).expect("in order");
    let engine = Engine::default();
    let check = |text: &str| {
        let expr = parse(text).unwrap_or_else(|e| panic!("{e}"));
        assert!(!pretty(&expr).is_empty());
        engine.instant(&storage, &expr, 60_000).unwrap_or_else(|e| panic!("{e}"));
        engine.range(&storage, &expr, 0, 60_000, 15_000).unwrap_or_else(|e| panic!("{e}"));
        let query = RangeQuery { start_ms: 0, end_ms: 60_000, step_ms: 15_000 };
        assert!(engine.explain(&[&expr], query).is_ok());
    };
    check(&format!("{}1", "1 + ".repeat(490)));
    check(&format!("{}foo", "foo + ".repeat(490)));
    check(&format!("{}foo", "foo or ".repeat(490)));
    check(&format!("{}foo{}", "abs(".repeat(190), ")".repeat(190)));
    check(&format!("{}foo{}", "sum by (a) (".repeat(190), ")".repeat(190)));
    check(&format!("{}foo", "-".repeat(190)));
    check(&format!("{}foo", "2 ^ ".repeat(190)));
    check(&format!("{}foo{}", "max_over_time((".repeat(60), ")[1m:30s])".repeat(60)));
}
