//! An issuer with one key at a time, and a list of ended sessions that tests set.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use ratchet_core::{
    access_token::{self, AccessTokenPolicy, Subject},
    amr::Amr,
    custom_claims::CustomClaims,
    ids::{SessionId, UserId},
    jws::SignatureAlgorithm,
    key_ring::{KeyRing, NewKey},
    revocations::{RecentEnds, RevocationList},
    time::{UnixMillis, UnixSeconds},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

pub(crate) const JWKS: &str = "/.well-known/jwks.json";
pub(crate) const REVOCATIONS: &str = "/.well-known/revocations";

/// How long tokens live.
pub(crate) const LIFE: std::time::Duration = std::time::Duration::from_secs(300);

/// A whole minute.
pub(crate) const START: u64 = 1_780_000_020;

pub(crate) const fn at(seconds: u64) -> UnixSeconds {
    UnixSeconds::new(START + seconds)
}

#[derive(Debug, Default)]
struct Documents {
    /// Whole answers, or what `200 OK` is made of: a tag, and a body.
    shown: HashMap<&'static str, Shown>,
    /// Status of every answer that was given, by path.
    given: Vec<(String, u16)>,
    /// How many requests asked caches on the way to validate what they have.
    past_caches: usize,
}

#[derive(Debug, Clone)]
enum Shown {
    Document { etag: String, max_age: u64, age: u64, body: String },
    Raw(String),
}

pub(crate) struct Issuer {
    pub(crate) url: String,
    ring: Mutex<KeyRing>,
    documents: Arc<Mutex<Documents>>,
}

fn ring(algorithm: SignatureAlgorithm) -> KeyRing {
    let keys = [NewKey::signing(algorithm).unwrap(), NewKey::tag().unwrap()].map(NewKey::expose);
    KeyRing::parse(&json!({"keys": keys}).to_string(), at(0)).unwrap()
}

impl Documents {
    fn answer(&mut self, request: &str) -> String {
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let known = request.lines().find_map(|line| line.strip_prefix("if-none-match: "));
        if request.lines().any(|line| line == "cache-control: no-cache") {
            self.past_caches += 1;
        }
        let (status, answer) = match self.shown.get(path.as_str()) {
            None => {
                (404, "HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into())
            }
            Some(Shown::Raw(answer)) => (0, answer.clone()),
            Some(Shown::Document { etag, max_age, age, body }) => {
                let same = known.is_some_and(|known| known == etag);
                let (status, reason, body) =
                    if same { (304, "Not Modified", "") } else { (200, "OK", body.as_str()) };
                let answer = format!(
                    "HTTP/1.1 {status} {reason}\r\ncache-control: public, max-age={max_age}\r\n\
                     age: {age}\r\netag: {etag}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                (status, answer)
            }
        };
        self.given.push((path, status));
        answer
    }
}

impl Issuer {
    pub(crate) async fn start(algorithm: SignatureAlgorithm) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let documents = Arc::new(Mutex::new(Documents::default()));
        let shared = Arc::clone(&documents);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut request = vec![0; 4_096];
                let length = client.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let answer = shared.lock().unwrap().answer(&request);
                client.write_all(answer.as_bytes()).await.unwrap_or(());
            }
        });
        let issuer = Self { url, ring: Mutex::new(ring(algorithm)), documents };
        issuer.show_keys(0);
        issuer
    }

    fn show(&self, path: &'static str, shown: Shown) {
        self.documents.lock().unwrap().shown.insert(path, shown);
    }

    /// Shows the keys as a cache does that has had them for `age` seconds.
    pub(crate) fn show_keys(&self, age: u64) {
        let ring = self.ring.lock().unwrap();
        let keys: Vec<_> = ring.public_keys(at(0)).collect();
        let etag = format!("\"{}\"", ring.signer(at(0)).unwrap().kid());
        let body = json!({"keys": keys}).to_string();
        self.show(JWKS, Shown::Document { etag, max_age: 600, age, body });
    }

    pub(crate) fn show_raw(&self, path: &'static str, answer: &str) {
        self.show(path, Shown::Raw(answer.to_owned()));
    }

    /// Shows a list as the service would at a moment, if these sessions have ended.
    pub(crate) fn show_ends(&self, now: u64, ends: &[(SessionId, u64)]) {
        let (etag, body) = self.list(now, ends);
        self.show(REVOCATIONS, Shown::Document { etag, max_age: 15, age: 0, body });
    }

    pub(crate) fn list(&self, now: u64, ends: &[(SessionId, u64)]) -> (String, String) {
        let millis = |seconds| UnixMillis::new(at(seconds).get() * 1_000);
        let mut found: Vec<_> = ends.iter().map(|(id, when)| (*id, millis(*when))).collect();
        found.sort_by_key(|(_, when)| std::cmp::Reverse(*when));
        let list = RevocationList::new(&self.url, &RecentEnds::new(&found, millis(now), LIFE));
        let ring = self.ring.lock().unwrap();
        let list = list.to_be_signed(&ring, at(now)).unwrap();
        (format!("W/\"{}\"", list.tag()), list.sign().unwrap().to_string())
    }

    /// A token of a session that was issued at a moment.
    pub(crate) fn token_of(&self, session_id: SessionId, now: u64) -> String {
        let subject = Subject {
            user_id: UserId::from_bytes([1; 16]),
            session_id,
            auth_time: at(now),
            name: "ada".to_owned(),
            roles: vec!["reader".to_owned()],
            claims: CustomClaims::within(r#"{"tenant": "acme"}"#).unwrap(),
            jkt: None,
            amr: Amr::PASSWORD,
            step_up: false,
        };
        let policy = AccessTokenPolicy {
            issuer: self.url.clone(),
            former_issuers: Vec::new(),
            audience: "things".to_owned(),
            former_audiences: Vec::new(),
            client_id: "first-party".to_owned(),
            life: LIFE,
            clock_skew: std::time::Duration::ZERO,
            leeway: std::time::Duration::ZERO,
        };
        let ring = self.ring.lock().unwrap();
        access_token::issue(&subject, &policy, &ring, at(now), [3; 16]).unwrap().to_string()
    }

    pub(crate) fn token(&self) -> String {
        self.token_of(SessionId::from_bytes([2; 16]), 0)
    }

    pub(crate) fn change_key(&self, algorithm: SignatureAlgorithm) {
        *self.ring.lock().unwrap() = ring(algorithm);
        self.show_keys(0);
    }

    pub(crate) fn past_caches(&self) -> usize {
        self.documents.lock().unwrap().past_caches
    }

    /// The status of each answer so far at a path; 0 for those that were no answer.
    pub(crate) fn given(&self, path: &str) -> Vec<u16> {
        let documents = self.documents.lock().unwrap();
        documents.given.iter().filter(|(at, _)| at == path).map(|(_, status)| *status).collect()
    }
}
