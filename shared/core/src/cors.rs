//! Which web applications may call from a browser, and with which headers.

/// What browsers may send across origins (<https://fetch.spec.whatwg.org/#http-cors-protocol>).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsPolicy {
    /// Origins of web applications, as browsers write them, and wildcards such as `http://localhost:*`.
    /// Without any, none may call. [`is_allowed`] decides.
    pub origins: Vec<String>,
    /// The request headers that are allowed beside the service's own, in lower case.
    pub headers: Vec<String>,
}

/// Stands for every port of a loopback host, in development.
const ANY_PORT: &str = ":*";

/// The hosts that may stand with [`ANY_PORT`].
const LOOPBACK: [&str; 3] = ["http://localhost", "http://127.0.0.1", "http://[::1]"];

/// The text is not a web origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebOriginError {
    /// It would allow every site.
    #[error("a wildcard would let every site in; write each origin")]
    Wildcard,
    /// Files and sandboxed frames all have this origin.
    #[error("every sandboxed page has this origin; serve the application from one of its own")]
    Opaque,
    /// There is no `://`.
    #[error("the scheme is missing; write https://{0}")]
    NoScheme(String),
    /// Something follows the host and the port.
    #[error("an origin ends with the host or the port; write {0}")]
    Path(String),
    /// Browsers send the ASCII form.
    #[error("the host is not ASCII; write its form that begins with xn--")]
    NotAscii,
    /// Anything else.
    #[error("expected an origin such as https://app.example.com or capacitor://localhost")]
    Malformed,
}

/// The header's name cannot be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a header, such as traceparent")]
pub struct HeaderNameError;

/// Reads an origin and returns it as browsers write it: in lower case, and without the port if it is
/// the scheme's own.
///
/// Web views have schemes of their own, such as `capacitor` and `ionic`. `http://localhost:*` stands for
/// every port of this host, and so do `127.0.0.1` and `[::1]` with it.
///
/// # Errors
/// [`WebOriginError`]; it says what to write instead.
pub fn web_origin(text: &str) -> Result<String, WebOriginError> {
    if is_wildcard(text) {
        return Ok(text.to_owned());
    }
    if text.contains('*') {
        return Err(WebOriginError::Wildcard);
    }
    if text.eq_ignore_ascii_case("null") {
        return Err(WebOriginError::Opaque);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(match web_origin(&format!("https://{text}")) {
            Ok(_) => WebOriginError::NoScheme(text.to_ascii_lowercase()),
            Err(error) => error,
        });
    };
    if !is_scheme(scheme) {
        return Err(WebOriginError::Malformed);
    }
    if let Some((authority, _)) = rest.split_once(['/', '?', '#']) {
        let origin = web_origin(&format!("{scheme}://{authority}"))?;
        return Err(WebOriginError::Path(origin));
    }
    if !rest.is_ascii() {
        return Err(WebOriginError::NotAscii);
    }
    let (scheme, authority) = (scheme.to_ascii_lowercase(), rest.to_ascii_lowercase());
    let (host, port) = split_port(&authority).ok_or(WebOriginError::Malformed)?;
    let default_port = match scheme.as_str() {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    Ok(match port.filter(|port| Some(*port) != default_port) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// Whether a web application at `origin` is one of the configured `origins`.
#[must_use]
pub fn is_allowed(origins: &[String], origin: &str) -> bool {
    origins.iter().any(|allowed| match allowed.strip_suffix(ANY_PORT) {
        None => allowed == origin,
        Some(host) => is_host_with_port(origin, host),
    })
}

/// Whether a configured origin stands for every port of a loopback host.
pub(crate) fn is_wildcard(origin: &str) -> bool {
    origin.strip_suffix(ANY_PORT).is_some_and(|host| LOOPBACK.contains(&host))
}

/// Whether a URL without a path is plain http on this machine.
pub(crate) fn is_loopback(url: &str) -> bool {
    LOOPBACK.iter().any(|host| is_host_with_port(url, host))
}

fn is_host_with_port(origin: &str, host: &str) -> bool {
    origin.strip_prefix(host).is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix(':').is_some_and(|port| {
                port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
            })
    })
}

/// Reads the name of a request header (RFC 9110 §5.1) and returns it in lower case.
///
/// # Errors
/// [`HeaderNameError`], for `*` too: it would not be a wildcard, because requests have credentials.
pub fn header_name(text: &str) -> Result<String, HeaderNameError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_name) {
        return Err(HeaderNameError);
    }
    Ok(text.to_ascii_lowercase())
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_rest)
}

/// The host and the port of `host`, `host:port` or `[address]:port`.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_name = |text: &str| {
        let is_label = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !text.is_empty() && text.bytes().all(is_label)
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port {
        None => None,
        Some(port) => Some(port.parse().ok().filter(|_| is_number(port))?),
    };
    is_host.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_returned_as_browsers_write_them() {
        for (text, origin) in [
            ("https://app.example", "https://app.example"),
            ("HTTPS://App.Example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:80", "http://app.example"),
            ("https://app.example:80", "https://app.example:80"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[::1]", "http://[::1]"),
            ("http://127.0.0.1:09001", "http://127.0.0.1:9001"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("ionic://localhost", "ionic://localhost"),
            ("tauri://localhost", "tauri://localhost"),
            ("Capacitor://Localhost:443", "capacitor://localhost:443"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(web_origin(text).as_deref(), Ok(origin), "{text}");
            assert_eq!(web_origin(origin).as_deref(), Ok(origin), "{origin}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        for (text, advice) in [
            ("*", "write each origin"),
            ("https://*.example.com", "write each origin"),
            ("null", "serve the application from one of its own"),
            ("app.example.com", "write https://app.example.com"),
            ("App.Example.com:8443", "write https://app.example.com:8443"),
            ("localhost:3000", "write https://localhost:3000"),
            ("https://App.example/", "write https://app.example"),
            ("https://app.example:443/login", "write https://app.example"),
            ("https://app.example?x", "write https://app.example"),
            ("https://bücher.example", "begins with xn--"),
            ("https://", "such as https://app.example.com"),
            ("file://", "such as https://app.example.com"),
            ("https://user@app.example", "such as https://app.example.com"),
            ("https://app.example:", "such as https://app.example.com"),
            ("https://app.example:x", "such as https://app.example.com"),
            ("https://app.example:+80", "such as https://app.example.com"),
            ("https://app.example:65536", "such as https://app.example.com"),
            ("https://a b", "such as https://app.example.com"),
            ("https://::1", "such as https://app.example.com"),
            ("1://app.example", "such as https://app.example.com"),
            ("://app.example", "such as https://app.example.com"),
            ("", "such as https://app.example.com"),
        ] {
            let refusal = web_origin(text).unwrap_err().to_string();
            assert!(refusal.contains(advice), "{text}: {refusal}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_the_ports_of_a_loopback_host_and_nothing_else() {
        let origins = ["http://localhost:*", "https://app.example"].map(str::to_owned);
        for origin in ["http://localhost", "http://localhost:5173", "https://app.example"] {
            assert!(is_allowed(&origins, origin), "{origin}");
        }
        for origin in [
            "http://localhost.evil.example",
            "http://localhost:5173.evil.example",
            "http://localhost:",
            "http://localhost:65536",
            "http://localhost:+1",
            "https://localhost:5173",
            "http://127.0.0.1:5173",
            "https://app.example:444",
            "null",
        ] {
            assert!(!is_allowed(&origins, origin), "{origin}");
        }
    }

    #[test]
    fn headers_are_tokens_in_any_case() {
        for name in ["traceparent", "X-Request-ID", "sentry-trace", "x_y"] {
            assert_eq!(header_name(name), Ok(name.to_ascii_lowercase()));
        }
        for name in ["", "*", "x y", "x:", "é", "x,y", &"x".repeat(65)] {
            assert_eq!(header_name(name), Err(HeaderNameError), "{name}");
        }
    }
}
