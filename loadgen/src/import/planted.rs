//! Secrets planted in every place and form that requests have them in: none is in anything that an import gives.

use serde_json::{Value, json};

use super::*;

/// What a planted secret looks like.
#[derive(Clone, Copy)]
enum Form {
    /// Nothing shows it but the name.
    Plain,
    Digits,
    Random,
    Hex,
    /// Behind what issuers begin theirs with.
    After(&'static str),
    Jwt,
    KeyId,
    PrivateKey,
}

/// Text that no other secret has, the same in every run.
fn secret(form: Form, n: usize) -> String {
    let mut state = 0x9e37_79b9_u64.wrapping_mul(n as u64 + 1);
    let mut draw = |alphabet: &str, count: usize| -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        let pick = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            letters[(state >> 33) as usize % letters.len()]
        };
        (0..count).map(pick).collect()
    };
    const MIXED: &str = "0a1B2c3D4e5F6g7H8j9KLmNpQrStUvWxYz";
    match form {
        Form::Plain => format!("{}{n}", draw("bcdfghkmpqrstvwxz", 6)),
        Form::Digits => format!("{}", 7_310_000 + n * 37),
        Form::Random => format!("{}9x7Q2z{n}", draw(MIXED, 26)),
        Form::Hex => format!("{}1a2b3c{n:02}", draw("0123456789abcdef", 32)),
        Form::After(prefix) => format!("{prefix}{}9x7Q{n}", draw(MIXED, 30)),
        Form::Jwt => format!("eyJ{}.eyJ{}.{n}{}", draw(MIXED, 12), draw(MIXED, 20), draw(MIXED, 20)),
        Form::KeyId => format!("AKIA{}{n:04}", draw("ABCDEFGHJKLMNPQRSTUVWXYZ234567", 12)),
        Form::PrivateKey => {
            format!("-----BEGIN PRIVATE KEY-----\n{}{n}\n-----END PRIVATE KEY-----", draw(MIXED, 40))
        }
    }
}

const URL: &str = "http://shop.test/x";

fn entry(n: usize, url: &str, headers: &Value, kind: &str, body: &str) -> Value {
    json!({
        "startedDateTime": format!("2026-11-25T14:{:02}:{:02}.000Z", n / 60, n % 60),
        "time": 20,
        "request": {
            "method": "POST", "url": url, "headers": headers,
            "postData": {"mimeType": kind, "text": body}
        },
        "response": {"status": 200, "headers": []}
    })
}

fn query(n: usize, name: &str, value: &str) -> Value {
    let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    entry(n, &format!("{URL}?q=1&{name}={value}&state=5"), &json!([]), "text/plain", "hello")
}

fn header(n: usize, name: &str, value: &str) -> Value {
    entry(n, URL, &json!([{"name": name, "value": value}]), "text/plain", "hello")
}

fn body(n: usize, kind: &str, text: &str) -> Value {
    entry(n, URL, &json!([]), kind, text)
}

type Plant = (Form, fn(usize, &str) -> Value);

const JSON: &str = "application/json";
const XML: &str = "application/xml";
const FORM: &str = "application/x-www-form-urlencoded";

const KINDS: [Plant; 44] = [
    (Form::Plain, |n, s| query(n, "pass", s)),
    (Form::Digits, |n, s| query(n, "pin", s)),
    (Form::Digits, |n, s| query(n, "otp", s)),
    (Form::Digits, |n, s| query(n, "mfa_code", s)),
    (Form::Plain, |n, s| query(n, "sessionToken", s)),
    (Form::Plain, |n, s| query(n, "PHPSESSID", s)),
    (Form::Plain, |n, s| query(n, "code", s)),
    (Form::Plain, |n, s| query(n, "csrfmiddlewaretoken", s)),
    (Form::Plain, |n, s| query(n, "sas", s)),
    (Form::Plain, |n, s| query(n, "sig", s)),
    (Form::Random, |n, s| query(n, "q2", s)),
    (Form::Plain, |n, s| header(n, "Authorization", &format!("Bearer {s}"))),
    (Form::Plain, |n, s| header(n, "authorization", s)),
    (Form::Plain, |n, s| header(n, "X-Auth-User", s)),
    (Form::Plain, |n, s| header(n, "X-Vault-Namespace", s)),
    (Form::Plain, |n, s| header(n, "X-Api-Key", s)),
    (Form::Plain, |n, s| header(n, "Cookie", &format!("theme=dark; sid={s}"))),
    (Form::Plain, |n, s| header(n, "Referer", &format!("http://shop.test/in?a=b&reset_token={s}"))),
    (Form::Plain, |n, s| header(n, "Location", &format!("/in?a=b&token={s}#x"))),
    (Form::Plain, |n, s| header(n, "X-Callback", &format!("http://me:{s}@hooks.test/"))),
    (Form::Jwt, |n, s| header(n, "X-User", s)),
    (Form::Hex, |n, s| header(n, "X-Device", s)),
    (Form::After("ghp_"), |n, s| header(n, "X-Whatever", s)),
    (Form::Plain, |n, s| body(n, JSON, &json!({"user": "ann", "password": s}).to_string())),
    (Form::Digits, |n, s| body(n, JSON, &format!("{{\"a\": [{{\"pin\": {s}}}]}}"))),
    (Form::Plain, |n, s| body(n, JSON, &json!({"credentials": {"user": "ann", "value": [s]}}).to_string())),
    (Form::Plain, |n, s| {
        body(n, JSON, &json!({"data": json!({"deep": {"token": s}}).to_string()}).to_string())
    }),
    (Form::Plain, |n, s| {
        let inner = json!({"x": json!({"secret": s}).to_string()}).to_string();
        body(n, JSON, &json!({"data": inner}).to_string())
    }),
    (Form::Plain, |n, s| body(n, JSON, &json!({"form": format!("a=b&client_secret={s}&c=d")}).to_string())),
    (Form::After("sk-"), |n, s| {
        body(n, JSON, &json!({"text": format!("my key is {s}, keep it")}).to_string())
    }),
    (Form::KeyId, |n, s| body(n, JSON, &json!({"id": s}).to_string())),
    (Form::Plain, |n, s| body(n, "text/plain", &format!("{{\"broken\": , \"api_key\": \"{s}\""))),
    (Form::Plain, |n, s| body(n, XML, &format!("<a><u>ann</u><ns:Password t=\"x\">{s}</ns:Password></a>"))),
    (Form::Plain, |n, s| body(n, XML, &format!("<a><secret><![CDATA[{s}]]></secret></a>"))),
    (Form::Plain, |n, s| body(n, XML, &format!("<a><login user='ann' passwd='{s}'/></a>"))),
    (Form::Plain, |n, s| body(n, FORM, &format!("user=ann&j_password={s}&x=1"))),
    (Form::Plain, |n, s| body(n, FORM, &format!("grant_type=authorization_code&code={s}&x=1"))),
    (Form::Plain, |n, s| {
        let text = format!(
            "--b\r\nContent-Disposition: form-data; name=\"passcode\"\r\nContent-Type: text/plain\r\n\r\n{s}\r\n--b--\r\n"
        );
        body(n, "multipart/form-data; boundary=b", &text)
    }),
    (Form::Plain, |n, s| body(n, "text/plain", &format!("POST / HTTP/1.1\r\nX-Auth-Token: {s}\r\n\r\n"))),
    (Form::Plain, |n, s| body(n, "text/plain", &format!("Endpoint=sb://x/;SharedAccessKey={s};Y=1"))),
    (Form::PrivateKey, |n, s| body(n, "text/plain", &format!("key:\n{s}\n"))),
    (Form::After("glpat-"), |n, s| entry(n, &format!("{URL}/hooks/{s}/run"), &json!([]), JSON, "{}")),
    (Form::Random, |n, s| entry(n, &format!("{URL}/reset/{s}"), &json!([]), JSON, "{}")),
    (Form::After("xoxb-"), |n, s| body(n, JSON, &json!([[["a", s]]]).to_string())),
];

/// Asserts that none of the secrets is in anything that came out.
#[track_caller]
fn has_none(made: &Imported, secrets: &[String]) {
    let all = format!("{}\n{}\n{}", made.text, made.notes.join("\n"), made.variables.join("\n"));
    let left: Vec<_> = secrets
        .iter()
        .filter(|s| {
            let encoded: String = url::form_urlencoded::byte_serialize(s.as_bytes()).collect();
            // Of a key in several lines any line would be too much.
            all.contains(&encoded) || s.lines().any(|l| !l.starts_with("-----") && all.contains(l))
        })
        .collect();
    assert!(left.is_empty(), "{} are left: {left:#?}\n{all}", left.len());
}

#[test]
fn none_of_200_secrets_of_40_kinds_is_in_what_a_har_file_gives() {
    let (mut entries, mut secrets) = (Vec::new(), Vec::new());
    for round in 0..5 {
        for (form, plant) in KINDS {
            let n = secrets.len();
            let value = secret(form, n + round * 1000);
            entries.push(plant(n, &value));
            secrets.push(value);
        }
    }
    assert!(secrets.len() >= 200);
    let made =
        har("a.har", &json!({"log": {"entries": entries}}).to_string()).unwrap_or_else(|e| panic!("{e}"));
    has_none(&made, &secrets);
    // The rest is as it was.
    for kept in [
        "theme=",
        "hello",
        "user: \"ann\"",
        "<u>ann</u>",
        "my key is ",
        ", keep it",
        "/in?a=b&",
        "Endpoint=sb",
    ] {
        assert!(made.text.contains(kept), "{kept} is gone from\n{}", made.text);
    }
    assert!(made.notes.iter().any(|n| n.starts_with("PASS stands for pass")), "{:?}", made.notes);
}

#[test]
fn none_is_in_what_a_curl_command_gives() {
    let s: Vec<String> = (0..9).map(|n| secret(Form::Plain, n)).collect();
    let command = format!(
        "curl -u ann:{} -H 'X-Api-Key: {}' -b 'a={}' -e 'http://h/?token={}' -d '{{\"password\": \"{}\"}}' \
         -H 'content-type: application/json' -E cert.pem:{} --key key.pem 'http://h/p/{}?sig={}'",
        s[0], s[1], s[2], s[3], s[4], s[5], s[1], s[6]
    );
    let made = curl(&command).unwrap_or_else(|e| panic!("{e}"));
    has_none(&made, &s);
    let made = curl(&format!(
        "curl 'http://ann:{}@h/' --form 'pin={}' -F 'x={{\"otp\": \"{}\"}}'",
        s[0], s[7], s[8]
    ));
    has_none(&made.unwrap_or_else(|e| panic!("{e}")), &s);
}

#[test]
fn none_is_in_what_an_openapi_document_gives() {
    let s: Vec<String> = (0..8).map(|n| secret(Form::Plain, n)).collect();
    let random = secret(Form::Random, 9);
    let document = format!(
        "openapi: 3.0.3\ninfo: {{title: t}}\nservers: [{{url: 'http://me:{}@h/api'}}]\npaths:\n  /a/{{token}}/b/{{id}}:\n    post:\n      parameters:\n\
         \x20       - {{name: token, in: path, required: true, example: {}}}\n        - {{name: id, in: path, required: true, example: {random}}}\n\
         \x20       - {{name: sig, in: query, required: true, schema: {{default: {}}}}}\n        - {{name: X-Auth-Key, in: header, example: {}}}\n\
         \x20       - {{name: sid, in: cookie, example: {}}}\n      requestBody: {{content: {{application/json: {{schema: {{properties: {{password: {{type: string, example: {}}}, pin: {{type: integer, example: 7310001}}}}}}}}}}}}\n\
         \x20 /c:\n    post:\n      requestBody: {{content: {{text/xml: {{example: '<a><secret>{}</secret></a>'}}}}}}\n",
        s[0], s[1], s[2], s[3], s[4], s[5], s[6]
    );
    let made = openapi("api.yml", &document).unwrap_or_else(|e| panic!("{e}"));
    has_none(&made, &s);
    has_none(&made, &[random, "7310001".to_owned()]);
}

#[test]
fn ordinary_requests_stay_as_they_are_and_what_is_odd_is_named() {
    let made = curl(
        "curl 'http://h/patients/42/records?from=2026-11-25T14:00:00Z&page=2&max_tokens=5' -H 'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36' \
         -H 'Accept-Language: en-US,en;q=0.9' --json '{\"model\": \"gpt-4o-mini-2024-07-18\", \"question\": \"What is the pass rate of token-ring?\", \"device\": \"550e8400-e29b-41d4-a716-446655440000\"}'",
    )
    .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(made.variables, [""; 0], "{}", made.text);
    for kept in [
        "/patients/42/records?from=2026-11-25T14:00:00Z&page=2&max_tokens=5",
        "AppleWebKit/537.36",
        "gpt-4o-mini-2024-07-18",
        "550e8400",
    ] {
        assert!(made.text.contains(kept), "{kept} is gone from\n{}", made.text);
    }
    assert!(
        made.notes.iter().any(|n| n.starts_with("Kept, though") && n.ends_with(": device")),
        "{:?}",
        made.notes
    );
}
