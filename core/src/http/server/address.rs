//! Listen addresses as Go's programs write them.
//!
//! `:9100` means every address of both families, which neither `SocketAddr` nor the resolver
//! knows. It must not know what is served there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use super::ServerError;

/// Opens a listening socket, not blocking.
pub(super) fn bind(address: &str) -> Result<TcpListener, ServerError> {
    let candidates = resolve(address).map_err(|what| ServerError::address(address, what))?;
    let mut failure = None;
    for candidate in candidates {
        match TcpListener::bind(candidate).and_then(nonblocking) {
            Ok(listener) => return Ok(listener),
            // The first reason counts, except that a host without IPv6 is no reason at all.
            Err(error) if failure.is_none() || !has_family(&error) => failure = Some(error),
            Err(_) => {}
        }
        if failure.as_ref().is_some_and(has_family) {
            break;
        }
    }
    let source = failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    Err(ServerError::Bind { address: address.to_owned(), source })
}

fn nonblocking(listener: TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What to try, in this order, until one can be bound.
fn resolve(address: &str) -> Result<Vec<SocketAddr>, String> {
    let (host, port) = address.rsplit_once(':').ok_or_else(|| {
        match address.bytes().all(|byte| byte.is_ascii_digit()) {
            true => format!("missing port; did you mean \":{address}\"?"),
            false => format!("missing port; expected {address}:PORT"),
        }
    })?;
    let port: u16 = port.parse().map_err(|_| format!("{port:?} is not a port"))?;
    if host.is_empty() {
        let both = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
        return Ok(both.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    if host.contains("//") {
        return Err("only TCP addresses such as \":9100\" can be listened on".to_owned());
    }
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err("an IPv6 address needs brackets, as in \"[::1]:9100\"".to_owned());
    }
    let found = (host.trim_matches(['[', ']']), port).to_socket_addrs();
    let mut found: Vec<_> = found.map_err(|error| format!("cannot resolve: {error}"))?.collect();
    // As Go does: a name with both families means its IPv4 address.
    found.sort_by_key(SocketAddr::is_ipv6);
    Ok(found)
}

/// Whether the failure is about the address itself, not about a family the host does not have.
fn has_family(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() != io::ErrorKind::AddrNotAvailable && error.raw_os_error() != Some(EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_style_addresses_are_understood() {
        let first = |address: &str| resolve(address).map(|found| found[0].to_string());
        assert_eq!(first(":9100"), Ok("[::]:9100".into()));
        assert_eq!(first("127.0.0.1:0"), Ok("127.0.0.1:0".into()));
        assert_eq!(first("[::1]:9100"), Ok("[::1]:9100".into()));
        assert_eq!(first("localhost:9100"), Ok("127.0.0.1:9100".into()));
        let what = |written| first(written).unwrap_err();
        assert!(what("9100").ends_with("did you mean \":9100\"?"));
        assert!(what("127.0.0.1").ends_with("expected 127.0.0.1:PORT"));
        assert!(first("vsock://:9100").unwrap_err().contains("only TCP"));
        for bad in ["9100", "", "localhost", "::1:9100", "x:http", ":99999", ":-1", "[::1]", "[:"] {
            assert!(resolve(bad).is_err(), "{bad}");
        }
        assert!(first("9100").unwrap_err().contains(r#"did you mean ":9100""#));
    }

    #[test]
    fn errors_name_the_address_and_the_reason() {
        let taken = bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = bind(&address).unwrap_err().to_string();
        assert!(error.contains(&address) && error.contains("in use"), "{error}");
        let error = bind("no-such-host.invalid:1").unwrap_err().to_string();
        assert!(error.contains("no-such-host.invalid:1"), "{error}");
    }

    #[test]
    fn an_empty_host_hears_ipv4() {
        let listener = bind(":0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    }
}
