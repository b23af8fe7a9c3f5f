//! An event bus: a server that takes `PutEvents`, and fails as a test says.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use ratchet_core::ids::UserId;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// What the bus does with a call instead of taking its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It refuses the call with this status and code.
    Error(u16, &'static str),
    /// It takes every other event, and answers this code for the rest.
    Partial(&'static str),
    /// It takes no event that has this name, and answers this code for it.
    Name(&'static str, &'static str),
    /// It takes the events and answers with an error.
    AnswerLost,
    /// It never answers.
    Silence,
    /// Its answer is no JSON.
    Garbage,
    /// Its answer is about no event.
    Incomplete,
}

#[derive(Debug, Default)]
struct Received {
    trouble: Option<Trouble>,
    calls: usize,
    /// The entries that were taken, with their details as JSON.
    entries: Vec<Value>,
    /// The bodies of all calls.
    text: String,
}

/// A running bus.
pub(crate) struct Bus {
    endpoint: String,
    received: Arc<Mutex<Received>>,
    task: JoinHandle<()>,
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bus {
    pub(crate) async fn start() -> Self {
        let received = Arc::default();
        let router = Router::new().fallback(put).with_state(Arc::clone(&received));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let task =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") });
        Self { endpoint, received, task }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// From now on, calls fail like this; `None` for not at all.
    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        self.locked().trouble = trouble;
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.locked().calls
    }

    /// All that was sent, whether or not it was taken.
    pub(crate) fn text(&self) -> String {
        self.locked().text.clone()
    }

    /// The entries about a user that were taken, repetitions included.
    pub(crate) fn about(&self, user_id: UserId) -> Vec<Value> {
        let user_id = user_id.to_string();
        let locked = self.locked();
        locked.entries.iter().filter(|one| one["Detail"]["user_id"] == user_id).cloned().collect()
    }

    /// The names of a user's events without repetitions, sorted.
    pub(crate) fn names(&self, user_id: UserId) -> Vec<String> {
        let mut events: Vec<_> = self
            .about(user_id)
            .iter()
            .map(|one| {
                let text = |value: &Value| value.as_str().expect("a text").to_owned();
                (text(&one["DetailType"]), text(&one["Detail"]["id"]))
            })
            .collect();
        events.sort();
        events.dedup();
        events.into_iter().map(|(name, _)| name).collect()
    }

    fn locked(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn put(State(received): State<Arc<Mutex<Received>>>, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).expect("a call");
    let entries = call["Entries"].as_array().expect("entries").clone();
    assert!(entries.len() <= 10, "PutEvents takes ten");
    let (trouble, answers) = {
        let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
        received.calls += 1;
        received.text += &String::from_utf8_lossy(&body);
        let trouble = received.trouble;
        let takes_none = matches!(
            trouble,
            Some(Trouble::Error(..) | Trouble::Silence | Trouble::Garbage | Trouble::Incomplete)
        );
        let mut answers = Vec::new();
        for (place, mut entry) in entries.into_iter().enumerate() {
            let refusal = match trouble {
                Some(Trouble::Partial(code))
                    if place % 2 == 1 || received.calls.is_multiple_of(2) =>
                {
                    Some(code)
                }
                Some(Trouble::Name(name, code)) if entry["DetailType"] == name => Some(code),
                _ => None,
            };
            if let Some(code) = refusal {
                answers.push(json!({"ErrorCode": code, "ErrorMessage": "refused by the test"}));
            } else if !takes_none {
                let detail = entry["Detail"].as_str().expect("a detail");
                entry["Detail"] = serde_json::from_str(detail).expect("JSON");
                received.entries.push(entry);
                answers.push(json!({"EventId": format!("{:032x}", received.entries.len())}));
            }
        }
        (trouble, answers)
    };
    let failed = answers.iter().filter(|answer| answer["ErrorCode"].is_string()).count();
    let answer = |status: u16, body: String| {
        let status = StatusCode::from_u16(status).expect("a status");
        (status, [(CONTENT_TYPE, "application/x-amz-json-1.1")], body).into_response()
    };
    let error = |status, code: &str| answer(status, json!({"__type": code}).to_string());
    match trouble {
        Some(Trouble::Error(status, code)) => error(status, code),
        Some(Trouble::AnswerLost) => error(500, "InternalException"),
        Some(Trouble::Silence) => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            error(500, "InternalException")
        }
        Some(Trouble::Garbage) => answer(200, "{\"Entries\": [".to_owned()),
        Some(Trouble::Incomplete | Trouble::Partial(_) | Trouble::Name(..)) | None => {
            answer(200, json!({"FailedEntryCount": failed, "Entries": answers}).to_string())
        }
    }
}
