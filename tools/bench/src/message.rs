//! HTTP/1.1 requests, as far as the runtime's and the SDK's clients send them.

use std::io::{self, Read};

const MAX_HEADERS: usize = 64;

/// One request.
#[derive(Debug)]
pub struct Request {
    /// The path, without a query.
    pub path: String,
    /// The header `x-amz-target`, which names an AWS operation.
    pub target: Option<String>,
    /// Head and body as they came.
    pub raw: Vec<u8>,
    head: usize,
}

impl Request {
    /// The body.
    pub fn body(&self) -> &[u8] {
        self.raw.get(self.head..).unwrap_or_default()
    }
}

/// The requests of one connection.
#[derive(Debug)]
pub struct Requests<R> {
    stream: R,
    buffer: Vec<u8>,
}

struct Head {
    path: String,
    target: Option<String>,
    length: usize,
    body: usize,
}

impl<R: Read> Requests<R> {
    /// Reads requests from `stream`.
    pub fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next request, or `None` once the client has closed the connection.
    ///
    /// # Errors
    /// If the connection breaks, or the message is not a request with a plain body.
    pub fn next(&mut self) -> io::Result<Option<Request>> {
        loop {
            if let Some(head) = head(&self.buffer)?
                && self.buffer.len() >= head.length + head.body
            {
                let rest = self.buffer.split_off(head.length + head.body);
                let raw = std::mem::replace(&mut self.buffer, rest);
                let Head { path, target, length: head, .. } = head;
                return Ok(Some(Request { path, target, raw, head }));
            }
            let mut chunk = [0; 16 * 1024];
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Ok(None);
            }
            self.buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
    }
}

fn head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let header = |name: &str| {
        let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    if header("transfer-encoding").is_some() {
        return Err(io::Error::other("a chunked body was not expected"));
    }
    let body = header("content-length").map_or(Ok(0), |value| value.parse());
    let path = request.path.unwrap_or_default();
    Ok(Some(Head {
        path: path.split('?').next().unwrap_or_default().to_owned(),
        target: header("x-amz-target"),
        length,
        body: body.map_err(io::Error::other)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_whatever_the_pieces_they_come_in() {
        struct Bytewise<'a>(&'a [u8]);
        impl Read for Bytewise<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0.read(&mut into[..1])
            }
        }
        let wire = b"POST /a?b HTTP/1.1\r\nContent-Length: 3\r\nX-Amz-Target: T.Put\r\n\r\nxyz\
                     GET /c HTTP/1.1\r\n\r\n";
        let mut requests = Requests::new(Bytewise(wire));
        let first = requests.next().unwrap().unwrap();
        assert_eq!((first.path.as_str(), first.body()), ("/a", b"xyz".as_slice()));
        assert_eq!(first.target.as_deref(), Some("T.Put"));
        let second = requests.next().unwrap().unwrap();
        assert_eq!((second.path.as_str(), second.body()), ("/c", b"".as_slice()));
        assert!(requests.next().unwrap().is_none());
    }
}
