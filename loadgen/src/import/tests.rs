//! Scenarios of each kind of input, and what is said of bad input.

use super::*;

/// Asserts that the text has all lines, in this order.
#[track_caller]
fn has(text: &str, lines: &[&str]) {
    let mut rest = text.lines().map(str::trim);
    for line in lines {
        assert!(rest.any(|l| l == *line), "no line {line:?} (in this place) in\n{text}");
    }
}

#[test]
fn a_curl_command_is_one_step_without_its_secrets() {
    let made = curl(
        r#"curl 'https://api.example.com:8443/v1/chat?key=k3y&stream=1' \
  -H 'Authorization: Bearer s3cret' -H 'Content-Type: application/json' -H "X-Trace: {{ x }}" -b 'sid=abc; theme=' \
  --data-raw $'{"model":"m","api_key":"k3y","max_tokens":5,"messages":[{"role":"user","content":"it\'s {{ x }}"}]}' --compressed -m 2.5"#,
    )
    .unwrap_or_else(|e| panic!("{e}"));
    has(
        &made.text,
        &[
            "# Secrets come from the environment: set KEY, AUTHORIZATION, COOKIE_SID.",
            "target: https://api.example.com:8443",
            "- name: \"POST /v1/chat\"",
            "post: /v1/chat",
            "key: \"{{ env.KEY | default('unset') }}\"",
            "stream: \"1\"",
            "authorization: \"Bearer {{ env.AUTHORIZATION | default('unset') }}\"",
            "x-trace: \"{{ '{{' }} x }}\"",
            "cookie: \"sid={{ env.COOKIE_SID | default('unset') }}; theme=\"",
            "timeout: 2s500ms",
        ],
    );
    assert!(
        made.text.contains(r#""api_key": "{{ env.KEY | default('unset') }}", "max_tokens": 5"#),
        "{}",
        made.text
    );
    assert!(!made.text.contains("content-type"), "json: says it already");
    for secret in ["s3cret", "k3y", "abc"] {
        assert!(!made.text.contains(secret), "{secret}");
    }
}

#[test]
fn curls_options_mean_what_they_mean_to_curl() {
    let check = |command: &str, lines: &[&str]| {
        let made = curl(command).unwrap_or_else(|e| panic!("{command}: {e}"));
        has(&made.text, lines);
    };
    check("curl localhost:8000", &["target: http://localhost:8000", "get: /"]);
    check("curl -sSLXPUT http://a/b -dx=1 -d y=2", &["put: /b", "form:", "x: \"1\"", "y: \"2\""]);
    check("curl -G http://a/b?c=d --data-urlencode 'q=a b'", &["get: \"/b?c=d&q=a+b\""]);
    check("curl -I http://a/b", &["head: /b"]);
    check("curl -r0-99 http://a/b -e 'http://c/;auto'", &["range: \"bytes=0-99\"", "referer: \"http://c/\""]);
    check(
        "curl 'http://a/b?{{=1&{{=2&token=t%20k{{'",
        &[r#"get: "/b?{{ '{{' }}=1&{{ '{{' }}=2&token={{ env.TOKEN | default('unset') | urlencode }}""#],
    );
    check(
        "curl 'http://a/b?x=1&x=2&c=a%20b%26Bearer%20eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefghijklmnop'",
        &[r#"get: "/b?x=1&x=2&c=a%20b%26Bearer%20{{ env.AUTHORIZATION | default('unset') }}""#],
    );
    check("curl --json '[1,2.5]' http://a/", &["accept: \"application/json\"", "json: [1, 2.5]"]);
    // What YAML would write otherwise is a text.
    check(
        "curl --json '[1, 2.50]' http://a/",
        &["content-type: \"application/json\"", "accept: \"application/json\"", "body: \"[1, 2.50]\""],
    );
    check(
        "curl http://a/ -H 'content-type: application/json' -d '{\n  \"a\": \"b\",\n\n  \"token\": \"t\"\n}'"
            .replace("\\n", "\n")
            .as_str(),
        &["body: |-", "{", "\"a\": \"b\",", "", "\"token\": \"{{ env.TOKEN | default('unset') }}\"", "}"],
    );
    check(
        "curl -u me:pw http://a/",
        &["authorization: \"Basic {{ env.AUTHORIZATION | default('unset') }}\""],
    );
    check("curl --request=DELETE http://a/b --cacert ca.pem", &["tls: {ca: ca.pem}", "delete: /b"]);
    check(
        "curl http://a/ -H 'content-type: text/csv' -d 'a,b'",
        &["content-type: \"text/csv\"", "body: \"a,b\""],
    );
    check(
        "curl http://a/ -d a=1 -d a=2",
        &["content-type: \"application/x-www-form-urlencoded\"", "body: \"a=1&a=2\""],
    );
    check(
        "curl http://a/ -F 'token=x;type=text/plain' -F scan=@/tmp/a.png -F 'b=@b.csv;type=text/csv'",
        &[
            "post: /",
            "multipart:",
            "token: {value: \"{{ env.TOKEN | default('unset') }}\", type: \"text/plain\"}",
            "scan: {file: \"/tmp/a.png\", type: \"image/png\"}",
            "b: {file: \"b.csv\", type: \"text/csv\"}",
        ],
    );
    let words: Vec<String> = ["curl", "http://a/{{b}}"].map(str::to_owned).into();
    assert!(curl_words(&words).expect("split by a shell").text.contains("get: \"/{{ '{{' }}b}}\""));
}

#[test]
fn bad_commands_have_a_place_and_a_reason() {
    let check = |command: &str, want: &str| {
        let e = curl(command).expect_err(command).to_string();
        assert!(e.contains(want), "{e}");
    };
    check("wget http://a/", "curl:1:1: expected a command that begins with curl, found \"wget\"");
    check("", "there is no command");
    check("curl -X", "curl:1:6: the option -X lacks its value");
    check("curl http://a/ --proxy http://p/", "curl:1:16: a scenario cannot follow the option --proxy");
    check("curl http://a/ http://b/", "curl:1:16: a second URL");
    check("curl -X TRACE http://a/", "curl:1:9: a step cannot have the method \"TRACE\"");
    check("curl ftp://a/", "curl:1:6: the scheme \"ftp\" is not supported");
    check("curl -d @none http://a/", "curl:1:9: none: ");
    check("curl -d x", "the command has no URL");
}

const HAR: &str = r#"{"log": {"version": "1.2", "entries": [
 {"startedDateTime": "2026-11-25T14:00:02.500Z", "time": 20, "request": {"method": "POST", "url": "http://shop.test/cart?x=1",
   "headers": [{"name": "Cookie", "value": "sid=from-login; ab=own"}, {"name": "Content-Type", "value": "application/json"}, {"name": "sec-fetch-mode", "value": "cors"}],
   "postData": {"mimeType": "application/json", "text": "{\"item\": 7}"}}, "response": {"status": 201, "headers": []}},
 {"startedDateTime": "2026-11-25T14:00:00.000Z", "time": 300, "request": {"method": "POST", "url": "http://shop.test/login", "headers": [{"name": ":path", "value": "/login"}, {"name": "Host", "value": "shop.test"}],
   "postData": {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "user", "value": "ann"}, {"name": "password", "value": "hunter2"}]}},
   "response": {"status": 302, "headers": [{"name": "Set-Cookie", "value": "sid=from-login; Path=/"}]}},
 {"startedDateTime": "2026-11-25T14:00:00.310Z", "time": 10, "request": {"method": "GET", "url": "http://cdn.test/a.js"}, "response": {"status": 200}},
 {"startedDateTime": "2026-11-25T14:00:00.320Z", "time": 180, "request": {"method": "GET", "url": "http://shop.test/home", "headers": [{"name": "If-None-Match", "value": "x"}]}, "response": {"status": 304}},
 {"startedDateTime": "2026-11-25T14:00:00.330Z", "time": 10, "request": {"method": "GET", "url": "http://shop.test/blocked"}, "response": {"status": 0}}
]}}"#;

#[test]
fn a_har_file_is_a_flow_with_its_pauses() {
    let made = har("a.har", HAR).unwrap_or_else(|e| panic!("{e}"));
    has(
        &made.text,
        &[
            "# left out: 1 request to other origins (add --all-origins to keep them)",
            "# left out: 1 request without a response",
            "target: http://shop.test:80",
            "post: /login",
            "user: \"ann\"",
            "password: \"{{ env.PASSWORD | default('unset') }}\"",
            "redirects: 0",
            "check: {status: 302}",
            "get: /home",
            "check: {status: 200}",
            "- think: 2s",
            "post: \"/cart?x=1\"",
            "cookie: \"ab={{ env.COOKIE_AB | default('unset') }}\"",
            "body: '{\"item\": 7}'",
            "check: {status: 201}",
        ],
    );
    assert!(made.text.contains("sec-fetch-mode: \"cors\""), "{}", made.text);
    for absent in ["hunter2", "from-login", "if-none-match", "cdn.test", "blocked"] {
        assert!(!made.text.contains(absent), "{absent} in\n{}", made.text);
    }
    assert_eq!(made.text.matches("think:").count(), 1, "20 ms are no pause");
}

#[test]
fn bad_har_files_have_a_place() {
    let check = |text: &str, want: &str| {
        let e = har("a.har", text).expect_err(text).to_string();
        assert!(e.contains(want), "{e}");
    };
    check("{\"log\": {}}", "a.har:1:10: not a HAR file: missing field `entries`");
    check("{\n  \"log\": [", "a.har:2:");
    check(r#"{"log": {"entries": []}}"#, "a.har: there is no request that can be repeated");
    check(&HAR.replace("2026-11-25T14:00:00.310Z", "noon"), "a.har: entry 3: startedDateTime is \"noon\"");
    check(&HAR.replace("http://cdn.test/a.js", "a.js"), "a.har: entry 3: the URL \"a.js\"");
}

const OPENAPI: &str = r#"
openapi: 3.1.0
info: {title: "Pet Shop {v1}", version: "1"}
servers: [{url: "https://{host}/api/", variables: {host: {default: pets.test}}}]
security: [{bearer: []}]
paths:
  /pets/{petId}:
    parameters: [{$ref: '#/components/parameters/PetId'}]
    get:
      operationId: getPet
      parameters:
        - {name: verbose, in: query, schema: {type: boolean}}
        - {name: limit, in: query, required: true, schema: {type: integer, minimum: 5}}
        - {name: X-Tenant, in: header, required: true, example: acme}
      responses: {"404": {}, "200": {}}
    delete:
      security: []
      responses: {"2XX": {}}
  /pets:
    post:
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
      responses: {"201": {}}
  /login:
    post:
      security: [{key: []}]
      requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {user: {type: string, example: ann}, password: {type: string, example: pw}}}}}}
      responses: {default: {}}
  /ask:
    post:
      requestBody: {content: {application/json: {example: {q: "{{ why }}"}}}}
      responses: {"200": {content: {text/event-stream: {}}}}
components:
  parameters:
    PetId: {name: petId, in: path, required: true, schema: {type: string, example: "a b"}}
  securitySchemes:
    bearer: {type: http, scheme: bearer}
    key: {type: apiKey, in: header, name: X-Key}
  schemas:
    Pet:
      type: object
      required: [name, born, tags, mother, all]
      properties:
        id: {type: integer, readOnly: true}
        name: {type: string, minLength: 6}
        nick: {type: string}
        mood: {type: string, default: calm}
        born: {type: [string, "null"], format: date}
        tags: {type: array, items: {enum: [big, small]}}
        mother: {$ref: '#/components/schemas/Pet'}
        all: {allOf: [{type: object, properties: {a: {type: number}}}, {properties: {b: {const: 2}}}]}
"#;

#[test]
fn an_openapi_document_is_a_choice_of_its_operations() {
    let made = openapi("api.yml", OPENAPI).unwrap_or_else(|e| panic!("{e}"));
    has(
        &made.text,
        &[
            "scenario: pet-shop-v1",
            "target: https://pets.test:443",
            "- one_of:",
            "- name: getPet",
            "get: \"/api/pets/a%20b\"",
            "query:",
            "limit: \"5\"",
            "x-tenant: \"acme\"",
            "authorization: \"Bearer {{ env.BEARER | default('unset') }}\"",
            "check: {status: 200}",
            "- name: \"DELETE /api/pets/{petId}\"",
            "check: {status: 2xx}",
            "post: /api/pets",
            "check: {status: 201}",
            "x-key: \"{{ env.KEY | default('unset') }}\"",
            "form:",
            "password: \"{{ env.PASSWORD | default('unset') }}\"",
            "json: {\"q\": \"{{ '{{' }} why }}\"}",
            "stream: sse",
        ],
    );
    assert!(!made.text.contains("verbose") && !made.text.contains("\"id\""), "{}", made.text);
    assert!(
        made.text.contains(r#""name": "textxx""#) && made.text.contains(r#""tags": ["big"]"#),
        "{}",
        made.text
    );
    assert!(
        made.text.contains(r#""all": {"a": 1.0, "b": 2}"#) && made.text.contains(r#""born": "2026-01-01""#)
    );
    // What need not be there is left out, unless the document shows what it would be.
    assert!(!made.text.contains("nick") && made.text.contains(r#""mood": "calm""#), "{}", made.text);
    // A pet's mother has a mother; somewhere that ends.
    assert!(made.text.len() < 10_000);
    // JSON is read as well.
    let json = r#"{"openapi": "3.0.3", "info": {"title": "t"}, "paths": {"/x": {"get": {"responses": {"200": {}}}}}}"#;
    has(
        &openapi("api.json", json).unwrap_or_else(|e| panic!("{e}")).text,
        &["scenario: t", "- name: \"GET /x\"", "get: /x"],
    );
}

#[test]
fn names_of_any_length_are_kept() {
    let long = "n".repeat(3_000);
    let json = curl(&format!("curl http://h/ --json '{{\"{long}\": {{\"{long}\": 1}}}}'"));
    let form = curl(&format!("curl http://h/ -d '{long}=1&b=2'"));
    let query = curl(&format!("curl 'http://h/?{long}=1&token=abcdefgh12345678'"));
    let header = curl(&format!("curl http://h/ -H '{long}: 1'"));
    for made in [json, form, query, header] {
        let text = made.expect("imports, and loads").text;
        assert!(text.contains(&long), "{text:.300}");
    }
}

#[test]
fn a_path_that_is_none_is_refused() {
    let text = "openapi: 3.0.0\ninfo: {title: t, version: '1'}\nservers: [{url: 'http://h/'}]\npaths: {'/a{{b': {get: {responses: {'200': {description: d}}}}}\n";
    let error = openapi("api.yml", text).expect_err("no such path").to_string();
    assert!(error.contains("api.yml:4:9") && error.contains("two braces"), "{error}");
    let error = openapi("api.yml", &text.replace("/a{{b", "a/b")).expect_err("no such path").to_string();
    assert!(error.contains("api.yml:4:9") && error.contains("begin with a slash"), "{error}");
}

#[test]
fn a_secret_that_is_the_host_cannot_be_imported() {
    let error = curl("curl http://abcdefgh12345678/ -H 'authorization: Bearer abcdefgh12345678'");
    let error = error.expect_err("the target cannot be a variable").to_string();
    assert!(error.contains("also stands in the target") && !error.contains("abcdefgh"), "{error}");
}

#[test]
fn a_certificate_has_its_key_in_its_file_unless_curl_is_given_one() {
    let tls = |options: &str| curl(&format!("curl https://h/ {options}")).expect("imports").text;
    assert!(tls("-E both.pem").contains("both.pem") && tls("-E both.pem").contains("key"));
    let two = tls("-E a.pem -E c.pem --key k.pem");
    assert!(two.contains("c.pem") && two.contains("k.pem") && !two.contains("a.pem"), "{two}");
    assert!(!tls("--key k.pem").contains("key: "), "{}", tls("--key k.pem"));
}

#[test]
fn an_option_outside_of_ascii_is_unknown() {
    let error = curl("curl http://h/ -é").expect_err("no such option");
    assert!(error.to_string().contains("-é"), "{error}");
}

#[test]
fn what_cannot_be_sent_or_answered_is_left_out_and_noted() {
    let got = curl("curl http://h/a -H 'a b: c' -H 'x-ok: 1'").expect("imports");
    assert!(got.text.contains("x-ok") && !got.text.contains("a b: c"), "{}", got.text);
    assert!(
        got.notes.iter().any(|n| n.contains("\"a b\"") && n.contains("cannot be sent")),
        "{:?}",
        got.notes
    );
    let har = r#"{"log": {"entries": [{"startedDateTime": "2026-11-25T14:00:00.310Z", "time": 10,
        "request": {"method": "GET", "url": "http://h/a", "headers": [{"name": "", "value": "x"}]},
        "response": {"status": 2020, "headers": []}}]}}"#;
    let got = super::har("s.har", har).expect("imports");
    assert!(
        !got.text.contains("status: 2020") && got.notes.iter().any(|n| n.contains("2020")),
        "{} {:?}",
        got.text,
        got.notes
    );
}

#[test]
fn a_header_that_comes_again_is_there_once() {
    let made = curl("curl http://a/ -H 'X-A;' -H 'X-A;' -H 'x-a: 1'").unwrap_or_else(|e| panic!("{e}"));
    has(&made.text, &["x-a: \", , 1\""]);
    let text = r#"
openapi: 3.1.0
info: {title: t, version: "1"}
servers: [{url: "http://a.test/"}]
security: [{basic: [], key: [], bearer: []}]
paths:
  /a:
    get:
      parameters: [{name: X-Key, in: header, example: x}]
      responses: {"200": {}}
components:
  securitySchemes:
    basic: {type: http, scheme: basic}
    bearer: {type: http, scheme: bearer}
    key: {type: apiKey, in: header, name: x-key}
"#;
    let made = openapi("api.yml", text).unwrap_or_else(|e| panic!("{e}"));
    has(
        &made.text,
        &[
            "x-key: \"{{ env.KEY | default('unset') }}\"",
            "authorization: \"Bearer {{ env.BEARER | default('unset') }}\"",
        ],
    );
}

#[test]
fn bad_documents_are_told_where() {
    let check = |text: &str, want: &str| {
        let e = openapi("api.yml", text).expect_err(text).to_string();
        assert!(e.contains(want), "{e}");
    };
    check("swagger: '2.0'\n", "api.yml:1:10: expected OpenAPI 3, found Swagger 2");
    check("a: 1\n", "api.yml:1:1: expected an OpenAPI 3 document");
    check("openapi: 3.0.0\n", "lacks paths");
    check("openapi: 3.0.0\npaths: {}\n", "api.yml: the document has no operation");
    check(
        &OPENAPI.replace("parameters/PetId'", "parameters/Pet'"),
        "api.yml:8:25: there is nothing at \"#/components/parameters/Pet\"",
    );
    check(&OPENAPI.replace("#/components/schemas/Pet'}}}}", "other.yml'}}}}"), "leaves the document");
    check(&OPENAPI.replace("[{key: []}]", "[{kye: []}]"), "there is no security scheme \"kye\"");
    check("openapi: 3.0.0\npaths: {/a/{b}: {get: {}}}\n", "api.yml:2:");
    check(
        "openapi: 3.0.0\npaths: {'/a/{b}': {get: {responses: {}}}}\n",
        "has a part {b} without a parameter",
    );
}

#[test]
fn a_command_of_windows_and_the_way_to_the_target() {
    // As Chrome copies it for cmd: carets before what is special there, and lines of Windows.
    let command = "curl ^\"http://a.example/b?c=1^&d=2^\" ^\r\n  -H ^\"content-type: application/json^\" ^\r\n  --data-raw ^\"^{^\\^\"n^\\^\":^\\^\"$5^\\^\"^}^\"";
    let made = curl(command).unwrap_or_else(|e| panic!("{e}"));
    has(&made.text, &["target: http://a.example:80", "post: \"/b?c=1&d=2\"", "json: {\"n\": \"$5\"}"]);
    let made = curl("curl http://a/b \\\r\n -H 'x: y'").unwrap_or_else(|e| panic!("{e}"));
    has(&made.text, &["get: /b", "x: \"y\""]);
    let made = curl("curl -k --resolve a.example:443:127.0.0.1 https://a.example/")
        .unwrap_or_else(|e| panic!("{e}"));
    has(&made.text, &["tls: {insecure: true}", "resolve: [\"a.example:443:127.0.0.1\"]"]);
    let made =
        curl("curl --unix-socket /run/docker.sock http://docker/v1/info").unwrap_or_else(|e| panic!("{e}"));
    has(&made.text, &["target: http://docker:80", "resolve: [\"docker:80:unix:/run/docker.sock\"]"]);
    let e = curl("curl --resolve nonsense http://a/").expect_err("refused").to_string();
    assert!(e.contains("as curl takes it"), "{e}");
}

#[test]
fn what_firefox_writes_is_read() {
    let entry = |more: &str, request: &str| {
        format!(
            r#"{{"startedDateTime": "2026-01-31T12:00:00Z", {more} "request": {{"method": "POST", "url": "http://a.example/b", "headers": [], {request}}}, "response": {{"status": 200, "headers": null, "content": {{"mimeType": null}}}}}}"#
        )
    };
    let file = |entries: &[String]| format!(r#"{{"log": {{"entries": [{}]}}}}"#, entries.join(","));
    let elsewhere = entry("", r#""postData": null"#).replace("http://a.example", "http://cdn.example");
    let both = file(&[entry("", r#""postData": null"#), elsewhere]);
    let made = har("a.har", &both).unwrap_or_else(|e| panic!("{e}"));
    assert!(
        !made.text.contains("cdn") && made.notes.iter().any(|n| n.contains("--all-origins")),
        "{:?}",
        made.notes
    );
    let made = har_of_all_origins("a.har", &both).unwrap_or_else(|e| panic!("{e}"));
    has(&made.text, &["target: http://a.example:80", "post: /b", "post: http://cdn.example:80/b"]);
    let form = r#""postData": {"mimeType": "multipart/form-data; boundary=x", "text": "", "params": [{"name": "note", "value": "hi"}, {"name": "scan", "fileName": "scan.pdf"}]}"#;
    let packed =
        r#""postData": {"mimeType": "application/json", "text": "eyJuIjogMX0=", "encoding": "base64"}"#;
    let text = file(&[
        entry(r#""time": null,"#, r#""postData": null"#),
        entry("", form),
        entry(r#""time": 3,"#, packed),
    ]);
    let made = har("a.har", &text).unwrap_or_else(|e| panic!("{e}"));
    has(
        &made.text,
        &["post: /b", "multipart:", "note: \"hi\"", "scan: {file: \"scan.pdf\"}", "body: '{\"n\": 1}'"],
    );
}

#[test]
fn forms_arrays_and_patterns_of_openapi_are_followed() {
    let text = r#"
openapi: 3.1.0
info: {title: t, version: "1"}
servers: [{url: "https://api.openai.com/v1"}]
paths:
  /files:
    post:
      parameters:
        - {name: tag, in: query, required: true, example: [a b, c]}
        - {name: id, in: query, required: true, explode: false, example: [1, 2]}
      requestBody:
        content:
          multipart/form-data:
            schema:
              type: object
              required: [scan, version, size]
              properties:
                scan: {type: string, format: binary}
                version: {type: string, pattern: '^v1\.2$'}
                size: {prefixItems: [{type: integer}, {const: mm}]}
                note: {type: string}
      responses: {"200": {}}
"#;
    let made = openapi("api.yml", text).unwrap_or_else(|e| panic!("{e}"));
    has(
        &made.text,
        &[
            "post: \"/v1/files?tag=a%20b&tag=c&id=1,2\"",
            "multipart:",
            "scan: {file: \"scan\"}",
            "version: \"v1.2\"",
            "size: [\"1\", \"mm\"]",
        ],
    );
    assert!(!made.text.contains("note:"), "{}", made.text);
    assert!(made.notes.iter().any(|n| n.contains("put a file scan")), "{:?}", made.notes);
    assert!(made.notes.iter().any(|n| n.contains("api.openai.com:443 is public")), "{:?}", made.notes);
    let made = curl("curl http://192.168.1.5/a").unwrap_or_else(|e| panic!("{e}"));
    assert!(!made.notes.iter().any(|n| n.contains("is public")), "{:?}", made.notes);
}

#[test]
fn every_value_of_a_query_may_be_a_secret() {
    let text = r#"
openapi: 3.1.0
info: {title: t, version: "1"}
servers: [{url: "http://a.test/"}]
paths:
  /a:
    get:
      parameters:
        - {name: api_key, in: query, required: true, example: [first-of-two, second-of-two]}
        - {name: note, in: query, required: true, example: [a b, "{{x}}"]}
      responses: {"200": {}}
"#;
    let made = openapi("api.yml", text).unwrap_or_else(|e| panic!("{e}"));
    has(
        &made.text,
        &[
            "get: \"/a?api_key={{ env.API_KEY | default('unset') }}&api_key={{ env.API_KEY_2 | default('unset') }}&note=a%20b&note=%7B%7Bx%7D%7D\"",
        ],
    );
    assert_eq!(made.variables, ["API_KEY", "API_KEY_2"]);
    assert!(!made.text.contains("of-two"), "{}", made.text);
}

#[test]
fn bodies_of_a_har_that_cannot_be_sent_are_noted() {
    let read = |data: &str| {
        let text = format!(
            r#"{{"log": {{"entries": [{{"startedDateTime": "2026-01-31T12:00:00Z", "request": {{"method": "POST", "url": "http://a.test/b", "postData": {data}}}, "response": {{"status": 200}}}}]}}}}"#
        );
        har("a.har", &text).unwrap_or_else(|e| panic!("{e}"))
    };
    let made = read(
        r#"{"mimeType": "multipart/form-data", "params": [{"name": "f", "fileName": "a.pdf"}, {"name": "note", "value": "x"}, {"name": "f", "fileName": "b.pdf"}]}"#,
    );
    has(&made.text, &["multipart:", "f: [{file: \"a.pdf\"}, {file: \"b.pdf\"}]", "note: \"x\""]);
    for (text, why) in [("%%%", "it is not valid base64"), ("/w==", "it is not text;")] {
        let made = read(&format!(r#"{{"mimeType": "text/plain", "text": "{text}", "encoding": "base64"}}"#));
        let note = format!("POST /b: the body is left out: {why}");
        assert!(made.notes.iter().any(|n| n.starts_with(&note)), "{:?}", made.notes);
    }
}

/// A time of the record may be anything: no sum of it overflows, and the requests stay.
#[test]
fn times_of_a_har_that_cannot_be_are_times_all_the_same() {
    let entry = |time: &str| {
        format!(
            r#"{{"startedDateTime": "2026-11-25T14:00:00.310Z", "time": {time}, "request": {{"method": "GET", "url": "http://h/a"}}, "response": {{"status": 200}}}}"#
        )
    };
    for time in ["1e30", "9223372036854775807", "-1e30", "null", "533333333333333333333333"] {
        let har = format!(r#"{{"log": {{"entries": [{}, {}]}}}}"#, entry(time), entry("1"));
        let made = super::har("a.har", &har).unwrap_or_else(|e| panic!("{time}: {e}"));
        assert_eq!(made.text.matches("get: /a").count(), 2, "{time}: {}", made.text);
    }
}
