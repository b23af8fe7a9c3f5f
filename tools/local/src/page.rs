//! The demonstration page on loopback: the unchanged files of `page/` and of the browser client.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use ratchet_core::jws::SignatureAlgorithm;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    demo_users::{self, ADA},
    expired::expired,
    head::Head,
    listener::Listener,
    services::Services,
    stack::Stack,
    workspace::Workspace,
};

/// The files of the page, by the path that they are served at.
const FILES: [(&str, &str, &str); 15] = [
    ("/", "index.html", HTML),
    ("/style.css", "style.css", "text/css"),
    ("/app.js", "app.js", JAVASCRIPT),
    ("/account.js", "account.js", JAVASCRIPT),
    ("/chain.js", "chain.js", JAVASCRIPT),
    ("/exchanges.js", "exchanges.js", JAVASCRIPT),
    ("/passkeys.js", "passkeys.js", JAVASCRIPT),
    ("/second-factor.js", "second-factor.js", JAVASCRIPT),
    ("/sessions.js", "sessions.js", JAVASCRIPT),
    ("/theft.js", "theft.js", JAVASCRIPT),
    ("/words.js", "words.js", JAVASCRIPT),
    ("/api.html", "api.html", HTML),
    ("/api.css", "api.css", "text/css"),
    ("/api.js", "api.js", JAVASCRIPT),
    ("/rapidoc-min.js", "vendor/rapidoc-min.js", JAVASCRIPT),
];

/// The file of the checkout that is served at a path, and its media type.
fn file(path: &str) -> Option<(String, &'static str)> {
    // The modules of the browser client, whatever they are called.
    let module = path.strip_prefix("/client/").and_then(|name| name.strip_suffix(".js"));
    let is_name = |name: &&str| name.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase());
    if let Some(module) = module.filter(is_name) {
        return Some((format!("clients/js/dist/{module}.js"), JAVASCRIPT));
    }
    let (_, name, content_type) = FILES.iter().find(|(served, _, _)| *served == path)?;
    Some((format!("tools/local/page/{name}"), content_type))
}

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";

/// Nothing but our own files, no inline script, and requests to this machine only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
    connect-src 'self' http://127.0.0.1:* http://localhost:*; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The page of the API, whose component writes its own styles and templates.
const API: &str = "/api.html";

/// As [`POLICY`], with inline styles and the component's Trusted Types policy.
const API_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self' http://127.0.0.1:* http://localhost:*; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// The names of this machine in a URL. Browsers put an IPv6 address in brackets.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// A page that has its port but does not answer yet.
#[derive(Debug)]
pub struct Page {
    listener: Listener,
}

/// What the page shows of the stack.
struct Site {
    root: PathBuf,
    port: u16,
    api_port: u16,
    settings: Value,
    services: Arc<Services>,
    /// ARN of the key ring.
    ring: String,
    /// The algorithm of a ring that has no keys yet.
    algorithm: SignatureAlgorithm,
}

impl Page {
    /// A page on a port.
    #[must_use]
    pub fn new(listener: Listener) -> Self {
        Self { listener }
    }

    /// The page's URL without a slash at the end.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.listener.port())
    }

    /// Answers until this is dropped. The API answers on `api_port`.
    pub async fn serve(self, stack: &Stack, api_port: u16) -> io::Error {
        let variables = stack.environment().variables();
        let number = |name| variables.get(name).and_then(|text| text.parse::<u64>().ok());
        let settings = json!({
            "accessTokenSeconds": number("RATCHET_ACCESS_TOKEN_SECONDS"),
            "retryWindowSeconds": number("RATCHET_RETRY_WINDOW_SECONDS"),
            "lateRecoveries": number("RATCHET_LATE_RECOVERIES"),
            "demoUser": {"name": ADA.name, "password": ADA.password},
        });
        let site = Arc::new(Site {
            root: Workspace::locate().root().to_path_buf(),
            port: self.listener.port(),
            api_port,
            settings,
            services: Arc::clone(stack.services()),
            ring: stack.data().key_ring_secret.clone(),
            algorithm: SignatureAlgorithm::ALL
                .into_iter()
                .find(|known| {
                    variables
                        .get("RATCHET_SIGNING_ALGORITHM")
                        .is_some_and(|set| set == known.name())
                })
                .unwrap_or_default(),
        });
        loop {
            match self.listener.accept().await {
                Ok(client) => {
                    let site = Arc::clone(&site);
                    // A browser that hangs up early gets no answer, which is fine.
                    tokio::spawn(async move { site.answer(client).await.unwrap_or(()) });
                }
                Err(error) => return error,
            }
        }
    }
}

impl Site {
    async fn answer(&self, mut client: TcpStream) -> io::Result<()> {
        // Browsers open connections in advance that they may never use.
        let head = tokio::time::timeout(Duration::from_secs(30), Head::read(&mut client));
        let Ok(head) = head.await else { return Ok(()) };
        let Some(head) = head? else { return Ok(()) };
        let (status, content_type, body) = match (head.target(), self.host(&head)) {
            (_, None) => ("421 Misdirected Request", "text/plain", Vec::new()),
            (Some(("GET", path)), Some(host)) => match path {
                "/settings.json" => ("200 OK", JSON, self.settings(host)),
                "/mail.json" => self.mail().await,
                "/expired-token" => self.expired(&head).await,
                "/openapi.json" => self.openapi(host).await,
                path => match file(path) {
                    Some((file, content_type)) => self.file(&file, content_type).await,
                    None => NOT_FOUND,
                },
            },
            _ => ("405 Method Not Allowed", "text/plain", Vec::new()),
        };
        let policy = if content_type == HTML && head.target().is_some_and(|(_, path)| path == API) {
            API_POLICY
        } else {
            POLICY
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
             content-security-policy: {policy}\r\nx-content-type-options: nosniff\r\n\
             referrer-policy: no-referrer\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
            body.len()
        );
        client.write_all(answer.as_bytes()).await?;
        client.write_all(&body).await?;
        client.shutdown().await
    }

    /// The name of this machine that the request uses; `None` if it is not one of ours.
    ///
    /// # Security
    /// A web site can make its own name resolve to this machine (DNS rebinding). For the browser
    /// that is the site's own origin, so its scripts could read the messages.
    fn host(&self, head: &Head) -> Option<&'static str> {
        let (name, port) = head.header("host")?.rsplit_once(':')?;
        let is_ours = port.parse() == Ok(self.port);
        NAMES.into_iter().find(|known| is_ours && *known == name)
    }

    /// The API by the same name as the page: to a browser, `localhost` and `127.0.0.1` are
    /// different sites, and a cookie of one is not sent to the other.
    fn api(&self, host: &str) -> String {
        format!("http://{host}:{}", self.api_port)
    }

    fn settings(&self, host: &str) -> Vec<u8> {
        let mut settings = self.settings.clone();
        if let Some(settings) = settings.as_object_mut() {
            settings.insert("api".to_owned(), json!(self.api(host)));
        }
        settings.to_string().into_bytes()
    }

    /// The contract, with this stack as its server.
    async fn openapi(&self, host: &str) -> Answer {
        let file = tokio::fs::read(self.root.join("openapi.json")).await.ok();
        match file.and_then(|file| serde_json::from_slice::<Value>(&file).ok()) {
            Some(Value::Object(mut contract)) => {
                let server = json!([{"url": self.api(host), "description": "This stack"}]);
                contract.insert("servers".to_owned(), server);
                ("200 OK", JSON, Value::Object(contract).to_string().into_bytes())
            }
            _ => NOT_FOUND,
        }
    }

    /// The access token of the request, but expired.
    async fn expired(&self, head: &Head) -> Answer {
        let made = async {
            let token = head.header("authorization")?.strip_prefix("Bearer ")?;
            let ring = self.services.secrets().current(&self.ring).await.ok()?;
            expired(token, &ring, self.algorithm, demo_users::now().ok()?.seconds())
        };
        match made.await {
            Some(token) => ("200 OK", "text/plain", token.into_bytes()),
            None => ("400 Bad Request", "text/plain", Vec::new()),
        }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_and_every_file_served_is_there() {
        let page = Workspace::locate().root().join("tools/local/page");
        for (path, _, _) in FILES {
            let (file, _) = file(path).unwrap();
            assert!(Workspace::locate().root().join(&file).is_file(), "{file}");
        }
        for entry in fs::read_dir(page).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let served = FILES.iter().any(|(_, file, _)| *file == name);
            assert!(served || entry.path().is_dir(), "{name}");
        }
    }

    #[test]
    fn the_modules_of_the_client_are_served_and_nothing_around_them() {
        let served = |path: &str| file(path).map(|(file, _)| file);
        for name in ["index", "second-factor"] {
            let path = format!("clients/js/dist/{name}.js");
            assert_eq!(served(&format!("/client/{name}.js")), Some(path));
        }
        for path in ["/client/../package.json", "/client/../src/index.js", "/client/index.d.ts"] {
            assert_eq!(served(path), None, "{path}");
        }
    }
}
