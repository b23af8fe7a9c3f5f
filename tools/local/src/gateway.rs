//! Imitates API Gateway, which knows the routes and answers 404 for every other path.
//!
//! `cargo lambda watch` would answer such a request in its own way. Requests of `cargo lambda invoke`
//! pass.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{head::Head, listener::Listener, template::Template};

/// API Gateway's answer to a path without a route.
const NOT_FOUND: (&str, &str) = ("404 Not Found", r#"{"message":"Not Found"}"#);
const TOO_LONG: (&str, &str) =
    ("431 Request Header Fields Too Large", r#"{"message":"Request Header Fields Too Large"}"#);
const NO_EMULATOR: (&str, &str) =
    ("503 Service Unavailable", r#"{"message":"Service Unavailable"}"#);

/// Where Lambda's own API is, which `cargo lambda invoke` calls.
const INVOCATIONS: &str = "/2015-03-31/functions/";

/// The longest wait for a request's head. Browsers open connections in advance that they may never
/// use.
const PATIENCE: Duration = Duration::from_secs(60);

/// The routes of a deployment.
#[derive(Debug)]
struct Routes(Vec<(Option<String>, Vec<String>)>);

impl Routes {
    fn of(template: &Template) -> Self {
        let routes = template.functions.values().flat_map(|function| &function.paths);
        Self(
            routes
                .map(|route| match route.split_once(' ') {
                    Some((method, path)) => (Some(method.to_owned()), segments(path)),
                    None => (None, segments(route)),
                })
                .collect(),
        )
    }

    fn know(&self, method: &str, path: &str) -> bool {
        let path = segments(path);
        let fits = |(wanted, given): (&String, &String)| {
            wanted == given || wanted.starts_with('{') && !given.is_empty()
        };
        self.0.iter().any(|(of_method, route)| {
            of_method.as_ref().is_none_or(|only| only == method)
                && route.len() == path.len()
                && route.iter().zip(&path).all(fits)
        })
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

/// Passes requests on to the emulator of the functions.
#[derive(Debug)]
pub struct Gateway {
    listener: Listener,
}

impl Gateway {
    /// A gateway that has its port but does not answer yet.
    #[must_use]
    pub fn new(listener: Listener) -> Self {
        Self { listener }
    }

    /// The API's URL, which is also the issuer.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.listener.port())
    }

    /// Passes requests on to `emulator`, a URL, until this is dropped.
    pub async fn serve(self, template: &Template, emulator: &str) -> io::Error {
        let routes = Arc::new(Routes::of(template));
        let emulator: Arc<str> = emulator.trim_start_matches("http://").into();
        loop {
            match self.listener.accept().await {
                Ok(client) => {
                    let (routes, emulator) = (Arc::clone(&routes), Arc::clone(&emulator));
                    // A client that hangs up early gets no answer, which is fine.
                    tokio::spawn(async move { answer(client, &routes, &emulator).await.ok() });
                }
                Err(error) => return error,
            }
        }
    }
}

/// Answers one request. A client sends the next one over another connection.
async fn answer(mut client: TcpStream, routes: &Routes, emulator: &str) -> io::Result<()> {
    let Ok(head) = tokio::time::timeout(PATIENCE, Head::read(&mut client)).await else {
        return Ok(());
    };
    let Some(head) = head? else { return refuse(client, TOO_LONG).await };
    let known = head
        .target()
        .is_some_and(|(method, path)| path.starts_with(INVOCATIONS) || routes.know(method, path));
    if !known {
        return refuse(client, NOT_FOUND).await;
    }
    let Ok(mut emulator) = TcpStream::connect(emulator).await else {
        return refuse(client, NO_EMULATOR).await;
    };
    emulator.write_all(&head.closing()).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_emulator, mut to_emulator) = emulator.split();
    let sending = async {
        tokio::io::copy(&mut from_client, &mut to_emulator).await?;
        // The client sends nothing more, but may wait for its answer.
        std::future::pending().await
    };
    tokio::select! {
        answered = tokio::io::copy(&mut from_emulator, &mut to_client) => answered.map(drop),
        failed = sending => failed,
    }?;
    client.shutdown().await
}

async fn refuse(mut client: TcpStream, (status, body): (&str, &str)) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    // Closing a connection with unread data resets it, and the answer may be lost.
    let unread = async {
        let mut buffer = vec![0; 16 * 1024];
        while client.read(&mut buffer).await? > 0 {}
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(1), unread).await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn the_routes_are_those_of_the_template() {
        let routes = Routes::of(&Template::read(&Workspace::locate().template()).unwrap());
        for (method, path) in [
            ("POST", "/authenticate"),
            ("PUT", "/authenticate"),
            ("GET", "/users"),
            ("POST", "/users"),
            ("GET", "/users/me/sessions/0198"),
            ("GET", "/users/anything"),
            ("GET", "/.well-known/jwks.json"),
        ] {
            assert!(routes.know(method, path), "{method} {path}");
        }
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/favicon.ico"),
            ("GET", "/users/"),
            ("GET", "//users"),
            ("POST", "/authenticate/x"),
            ("GET", "/users/me/sessions/0198/x"),
        ] {
            assert!(!routes.know(method, path), "{method} {path}");
        }
    }
}
