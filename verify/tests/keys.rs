//! Which requests a verifier makes, against an issuer that counts them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test can not go on with ends it"
)]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use ratchet::{
    access_token::{self, AccessTokenError, AccessTokenPolicy, Subject},
    ids::{SessionId, UserId},
    jws::SignatureAlgorithm,
    key_ring::{KeyRing, NewKey},
    time::UnixSeconds,
};
use ratchet_verify::{Verifier, VerifyError};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// An issuer with one key at a time.
struct Issuer {
    url: String,
    ring: Mutex<KeyRing>,
    answer: Arc<Mutex<String>>,
    requests: Arc<AtomicUsize>,
}

fn ring(algorithm: SignatureAlgorithm) -> KeyRing {
    let keys = [NewKey::signing(algorithm).unwrap(), NewKey::tag().unwrap()].map(NewKey::expose);
    KeyRing::parse(&json!({"keys": keys}).to_string(), now()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the verifier has a real clock")]
fn now() -> UnixSeconds {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixSeconds::new(since.as_secs())
}

fn answer(ring: &KeyRing) -> String {
    let keys: Vec<_> = ring.public_keys(now()).collect();
    let body = json!({"keys": keys}).to_string();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: public, \
         max-age=600\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

impl Issuer {
    async fn start(algorithm: SignatureAlgorithm) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ring = ring(algorithm);
        let shown = Arc::new(Mutex::new(answer(&ring)));
        let requests = Arc::new(AtomicUsize::new(0));
        let (shown_too, counted) = (Arc::clone(&shown), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut request = vec![0; 4_096];
                let length = client.read(&mut request).await.unwrap_or(0);
                assert!(request[..length].starts_with(b"GET /.well-known/jwks.json "));
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = shown_too.lock().unwrap().clone();
                client.write_all(answer.as_bytes()).await.unwrap_or(());
            }
        });
        Self { url, ring: Mutex::new(ring), answer: shown, requests }
    }

    fn token(&self) -> String {
        let subject = Subject {
            user_id: UserId::from_bytes([1; 16]),
            session_id: SessionId::from_bytes([2; 16]),
            auth_time: now(),
            name: "ada".to_owned(),
            roles: vec!["reader".to_owned()],
        };
        let policy = AccessTokenPolicy {
            issuer: self.url.clone(),
            audience: "things".to_owned(),
            client_id: "first-party".to_owned(),
            life: std::time::Duration::from_secs(300),
            clock_skew: std::time::Duration::ZERO,
        };
        let ring = self.ring.lock().unwrap();
        access_token::issue(&subject, &policy, &ring, now(), [3; 16]).unwrap().to_string()
    }

    fn change_key(&self, algorithm: SignatureAlgorithm) {
        let next = ring(algorithm);
        *self.answer.lock().unwrap() = answer(&next);
        *self.ring.lock().unwrap() = next;
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn keys_are_fetched_once_and_verify_tokens_of_every_published_algorithm() {
    for algorithm in
        [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa, SignatureAlgorithm::Rs256]
    {
        let issuer = Issuer::start(algorithm).await;
        let verifier = Verifier::new(&issuer.url, "things").unwrap();
        for _ in 0..20 {
            let claims = verifier.verify(&issuer.token()).await.unwrap();
            assert_eq!(claims.roles, ["reader"]);
        }
        assert_eq!(issuer.requests(), 1);
        let other = Verifier::new(&issuer.url, "other").unwrap();
        let refusal = other.verify(&issuer.token()).await;
        assert!(matches!(refusal, Err(VerifyError::Invalid(AccessTokenError::Foreign))));
    }
}

#[tokio::test]
async fn unknown_keys_make_one_request_in_a_cool_down() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    let verifier = Verifier::new(&issuer.url, "things").unwrap();
    let before = issuer.token();
    verifier.verify(&before).await.unwrap();
    issuer.change_key(SignatureAlgorithm::EdDsa);
    for _ in 0..20 {
        let refusal = verifier.verify(&issuer.token()).await;
        assert!(matches!(refusal, Err(VerifyError::Invalid(AccessTokenError::UnknownKey))));
    }
    assert_eq!(issuer.requests(), 1, "the keys were fetched less than a cool-down ago");
    verifier.verify(&before).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_can_not_be_reached_is_no_refusal() {
    let issuer = Issuer::start(SignatureAlgorithm::Es256).await;
    for answer in [
        "",
        "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]",
    ] {
        answer.clone_into(&mut issuer.answer.lock().unwrap());
        let verifier = Verifier::new(&issuer.url, "things").unwrap();
        let no_verdict = verifier.verify(&issuer.token()).await;
        assert!(matches!(no_verdict, Err(VerifyError::Unavailable(_))), "{answer:?}");
    }
}
