//! The filters and tests that expressions may use, for the reference and for messages.
//!
//! Invariant: a filter or a test that is not here is reported before the run, so all that work must be here.

use std::fmt::Write as _;

use super::functions;

/// A filter or a test: its name, an expression that uses it, and what comes of it.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) example: &'static str,
    pub(crate) gives: &'static str,
}

const fn entry(name: &'static str, about: &'static str, example: &'static str, gives: &'static str) -> Entry {
    Entry { name, about, example, gives }
}

/// Functions of the template language itself.
pub(crate) const GLOBALS: [&str; 4] = ["range", "dict", "debug", "namespace"];

/// All filters.
pub(crate) static FILTERS: &[Entry] = &[
    entry(
        "hash",
        "Its hash in hexadecimal digits: `sha256`, or the named one of `sha1`, `sha256`, `sha384`, `sha512`",
        "'abc' | hash('sha1')",
        "a9993e364706816aba3e25717850c26c9cd0d89d",
    ),
    entry(
        "hmac",
        "HMAC-SHA256 with a key, in hexadecimal digits",
        "'abc' | hmac('key')",
        "9c196e32dc0175f86f4b1cb89289d6619de6bee699e4c378e68309ed97a1a6ab",
    ),
    entry("base64", "In base64", "'user:pass' | base64", "dXNlcjpwYXNz"),
    entry("base64_decode", "The text that is in base64", "'YQ==' | base64_decode", "a"),
    entry(
        "urlencode",
        "As a part of a URL; what `query` and `form` take is encoded already",
        "'a b&c' | urlencode",
        "a%20b%26c",
    ),
    entry("json", "As JSON, for bodies that are texts", "{'a': [1, 'x']} | json", "{\"a\":[1,\"x\"]}"),
    entry("from_json", "The value that a text of JSON is", "('{\"a\": 3}' | from_json).a + 1", "4"),
    entry(
        "default",
        "Another value where it is undefined; `true` as the second argument also where it is empty",
        "missing | default('none')",
        "none",
    ),
    entry("d", "Short for `default`", "missing | d('none')", "none"),
    entry("upper", "In capitals", "'abc' | upper", "ABC"),
    entry("lower", "In small letters", "'ABC' | lower", "abc"),
    entry("title", "Each word with a capital", "'a day' | title", "A Day"),
    entry("capitalize", "With a capital at its start", "'abc' | capitalize", "Abc"),
    entry("trim", "Without space at its ends", "' a ' | trim", "a"),
    entry("replace", "With a text replaced", "'a-b' | replace('-', '+')", "a+b"),
    entry("split", "The parts between separators", "'a,b' | split(',') | last", "b"),
    entry("lines", "Its lines", "'a\\nb' | lines | first", "a"),
    entry("join", "The parts, with a text between them", "['a', 'b'] | join('-')", "a-b"),
    entry("format", "A text with its `%s` and `%d` filled in", "'%s-%d' | format('a', 5)", "a-5"),
    entry("indent", "With lines after the first indented", "'a\\nb' | indent(2)", "a\n  b"),
    entry("string", "As a text", "5 | string", "5"),
    entry("int", "As a whole number", "'12' | int + 1", "13"),
    entry("float", "As a number", "'1.5' | float * 2", "3.0"),
    entry("bool", "Whether it is true", "'' | bool", "False"),
    entry("abs", "Without its sign", "-5 | abs", "5"),
    entry("round", "Rounded, to so many places", "2.345 | round(1)", "2.3"),
    entry("length", "How many characters or items it has", "[1, 2, 3] | length", "3"),
    entry("count", "The same", "'abc' | count", "3"),
    entry("first", "The first item", "[1, 2] | first", "1"),
    entry("last", "The last item", "[1, 2] | last", "2"),
    entry("min", "The least item", "[2, 1] | min", "1"),
    entry("max", "The greatest item", "[2, 1] | max", "2"),
    entry("sum", "The sum of the items", "[1, 2] | sum", "3"),
    entry("sort", "The items in order", "[2, 1] | sort | first", "1"),
    entry("reverse", "From its end", "'abc' | reverse", "cba"),
    entry("unique", "Each item once", "[1, 1, 2] | unique | length", "2"),
    entry("list", "Its items as a list", "'ab' | list | length", "2"),
    entry("slice", "In so many parts", "[1, 2, 3, 4] | slice(2) | length", "2"),
    entry("batch", "In parts of so many", "[1, 2, 3] | batch(2) | length", "2"),
    entry(
        "map",
        "A member of each item, or a filter on it",
        "[{'a': 1}, {'a': 2}] | map(attribute='a') | sum",
        "3",
    ),
    entry("select", "The items that pass a test", "[1, 2, 3] | select('odd') | length", "2"),
    entry("reject", "The items that do not", "[1, 2, 3] | reject('odd') | length", "1"),
    entry(
        "selectattr",
        "The items whose member passes a test",
        "[{'a': 1}, {'a': 2}] | selectattr('a', 'odd') | length",
        "1",
    ),
    entry(
        "rejectattr",
        "The items whose member does not",
        "[{'a': 1}, {'a': 2}] | rejectattr('a', 'odd') | length",
        "1",
    ),
    entry("groupby", "The items in groups by a member", "[{'a': 1}, {'a': 1}] | groupby('a') | length", "1"),
    entry("items", "The pairs of a map", "{'a': 1} | items | length", "1"),
    entry(
        "dictsort",
        "The pairs of a map in the order of its keys",
        "{'b': 1, 'a': 2} | dictsort | first | first",
        "a",
    ),
    entry("attr", "A member by its name", "{'a': 1} | attr('a')", "1"),
    entry("chain", "Several lists as one", "[1] | chain([2]) | sum", "3"),
    entry("zip", "Pairs of the items of two lists", "[1] | zip([2]) | first | last", "2"),
    entry("pprint", "As it is in the engine, to look at", "'a' | pprint", "'a'"),
    entry("escape", "With what HTML reserves escaped", "'<a>' | escape", "&lt;a&gt;"),
    entry("e", "Short for `escape`", "'<a>' | e", "&lt;a&gt;"),
    entry("safe", "Not escaped", "'<a>' | safe", "<a>"),
];

/// All tests, after `is` or `is not`.
pub(crate) static TESTS: &[Entry] = &[
    entry("defined", "It is there", "missing is defined", "False"),
    entry("undefined", "It is not", "missing is undefined", "True"),
    entry("none", "It is null", "none is none", "True"),
    entry("true", "It is `true`", "true is true", "True"),
    entry("false", "It is `false`", "true is false", "False"),
    entry("odd", "An odd number", "3 is odd", "True"),
    entry("even", "An even number", "3 is even", "False"),
    entry("divisibleby", "A number that another divides", "6 is divisibleby(3)", "True"),
    entry("in", "An item of a list, or a part of a text", "1 is in([1, 2])", "True"),
    entry("startingwith", "A text that begins so", "'abc' is startingwith('a')", "True"),
    entry("endingwith", "A text that ends so", "'abc' is endingwith('c')", "True"),
    entry("lower", "A text in small letters", "'abc' is lower", "True"),
    entry("upper", "A text in capitals", "'abc' is upper", "False"),
    entry("string", "A text", "'a' is string", "True"),
    entry("number", "A number", "1.5 is number", "True"),
    entry("integer", "A whole number", "1 is integer", "True"),
    entry("int", "The same", "1 is int", "True"),
    entry("float", "A number with a point", "1.5 is float", "True"),
    entry("boolean", "`true` or `false`", "true is boolean", "True"),
    entry("sequence", "A list", "[1] is sequence", "True"),
    entry("iterable", "It has items", "'a' is iterable", "True"),
    entry("mapping", "A map", "{'a': 1} is mapping", "True"),
    entry("eq", "Equal; also `==` and `equalto`", "1 is eq(1)", "True"),
    entry("equalto", "Equal", "1 is equalto(1)", "True"),
    entry("ne", "Not equal", "1 is ne(1)", "False"),
    entry("lt", "Less", "1 is lt(2)", "True"),
    entry("lessthan", "Less", "1 is lessthan(2)", "True"),
    entry("le", "Less or equal", "1 is le(1)", "True"),
    entry("gt", "Greater", "1 is gt(2)", "False"),
    entry("greaterthan", "Greater", "1 is greaterthan(2)", "False"),
    entry("ge", "Greater or equal", "1 is ge(1)", "True"),
    entry("sameas", "The same", "true is sameas(true)", "True"),
    entry("safe", "Not to be escaped", "'a' is safe", "False"),
    entry("escaped", "The same", "'a' is escaped", "False"),
    entry("filter", "The name of a filter", "'upper' is filter", "True"),
    entry("test", "The name of a test", "'odd' is test", "True"),
];

/// The functions, as a table in Markdown.
pub(crate) fn functions_table() -> String {
    let mut out = "| function | gives | such as |\n|---|---|---|\n".to_owned();
    for function in &functions::FUNCTIONS {
        let calls: Vec<String> = function.calls.iter().map(|call| format!("`{call}`")).collect();
        let _ = writeln!(out, "| {} | {} | `{}` |", calls.join(", "), function.about, function.gives);
    }
    out
}

/// Filters or tests, as a table in Markdown.
pub(crate) fn table(entries: &[Entry]) -> String {
    let mut out = "| name | gives | example | is |\n|---|---|---|---|\n".to_owned();
    for entry in entries {
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', "\\n");
        let (example, gives) = (cell(entry.example), cell(entry.gives));
        let _ = writeln!(out, "| `{}` | {} | `{example}` | `{gives}` |", entry.name, entry.about);
    }
    out
}

/// A filter or a test that an expression uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word<'t> {
    /// What follows `|`.
    Filter(&'t str),
    /// What follows `is` or `is not`.
    Test(&'t str),
}

/// What is wrong with a filter or a test, if there is none of its name.
pub(crate) fn problem(word: Word<'_>) -> Option<String> {
    let (what, name, list) = match word {
        Word::Filter(name) => ("filter", name, FILTERS),
        Word::Test(name) => ("test", name, TESTS),
    };
    if list.iter().any(|entry| entry.name == name) {
        return None;
    }
    Some(match assay_yaml::nearest(name, list.iter().map(|entry| entry.name)) {
        Some(near) => format!("unknown {what} {name:?}; did you mean {near:?}?"),
        None => {
            let known: Vec<&str> = list.iter().map(|entry| entry.name).take(12).collect();
            format!("unknown {what} {name:?}; known are {}, and more in the guide", known.join(", "))
        }
    })
}

/// The filters and tests of an expression, each with the byte where it is.
pub(crate) fn words(source: &str) -> Vec<(Word<'_>, usize)> {
    let tokens = tokens(source);
    let mut words = Vec::new();
    for (i, (token, _)) in tokens.iter().enumerate() {
        let after = |n: usize| tokens.get(i + n).copied();
        let is_name = |token: &str| token.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let word = match *token {
            "|" => after(1).map(|(name, at)| (Word::Filter(name), at)),
            "is" => match after(1) {
                Some(("not", _)) => after(2).map(|(name, at)| (Word::Test(name), at)),
                next => next.map(|(name, at)| (Word::Test(name), at)),
            },
            _ => None,
        };
        let name_of = |word: Word<'_>| match word {
            Word::Filter(name) | Word::Test(name) => is_name(name),
        };
        words.extend(word.filter(|(word, _)| name_of(*word)));
    }
    words
}

/// Names and single other characters; texts in quotes and spaces are passed over.
fn tokens(source: &str) -> Vec<(&str, usize)> {
    let mut tokens = Vec::new();
    let mut quote = None;
    let mut chars = source.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match quote {
            Some(_) if c == '\\' => drop(chars.next()),
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"') => {
                quote = Some(c);
                tokens.push((&source[at..=at], at));
            }
            None if c.is_whitespace() => {}
            None if c.is_alphanumeric() || c == '_' => {
                let mut end = at + c.len_utf8();
                while let Some((next, c)) = chars.peek().copied()
                    && (c.is_alphanumeric() || c == '_')
                {
                    end = next + c.len_utf8();
                    chars.next();
                }
                tokens.push((&source[at..end], at));
            }
            None => tokens.push((&source[at..at + c.len_utf8()], at)),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;
    use crate::scenario::Text;

    #[test]
    fn every_example_gives_what_it_says() {
        for entry in FILTERS.iter().chain(TESTS) {
            let text = Text::expression(entry.example).unwrap_or_else(|e| panic!("{}: {e:?}", entry.example));
            let value = text.value(&context! {}).unwrap_or_else(|e| panic!("{}: {e}", entry.example));
            assert_eq!(value.to_string(), entry.gives, "{}", entry.example);
            let used: Vec<_> = text.words().into_iter().map(|(word, _)| word).collect();
            let is_used = |word| matches!(word, Word::Filter(name) | Word::Test(name) if name == entry.name);
            // `in`, `true` and `none` are words of the language too.
            assert!(
                used.into_iter().any(is_used) || entry.example.contains(&format!("'{}'", entry.name)),
                "{}",
                entry.example
            );
        }
    }

    #[test]
    fn unknown_filters_and_tests_are_found_where_they_are() {
        let found = |source: &str| {
            let problem = |(word, at)| problem(word).map(|message| (at, message));
            words(source).into_iter().find_map(problem)
        };
        assert_eq!(
            found("a | uper"),
            Some((4, "unknown filter \"uper\"; did you mean \"upper\"?".to_owned()))
        );
        assert_eq!(found("a is not evn").map(|(at, _)| at), Some(9));
        assert!(found("a|upper|hsh").is_some_and(|(at, m)| at == 8 && m.contains("\"hash\"")));
        assert!(found("a | frobnicate").is_some_and(|(_, m)| m.contains("known are hash")));
        for right in [
            "'a | b is c'",
            "a | default('x | y')",
            "a == b",
            "\"it's | x\"",
            "a is defined and b is not none",
        ] {
            assert_eq!(found(right), None, "{right}");
        }
    }
}
