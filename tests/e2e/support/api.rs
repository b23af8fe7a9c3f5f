//! A client of the service, and the service's answers.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};

/// A client.
#[derive(Clone)]
pub(crate) struct Api {
    base_url: String,
    http: reqwest::Client,
}

/// A complete answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A token pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Api {
    pub(crate) fn new(base_url: &str) -> Self {
        Self::with_user_agent(base_url, "ratchet-tests")
    }

    pub(crate) fn with_user_agent(base_url: &str, user_agent: &str) -> Self {
        let http = reqwest::Client::builder()
            .user_agent(user_agent)
            .timeout(Duration::from_secs(120))
            .build()
            .expect("a client");
        Self { base_url: base_url.to_owned(), http }
    }

    /// The same service, called with another user agent.
    pub(crate) fn as_user_agent(&self, user_agent: &str) -> Self {
        Self::with_user_agent(&self.base_url, user_agent)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.http.request(method, format!("{}{path}", self.base_url))
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request("POST", path).json(&body)).await
    }

    pub(crate) async fn get(&self, path: &str, access_token: &str) -> Answer {
        Answer::of(self.request("GET", path).bearer_auth(access_token)).await
    }

    pub(crate) async fn delete(&self, path: &str, access_token: &str) -> Answer {
        Answer::of(self.request("DELETE", path).bearer_auth(access_token)).await
    }

    pub(crate) async fn authenticate(&self, name: &str, password: &str) -> Answer {
        self.post("/authenticate", json!({"name": name, "password": password})).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/refresh", json!({"refresh_token": refresh_token})).await
    }

    pub(crate) async fn logout(&self, refresh_token: &str) -> Answer {
        self.post("/logout", json!({"refresh_token": refresh_token})).await
    }
}

impl Answer {
    /// Sends a request.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.expect("an answer")
    }

    /// Sends a request that may get no answer.
    pub(crate) async fn try_of(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.text().await? })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The `code` of a problem.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned()
    }

    /// Status and code of a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        (self.status, self.code())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The token pair of a 200.
    pub(crate) fn tokens(&self) -> Tokens {
        assert_eq!(self.status, 200, "{self:?}");
        let body = self.json();
        let text = |name: &str| body[name].as_str().expect("a token").to_owned();
        Tokens { access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// Repeats a request while the answer is a 503, for tests of something else.
pub(crate) async fn available<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> Answer {
    for _ in 0..20 {
        let answer = ask().await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ask().await
}

/// The parts of a refusal by which a client could distinguish its causes.
pub(crate) fn visible(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let volatile = ["date", "lambda-runtime-aws-request-id"];
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !volatile.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()));
    (answer.status, headers.collect(), answer.body.clone())
}
