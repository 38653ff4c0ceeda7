//! Positions and problems, as a user would meet them.

use assay_yaml::{Cx, Document, Position};

fn parse(text: &str) -> Document {
    Document::parse("f.yml", text).expect("scans")
}

fn problems(text: &str) -> String {
    Document::parse("f.yml", text).expect_err("does not scan").to_string()
}

/// The position of `needle` inside the scalar under `key`, both ways: found in the file, and mapped from the
/// decoded text.
fn check_map(text: &str, needle: &str) {
    let doc = parse(text);
    let node = doc.root().get("k").expect("has k");
    let scalar = node.as_str().expect("scalar");
    let offset = scalar.find(needle).expect("in the scalar");
    let at = text.find(needle).expect("in the file");
    let line = text[..at].matches('\n').count() + 1;
    let col = text[..at].chars().rev().take_while(|c| *c != '\n').count() + 1;
    assert_eq!(node.position_of(text, offset), Position { line, col }, "{text:?} {needle:?}");
}

#[test]
fn offsets_map_back_through_every_style() {
    check_map("k: sum(rate(x[5m]))\n", "rate");
    check_map("k: 'sum(x{a=''b''})  + foo'\n", "foo");
    check_map("k: \"sum(x{a=\\\"b\\\"}) + \\u0041 foo\"\n", "foo");
    check_map("a: 1\nk: |\n    sum(\n      rate(x)\n    ) > bar\n", "rate");
    check_map("a: 1\nk: |\n    sum(\n      rate(x)\n    ) > bar\n", "bar");
    check_map("k: >-\n  a +\n  b\n   - c\n\n  + dd\n", "dd");
    check_map("k: a +\n   b / cc\n", "cc");
    check_map("k: |\n  a\n", "a");
    check_map("z:\n  - 1\nk: x\n", "x");
}

#[test]
fn scan_errors_and_repeated_keys_have_positions() {
    assert!(problems("a: [1, 2\nb: 3\n").starts_with("f.yml:2:"), "{}", problems("a: [1, 2\nb: 3\n"));
    assert_eq!(problems("a: 1\nb: 2\na: 3\n"), "f.yml:3:1: duplicate key \"a\" (first used on line 1)");
    assert!(problems("a: 1\n---\nb: 1\n").contains("f.yml:3:1: a second document"));
}

#[test]
fn all_documents_of_a_text_have_their_places_in_it() {
    let all = |text: &str| Document::parse_all("f.yml", text).expect("scans");
    let places = |text: &str| {
        all(text).iter().map(|d| (d.root().position.line, d.root().is_null())).collect::<Vec<_>>()
    };
    assert_eq!(places("a: &x 1\n---\n# note\nb: 2\n--- \n- c\n"), [(1, false), (4, false), (6, false)]);
    assert_eq!(places("a: 1\n---\n"), [(1, false), (3, true)]);
    assert_eq!(places("# nothing\n"), [(1, true)]);
    assert_eq!(
        all("---\na: b\n...\n---\nc: d\n")[1].root().get("c").and_then(assay_yaml::Node::as_str),
        Some("d")
    );
    let problem = Document::parse_all("f.yml", "a: 1\n---\nb: [\n").expect_err("does not scan");
    assert!(problem.to_string().starts_with("f.yml:4:"), "{problem}");
}

#[test]
fn many_keys_are_checked_in_linear_time() {
    let begun = std::time::Instant::now();
    let mut text: String = (0..100_000).map(|i| format!("key-of-some-length-{i}: 1\n")).collect();
    parse(&text);
    text += "key-of-some-length-7: 2\n? [a, b]\n: 1\n";
    let want = "f.yml:100001:1: duplicate key \"key-of-some-length-7\" (first used on line 8)\n\
        f.yml:100002:3: a key is text, not a list";
    assert_eq!(problems(&text), want);
    // It takes a second; comparing all keys with all others takes minutes.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

#[test]
fn anchors_within_anchors_count_as_often_as_they_are_kept() {
    let mut text = "x".to_owned();
    for i in 0..100 {
        text = format!("[&a{i} {text}]");
    }
    parse(&text);
    let leaves = vec!["x"; 20_000].join(", ");
    let mut text = format!("[{leaves}]");
    for i in 0..100 {
        text = format!("[&a{i} {text}]");
    }
    assert!(problems(&text).contains("too large"));
}

#[test]
fn aliases_resolve_and_cannot_explode() {
    let doc = parse("a: &x [1, 2]\nb: *x\n");
    assert_eq!(doc.root().get("b").and_then(|n| n.as_seq()).map(<[_]>::len), Some(2));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let items = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{items}]\n"));
    }
    assert!(problems(&bomb).contains("too large"));
    assert!(!problems(&"[".repeat(100_000)).is_empty(), "nesting is bounded");
}

#[test]
fn json_types_follow_the_core_schema() {
    let doc = parse("{a: 1, b: '1', c: 1.5, d: true, e: ~, f: [x], g: 1e3, h: nan, i: 010-1}");
    let want = serde_json::json!({"a": 1, "b": "1", "c": 1.5, "d": true, "e": null, "f": ["x"], "g": 1000.0,
        "h": "nan", "i": "010-1"});
    assert_eq!(doc.root().to_json(), want);
}

#[test]
fn every_problem_of_a_document_is_reported_in_order() {
    let doc = parse("dur: 5x\nflag: yes\nname: [a]\nnumber: {}\nextra: 1\n");
    let mut cx = Cx::new(&doc);
    let mut map = cx.map(doc.root(), "a thing").expect("a map");
    map.get("number").map(|n| cx.number(n));
    map.get("name").map(|n| cx.string(n));
    map.get("flag").map(|n| cx.boolean(n));
    map.get("dur").map(|n| cx.duration_ms(n));
    map.require(&mut cx, "id");
    map.finish(&mut cx);
    let all = cx.finish().expect_err("problems").to_string();
    let want = "f.yml:1:1: a thing lacks the key \"id\"\n\
        f.yml:1:6: expected a duration such as 30s, 5m or 1h30m, found \"5x\"\n\
        f.yml:2:7: expected true or false, found \"yes\"\n\
        f.yml:3:7: expected a text, found a list\n\
        f.yml:4:9: expected a number, found a map\n\
        f.yml:5:1: unknown key \"extra\" in a thing; known keys: number, name, flag, dur, id";
    assert_eq!(all, want);
}
