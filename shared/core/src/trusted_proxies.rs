//! The client's address behind a CDN or another proxy.
//!
//! The gateway knows the address that connects to it. Behind a proxy that is the proxy's, and the
//! client's is in a header. Only the operator knows which header the proxy sets. Clients can send any
//! other.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// The most proxies that can be trusted.
const MAX_PROXIES: usize = 10;

/// The header that carries the client's address.
///
/// # Security
/// A client that reaches the API without passing the proxy can forge the header, and so choose the
/// network that its attempts are counted for. The limit of each account still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies {
    header: String,
    addresses: Addresses,
}

/// What the header contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Addresses {
    /// One address, which the proxy sets.
    One,
    /// A list to which each proxy appends the address that connected to it. This many of the proxies
    /// are ours.
    List { proxies: usize },
}

/// The setting cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a header with one address, such as CloudFront-Viewer-Address, or a header with a list \
     and the number of proxies, 1 to {MAX_PROXIES}, such as X-Forwarded-For:1"
)]
pub struct TrustedProxiesError;

impl FromStr for TrustedProxies {
    type Err = TrustedProxiesError;

    /// Reads `Header` or `Header:proxies`.
    fn from_str(text: &str) -> Result<Self, TrustedProxiesError> {
        let (header, proxies) = match text.split_once(':') {
            Some((header, proxies)) => (header, Some(proxies)),
            None => (text, None),
        };
        let header = header.to_ascii_lowercase();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_list = matches!(header.as_str(), "x-forwarded-for" | "forwarded");
        // No other header with addresses has a name of one word, as `true` and `1` are.
        if !header.bytes().all(is_name) || !(is_list || header.contains('-')) {
            return Err(TrustedProxiesError);
        }
        let addresses = match proxies {
            None if is_list => return Err(TrustedProxiesError),
            None => Addresses::One,
            Some(proxies) => {
                let is_number = proxies.bytes().all(|byte| byte.is_ascii_digit());
                let proxies =
                    proxies.parse().ok().filter(|proxies| (1..=MAX_PROXIES).contains(proxies));
                let proxies = proxies.filter(|_| is_number).ok_or(TrustedProxiesError)?;
                Addresses::List { proxies }
            }
        };
        Ok(Self { header, addresses })
    }
}

impl TrustedProxies {
    /// The name of the header, in lower case.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The client's address, from the values of the header. `peer` is the address that connects to the
    /// gateway. It is returned if the header has no address.
    #[must_use]
    pub fn client<'a>(
        &self,
        values: impl Iterator<Item = &'a str>,
        peer: Option<IpAddr>,
    ) -> Option<IpAddr> {
        let client = match self.addresses {
            Addresses::One => self.one(values),
            Addresses::List { proxies } => self.before(proxies, values, peer),
        };
        client.map(|address| address.to_canonical()).or(peer)
    }

    fn one<'a>(&self, mut values: impl Iterator<Item = &'a str>) -> Option<IpAddr> {
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let value = value.trim();
        // CloudFront always adds the port, and does not put IPv6 addresses into brackets.
        let value = match value.rsplit_once(':') {
            Some((address, _)) if self.header == "cloudfront-viewer-address" => address,
            _ => value,
        };
        parse_address(value)
    }

    /// The address that connected to the first of our proxies. The gateway may or may not have appended
    /// the address of the last one.
    fn before<'a>(
        &self,
        proxies: usize,
        values: impl Iterator<Item = &'a str>,
        peer: Option<IpAddr>,
    ) -> Option<IpAddr> {
        let items: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
        let address = |item: &&str| match self.header.as_str() {
            "forwarded" => parse_address(forwarded_for(item)?),
            _ => parse_address(item.trim()),
        };
        let canonical = |address: IpAddr| address.to_canonical();
        let last = items.last().and_then(address).map(canonical);
        let has_peer = last.is_some() && last == peer.map(canonical);
        let behind = if has_peer { proxies } else { proxies - 1 };
        items.iter().rev().nth(behind).and_then(address)
    }
}

/// The parameter `for` of an element of `Forwarded` (RFC 7239 §4).
fn forwarded_for(element: &str) -> Option<&str> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for"));
    let (_, value) = values.next()?;
    Some(value.trim_matches('"'))
}

/// An address, in brackets or not, with a port or without.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: &str = "130.176.0.1";

    fn client(setting: &str, values: &[&str], peer: &str) -> Option<String> {
        let proxies: TrustedProxies = setting.parse().unwrap();
        let peer = peer.parse().ok();
        proxies.client(values.iter().copied(), peer).map(|address| address.to_string())
    }

    #[test]
    fn a_list_is_read_from_its_end() {
        for (proxies, values, address) in [
            // Appended by the gateway, or not.
            (1, &["198.51.100.7, 130.176.0.1"][..], "198.51.100.7"),
            (1, &["198.51.100.7"], "198.51.100.7"),
            // Entries before it may be forged by the client.
            (1, &["203.0.113.9, 198.51.100.7, 130.176.0.1"], "198.51.100.7"),
            (1, &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            (1, &["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
            (1, &["unknown, , 198.51.100.7"], "198.51.100.7"),
            (2, &["198.51.100.7, 192.0.2.2, 130.176.0.1"], "198.51.100.7"),
            (2, &["198.51.100.7, 192.0.2.2"], "198.51.100.7"),
            (1, &["2001:db8::7"], "2001:db8::7"),
            (1, &["[2001:db8::7]:4711"], "2001:db8::7"),
            (1, &["198.51.100.7:4711"], "198.51.100.7"),
            (1, &["::ffff:198.51.100.7"], "198.51.100.7"),
        ] {
            let setting = format!("X-Forwarded-For:{proxies}");
            assert_eq!(client(&setting, values, EDGE).as_deref(), Some(address), "{values:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_says() {
        for (value, address) in [
            ("for=198.51.100.7", "198.51.100.7"),
            ("For=\"[2001:db8::7]:4711\";proto=https;by=203.0.113.43", "2001:db8::7"),
            ("for=203.0.113.9, proto=https; for=\"198.51.100.7:80\"", "198.51.100.7"),
            ("for=198.51.100.7;host=api.example, for=130.176.0.1", "198.51.100.7"),
        ] {
            assert_eq!(client("Forwarded:1", &[value], EDGE).as_deref(), Some(address), "{value}");
        }
    }

    #[test]
    fn a_header_with_one_address_must_have_exactly_one() {
        for (header, value, address) in [
            ("CloudFront-Viewer-Address", "198.51.100.7:46532", "198.51.100.7"),
            ("CloudFront-Viewer-Address", "2001:db8:1:2::7:4653", "2001:db8:1:2::7"),
            ("CloudFront-Viewer-Address", "2001:db8:0:0:0:0:0:7:46532", "2001:db8::7"),
            ("CloudFront-Viewer-Address", "[2001:db8::7]:443", "2001:db8::7"),
            ("CF-Connecting-IP", "198.51.100.7", "198.51.100.7"),
            ("CF-Connecting-IP", "2001:db8::7", "2001:db8::7"),
            ("True-Client-IP", " 198.51.100.7 ", "198.51.100.7"),
            ("X-Original-Forwarded-For:1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ] {
            assert_eq!(client(header, &[value], EDGE).as_deref(), Some(address), "{value}");
        }
    }

    #[test]
    fn without_an_address_in_the_header_the_address_that_connects_counts() {
        for (setting, values) in [
            ("X-Forwarded-For:1", &[][..]),
            ("X-Forwarded-For:1", &[""]),
            ("X-Forwarded-For:1", &["198.51.100.7, unknown"]),
            ("X-Forwarded-For:1", &["130.176.0.1"]),
            ("X-Forwarded-For:2", &["198.51.100.7"]),
            ("X-Forwarded-For:3", &["198.51.100.7, 192.0.2.2"]),
            ("Forwarded:1", &["for=unknown"]),
            ("Forwarded:1", &["for=_hidden"]),
            ("Forwarded:1", &["proto=https"]),
            ("Forwarded:1", &["198.51.100.7"]),
            ("CF-Connecting-IP", &["198.51.100.7", "198.51.100.7"]),
            ("CF-Connecting-IP", &["198.51.100.7, 192.0.2.2"]),
            ("CF-Connecting-IP", &["x"]),
        ] {
            assert_eq!(
                client(setting, values, EDGE).as_deref(),
                Some(EDGE),
                "{setting} {values:?}"
            );
        }
        assert_eq!(client("CF-Connecting-IP", &["x"], "unknown"), None);
    }

    #[test]
    fn the_setting_is_read_strictly() {
        for text in [
            "",
            "X-Forwarded-For",
            "Forwarded",
            "X-Forwarded-For:",
            "X-Forwarded-For:0",
            "X-Forwarded-For:11",
            "X-Forwarded-For:+1",
            "X-Forwarded-For:1:2",
            "X-Forwarded-For: 1",
            "X Forwarded For:1",
            "true",
            "*",
            "1",
        ] {
            assert_eq!(text.parse::<TrustedProxies>(), Err(TrustedProxiesError), "{text}");
        }
        assert_eq!(
            "X-Forwarded-For:1".parse::<TrustedProxies>().unwrap().header(),
            "x-forwarded-for"
        );
    }
}
