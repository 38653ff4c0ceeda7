//! What lines hold, what is wrong with them and where, and that no text makes the reader panic.

use super::*;

fn sample(line: &str, dialect: Dialect) -> (Labels, f64, Option<i64>, Option<Exemplar>) {
    match parse_line(line, dialect) {
        Ok(Line::Sample(s)) => (parse_series(s.series).expect(line), s.value, s.t_ms, s.exemplar),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn samples_of_the_text_format() {
    for (line, series, value, t_ms) in [
        ("up 1", "up", 1.0, None),
        (" up\t 1e+06 -1500 ", "up", 1e6, Some(-1500)),
        (r#"a:b{c="d",} +Inf"#, r#"a:b{c="d"}"#, f64::INFINITY, None),
        (r#"a { c = "d" , b="}{" } 3"#, r#"a{b="}{", c="d"}"#, 3.0, None),
        (r#"a{c="\\\"\n\d"} 3"#, r#"a{c="\\\"\n\\d"}"#, 3.0, None),
        (r#"a{b="",c="ü"} 3"#, r#"a{c="ü"}"#, 3.0, None),
        (r#"{"a.b","x y"="z"} 3"#, r#"{"a.b", "x y"="z"}"#, 3.0, None),
        (r#"a{} .5"#, "a", 0.5, None),
    ] {
        let (labels, v, t, exemplar) = sample(line, Dialect::Text);
        assert_eq!((labels.to_string().as_str(), v, t, exemplar), (series, value, t_ms, None), "{line}");
    }
    assert_eq!(sample("a NaN", Dialect::Text).1.to_bits(), NORMAL_NAN_BITS);
}

#[test]
fn times_and_exemplars_of_openmetrics() {
    for (line, t_ms) in [
        ("a 1 1605301325", 1_605_301_325_000),
        ("a 1 1605301325.491", 1_605_301_325_491),
        ("a 1 -0.5", -500),
        ("a 1 1.6053013254915e9", 1_605_301_325_492),
        ("a 1 1605301325.4917", 1_605_301_325_492),
    ] {
        assert_eq!(sample(line, Dialect::OpenMetrics).2, Some(t_ms), "{line}");
    }
    let exemplar = sample("a_total 1 2 # {t=\"#}\"} 0.5 3.25", Dialect::OpenMetrics).3.expect("an exemplar");
    assert_eq!((exemplar.labels.get("t"), exemplar.value, exemplar.t_ms), (Some("#}"), 0.5, Some(3250)));
    let exemplar = sample("a_total 1 # {} 1", Dialect::OpenMetrics).3.expect("an exemplar");
    assert_eq!((exemplar.labels.len(), exemplar.t_ms), (0, None));
}

#[test]
fn comments() {
    let om = Dialect::OpenMetrics;
    for (line, dialect, want) in [
        ("", om, Line::Nothing),
        ("# a comment", om, Line::Nothing),
        ("# EOF", om, Line::Eof),
        ("# EOF", Dialect::Text, Line::Nothing),
        ("# HELP a b \\\\ c\\n", Dialect::Text, Line::Help("a".into(), "b \\ c\n".into())),
        ("# HELP a", Dialect::Text, Line::Help("a".into(), "".into())),
        ("#  TYPE\ta  untyped ", Dialect::Text, Line::Type("a".into(), MetricType::Unknown)),
        ("# TYPE \"a b\" info", om, Line::Type("a b".into(), MetricType::Info)),
        ("# UNIT a seconds", om, Line::Unit("a".into(), "seconds")),
    ] {
        assert_eq!(parse_line(line, dialect), Ok(want), "{line}");
    }
}

#[test]
fn errors_say_where() {
    let mut found = Vec::new();
    let text = "a{b=\"ü\" c=\"d\"} 1\nok 1\na{b} 1\na{b=1} 1\na{1b=\"\"} 1\na-b 1\na{b=\"c\",b=\"d\"} 1\n{b=\"c\"} 1\n\
                a\na x\na 1 1.5\na 1 2 3\na{b=\"c 1\na{b=\"c\" 1\n# TYPE a gadget\n# HELP";
    let errors = for_each_line(text, Dialect::Text, |line| {
        if let Line::Sample(s) = line {
            found.push(parse_series(s.series)?);
        }
        Ok(())
    })
    .expect_err("all but one are wrong");
    assert_eq!(found.len(), 1);
    assert_eq!(
        errors.to_string(),
        "1:9: expected , or } after a label\n\
         3:4: expected = and a value after the label's name\n\
         4:5: expected the label's value in double quotes\n\
         5:3: a label's name is made of letters, digits and _, not first a digit; quote any other\n\
         6:2: a metric's name is made of letters, digits, _ and :, not first a digit; quote any other inside the braces\n\
         7:2: duplicate label \"b\"\n\
         8:1: the series has no metric name\n\
         9:2: expected a value after the series\n\
         10:3: \"x\" is not a number; write for example 1.5, NaN or +Inf\n\
         11:5: \"1.5\" is not a time; write whole milliseconds since 1970-01-01\n\
         12:7: expected the end of the line after the value and the time\n\
         13:2: a quoted text has no closing quote\n\
         14:2: the labels have no closing }\n\
         15:10: \"gadget\" is not a type; a type is counter, gauge, histogram, summary or untyped\n\
         16:7: HELP wants the name of a metric"
    );
}

#[test]
fn openmetrics_must_be_whole() {
    let ends = |text: &str| for_each_line(text, Dialect::OpenMetrics, |_| Ok(())).map_err(|e| e.to_string());
    assert_eq!(ends("a 1\n# EOF\n"), Ok(()));
    assert_eq!(ends("a 1\n# EOF"), Ok(()));
    assert_eq!(ends("a 1\n"), Err("2:1: the text is cut short: OpenMetrics ends in a line # EOF".into()));
    assert_eq!(ends("# EOF\na 1\n"), Err("2:1: nothing may follow # EOF".into()));
}

/// Every deletion, duplication and replacement of a byte in a text that has every construct.
#[test]
fn mutations_never_panic() {
    let text = "# HELP a \\\\ü\n# TYPE \"a b\" counter\n# UNIT a s\n{\"a b\",\"c d\"=\"e\\\"\",f=\"ü\"} 1.5 12.25 \
                # {t=\"x\"} 0.5 1\nz{le=\"+Inf\"} NaN\n# EOF\n";
    let try_all = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        for dialect in [Dialect::Text, Dialect::OpenMetrics] {
            let _ = for_each_line(&text, dialect, |line| {
                if let Line::Sample(s) = line {
                    parse_series(s.series)?;
                }
                Ok(())
            });
        }
    };
    for i in 0..text.len() {
        let mut cut = text.as_bytes().to_vec();
        cut.remove(i);
        try_all(&cut);
        try_all(&text.as_bytes()[..i]);
        for byte in *b"{}\",=\\ #\n\t0\xff" {
            let mut changed = text.as_bytes().to_vec();
            changed[i] = byte;
            try_all(&changed);
            changed.insert(i, byte);
            try_all(&changed);
        }
    }
}
