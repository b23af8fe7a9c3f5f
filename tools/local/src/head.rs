//! The head of an HTTP/1.1 request, as far as the page and the gateway need it.
//!
//! An HTTP server crate would do more, but would enable features that make Cargo build the
//! functions' dependencies twice.

use std::io;

use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// The longest head that is read, in bytes. API Gateway allows 10,240.
pub(crate) const MAX_HEAD: usize = 16 * 1024;

const END: &[u8] = b"\r\n\r\n";

/// The head of a request, and what was read of its body with it.
pub(crate) struct Head {
    bytes: Vec<u8>,
    /// Length of the head, without the empty line that ends it.
    length: usize,
}

impl Head {
    /// Reads a head. `None` if the client hung up before the end of it, or if it is too long.
    pub(crate) async fn read(client: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            if let Some(head) = Self::of(&bytes) {
                return Ok(Some(head));
            }
            if bytes.len() >= MAX_HEAD || client.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let length = bytes.windows(END.len()).position(|end| end == END)?;
        Some(Self { bytes: bytes.to_vec(), length })
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        let head = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(head).unwrap_or_default().split("\r\n")
    }

    /// Method and path, without the query.
    pub(crate) fn target(&self) -> Option<(&str, &str)> {
        let mut words = self.lines().next()?.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        Some((method, target.split('?').next()?))
    }

    /// The value of a header; `None` if it is absent or there are several.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim());
        values.next().filter(|_| values.next().is_none())
    }

    /// The same request, asking for the connection to be closed after its answer.
    pub(crate) fn closing(&self) -> Vec<u8> {
        let kept = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default();
            !["connection", "keep-alive"].iter().any(|hop| name.eq_ignore_ascii_case(hop))
        };
        let head = self.lines().filter(kept).collect::<Vec<_>>().join("\r\n");
        let body = self.bytes.get(self.length + END.len()..).unwrap_or_default();
        [head.as_bytes(), b"\r\nconnection: close\r\n\r\n", body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::of(text.as_bytes()).unwrap()
    }

    #[test]
    fn method_and_path_are_those_of_the_first_line() {
        let target = |text| head(text).target().map(|(a, b)| (a.to_owned(), b.to_owned()));
        let get = |path: &str| Some(("GET".to_owned(), path.to_owned()));
        assert_eq!(target("GET / HTTP/1.1\r\nhost: x\r\n\r\n"), get("/"));
        assert_eq!(target("GET /app.js?api=1 HTTP/1.1\r\n\r\n"), get("/app.js"));
        assert_eq!(target("GET\r\n\r\n"), None);
        assert!(Head::of(b"GET / HTTP/1.1\r\n").is_none());
        assert_eq!(Head::of(b"\xff /\r\n\r\n").unwrap().target(), None);
    }

    #[test]
    fn a_header_counts_if_there_is_exactly_one() {
        let one = head("GET / HTTP/1.1\r\nHost: a:1\r\nX: y\r\n\r\nhost: body\r\n");
        assert_eq!(one.header("host"), Some("a:1"));
        assert_eq!(one.header("origin"), None);
        assert_eq!(head("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n").header("host"), None);
    }

    #[test]
    fn a_request_is_passed_on_whole_but_for_its_connection() {
        let request = "POST /x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\n\
                       content-length: 4\r\n\r\n\r\n\r\n";
        let passed = "POST /x HTTP/1.1\r\nHost: a\r\ncontent-length: 4\r\nconnection: close\r\n\
                      \r\n\r\n\r\n";
        assert_eq!(String::from_utf8(head(request).closing()).unwrap(), passed);
    }
}
