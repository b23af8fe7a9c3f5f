//! Web origins (RFC 6454) that may call from a browser.

/// What stands for every port of a loopback origin, in development.
const ANY_PORT: &str = ":*";

/// The origins that may stand with [`ANY_PORT`].
const LOOPBACK: [&str; 3] = ["http://localhost", "http://127.0.0.1", "http://[::1]"];

/// Whether a web application at `origin` is one of the configured `origins`. In development,
/// `http://localhost:*` stands for that host with any port or none.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
