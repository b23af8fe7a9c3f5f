//! Cookie mode: the refresh token of a browser application is only in a cookie, one per session.

use std::collections::BTreeMap;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{
    Answer, Tokens, World,
    items::ids,
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

/// The cookie of a token's session.
fn with(token: &str) -> String {
    format!("__Host-refresh-{}={token}", ids(token).session_id)
}

async fn post_with(world: &World, path: &str, cookies: &str) -> Answer {
    Answer::of(from(world, OWN, path, &json!({})).header("cookie", cookies)).await
}

async fn post(world: &World, path: &str, token: &str) -> Answer {
    post_with(world, path, &format!("theme=dark; {}", with(token))).await
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

/// The cookies that an answer sets, whose attributes must be right. Those that it deletes are empty.
fn cookies(answer: &Answer) -> Vec<(String, String)> {
    let values = answer.headers.get_all("set-cookie").iter();
    let values = values.map(|value| value.to_str().unwrap());
    values
        .map(|value| {
            let (pair, attributes) = value.split_once("; ").unwrap();
            let (attributes, max_age) = attributes.rsplit_once("; Max-Age=").unwrap();
            assert_eq!(attributes, "HttpOnly; Secure; SameSite=Strict; Path=/");
            let (name, token) = pair.split_once('=').unwrap();
            assert_eq!(max_age == "0", token.is_empty(), "{value}");
            (name.to_owned(), token.to_owned())
        })
        .collect()
}

/// The token in the one cookie that an answer sets.
fn cookie(answer: &Answer) -> Option<String> {
    let tokens = cookies(answer).into_iter().filter(|(_, token)| !token.is_empty());
    let tokens: Vec<_> = tokens.collect();
    assert!(tokens.len() <= 1, "{answer:?}");
    let (name, token) = tokens.into_iter().next()?;
    assert_eq!(format!("{name}={token}"), with(&token));
    Some(token)
}

/// The cookies that an answer deletes.
fn deleted(answer: &Answer) -> Vec<String> {
    let deleted = cookies(answer).into_iter().filter(|(_, token)| token.is_empty());
    deleted.map(|(name, _)| name).collect()
}

/// The name of the cookie of a token's session.
fn name(token: &str) -> String {
    format!("__Host-refresh-{}", ids(token).session_id)
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
        assert_eq!((answer.status, deleted(&answer)), (204, vec![name(&second)]));
        let refusal = post(&world, "/refresh", &second).await;
        assert_eq!(refusal.problem(), (401, "revoked".to_owned()));
        assert_eq!(deleted(&refusal), [name(&second)]);
        let refusal = Answer::of(from(&world, OWN, "/refresh", &json!({}))).await;
        assert_eq!(refusal.problem(), (401, "missing_refresh_token".to_owned()));
        assert_eq!(cookies(&refusal), [], "what is not there is not deleted");
        let forged = forged(&second);
        let refusal = post(&world, "/refresh", &forged).await;
        assert_eq!(refusal.problem(), (401, "malformed".to_owned()));
        assert_eq!(cookies(&refusal), [], "it is not ours to delete");
        for garbage in [with(&forged), "__Host-refresh=x".to_owned()] {
            let answer = post_with(&world, "/logout", &garbage).await;
            assert_eq!((answer.status, cookies(&answer)), (204, vec![]));
        }
    });
}

/// A token with another secret.
fn forged(token: &str) -> String {
    let (head, last) = token.split_at(token.len() - 1);
    format!("{head}{}", if last == "A" { "E" } else { "A" })
}

/// What a browser keeps, in the order in which responses arrive.
#[derive(Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn receive(&mut self, answer: &Answer) {
        for (name, token) in cookies(answer) {
            if token.is_empty() {
                self.0.remove(&name)
            } else {
                self.0.insert(name, token)
            };
        }
    }

    fn header(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }
}

#[test]
fn a_late_response_leaves_the_cookie_of_a_newer_sign_in_alone() {
    run(async {
        let world = deployed("cookie-late", &[]).await;
        let (person, other) = (world.person().await, world.person().await);
        let mut jar = Jar::default();
        jar.receive(&sign_in(&world, &person).await.0);
        let late_rotation = post_with(&world, "/refresh", &jar.header()).await;
        let first = cookie(&late_rotation).unwrap();
        let before_log_out = jar.header();
        // The same browser signs somebody else in.
        let request = from(&world, OWN, "/authenticate", &credentials(&other));
        let answer = Answer::of(request.header("cookie", jar.header())).await;
        jar.receive(&answer);
        let second = cookie(&answer).unwrap();
        assert_eq!(jar.header(), with(&second), "{answer:?}");
        let late_refusal = post_with(&world, "/refresh", &before_log_out).await;
        assert_eq!(late_refusal.problem(), (401, "revoked".to_owned()), "the first session ended");
        let late_log_out = post_with(&world, "/logout", &before_log_out).await;
        let lost = Answer::of(from(&world, OWN, "/refresh", &json!({}))).await;
        for late in [&lost, &late_refusal, &late_log_out, &late_rotation] {
            jar.receive(late);
            assert!(jar.header().contains(&with(&second)), "{late:?}");
        }
        assert_eq!(jar.0.len(), 2, "the late rotation brought a cookie back");
        let answer = post_with(&world, "/refresh", &jar.header()).await;
        jar.receive(&answer);
        let third = cookie(&answer).unwrap();
        assert_eq!(ids(&third).session_id, ids(&second).session_id);
        assert_eq!(jar.header(), with(&third));
        jar.receive(&late_rotation);
        let answer = post_with(&world, "/logout", &jar.header()).await;
        jar.receive(&answer);
        assert_eq!((answer.status, jar.header().as_str()), (204, ""));
        jar.receive(&late_rotation);
        assert_eq!(jar.header(), with(&first));
        let refusal = post_with(&world, "/refresh", &jar.header()).await;
        assert_eq!(refusal.problem(), (401, "revoked".to_owned()), "it stays ended");
    });
}

#[test]
fn two_live_sessions_in_one_browser_become_one() {
    run(async {
        let world = deployed("cookie-two", &[]).await;
        let person = world.person().await;
        // Two sign-ins at the same time: neither request has the cookie of the other.
        let (_, older) = sign_in(&world, &person).await;
        let (_, newer) = sign_in(&world, &person).await;
        let both = format!("{}; {}", with(&older), with(&newer));
        let answer = post_with(&world, "/refresh", &both).await;
        let token = cookie(&answer).unwrap();
        assert_eq!(ids(&token).session_id, ids(&newer).session_id);
        assert_eq!(deleted(&answer), [name(&older)]);
        assert_eq!(post(&world, "/refresh", &older).await.problem(), (401, "revoked".to_owned()));
        let both = format!("{}; {}", with(&older), with(&token));
        assert_eq!(post_with(&world, "/logout", &both).await.status, 204);
        assert_eq!(post(&world, "/refresh", &token).await.problem(), (401, "revoked".to_owned()));
    });
}

#[test]
fn a_cookie_by_the_former_name_is_renamed() {
    run(async {
        let world = deployed("cookie-former", &[]).await;
        let (_, token) = sign_in(&world, &world.person().await).await;
        let answer = post_with(&world, "/refresh", &format!("__Host-refresh={token}")).await;
        let next = cookie(&answer).unwrap();
        assert_eq!(deleted(&answer), ["__Host-refresh"]);
        let answer = post_with(&world, "/logout", &format!("__Host-refresh={next}")).await;
        assert_eq!((answer.status, deleted(&answer)), (204, vec!["__Host-refresh".to_owned()]));
    });
}

#[test]
fn cookies_of_other_applications_do_not_matter() {
    run(async {
        let world = deployed("cookie-foreign", &[]).await;
        let (_, token) = sign_in(&world, &world.person().await).await;
        // As the gateway sends it. The emulator refuses such a request over HTTP.
        let event = json!({
            "version": "2.0", "rawPath": "/refresh", "rawQueryString": "",
            "headers": {"origin": OWN, "x-ratchet": "1", "content-type": "application/json"},
            "cookies": ["name=J\u{fc}rgen", "a=\u{1}", "flag", "=", with(&token), "q=\"; \"", "a=2"],
            "requestContext": {"http": {"method": "POST", "sourceIp": "203.0.113.77"}},
            "body": "{}", "isBase64Encoded": false,
        });
        let response = world.invoke("refresh", &event).await;
        assert_eq!(response["statusCode"], 200, "{response}");
        let set = response["cookies"][0].as_str().unwrap();
        assert!(set.starts_with(&name(&token)), "{set}");
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
        let (_, text) = token.split_once('=').unwrap();
        assert_eq!(token, format!("refresh-{}={text}", ids(text).session_id));
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
        let cookie_header = with(&token);
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
            assert_eq!(cookies(&answer), []);
        }
        proxy.heal();
        // The access token is of another session.
        let other = world.person().await;
        let stranger = world.api().authenticate(&other.name, &other.password).await.tokens();
        let body = json!({"access_token": stranger.access});
        let request = from(&world, OWN, "/refresh", &body);
        let refusal = Answer::of(request.header("cookie", with(&token))).await;
        assert_eq!(refusal.problem(), (401, "access_token_mismatch".to_owned()));
        assert_eq!(cookies(&refusal), []);

        let next = cookie(&post(&world, "/refresh", &token).await).unwrap();
        let next = cookie(&post(&world, "/refresh", &next).await).unwrap();
        world.age_superseded(&next, std::time::Duration::from_secs(61)).await;
        let refusal = post(&world, "/refresh", &token).await;
        assert_eq!(refusal.problem(), (401, "reuse_detected".to_owned()));
        assert_eq!(deleted(&refusal), [name(&token)]);
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
            let answer = Answer::of(request.header("cookie", with(&token))).await;
            assert!(answer.status < 300, "{answer:?}");
            assert_eq!(answer.header("set-cookie"), "");
        }
        assert_eq!(post(&world, "/refresh", &token).await.status, 200);
        for absent in [json!({"refresh_token": null}), json!({"refresh_token": ""})] {
            let request = from(&world, OWN, "/refresh", &absent).header("cookie", with(&token));
            assert_eq!(Answer::of(request).await.status, 200, "{absent}");
        }
        // Without any token it is a malformed request, as for every other client.
        for path in ["/refresh", "/logout"] {
            assert_eq!(world.api().post(path, json!({})).await.status, 400);
        }
    });
}
