//! Forms of secrets: what issuers make recognizable, and what is too random to be written by a person.
//!
//! Invariant: words, numbers, dates, paths, addresses and UUIDs are no secrets by their form.

/// How secrets of known issuers begin, the fewest characters of the whole, and what they are.
const PREFIXES: [(&str, usize, &str); 36] = [
    ("ghp_", 20, "github_token"),
    ("gho_", 20, "github_token"),
    ("ghu_", 20, "github_token"),
    ("ghs_", 20, "github_token"),
    ("ghr_", 20, "github_token"),
    ("github_pat_", 30, "github_token"),
    ("glpat-", 20, "gitlab_token"),
    ("gldt-", 20, "gitlab_token"),
    ("xoxb-", 20, "slack_token"),
    ("xoxp-", 20, "slack_token"),
    ("xoxa-", 20, "slack_token"),
    ("xoxs-", 20, "slack_token"),
    ("xapp-", 20, "slack_token"),
    ("sk-", 20, "secret_key"),
    ("sk_live_", 16, "secret_key"),
    ("sk_test_", 16, "secret_key"),
    ("rk_live_", 16, "secret_key"),
    ("whsec_", 16, "webhook_secret"),
    ("AIza", 35, "google_key"),
    ("ya29.", 20, "google_token"),
    ("GOCSPX-", 20, "google_secret"),
    ("hvs.", 20, "vault_token"),
    ("hvb.", 20, "vault_token"),
    ("npm_", 20, "npm_token"),
    ("pypi-", 20, "pypi_token"),
    ("dop_v1_", 20, "digitalocean_token"),
    ("SG.", 20, "sendgrid_key"),
    ("shpat_", 20, "shopify_token"),
    ("hf_", 20, "huggingface_token"),
    ("gsk_", 20, "groq_key"),
    ("dckr_pat_", 20, "docker_token"),
    ("lin_api_", 20, "linear_key"),
    ("xkeysib-", 20, "brevo_key"),
    ("PMAK-", 20, "postman_key"),
    ("AGE-SECRET-KEY-", 20, "age_key"),
    ("glsa_", 20, "grafana_token"),
];

/// What kind of secret a text is by its form, or `None`.
#[must_use]
pub fn form(value: &str) -> Option<&'static str> {
    if !value.bytes().all(is_token_byte) {
        return value.contains("-----BEGIN").then_some("private_key");
    }
    if value.starts_with("eyJ") && value.matches('.').count() >= 2 {
        return Some("jwt");
    }
    let is_key_id = |p: &str| {
        value.len() == 20
            && value.starts_with(p)
            && value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    if is_key_id("AKIA") || is_key_id("ASIA") {
        return Some("aws_key");
    }
    let known = PREFIXES.iter().find(|(prefix, least, _)| value.starts_with(prefix) && value.len() >= *least);
    known.map(|(_, _, kind)| *kind).or_else(|| is_random(value).then_some("random"))
}

/// Whether a value that is kept may be a secret all the same: a UUID, or random text that is short.
#[must_use]
pub fn is_odd(value: &str) -> bool {
    let class = Class::of(value);
    let is_short_random = (12..32).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric())
        && class.digit_runs >= 2
        && class.letters > 0
        && !is_time(value);
    form(value).is_none() && (is_uuid(value) || is_short_random)
}

fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"_-.+/=~:".contains(&b)
}

/// Long, and mixed as no word, name or path is.
fn is_random(value: &str) -> bool {
    // Parts of a path or of a dotted name are looked at one by one.
    let longest = value.split(['.', ':', '/']).map(str::len).max().unwrap_or_default();
    if value.len() < 20
        || longest < 16
        || is_uuid(value)
        || is_time(value)
        || value.contains("://")
        || value.starts_with('/')
    {
        return false;
    }
    let class = Class::of(value);
    let is_hex = value.len() >= 32 && value.bytes().all(|b| b.is_ascii_hexdigit()) && class.letters > 0;
    let is_mixed = class.upper > 0 && class.lower > 0 && class.digits > 0;
    let changes = class.changes * 100 / value.len().max(1);
    is_hex && class.digit_runs >= 3
        || is_mixed && (class.digit_runs >= 3 || changes >= 40)
        || class.letters > 0 && class.digit_runs >= 5
        || class.upper > 4 && class.lower > 4 && changes >= 45
}

fn is_uuid(value: &str) -> bool {
    let lengths: Vec<usize> = value.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// `2026-11-25T14:00:00.000Z` and the like.
fn is_time(value: &str) -> bool {
    let mut bytes = value.bytes();
    bytes.by_ref().take(4).all(|b| b.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_digit() || b"-+:.TZtz".contains(&b))
}

/// What a text is made of.
#[derive(Default)]
struct Class {
    upper: usize,
    lower: usize,
    letters: usize,
    digits: usize,
    digit_runs: usize,
    /// How often the kind of character changes.
    changes: usize,
}

impl Class {
    fn of(text: &str) -> Self {
        let mut class = Self::default();
        let mut last = ' ';
        for b in text.bytes() {
            let kind = match b {
                b'a'..=b'z' => 'a',
                b'A'..=b'Z' => 'A',
                b'0'..=b'9' => '0',
                _ => '-',
            };
            class.lower += usize::from(kind == 'a');
            class.upper += usize::from(kind == 'A');
            class.digits += usize::from(kind == '0');
            class.digit_runs += usize::from(kind == '0' && last != '0');
            class.changes += usize::from(kind != last);
            last = kind;
        }
        class.letters = class.upper + class.lower;
        class
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_tell_secrets() {
        for (value, want) in [
            ("eyJhbGciOi.eyJzdWIi.c2ln", "jwt"),
            ("ghp_0123456789abcdefABCDEF0123456789abcd", "github_token"),
            ("AKIAIOSFODNN7EXAMPLE", "aws_key"),
            ("sk-proj-abcdefghijklmnopqrstuvwx", "secret_key"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", "private_key"),
            ("d41d8cd98f00b204e9800998ecf8427e", "random"),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "random"),
            ("Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZg==", "random"),
            ("k3j9x0q2m8v7b1n5z4c6l0p9", "random"),
        ] {
            assert_eq!(form(value), Some(want), "{value}");
        }
        for value in [
            "",
            "hello",
            "2026-11-25T14:00:00.000Z",
            "550e8400-e29b-41d4-a716-446655440000",
            "application/json",
            "clinical-rag-20261123T134500Z",
            "GetPatientRecordByIdentifierVersion2",
            "http://127.0.0.1:8000/x",
            "12345678901234567890",
            "www.example-of-a-long-name.example.com",
            "/api/v1/patients/12/records/2024",
            "the quick brown fox",
            "sk-1",
            "gpt-4o-mini-2024-07-18",
            "Mozilla/5.0",
            "text-embedding-3-small",
        ] {
            assert_eq!(form(value), None, "{value}");
        }
        assert!(is_odd("550e8400-e29b-41d4-a716-446655440000") && is_odd("a1b2c3d4e5f6"));
        assert!(
            !is_odd("2026-11-25") && !is_odd("gpt-4o-mini-2024-07-18") && !is_odd("2026-11-25T14:00:00Z")
        );
    }
}
