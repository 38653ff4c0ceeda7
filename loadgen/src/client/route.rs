//! Where connections go that are for a host and a port: what curl calls `--resolve`, and sockets of this machine.
//!
//! Invariant: a route changes where a connection goes, and nothing of what is sent on it.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use super::origin::Origin;

/// Where connections to a host and a port go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    host: String,
    port: u16,
    to: Destination,
}

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// These addresses, with the port that was asked for.
    Addresses(Vec<IpAddr>),
    /// A Unix socket.
    Socket(PathBuf),
}

/// What is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// It is not in curl's form.
    #[error("expected HOST:PORT:ADDRESS as curl takes it, such as example.org:443:127.0.0.1, found {0:?}")]
    Form(String),
    /// It does not name an address.
    #[error("{0:?} is not an address; write for example 127.0.0.1 or [::1], or unix:/run/app.sock")]
    Address(String),
    /// The socket cannot be used.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// Why a text does not name a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// The path depends on where one is.
    #[error("the socket {0:?} is not an absolute path; write for example unix:/run/app.sock")]
    Relative(String),
    /// There are none.
    #[error("this system has no Unix sockets")]
    Unsupported,
}

/// The socket that a text such as `unix:/run/app.sock` names; `None` if it names something else.
pub(crate) fn socket(text: &str) -> Option<Result<PathBuf, SocketError>> {
    let path = text.strip_prefix("unix:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(match path.starts_with('/') {
        true if cfg!(unix) => Ok(PathBuf::from(path)),
        true => Err(SocketError::Unsupported),
        false => Err(SocketError::Relative(path.to_owned())),
    })
}

impl Route {
    /// What an origin is reached by that is a socket.
    pub(crate) fn to_socket(origin: &Origin, path: PathBuf) -> Self {
        Self { host: origin.host.clone(), port: origin.port, to: Destination::Socket(path) }
    }
}

/// The destination that the first fitting route gives.
pub(super) fn find<'r>(routes: &'r [Route], host: &str, port: u16) -> Option<&'r Destination> {
    let fits = |r: &&Route| r.port == port && (r.host == "*" || r.host.eq_ignore_ascii_case(host));
    routes.iter().find(fits).map(|r| &r.to)
}

impl FromStr for Route {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let form = || RouteError::Form(text.to_owned());
        let (host, rest) = match text.strip_prefix('[') {
            Some(inside) => inside.split_once("]:"),
            None => text.split_once(':'),
        }
        .ok_or_else(form)?;
        let (port, to) = rest.split_once(':').ok_or_else(form)?;
        let port: u16 = port.parse().map_err(|_| form())?;
        if host.is_empty() || port == 0 || to.is_empty() {
            return Err(form());
        }
        let to = match socket(to) {
            Some(path) => Destination::Socket(path?),
            None => Destination::Addresses(to.split(',').map(address).collect::<Result<_, _>>()?),
        };
        Ok(Self { host: host.to_owned(), port, to })
    }
}

fn address(text: &str) -> Result<IpAddr, RouteError> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| RouteError::Address(text.to_owned()))
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} is taken to be at ", self.host, self.port)?;
        match &self.to {
            Destination::Socket(path) => write!(f, "unix:{}", path.display()),
            Destination::Addresses(all) => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                f.write_str(&all.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_curls() {
        let find = |text: &str, host: &str, port| {
            let routes = [text.parse::<Route>().expect(text)];
            find(&routes, host, port).cloned()
        };
        let to = |all: &[&str]| {
            Some(Destination::Addresses(all.iter().map(|a| a.parse().expect("an address")).collect()))
        };
        assert_eq!(find("a.example:443:127.0.0.1", "A.example", 443), to(&["127.0.0.1"]));
        assert_eq!(find("a.example:443:127.0.0.1", "a.example", 80), None);
        assert_eq!(find("a.example:443:127.0.0.1,[::1]", "a.example", 443), to(&["127.0.0.1", "::1"]));
        assert_eq!(find("*:80:::1", "anything", 80), to(&["::1"]));
        assert_eq!(find("[::2]:80:127.0.0.1", "::2", 80), to(&["127.0.0.1"]));
        assert_eq!(
            find("a:80:unix:/run/a.sock", "a", 80),
            Some(Destination::Socket(PathBuf::from("/run/a.sock")))
        );
        let wrong = |text: &str| text.parse::<Route>().expect_err(text).to_string();
        for text in ["a", "a:80", "a:x:127.0.0.1", ":80:127.0.0.1", "a:0:127.0.0.1", "a:80:", "-a:80"] {
            assert!(wrong(text).contains("as curl takes it"), "{text}");
        }
        assert!(wrong("a:80:b.example").contains("is not an address"));
        assert!(wrong("a:80:unix:run").contains("not an absolute path"));
    }
}
