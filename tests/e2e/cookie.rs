//! Cookie mode: the refresh token of a browser application travels in a cookie only.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{
    Answer, Tokens, World,
    people::Person,
    proxy::{Fault, Proxy},
    run,
};

const OWN: &str = "https://app.example";

/// A deployment's own setting: https, and one origin.
async fn deployed(name: &str, further: &[(&str, &str)]) -> World {
    let own = [("RATCHET_CORS_ORIGINS", OWN), ("RATCHET_ISSUER", "https://issuer.example")];
    World::beside(name, &[&own[..], further].concat()).await
}

/// What a page of `origin` sends.
fn from(world: &World, origin: &str, path: &str, body: &Value) -> RequestBuilder {
    let request = world.api().request("POST", path).json(body);
    request.header("origin", origin).header("x-ratchet", "1")
}

async fn post(world: &World, path: &str, token: &str) -> Answer {
    let request = from(world, OWN, path, &json!({}));
    Answer::of(request.header("cookie", format!("theme=dark; __Host-refresh={token}"))).await
}

fn credentials(person: &Person) -> Value {
    json!({"name": person.name, "password": person.password, "mode": "cookie"})
}

/// Signs a person in; the answer and the token in the cookie.
async fn sign_in(world: &World, person: &Person) -> (Answer, String) {
    let answer = Answer::of(from(world, OWN, "/authenticate", &credentials(person))).await;
    let token = cookie(&answer).expect("a cookie");
    (answer, token)
}

/// The token in the cookie that an answer sets, whose attributes must be right.
fn cookie(answer: &Answer) -> Option<String> {
    let value = answer.headers.get("set-cookie")?.to_str().unwrap();
    let (pair, attributes) = value.split_once("; ").unwrap();
    let (attributes, max_age) = attributes.rsplit_once("; Max-Age=").unwrap();
    assert_eq!(attributes, "HttpOnly; Secure; SameSite=Strict; Path=/");
    let token = pair.strip_prefix("__Host-refresh=").unwrap();
    assert_eq!(max_age == "0", token.is_empty(), "{value}");
    Some(token.to_owned())
}

#[test]
fn the_refresh_token_is_in_the_cookie_and_nowhere_else() {
    run(async {
        let world = deployed("cookie", &[]).await;
        let person = world.person().await;
        let (answer, first) = sign_in(&world, &person).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(first.starts_with("rt1_"));
        let body = answer.json();
        assert!(body.get("refresh_token").is_none());
        assert!(!answer.body.contains("rt1_"));
        assert!(body["refresh_token_expires_in"].as_u64().unwrap() > 0);
        let access = body["access_token"].as_str().unwrap();
        assert_eq!(world.api().get("/users", access).await.status, 200);

        let answer = post(&world, "/refresh", &first).await;
        let second = cookie(&answer).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.body.contains("rt1_"));
        assert_ne!(first, second);
        // A lost answer, or a second tab: the same successor.
        assert_eq!(cookie(&post(&world, "/refresh", &first).await), Some(second.clone()));

        let answer = post(&world, "/logout", &second).await;
        assert_eq!((answer.status, cookie(&answer).as_deref()), (204, Some("")));
        let refusal = post(&world, "/refresh", &second).await;
        assert_eq!(refusal.problem(), (401, "revoked".to_owned()));
        assert_eq!(cookie(&refusal).as_deref(), Some(""));
        let refusal = Answer::of(from(&world, OWN, "/refresh", &json!({}))).await;
        assert_eq!(refusal.problem(), (401, "missing_refresh_token".to_owned()));
        for forged in ["rt1_x", "x"] {
            let answer = post(&world, "/logout", forged).await;
            assert_eq!((answer.status, cookie(&answer).as_deref()), (204, Some("")));
        }
    });
}

#[test]
fn on_plain_loopback_the_cookie_has_neither_prefix_nor_secure() {
    run(async {
        let settings = [("RATCHET_CORS_ORIGINS", "http://127.0.0.1:9001")];
        let world = World::beside("cookie-plain", &settings).await;
        let person = world.person().await;
        let request = from(&world, "http://127.0.0.1:9001", "/authenticate", &credentials(&person));
        let answer = Answer::of(request).await;
        let (token, attributes) = answer.header("set-cookie").split_once("; ").unwrap();
        assert!(token.starts_with("refresh=rt1_"));
        assert!(attributes.starts_with("HttpOnly; SameSite=Strict; Path=/; Max-Age="));
        let request = from(&world, "http://127.0.0.1:9001", "/refresh", &json!({}));
        assert_eq!(Answer::of(request.header("cookie", token)).await.status, 200);
    });
}

#[test]
fn another_site_can_neither_sign_in_nor_use_the_cookie() {
    run(async {
        let world = deployed("cookie-csrf", &[]).await;
        let person = world.person().await;
        let (_, token) = sign_in(&world, &person).await;
        let cookie_header = format!("__Host-refresh={token}");
        for path in ["/authenticate", "/refresh", "/logout"] {
            let body = if path == "/authenticate" { credentials(&person) } else { json!({}) };
            let with_cookie = || world.api().request("POST", path).header("cookie", &cookie_header);
            let requests = [
                from(&world, "https://evil.example", path, &body).header("cookie", &cookie_header),
                from(&world, "null", path, &body).header("cookie", &cookie_header),
                with_cookie().json(&body).header("origin", OWN),
                with_cookie().json(&body).header("x-ratchet", "1"),
                with_cookie().json(&body),
            ];
            for request in requests {
                let refusal = Answer::of(request).await;
                assert_eq!(refusal.problem(), (403, "forbidden_origin".to_owned()), "{path}");
                assert_eq!(refusal.header("set-cookie"), "");
            }
            // What a form of another site can send does not get that far.
            let form = with_cookie().header("origin", "https://evil.example");
            let form = form.header("content-type", "text/plain").body("{}");
            assert_eq!(Answer::of(form).await.status, 415);
        }
        assert_eq!(post(&world, "/refresh", &token).await.status, 200, "and nothing has changed");
    });
}

#[test]
fn a_fault_leaves_the_cookie_and_the_end_of_the_session_takes_it() {
    run(async {
        let shared = World::shared().await;
        let proxy = Proxy::before(shared.stack().services().dynamodb().endpoint()).await;
        let endpoint = proxy.endpoint();
        let world = deployed("cookie-fault", &[("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)]).await;
        let (_, token) = sign_in(&world, &world.person().await).await;
        proxy.break_all("*", Fault::Refuse);
        for path in ["/refresh", "/logout"] {
            let answer = post(&world, path, &token).await;
            assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
            assert_eq!(cookie(&answer), None);
        }
        proxy.heal();
        // An access token of another session says nothing about this one.
        let other = world.person().await;
        let stranger = world.api().authenticate(&other.name, &other.password).await.tokens();
        let body = json!({"access_token": stranger.access});
        let request = from(&world, OWN, "/refresh", &body);
        let request = request.header("cookie", format!("__Host-refresh={token}"));
        let refusal = Answer::of(request).await;
        assert_eq!(refusal.problem(), (401, "access_token_mismatch".to_owned()));
        assert_eq!(cookie(&refusal), None);

        let next = cookie(&post(&world, "/refresh", &token).await).unwrap();
        let next = cookie(&post(&world, "/refresh", &next).await).unwrap();
        world.age_superseded(&next, std::time::Duration::from_secs(61)).await;
        let refusal = post(&world, "/refresh", &token).await;
        assert_eq!(refusal.problem(), (401, "reuse_detected".to_owned()));
        assert_eq!(cookie(&refusal).as_deref(), Some(""));
    });
}

#[test]
fn a_token_in_the_body_is_answered_in_the_body() {
    run(async {
        let world = deployed("cookie-and-body", &[]).await;
        let person = world.person().await;
        let (_, token) = sign_in(&world, &person).await;
        let mine: Tokens = world.api().authenticate(&person.name, &person.password).await.tokens();
        for path in ["/refresh", "/logout"] {
            let body = json!({"refresh_token": mine.refresh});
            let request = from(&world, OWN, path, &body);
            let request = request.header("cookie", format!("__Host-refresh={token}"));
            let answer = Answer::of(request).await;
            assert!(answer.status < 300, "{answer:?}");
            assert_eq!(answer.header("set-cookie"), "");
        }
        assert_eq!(post(&world, "/refresh", &token).await.status, 200);
        // Without a token anywhere it is a malformed request, as it is for every other client.
        for path in ["/refresh", "/logout"] {
            assert_eq!(world.api().post(path, json!({})).await.status, 400);
        }
    });
}
