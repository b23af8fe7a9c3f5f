//! `cargo local demo`: the five steps, live.

use std::time::Duration;

use local::{
    demo_users,
    functions::Mode,
    progress::Progress,
    stack::{Stack, StackOptions},
};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Failure, Start, with_stack};

/// Options of the tour.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Life of an access token; the tour waits until it has expired
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60))]
    access_token_seconds: u32,
}

/// Starts its own stack and runs the tour.
pub fn run(runtime: &Runtime, options: &Options) -> Result<(), Failure> {
    let seconds = options.access_token_seconds;
    let stack_options = StackOptions {
        name: "demo".to_owned(),
        mode: Mode::Spawned,
        concurrency: 1,
        progress: Progress::EveryStep,
        ..StackOptions::default()
    }
    .with("RATCHET_ACCESS_TOKEN_SECONDS", seconds);
    let start = Start { stack: stack_options, tables: None, keep: None };
    with_stack(runtime, start, async |stack: &Stack| {
        demo_users::create(stack).await?;
        walk(stack, Duration::from_secs(seconds.into())).await
    })
}

async fn walk(stack: &Stack, life: Duration) -> Result<(), Failure> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    let request = |method, path| client.request(method, format!("{}{path}", stack.base_url()));
    let ada = demo_users::ADA;

    title("1. A password for a pair of tokens");
    let body = json!({ "name": ada.name, "password": ada.password });
    let pair = send(request(Method::POST, "/authenticate"), None, Some(&body)).await?;
    let pair = pair.expect_status(StatusCode::OK)?;
    let (access, refresh) = (pair.text("access_token")?, pair.text("refresh_token")?);

    title("2. What the access token opens");
    let users = send(request(Method::GET, "/users"), Some(&access), None).await?;
    users.expect_status(StatusCode::OK)?;

    title(&format!("3. The same when it has expired, {} seconds later", life.as_secs()));
    tokio::time::sleep(life + Duration::from_secs(1)).await;
    let expired = send(request(Method::GET, "/users"), Some(&access), None).await?;
    let expired = expired.expect_status(StatusCode::UNAUTHORIZED)?;
    expired.expect_header("is-token-expired", "true")?;

    title("4. The refresh token, with the expired access token, for the next pair");
    let body = json!({ "access_token": access, "refresh_token": refresh });
    let pair = send(request(Method::POST, "/refresh"), None, Some(&body)).await?;
    let access = pair.expect_status(StatusCode::OK)?.text("access_token")?;

    title("5. It works again");
    let users = send(request(Method::GET, "/users"), Some(&access), None).await?;
    users.expect_status(StatusCode::OK)?;
    println!("\nAll five steps did what they should.");
    Ok(())
}

fn title(text: &str) {
    println!("\n── {text} ──");
}

/// An answer that has been printed.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn expect_status(self, expected: StatusCode) -> Result<Self, Failure> {
        if self.status == expected {
            Ok(self)
        } else {
            Err(format!("local: this should have been {expected}").into())
        }
    }

    fn expect_header(&self, name: &str, expected: &str) -> Result<(), Failure> {
        match self.headers.get(name).map(HeaderValue::as_bytes) {
            Some(value) if value == expected.as_bytes() => Ok(()),
            _ => Err(format!("local: the header `{name}: {expected}` is missing").into()),
        }
    }

    fn text(&self, key: &str) -> Result<String, Failure> {
        let body: Value = serde_json::from_str(&self.body)?;
        let text = body.get(key).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| format!("local: the answer has no {key}").into())
    }
}

/// Sends a request, and prints it and its answer in wire format.
async fn send(
    request: RequestBuilder,
    bearer: Option<&str>,
    body: Option<&Value>,
) -> Result<Answer, Failure> {
    let request = match bearer {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let (client, request) = request.build_split();
    let request = request?;
    println!("\n> {} {}", request.method(), request.url().path());
    for (name, value) in request.headers() {
        println!("> {name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    if let Some(body) = body {
        println!(">\n{}", indented("> ", &serde_json::to_string_pretty(body)?));
    }

    let response = client.execute(request).await?;
    println!("\n< {}", response.status());
    for (name, value) in response.headers() {
        if name != "date" {
            println!("< {name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
    }
    let answer = read(response).await?;
    let shown = match serde_json::from_str::<Value>(&answer.body) {
        Ok(json) => serde_json::to_string_pretty(&json)?,
        Err(_) => answer.body.clone(),
    };
    println!("<\n{}", indented("< ", &shown));
    Ok(answer)
}

async fn read(response: Response) -> Result<Answer, Failure> {
    let status = response.status();
    let headers = response.headers().clone();
    Ok(Answer { status, headers, body: response.text().await? })
}

fn indented(prefix: &str, text: &str) -> String {
    text.lines().map(|line| format!("{prefix}{line}")).collect::<Vec<_>>().join("\n")
}
