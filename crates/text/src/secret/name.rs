//! Names that make their value a secret.
//!
//! Invariant: the same name in any spelling (`X-Api-Key`, `api_key`, `apiKey`, `APIKEY`) is judged alike.

/// Words that make a name one of a secret.
const WORDS: [&str; 30] = [
    "authorization",
    "token",
    "secret",
    "secrets",
    "jwt",
    "cookie",
    "credential",
    "credentials",
    "creds",
    "signature",
    "sig",
    "sas",
    "sid",
    "hmac",
    "pin",
    "otp",
    "totp",
    "hotp",
    "pwd",
    "pw",
    "psw",
    "pswd",
    "apikey",
    "bearer",
    "verifier",
    "assertion",
    "cvv",
    "cvc",
    "passkey",
    "apitoken",
];
/// How words of a secret's name begin, and end.
const BEGINNINGS: [&str; 7] = ["pass", "mfa", "session", "csrf", "xsrf", "saml", "credential"];
const ENDS: [&str; 12] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "accountkey",
    "csrf",
];
/// Words that begin as secrets' names do and are none.
const HARMLESS: [&str; 14] = [
    "passage",
    "passages",
    "passed",
    "passenger",
    "passengers",
    "passes",
    "passing",
    "passion",
    "passive",
    "passthrough",
    "passport",
    "passports",
    "sessions",
    "sessionstorage",
];
/// Words before `key` that make it a secret.
const KEYS: [&str; 24] = [
    "api",
    "access",
    "private",
    "secret",
    "subscription",
    "auth",
    "account",
    "license",
    "signing",
    "encryption",
    "shared",
    "master",
    "storage",
    "consumer",
    "service",
    "function",
    "functions",
    "ssh",
    "client",
    "root",
    "host",
    "app",
    "user",
    "session",
];
/// What a call of OAuth or OpenID Connect carries.
const OAUTH: [&str; 8] = [
    "client_id",
    "redirect_uri",
    "grant_type",
    "response_type",
    "code_verifier",
    "session_state",
    "state",
    "client_secret",
];
/// Parts of the paths of such calls.
const OAUTH_PATHS: [&str; 5] = ["oauth", "callback", "authorize", "oidc", "openid"];

/// Whether what goes under this name is a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    // `pin1`, `otp2` are what `pin` and `otp` are.
    let words: Vec<&str> = words.iter().map(|w| w.trim_end_matches(|c: char| c.is_ascii_digit())).collect();
    let is_secret = |w: &&str| {
        WORDS.contains(w)
            || ENDS.iter().any(|end| w.ends_with(end))
            || (BEGINNINGS.iter().any(|start| w.starts_with(start)) && !HARMLESS.contains(w))
    };
    let lower = name.trim().to_ascii_lowercase();
    words.iter().any(is_secret)
        || words.windows(2).any(|w| KEYS.contains(&w[0]) && w[1] == "key")
        || matches!(words.as_slice(), ["key" | "auth"] | ["x", "auth" | "vault", ..])
        || lower.contains("sessid")
        || lower.contains("sessionid")
        || lower.starts_with("x-auth")
        || lower.starts_with("x-vault")
}

/// Whether parameters are those of a call of OAuth or OpenID Connect, in which `code` is as good as a password.
#[must_use]
pub fn is_oauth<'n>(path: &str, mut names: impl Iterator<Item = &'n str>) -> bool {
    let path = path.to_ascii_lowercase();
    OAUTH_PATHS.iter().any(|p| path.contains(p)) || names.any(|n| OAUTH.contains(&n))
}

/// Whether what goes under this name in such a call is a secret.
#[must_use]
pub fn is_oauth_secret(name: &str) -> bool {
    matches!(name, "code" | "device_code" | "user_code") || is_secret_name(name)
}

/// The words of a name, in small letters: `X-Api-Key`, `api_key` and `apiKey` have the same two.
#[must_use]
pub fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut was_small, mut begins) = (false, true);
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            (begins, was_small) = (true, false);
            continue;
        }
        if begins || (was_small && c.is_ascii_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
        (begins, was_small) = (false, !c.is_ascii_uppercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "X-Api-Key",
            "apiKey",
            "api_key",
            "APIKEY",
            "accessToken",
            "PASSWORD",
            "passwd",
            "pass",
            "user_pass",
            "passcode",
            "newPassword",
            "j_password",
            "key",
            "session_id",
            "sessionToken",
            "PIN1",
            "otp2",
            "user_key",
            "PHPSESSID",
            "JSESSIONID",
            "ASPSESSIONIDABC",
            "connect.sid",
            "pin",
            "otp",
            "otp_code",
            "mfa_code",
            "mfaCode",
            "csrf",
            "csrfmiddlewaretoken",
            "X-CSRF-Token",
            "XSRF-TOKEN",
            "_csrf",
            "__RequestVerificationToken",
            "sas",
            "sig",
            "X-Amz-Signature",
            "X-Auth-User",
            "x-auth-key",
            "X-Vault-Token",
            "X-Vault-Namespace",
            "client_secret",
            "refresh_token",
            "id_token",
            "accesstoken",
            "authtoken",
            "SAMLResponse",
            "client_assertion",
            "code_verifier",
            "Ocp-Apim-Subscription-Key",
            "AccountKey",
            "private_key",
            "cookie",
            "Set-Cookie",
            "credentials",
            "jwt",
            "cvv",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "max_tokens",
            "tokens",
            "keyword",
            "author",
            "monkey",
            "tokenizer",
            "page",
            "passenger",
            "passages",
            "passive",
            "pinned",
            "spin",
            "keys",
            "primary_key",
            "sort_key",
            "code",
            "zip_code",
            "state",
            "x-request-id",
            "design",
            "signal",
            "inside",
            "q",
            "",
            "user",
            "username",
            "email",
            "assessment",
            "obsession",
            "compass",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
        assert!(is_oauth("/x", ["code", "state"].into_iter()) && is_oauth("/oauth/cb", [].into_iter()));
        assert!(
            !is_oauth("/items", ["code"].into_iter()) && is_oauth_secret("code") && !is_oauth_secret("state")
        );
    }
}
