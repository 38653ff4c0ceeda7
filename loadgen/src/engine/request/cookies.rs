//! The cookies of one user (RFC 6265). Invariant: a cookie goes back only to the hosts and paths that it was
//! set for, not after its time, and not without TLS where it asks for it (this machine excepted, as browsers do).

mod date;

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};

use crate::client::origin::Origin;

/// The most cookies that a user keeps.
const MAX_COOKIES: usize = 64;

/// The cookies of a user.
#[derive(Debug, Default)]
pub(crate) struct Jar {
    cookies: Vec<Cookie>,
}

#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    /// Whether it goes to this very host, and not to those below it.
    is_host_only: bool,
    path: String,
    is_secure: bool,
    /// Seconds since the Unix epoch.
    expires_s: Option<i64>,
}

impl Jar {
    pub(crate) fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// Keeps what the response to a request for `path` sets.
    pub(super) fn store(&mut self, origin: &Origin, path: &str, headers: &HeaderMap) {
        for value in headers.get_all(header::SET_COOKIE) {
            let Some(cookie) = value.to_str().ok().and_then(|text| Cookie::parse(text, origin, path)) else {
                continue;
            };
            self.cookies.retain(|c| !c.is_same(&cookie));
            if !cookie.is_over(now_s()) && self.cookies.len() < MAX_COOKIES {
                self.cookies.push(cookie);
            }
        }
    }

    /// Adds the cookies for a request; those that the step sets itself come first, and instead of others of their names.
    pub(super) fn send(&self, origin: &Origin, path: &str, headers: &mut HeaderMap) {
        if self.cookies.is_empty() {
            return;
        }
        let now_s = now_s();
        // A header of the step's own that is no text cannot be added to; it is sent as it is.
        let Ok(set) = headers.get(header::COOKIE).map_or(Ok(""), HeaderValue::to_str) else { return };
        let is_set = |name: &str| set.split(';').any(|pair| pair.trim().split('=').next() == Some(name));
        let mut own: Vec<&Cookie> = self
            .cookies
            .iter()
            .filter(|c| c.goes_to(origin, path) && !c.is_over(now_s) && !is_set(&c.name))
            .collect();
        if own.is_empty() {
            return;
        }
        // Longer paths first, older ones of the same length before newer ones.
        own.sort_by_key(|c| std::cmp::Reverse(c.path.len()));
        let before = (!set.is_empty()).then(|| set.to_owned());
        let pairs: Vec<String> =
            before.into_iter().chain(own.iter().map(|c| format!("{}={}", c.name, c.value))).collect();
        if let Ok(value) = HeaderValue::from_str(&pairs.join("; ")) {
            headers.insert(header::COOKIE, value);
        }
    }
}

impl Cookie {
    /// A cookie that this origin may set.
    fn parse(text: &str, origin: &Origin, request_path: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let host = origin.host.to_ascii_lowercase();
        let mut cookie = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            domain: host.clone(),
            is_host_only: true,
            path: default_path(request_path).to_owned(),
            is_secure: false,
            expires_s: None,
        };
        if cookie.name.is_empty() {
            return None;
        }
        let mut has_max_age = false;
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "domain" if !value.is_empty() => {
                    let domain = value.trim_start_matches('.').to_ascii_lowercase();
                    if domain != host {
                        // A name without a dot is nobody's to set cookies for.
                        if !is_below(&host, &domain) || !domain.contains('.') {
                            return None;
                        }
                        cookie.domain = domain;
                    }
                    cookie.is_host_only = origin.address().is_some();
                }
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "secure" => cookie.is_secure = true,
                "max-age" => {
                    if let Ok(age_s) = value.parse::<i64>() {
                        has_max_age = true;
                        cookie.expires_s = Some(now_s().saturating_add(age_s));
                        if age_s <= 0 {
                            cookie.expires_s = Some(i64::MIN);
                        }
                    }
                }
                "expires" if !has_max_age => cookie.expires_s = date::parse_s(value),
                _ => {}
            }
        }
        Some(cookie)
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.name, &self.domain, &self.path) == (&other.name, &other.domain, &other.path)
    }

    fn is_over(&self, now_s: i64) -> bool {
        self.expires_s.is_some_and(|at| at <= now_s)
    }

    fn goes_to(&self, origin: &Origin, path: &str) -> bool {
        let host = origin.host.to_ascii_lowercase();
        let is_here = host == self.domain || (!self.is_host_only && is_below(&host, &self.domain));
        is_here
            && path_matches(path, &self.path)
            && (!self.is_secure || origin.is_tls || origin.is_loopback())
    }
}

/// Whether a host is below a domain, as `a.example.com` is below `example.com`; an address is below nothing.
fn is_below(host: &str, domain: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_err()
        && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// The folder of a request's path.
fn default_path(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

fn path_matches(path: &str, own: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || own.ends_with('/') || rest.starts_with('/'))
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&url::Url::parse(url).expect("a URL")).expect("an origin")
    }

    /// What is sent to `to` after `from` answered with these headers.
    fn check(from: &str, set: &[&'static str], to: &str, want: Option<&str>) {
        let parse = |url: &str| (origin(url), url::Url::parse(url).expect("a URL").path().to_owned());
        let mut jar = Jar::default();
        let (origin, path) = parse(from);
        for text in set {
            let mut headers = HeaderMap::new();
            headers.insert(header::SET_COOKIE, HeaderValue::from_static(text));
            jar.store(&origin, &path, &headers);
        }
        let (origin, path) = parse(to);
        let mut headers = HeaderMap::new();
        jar.send(&origin, &path, &mut headers);
        let got = headers.get(header::COOKIE).map(|v| v.to_str().expect("text"));
        assert_eq!(got, want, "{set:?} of {from}, to {to}");
    }

    #[test]
    fn cookies_go_back_to_their_host() {
        check("http://a.test/", &["s=1; Path=/; HttpOnly", "t=2", "s=3"], "http://a.test/", Some("t=2; s=3"));
        check("http://a.test/", &["s=1"], "http://b.test/", None);
        check("http://a.test/", &["s=1"], "http://x.a.test/", None);
        check("http://x.a.test/", &["s=1; Domain=.A.test"], "http://y.a.test/", Some("s=1"));
        check("http://x.a.test/", &["s=1; domain=b.test"], "http://x.a.test/", None);
        check("http://x.a.test/", &["s=1; domain=test"], "http://x.a.test/", None);
        check("http://127.0.0.1/", &["s=1; domain=0.0.1"], "http://127.0.0.1/", None);
        check("http://xa.test/", &["s=1; domain=a.test"], "http://xa.test/", None);
    }

    #[test]
    fn cookies_keep_to_their_path_and_to_tls() {
        check("http://a.test/login/x?y=/", &["s=1"], "http://a.test/login", Some("s=1"));
        check("http://a.test/login/x", &["s=1"], "http://a.test/loginx", None);
        check("http://a.test/login/x", &["s=1"], "http://a.test/", None);
        check(
            "http://a.test/",
            &["a=1; path=/", "b=2; path=/b", "a=3; path=/b/c"],
            "http://a.test/b/c/d",
            Some("a=3; b=2; a=1"),
        );
        check("https://a.test/", &["s=1; Secure"], "https://a.test/", Some("s=1"));
        check("https://a.test/", &["s=1; Secure"], "http://a.test/", None);
        check("http://127.0.0.1/", &["s=1; Secure"], "http://127.0.0.1/", Some("s=1"));
    }

    #[test]
    fn a_header_of_the_step_that_is_no_text_is_left_as_it_is() {
        let (origin, mut jar) = (origin("http://a.test/"), Jar::default());
        let mut set = HeaderMap::new();
        set.insert(header::SET_COOKIE, HeaderValue::from_static("s=1"));
        jar.store(&origin, "/", &set);
        let own = HeaderValue::from_bytes(b"name=\xc3\xa4").expect("a value");
        let mut headers = HeaderMap::from_iter([(header::COOKIE, own.clone())]);
        jar.send(&origin, "/", &mut headers);
        assert_eq!(headers.get(header::COOKIE), Some(&own));
    }

    #[test]
    fn cookies_end() {
        check("http://a.test/", &["s=1", "s=; Max-Age=0"], "http://a.test/", None);
        check("http://a.test/", &["s=1; Max-Age=3600"], "http://a.test/", Some("s=1"));
        let past = "s=2; expires=Thu, 01 Jan 1970 00:00:00 GMT";
        check("http://a.test/", &["s=1", past], "http://a.test/", None);
        check(
            "http://a.test/",
            &["s=1; Expires=Fri, 31 Dec 2100 23:59:59 GMT"],
            "http://a.test/",
            Some("s=1"),
        );
        let both = "s=1; expires=Thu, 01 Jan 1970 00:00:00 GMT; max-age=60";
        check("http://a.test/", &[both], "http://a.test/", Some("s=1"));
        check("http://a.test/", &["s=1; expires=soon", "=x", "novalue"], "http://a.test/", Some("s=1"));
    }
}
