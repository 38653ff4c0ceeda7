//! Flows: setup, captures, checks, data, redirects, cookies, streams.

use std::time::Duration;

use crate::server::{Do, Seen, Server, ok, raw, respond, run};

fn iterations(flow: &str, n: u32) -> String {
    format!(
        "scenario: t\nflow:\n{flow}\nphases: {{p: {{executor: per-vu-iterations, vus: 1, iterations: {n}}}}}\n"
    )
}

#[test]
fn a_user_logs_in_once_and_uses_its_token() {
    let server = Server::start(|seen| match seen.line() {
        "POST /login" => {
            respond(200, "set-cookie: sid=7; Path=/\r\n", r#"{"access_token":"t-1","roles":["a"]}"#)
        }
        _ => ok(),
    });
    let scenario = r#"
scenario: t
users: [{name: u, vars: {username: "user-{{ vu }}"}}]
setup:
  - {post: /login, json: {username: "{{ username }}", n: 1, deep: [true, "{{ vu }}"]}, check: {status: 200, body: {"$.roles[0]": a}}, capture: {token: $.access_token}}
flow:
  - {name: ask, get: "/ask?i={{ iteration }}", headers: {authorization: "Bearer {{ token }}"}}
phases: {p: {executor: per-vu-iterations, vus: 2, iterations: 3}}
"#;
    let summary = run(&server, scenario);
    assert_eq!((summary.requests, summary.errors), (8, 0));
    let seen = server.seen();
    let logins: Vec<_> = seen.iter().filter(|s| s.line() == "POST /login").collect();
    let mut bodies: Vec<_> = logins.iter().map(|s| s.body.as_str()).collect();
    bodies.sort_unstable();
    assert_eq!(
        bodies,
        [r#"{"username":"user-1","n":1,"deep":[true,1]}"#, r#"{"username":"user-2","n":1,"deep":[true,2]}"#]
    );
    assert_eq!(logins[0].header("content-type"), Some("application/json"));
    for ask in seen.iter().filter(|s| s.line().starts_with("GET /ask")) {
        assert_eq!(ask.header("authorization"), Some("Bearer t-1"));
        assert_eq!(ask.header("cookie"), Some("sid=7"));
    }
    // Each user keeps its connection.
    assert_eq!(seen.iter().map(|s| s.connection).max(), Some(2), "two users and the health check");
}

#[test]
fn kinds_of_users_have_flows_of_their_own() {
    let server = Server::start(|_| ok());
    let scenario = r#"
scenario: t
users: [{name: reader, weight: 2}, {name: writer, flow: write}]
flow: [{name: read, get: /read}]
flows:
  write: [{name: write, post: /write}, {name: look, get: /look}]
  clear: [{name: clear, post: /clear}]
phases:
  both: {executor: per-vu-iterations, vus: 3, iterations: 2}
  all: {executor: per-vu-iterations, vus: 3, iterations: 1, flow: clear}
"#;
    let summary = run(&server, scenario);
    let lines: Vec<String> = server.seen().iter().map(|seen| seen.line().to_owned()).collect();
    let count = |line: &str| lines.iter().filter(|seen| *seen == line).count();
    let counts = ["GET /read", "POST /write", "GET /look", "POST /clear"].map(count);
    assert_eq!(counts, [4, 2, 2, 3], "{lines:?}");
    let names = |phase: usize| summary.phases[phase].steps.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(0), names(1)),
        (vec!["read".to_owned(), "write".into(), "look".into()], vec!["clear".into()])
    );
}

#[test]
fn a_user_logs_in_again_after_a_401() {
    let server = Server::start(|seen| match (seen.line(), seen.header("x-token")) {
        ("POST /login", _) => respond(200, "x-issued: fresh\r\n", ""),
        ("GET /ask?i=2", _) => respond(401, "", ""),
        _ => ok(),
    });
    let scenario = r#"
scenario: t
setup: [{name: login, post: /login, capture: {token: {header: x-issued}}}]
flow: [{name: ask, get: "/ask?i={{ iteration }}", headers: {x-token: "{{ token }}"}}]
phases: {p: {executor: per-vu-iterations, vus: 1, iterations: 3}}
"#;
    let summary = run(&server, scenario);
    let lines: Vec<_> = server.seen().iter().map(|s| s.line().to_owned()).collect();
    assert_eq!(lines, ["POST /login", "GET /ask?i=1", "GET /ask?i=2", "POST /login", "GET /ask?i=3"]);
    assert_eq!(summary.phases[0].steps[1].error_types, [("401".to_owned(), 1)]);
}

#[test]
fn data_comes_in_order_and_checks_are_counted() {
    let server = Server::start(|seen| respond(200, "x-a: 1\r\n", format!(r#"{{"path":"{}"}}"#, seen.line())));
    let scenario = r#"
scenario: t
data: {rows: rows.csv}
flow:
  - set: {row: "{{ rows.next }}"}
  - name: get
    get: /r
    query: {id: "{{ row.id }}", name: "{{ row.name }} x"}
    check:
      status: [200, 201]
      headers: {x-a: "1", x-b: exists}
      latency: 10s
      body: {$.path: {matches: "id=1"}, $.missing: absent, contains: path}
phases: {p: {executor: shared-iterations, vus: 1, iterations: 4}}
"#;
    let summary = run(&server, scenario);
    let lines: Vec<_> = server.seen().iter().map(|s| s.line().to_owned()).collect();
    assert_eq!(
        lines,
        ["GET /r?id=1&name=a+x", "GET /r?id=2&name=b+x", "GET /r?id=3&name=c+x", "GET /r?id=1&name=a+x"]
    );
    let counts: Vec<_> = summary.checks.iter().map(|c| (c.name.as_str(), c.passed, c.failed)).collect();
    assert_eq!(
        counts,
        [
            ("status is 200 or 201", 4, 0),
            ("$.path matches id=1", 2, 2),
            ("$.missing is absent", 4, 0),
            ("body contains \"path\"", 4, 0),
            ("header x-a is \"1\"", 4, 0),
            ("header x-b exists", 0, 4),
            ("latency is at most 10s", 4, 0),
        ]
    );
    assert_eq!(summary.phases[0].steps[0].error_types, [("check".to_owned(), 4)]);
}

#[test]
fn redirects_are_followed_as_one_request() {
    let server = Server::start(|seen| match seen.line() {
        "POST /a" => respond(303, "location: /b\r\n", ""),
        "GET /b" => respond(302, "location: c?d=1\r\n", ""),
        _ => ok(),
    });
    let summary = run(&server, &iterations("  - {post: /a, json: {x: 1}, check: {status: 200}}", 1));
    let seen = server.seen();
    assert_eq!(seen.iter().map(Seen::line).collect::<Vec<_>>(), ["POST /a", "GET /b", "GET /c?d=1"]);
    assert_eq!(seen[1].body, "");
    assert_eq!((summary.requests, summary.errors), (1, 0));
}

#[test]
fn a_redirect_takes_along_the_cookies_of_where_it_leads() {
    let other = Server::start(|_| ok());
    let away = format!("location: {}/away\r\n", other.url().replace("127.0.0.1", "localhost"));
    let server = Server::start(move |seen| match seen.line() {
        "POST /login" => respond(302, "set-cookie: sid=2\r\nlocation: /in/home\r\n", ""),
        "GET /first" => respond(200, "set-cookie: sid=1\r\nset-cookie: in=3; Path=/in\r\n", ""),
        "GET /leave" => respond(302, &away, ""),
        _ => ok(),
    });
    let flow = "  - {get: /first}\n  - {name: login, post: /login}\n  - {get: /leave}";
    let summary = run(&server, &iterations(flow, 1));
    assert_eq!((summary.requests, summary.errors), (3, 0), "{}", summary.to_text());
    let sent: Vec<_> =
        server.seen().iter().map(|s| (s.line().to_owned(), s.header("cookie").map(str::to_owned))).collect();
    let want = [
        ("GET /first", None),
        ("POST /login", Some("sid=1")),
        ("GET /in/home", Some("in=3; sid=2")),
        ("GET /leave", Some("sid=2")),
    ];
    assert_eq!(sent, want.map(|(line, cookie)| (line.to_owned(), cookie.map(str::to_owned))));
    assert_eq!(
        other.seen().iter().map(|s| s.header("cookie").map(str::to_owned)).collect::<Vec<_>>(),
        [None]
    );
}

#[test]
fn a_redirect_takes_no_keys_to_another_origin() {
    let other = Server::start(|_| ok());
    let away = format!("location: {}/away\r\n", other.url());
    let server = Server::start(move |seen| match seen.line() {
        "GET /here" => respond(307, "location: /there\r\n", ""),
        "GET /there" => respond(307, &away, ""),
        _ => ok(),
    });
    let keys = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-api-key",
        "api-key",
        "x-honeycomb-team",
        "x-vault-token",
    ];
    let headers: String = keys.iter().map(|name| format!("{name}: k, ")).collect();
    let flow = format!("  - {{get: /here, headers: {{{headers}accept: a}}}}");
    let summary = run(&server, &iterations(&flow, 1));
    assert_eq!((summary.requests, summary.errors), (1, 0), "{}", summary.to_text());
    let (seen, away) = (server.seen(), other.seen());
    for name in keys {
        assert_eq!((seen[1].header(name), away[0].header(name)), (Some("k"), None), "{name}");
    }
    assert_eq!(away[0].header("accept"), Some("a"));
}

#[test]
fn a_connection_that_the_server_closed_between_requests_is_no_error() {
    let server = Server::start(|_| {
        let mut actions = respond(200, "", "ok");
        actions.push(Do::Close);
        actions
    });
    let summary = run(&server, &iterations("  - {get: /}\n  - think: 20ms", 5));
    assert_eq!((summary.requests, summary.errors), (5, 0));
}

#[test]
fn retries_are_counted_and_end_with_success() {
    let server = Server::start(|seen| {
        respond(if seen.connection % 3 == 0 { 200 } else { 503 }, "connection: close\r\n", "")
    });
    let summary = run(&server, &iterations("  - {get: /, retries: 5, check: {status: 200}}", 1));
    // Connection 0 is the health check; 1 and 2 are refused, 3 succeeds.
    assert_eq!((summary.requests, summary.errors), (3, 2));
}

#[test]
fn weighted_alternatives_are_chosen_by_weight() {
    let server = Server::start(|_| ok());
    let flow = "  - one_of:\n      - {weight: 3, flow: [{get: /often}]}\n      - {weight: 1, flow: [{get: /rarely}]}";
    run(&server, &iterations(flow, 400));
    let often = server.seen().iter().filter(|s| s.line() == "GET /often").count();
    assert!((260..=340).contains(&often), "{often} of 400");
}

fn event(token: &str) -> Vec<u8> {
    let data = format!("data: {{\"token\":\"{token}\"}}\n\n");
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

#[test]
fn a_stream_has_its_first_chunk_gaps_and_tokens() {
    const HEAD: &str =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let server = Server::start(|_| {
        let wait = |ms| Do::Wait(Duration::from_millis(ms));
        let usage =
            "data: {\"answer\":\"abc\",\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":30}}\n\n";
        vec![
            raw(HEAD),
            wait(60),
            Do::Send(event("a")),
            wait(40),
            Do::Send(event("b")),
            wait(40),
            Do::Send(event("c")),
            raw(format!("{:x}\r\n{usage}\r\n", usage.len())),
            raw("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"),
        ]
    });
    let flow =
        "  - {name: q, post: /q, json: {}, stream: sse, check: {status: 200, body: {$.answer: exists}}}";
    let summary = run(&server, &iterations(flow, 3));
    assert_eq!((summary.requests, summary.errors), (3, 0), "{}", summary.to_text());
    let step = &summary.phases[0].steps[0];
    let g = step.generation.as_ref().expect("a generation");
    assert_eq!((g.input_tokens, g.output_tokens, g.is_counted_by_server), (33, 90, true));
    let near = |got: f64, want: f64| assert!((want..want + 0.3).contains(&got), "{got} is not near {want}");
    // The server waits at least as long; a busy machine adds to it, to the best of three the least.
    near(g.time_to_first_chunk.expect("content").min, 0.06);
    near(step.duration.min, 0.14);
    let gap = g.time_per_output_chunk.expect("gaps");
    // 80 ms and more between the first content and the last, and 29 tokens after the first.
    let per_token = g.time_per_output_token.expect("tokens").min;
    assert!((0.0025..0.3).contains(&per_token), "{per_token}");
    assert!((0.02..0.3).contains(&gap.p50), "{gap:?}");
    assert_eq!(server.seen()[0].header("accept"), Some("text/event-stream"));
}

#[test]
fn an_openai_step_speaks_to_any_such_server() {
    let server = Server::start(|seen| {
        let data = |json: &str| format!("data: {json}\n\n");
        let body = [
            data(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#),
            data(r#"{"choices":[{"delta":{"reasoning_content":"Hm"}}]}"#),
            data(r#"{"choices":[{"delta":{"content":"Hi"}}]}"#),
            data("[DONE]"),
        ]
        .concat();
        assert_eq!(seen.line(), "POST /v1/chat/completions");
        respond(200, "content-type: text/event-stream; charset=utf-8\r\n", &body)
    });
    let flow = "  - {name: ask, openai: chat, json: {model: m, stream: true, messages: [{role: user, content: Hello}]}}";
    let summary = run(&server, &iterations(flow, 2));
    assert_eq!((summary.requests, summary.errors), (2, 0), "{}", summary.to_text());
    let g = summary.phases[0].steps[0].generation.as_ref().expect("a generation");
    assert_eq!(
        (g.output_tokens, g.is_counted_by_server),
        (4, false),
        "chunks with content, the empty one left out"
    );
    assert!(server.seen()[0].body.starts_with(r#"{"model":"m","stream":true,"messages":[{"role":"user""#));
}

#[test]
fn secrets_go_into_requests_and_nowhere_else() {
    let server =
        Server::start(|seen| respond(if seen.header("x-key") == Some("s3cret") { 200 } else { 403 }, "", ""));
    let flow = "  - {get: /, headers: {x-key: \"{{ env.ASSAY_TEST_KEY | default('none') }}\"}, check: {status: 200}}";
    let summary = crate::server::run_with(&server, &iterations(flow, 1), |o| {
        o.environment = vec![("ASSAY_TEST_KEY".to_owned(), "s3cret".to_owned())];
    });
    assert_eq!(summary.errors, 0);
    assert!(!serde_json::to_string(&summary).expect("JSON").contains("s3cret"));
}

#[test]
fn a_url_that_goes_wrong_is_told_without_what_the_environment_put_into_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let flow = "  - {get: \"http://{{ env.ASSAY_TEST_HOST }}:99999/{{ env.ASSAY_TEST_HOST }}\"}";
    let path = dir.path().join("s.yml");
    std::fs::write(&path, iterations(flow, 1)).expect("written");
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["run", &path.display().to_string(), "--target", &server.url(), "--quiet"])
        .env("ASSAY_TEST_HOST", "s3cret")
        .env("RUST_LOG", "trace")
        .output()
        .expect("it runs");
    let (text, err) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(text.contains("1 failed"), "{text}");
    assert!(err.contains("{{ env.ASSAY_TEST_HOST }}:99999"), "{err}");
    assert!(!text.contains("s3cret") && !err.contains("s3cret"), "{err}");
}

#[test]
fn cookies_of_a_step_go_with_those_that_were_set() {
    let server = Server::start(|seen| match seen.line() {
        "GET /login" => respond(200, "set-cookie: sid=1\r\nset-cookie: theme=dark\r\n", ""),
        "GET /own" => respond(302, "set-cookie: sid=2\r\nlocation: /next\r\n", ""),
        _ => ok(),
    });
    let flow = "\n  - get: /login\n  - {get: /own, headers: {cookie: 'theme=light; a=b'}}";
    let summary = run(&server, &iterations(flow, 1));
    assert_eq!((summary.requests, summary.errors), (2, 0));
    let sent: Vec<_> = server.seen().iter().filter_map(|s| s.header("cookie").map(str::to_owned)).collect();
    assert_eq!(sent, ["theme=light; a=b; sid=1", "theme=light; a=b; sid=2"]);
}

#[test]
fn a_conversation_grows_by_what_was_answered() {
    let server = Server::start(|seen| match seen.line() {
        "POST /v1/chat/completions" => {
            let turn = seen.body.matches("\"role\":\"user\"").count();
            let event =
                format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"a{turn}\"}}}}]}}\n\n");
            respond(200, "content-type: text/event-stream\r\n", event + "data: [DONE]\n\n")
        }
        _ => ok(),
    });
    let flow = r#"
  - set: {messages: "{{ [] }}"}
  - repeat:
      - set: {messages: "{{ messages + [{'role': 'user', 'content': 'q' ~ turn}] }}"}
      - {name: turn, openai: chat, json: {messages: "{{ messages }}", stream: true}, capture: {answer: {content: all}}}
      - set: {messages: "{{ messages + [{'role': 'assistant', 'content': answer}] }}"}
    as: turn
    times: 3"#;
    let summary = run(&server, &iterations(flow, 2));
    assert_eq!((summary.requests, summary.errors), (6, 0));
    let bodies: Vec<String> = server.seen().into_iter().map(|s| s.body).filter(|b| !b.is_empty()).collect();
    let message = |role: &str, content: &str| format!(r#"{{"role":"{role}","content":"{content}"}}"#);
    let said = [("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2"), ("user", "q3")];
    let whole: Vec<String> = said.iter().map(|(role, content)| message(role, content)).collect();
    for (i, body) in bodies.iter().enumerate() {
        let so_far = whole[..(i % 3) * 2 + 1].join(",");
        assert_eq!(*body, format!(r#"{{"messages":[{so_far}],"stream":true}}"#));
    }
}

#[test]
fn a_large_file_is_read_while_the_load_runs() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().expect("a folder");
    let mut file =
        std::io::BufWriter::new(std::fs::File::create(folder.path().join("rows.json")).expect("a file"));
    let padding = "x".repeat(1 << 14);
    write!(file, "[").expect("is written");
    for n in 0..2200 {
        let comma = if n > 0 { ",\n" } else { "" };
        write!(file, "{comma}{{\"n\": {n}, \"padding\": \"{padding}\"}}").expect("is written");
    }
    write!(file, "]").expect("is written");
    drop(file);
    let path = folder.path().join("scenario.yml");
    let text = "scenario: t\ndata: {rows: rows.json}\nflow: [{post: /a, body: \"{{ rows.next.n }}\"}]\n\
                phases: {p: {executor: per-vu-iterations, iterations: 2500}}\n";
    std::fs::write(&path, text).expect("is written");
    let server = Server::start(|_| ok());
    let scenario = loadgen::Scenario::load(&path.to_string_lossy()).unwrap_or_else(|e| panic!("{e}"));
    let mut options = loadgen::RunOptions::new(std::sync::Arc::new(scenario));
    options.target = Some(server.url());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let summary =
        runtime.expect("a runtime").block_on(loadgen::run(options)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((summary.requests, summary.errors), (2500, 0));
    let bodies = server.seen().into_iter().map(|s| s.body).filter(|b| !b.is_empty());
    for (i, body) in bodies.enumerate() {
        assert_eq!(body, (i % 2200).to_string());
    }
}
