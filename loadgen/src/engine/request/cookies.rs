//! Cookies of one user, by host (RFC 6265 without paths and domains). Invariant: a cookie goes back only to
//! the host that set it.

use http::{HeaderMap, HeaderValue, header};

/// Host, name and value.
type Cookies = Vec<(String, String, String)>;

/// The most cookies that a user keeps.
const MAX_COOKIES: usize = 64;

/// Keeps what a response sets.
pub(super) fn store(cookies: &mut Cookies, host: &str, headers: &HeaderMap) {
    for value in headers.get_all(header::SET_COOKIE) {
        let Ok(text) = value.to_str() else { continue };
        let mut parts = text.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|p| p.split_once('=')) else { continue };
        let is_gone = parts.any(|p| {
            let (key, value) = p.split_once('=').unwrap_or((p, ""));
            key.eq_ignore_ascii_case("max-age") && value.parse::<i64>().is_ok_and(|age| age <= 0)
        });
        cookies.retain(|(h, n, _)| h != host || n != name);
        if !is_gone && cookies.len() < MAX_COOKIES {
            cookies.push((host.to_owned(), name.to_owned(), value.to_owned()));
        }
    }
}

/// Adds a user's cookies to a request, unless the step sets its own.
pub(super) fn send(cookies: &Cookies, host: &str, headers: &mut HeaderMap) {
    let own: Vec<String> =
        cookies.iter().filter(|(h, _, _)| h == host).map(|(_, n, v)| format!("{n}={v}")).collect();
    if own.is_empty() || headers.contains_key(header::COOKIE) {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&own.join("; ")) {
        headers.insert(header::COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_go_back_to_their_host_until_they_end() {
        let mut cookies = Cookies::new();
        let set = |cookies: &mut Cookies, host: &str, text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::SET_COOKIE, HeaderValue::from_static(text));
            store(cookies, host, &headers);
        };
        let sent = |cookies: &Cookies, host: &str| {
            let mut headers = HeaderMap::new();
            send(cookies, host, &mut headers);
            headers.get(header::COOKIE).map(|v| v.to_str().expect("text").to_owned())
        };
        set(&mut cookies, "a", "s=1; Path=/; HttpOnly");
        set(&mut cookies, "a", "t=2");
        set(&mut cookies, "a", "s=3");
        assert_eq!(sent(&cookies, "a").as_deref(), Some("t=2; s=3"));
        assert_eq!(sent(&cookies, "b"), None);
        set(&mut cookies, "a", "t=; Max-Age=0");
        assert_eq!(sent(&cookies, "a").as_deref(), Some("s=3"));
    }
}
