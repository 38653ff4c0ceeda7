//! Addresses to listen on, as Go's `net.Listen("tcp", …)` takes them.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// Listens on an address such as `:9100`, `127.0.0.1:9100`, `[::1]:9100` or `[127.0.0.1]:9100`. Without a host, and
/// with `0.0.0.0` or `[::]`, it is every address of this host.
///
/// # Errors
/// Where the address is none, or cannot be had.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    let failed = |cause: &dyn std::fmt::Display| {
        let message = format!(
            "cannot listen on {address}: {cause}: give another --web.listen-address, as in 127.0.0.1:9100"
        );
        io::Error::other(message)
    };
    let (host, port) = split(address).map_err(|problem| failed(&problem))?;
    let attempt = match host {
        "" | "::" | "0.0.0.0" => match TcpListener::bind(format!("[::]:{port}")).await {
            // A kernel without IPv6 has no `[::]`.
            Err(cause) if cause.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(format!("0.0.0.0:{port}")).await
            }
            other => other,
        },
        host => named(host, port).await,
    };
    attempt.map_err(|cause| failed(&cause))
}

/// One of the name's addresses, IPv4 first.
async fn named(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(cause) => last = cause,
        }
    }
    Err(last)
}

/// Host, without brackets, and port; an empty port is any.
fn split(address: &str) -> Result<(&str, u16), String> {
    if address.starts_with("vsock:") {
        return Err("vsock is not offered here".to_owned());
    }
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("the bracket is not closed")?;
            (host, rest.strip_prefix(':').ok_or("the port is missing")?)
        }
        None => {
            let (host, port) = address.rsplit_once(':').ok_or("the port is missing")?;
            if host.contains(':') {
                return Err("too many colons; an IPv6 address goes into brackets".to_owned());
            }
            (host, port)
        }
    };
    match port {
        "" => Ok((host, 0)),
        "http" => Ok((host, 80)),
        "https" => Ok((host, 443)),
        port => match port.parse() {
            Ok(port) => Ok((host, port)),
            Err(_) => Err(format!("\"{port}\" is not a port")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_as_go_does() {
        let check = |address: &str, want: Result<(&str, u16), &str>| {
            assert_eq!(split(address), want.map_err(str::to_owned), "{address}");
        };
        check(":9100", Ok(("", 9100)));
        check("[127.0.0.1]:9100", Ok(("127.0.0.1", 9100)));
        check("[0.0.0.0]:9100", Ok(("0.0.0.0", 9100)));
        check("[::1]:9100", Ok(("::1", 9100)));
        check("localhost:", Ok(("localhost", 0)));
        check(":http", Ok(("", 80)));
        check("::1:9100", Err("too many colons; an IPv6 address goes into brackets"));
        check("localhost", Err("the port is missing"));
        check("[::1]", Err("the port is missing"));
        check("[::1", Err("the bracket is not closed"));
        check(":no", Err("\"no\" is not a port"));
        check("vsock://:9100", Err("vsock is not offered here"));
    }

    #[tokio::test]
    async fn brackets_around_ipv4_are_taken_off() {
        let listener = bind("[127.0.0.1]:0").await.unwrap();
        assert!(listener.local_addr().unwrap().is_ipv4());
        let taken = listener.local_addr().unwrap().to_string();
        assert!(
            bind(&taken).await.unwrap_err().to_string().starts_with(&format!("cannot listen on {taken}: "))
        );
    }
}
