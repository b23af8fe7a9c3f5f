//! The demonstration page on loopback: the files of `page/` and of the browser client, as they are.
//!
//! A fixed list of files by GET is all there is, so this needs no HTTP server of the dependencies,
//! whose features would make Cargo build the functions once with them and once without.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{demo_users::ADA, services::Services, stack::Stack, workspace::Workspace};

/// What is served, from where in the checkout, and as what.
const FILES: [(&str, &str, &str); 12] = [
    ("/", "tools/local/page/index.html", HTML),
    ("/style.css", "tools/local/page/style.css", "text/css"),
    ("/app.js", "tools/local/page/app.js", JAVASCRIPT),
    ("/account.js", "tools/local/page/account.js", JAVASCRIPT),
    ("/chain.js", "tools/local/page/chain.js", JAVASCRIPT),
    ("/api.html", "tools/local/page/api.html", HTML),
    ("/api.js", "tools/local/page/api.js", JAVASCRIPT),
    ("/client/index.js", "clients/js/dist/index.js", JAVASCRIPT),
    ("/client/leases.js", "clients/js/dist/leases.js", JAVASCRIPT),
    ("/client/session.js", "clients/js/dist/session.js", JAVASCRIPT),
    ("/client/state.js", "clients/js/dist/state.js", JAVASCRIPT),
    ("/client/turns.js", "clients/js/dist/turns.js", JAVASCRIPT),
];

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";

/// Nothing but our own files, no inline script, and requests to this machine only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
    connect-src 'self' http://127.0.0.1:*; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The longest head of a request that is read, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// A page that is reserved a port but does not answer yet.
#[derive(Debug)]
pub struct Page {
    listener: TcpListener,
    origin: String,
}

/// What the page is told about the stack.
struct Site {
    root: PathBuf,
    host: String,
    settings: String,
    services: Arc<Services>,
}

impl Page {
    /// Takes a port of 127.0.0.1.
    ///
    /// # Errors
    /// If it is in use.
    pub async fn reserve(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let origin = format!("http://{}", listener.local_addr()?);
        Ok(Self { listener, origin })
    }

    /// The page's URL without a slash at the end: the origin that the functions have to allow.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Answers until this is dropped.
    pub async fn serve(self, stack: &Stack) -> io::Error {
        let variables = stack.environment().variables();
        let seconds = |name| variables.get(name).and_then(|text| text.parse::<u64>().ok());
        let settings = json!({
            "api": stack.base_url(),
            "accessTokenSeconds": seconds("RATCHET_ACCESS_TOKEN_SECONDS"),
            "retryWindowSeconds": seconds("RATCHET_RETRY_WINDOW_SECONDS"),
            "demoUser": {"name": ADA.name, "password": ADA.password},
        });
        let root = Workspace::locate().root().to_path_buf();
        let services = Arc::clone(stack.services());
        let host = self.origin.trim_start_matches("http://").to_owned();
        let site = Arc::new(Site { root, host, settings: settings.to_string(), services });
        loop {
            match self.listener.accept().await {
                Ok((client, _)) => {
                    let site = Arc::clone(&site);
                    // A browser that hangs up early misses its answer, which is its business.
                    tokio::spawn(async move { site.answer(client).await.unwrap_or(()) });
                }
                Err(error) => return error,
            }
        }
    }
}

impl Site {
    async fn answer(&self, mut client: TcpStream) -> io::Result<()> {
        // Browsers open connections ahead that they may never use.
        let head = tokio::time::timeout(Duration::from_secs(30), read_head(&mut client));
        let Ok(head) = head.await else { return Ok(()) };
        let head = head?;
        let (status, content_type, body) = match requested(&head) {
            Some(_) if !is_for(&head, &self.host) => {
                ("421 Misdirected Request", "text/plain", Vec::new())
            }
            Some("/settings.json") => ("200 OK", JSON, self.settings.clone().into_bytes()),
            Some("/mail.json") => self.mail().await,
            Some("/openapi.json") => self.file("openapi.json", JSON).await,
            Some(path) => match FILES.iter().find(|(served, _, _)| *served == path) {
                Some((_, file, content_type)) => self.file(file, content_type).await,
                None => NOT_FOUND,
            },
            None => ("405 Method Not Allowed", "text/plain", Vec::new()),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
             content-security-policy: {POLICY}\r\nx-content-type-options: nosniff\r\n\
             referrer-policy: no-referrer\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
            body.len()
        );
        client.write_all(answer.as_bytes()).await?;
        client.write_all(&body).await?;
        client.shutdown().await
    }

    /// The messages of this machine, which `cargo local mail` shows too.
    async fn mail(&self) -> Answer {
        let Ok(messages) = self.services.messages().await else {
            return ("503 Service Unavailable", "text/plain", Vec::new());
        };
        let messages: Vec<_> = messages
            .iter()
            .map(|mail| json!({"to": mail.to, "subject": mail.subject, "text": mail.text()}))
            .collect();
        ("200 OK", JSON, json!({ "messages": messages }).to_string().into_bytes())
    }

    async fn file(&self, name: &str, content_type: &'static str) -> Answer {
        match tokio::fs::read(self.root.join(name)).await {
            Ok(body) => ("200 OK", content_type, body),
            Err(_) => NOT_FOUND,
        }
    }
}

type Answer = (&'static str, &'static str, Vec<u8>);

const NOT_FOUND: Answer = ("404 Not Found", "text/plain", Vec::new());

async fn read_head(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MAX_HEAD {
        if client.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}

/// The path that a GET asks for, without its query.
fn requested(head: &[u8]) -> Option<&str> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let target = std::str::from_utf8(line).ok()?.strip_prefix("GET ")?.split(' ').next()?;
    target.split('?').next()
}

/// Whether a request is for this host by its name.
///
/// # Security
/// A site elsewhere can have its own name lead to this machine (DNS rebinding). To the browser
/// that is the site's own origin, and its scripts could read the messages.
fn is_for(head: &[u8], host: &str) -> bool {
    let lines = std::str::from_utf8(head).unwrap_or_default().split("\r\n");
    let mut hosts = lines
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim());
    hosts.next() == Some(host) && hosts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_get_asks_for_something() {
        assert_eq!(requested(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"), Some("/"));
        assert_eq!(requested(b"GET /app.js?api=1 HTTP/1.1\r\n\r\n"), Some("/app.js"));
        assert_eq!(requested(b"POST / HTTP/1.1\r\n\r\n"), None);
        assert_eq!(requested(b"GET"), None);
        assert_eq!(requested(b""), None);
        assert_eq!(requested(&[0xff]), None);
    }

    #[test]
    fn only_requests_by_the_name_of_this_host_are_answered() {
        let host = "127.0.0.1:9001";
        assert!(is_for(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nX: y\r\n\r\n", host));
        assert!(!is_for(b"GET / HTTP/1.1\r\nHost: evil.example:9001\r\n\r\n", host));
        assert!(!is_for(b"GET / HTTP/1.1\r\nX: 127.0.0.1:9001\r\n\r\n", host));
        let two = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nhost: evil.example\r\n\r\n";
        assert!(!is_for(two, host));
    }

    #[test]
    fn every_file_that_is_served_is_in_the_checkout() {
        for (_, file, _) in FILES {
            assert!(Workspace::locate().root().join(file).is_file(), "{file}");
        }
    }
}
