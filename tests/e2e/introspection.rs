//! `POST /oauth2/introspect`: what resource servers learn about tokens, and who learns nothing.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    client::{ClientName, Credential, LIFE},
    custom_claims::CustomClaims,
    encoding::{from_base64url, to_base64url},
    entropy::random,
    ids::ClientId,
    key_ring::KeyRing,
    secret::TokenSecret,
    time::UnixMillis,
};
use ratchet_store::Clients;
use serde_json::{Value, json};

use crate::{
    cli::NewClient,
    faults::{LASTING, faulty, unavailable},
    support::{
        Answer, Api, Tokens, World,
        api::visible,
        dpop::KeyClient,
        items::ids,
        logs::CANARY,
        people::now,
        proxy::{Fault, Proxy},
        ring::{altered, known, parts, signing_secret},
        run,
    },
};

const PATH: &str = "/oauth2/introspect";
const INACTIVE: &str = r#"{"active":false}"#;

/// A client introspects a token, with HTTP Basic.
async fn ask(api: Api, client: NewClient, token: String) -> Answer {
    let request = api.request("POST", PATH).form(&[("token", token)]);
    Answer::of(request.basic_auth(client.id, Some(client.secret))).await
}

impl World {
    async fn introspect(&self, client: &NewClient, token: &str) -> Answer {
        ask(self.api(), client.clone(), token.to_owned()).await
    }

    /// The body of a successful introspection.
    async fn introspected(&self, client: &NewClient, token: &str) -> String {
        let answer = self.introspect(client, token).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.body
    }

    async fn is_active(&self, client: &NewClient, token: &str) -> bool {
        let body = self.introspected(client, token).await;
        let said: Value = serde_json::from_str(&body).unwrap();
        let is_active = said["active"].as_bool().unwrap();
        // An inactive token has no other members.
        assert!(is_active || body == INACTIVE, "{body}");
        is_active
    }

    async fn are_active(&self, client: &NewClient, tokens: &Tokens) -> [bool; 2] {
        let access = self.is_active(client, &tokens.access).await;
        [access, self.is_active(client, &tokens.refresh).await]
    }
}

#[test]
fn a_live_access_token_is_described() {
    run(async {
        let world = World::shared().await;
        let client = world.client().await;
        let (person, tokens) = world.signed_in().await;
        let (_, claims) = parts(&tokens.access);
        let mut expected = claims.clone();
        let members = expected.as_object_mut().unwrap();
        let name = members.remove("name").unwrap();
        assert_eq!(name, person.name);
        members.insert("username".to_owned(), name);
        members.insert("active".to_owned(), true.into());
        members.insert("token_type".to_owned(), "Bearer".into());
        let body = world.introspected(&client, &tokens.access).await;
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    });
}

#[test]
fn a_live_refresh_token_is_described_as_no_token_for_resource_servers() {
    run(async {
        let world = World::shared().await;
        let client = world.client().await;
        let (person, tokens) = world.signed_in().await;
        let (_, claims) = parts(&tokens.access);
        let session = world.session(&tokens.refresh).await.unwrap();
        let expected = json!({
            "active": true,
            "token_type": "N_A",
            "sub": person.id.to_string(),
            "sid": ids(&tokens.refresh).session_id.to_string(),
            "iss": claims["iss"],
            "exp": session.expires_at.get(),
            "client_id": claims["client_id"],
            "username": person.name,
            "auth_time": claims["auth_time"],
        });
        let body = world.introspected(&client, &tokens.refresh).await;
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    });
}

#[test]
fn both_ways_to_authenticate_work_and_the_hint_is_ignored() {
    run(async {
        let world = World::shared().await;
        let NewClient { id, secret } = world.client().await;
        let (_, tokens) = world.signed_in().await;
        for hint in ["access_token", "refresh_token", "other", ""] {
            let form = [
                ("token", tokens.access.as_str()),
                ("token_type_hint", hint),
                ("client_id", &id),
                ("client_secret", &secret),
            ];
            let posted = Answer::of(world.api().request("POST", PATH).form(&form)).await;
            assert_eq!((posted.status, posted.json()["active"].clone()), (200, json!(true)));
        }
        // Libraries encode the characters that a form might have to (RFC 6749 §2.3.1).
        let encoded = [&id, &secret].map(|text| text.replace('-', "%2D").replace('_', "%5F"));
        let form = [("token", tokens.access.as_str()), ("client_id", &id)];
        let request = world.api().request("POST", PATH).form(&form);
        let answer = Answer::of(request.basic_auth(&encoded[0], Some(&encoded[1]))).await;
        assert_eq!((answer.status, answer.json()["active"].clone()), (200, json!(true)));
    });
}

#[test]
fn whatever_ends_a_session_makes_its_tokens_inactive_at_once() {
    run(async {
        let world = World::shared().await;
        let (api, client) = (world.api(), world.client().await);
        let boss = world.person_with(|new| new.user.roles = vec!["admin".to_owned()]).await;
        let boss = world.sign_in(&boss).await.access;
        let ways = [
            "log-out",
            "RFC 7009",
            "one by the user",
            "all by the user",
            "all by an administrator",
            "all by an operator",
            "password change",
            "disabled",
            "deleted by the user",
            "deleted by an administrator",
            "idle lifetime",
            "absolute lifetime",
            "cleaned up by TTL",
            "reuse",
            "a cut alone",
        ];
        for way in ways {
            let (person, tokens) = world.signed_in().await;
            let (_, other) = world.signed_in().await;
            assert_eq!(world.are_active(&client, &tokens).await, [true; 2], "{way}");
            let user = format!("/users/{}", person.id);
            let with = |method, path: &str, access: &str, body: &Value| {
                Answer::of(api.request(method, path).bearer_auth(access).json(body))
            };
            let seconds = now().seconds().get();
            let done = match way {
                "log-out" => api.logout(&tokens.refresh).await.status,
                "RFC 7009" => {
                    let form = [("token", &tokens.refresh)];
                    Answer::of(api.request("POST", "/oauth2/revoke").form(&form)).await.status
                }
                "one by the user" => {
                    let here = world.sign_in(&person).await.access;
                    let session = ids(&tokens.refresh).session_id;
                    api.delete(&format!("/users/me/sessions/{session}"), &here).await.status
                }
                "all by the user" => api.delete("/users/me/sessions", &tokens.access).await.status,
                "all by an administrator" => {
                    api.delete(&format!("{user}/sessions"), &boss).await.status
                }
                "all by an operator" => {
                    world.ratchet(&["sessions", "end", &person.name]).await.done();
                    204
                }
                "password change" => {
                    let new = format!("{CANARY} quite another one");
                    let body = json!({"current": person.password, "new": new});
                    with("POST", "/users/me/password", &tokens.access, &body).await.status
                }
                "disabled" => {
                    with("PATCH", &user, &boss, &json!({"status": "disabled"})).await.status
                }
                "deleted by the user" => {
                    let body = json!({"password": person.password});
                    with("DELETE", "/users/me", &tokens.access, &body).await.status
                }
                "deleted by an administrator" => api.delete(&user, &boss).await.status,
                "idle lifetime" => {
                    world.set_number(&tokens.refresh, "expires_at", seconds).await;
                    204
                }
                "absolute lifetime" => {
                    world.set_number(&tokens.refresh, "absolute_expires_at", seconds).await;
                    204
                }
                "cleaned up by TTL" => {
                    world.delete_item(&tokens.refresh).await;
                    204
                }
                "reuse" => {
                    let next = api.refresh(&tokens.refresh).await.tokens();
                    api.refresh(&next.refresh).await.tokens();
                    world.age_superseded(&tokens.refresh, Duration::from_secs(60)).await;
                    assert_eq!(api.refresh(&tokens.refresh).await.code(), "reuse_detected");
                    204
                }
                "a cut alone" => {
                    let cut = AttributeValue::N(now().get().to_string());
                    world.set_user(person.id, "sessions_valid_after", cut).await;
                    204
                }
                other => panic!("{other}"),
            };
            assert!([200, 204].contains(&done), "{way}: {done}");
            assert_eq!(world.are_active(&client, &tokens).await, [false; 2], "{way}");
            assert_eq!(world.are_active(&client, &other).await, [true; 2], "{way}");
        }
    });
}

#[test]
fn a_superseded_refresh_token_is_active_within_the_retry_window_and_introspecting_it_ends_nothing()
{
    run(async {
        let world = World::shared().await;
        let (api, client) = (world.api(), world.client().await);
        let (_, first) = world.signed_in().await;
        let second = api.refresh(&first.refresh).await.tokens();
        assert!(world.is_active(&client, &first.refresh).await, "it leads to the live one");
        assert!(world.is_active(&client, &second.refresh).await);
        world.age_superseded(&first.refresh, Duration::from_secs(60)).await;
        assert!(!world.is_active(&client, &first.refresh).await, "late");
        let third = api.refresh(&second.refresh).await.tokens();
        let before = world.item(&third.refresh).await;
        for _ in 0..5 {
            assert!(!world.is_active(&client, &first.refresh).await, "old");
            assert!(world.is_active(&client, &second.refresh).await);
            assert!(world.is_active(&client, &third.refresh).await);
            assert!(world.are_active(&client, &second).await[0], "access tokens stay");
        }
        assert_eq!(world.item(&third.refresh).await, before, "nothing is changed or counted");
        assert_eq!(api.refresh(&third.refresh).await.status, 200);
    });
}

#[test]
fn introspections_beside_refreshes_see_the_session_live_and_disturb_nothing() {
    run(async {
        let world = World::shared().await;
        let client = world.client().await;
        let (_, mut tokens) = world.signed_in().await;
        for generation in 1..=3 {
            let both = [tokens.access.clone(), tokens.refresh.clone()];
            let all = both.iter().cycle().take(16).cloned();
            let asked = all.map(|token| tokio::spawn(ask(world.api(), client.clone(), token)));
            let asked: Vec<_> = asked.collect();
            let next = world.api().refresh(&tokens.refresh).await.tokens();
            for asked in asked {
                let said = asked.await.unwrap().json();
                assert_eq!(said["active"], true, "generation {generation}");
            }
            tokens = next;
        }
        let session = world.session(&tokens.refresh).await.unwrap();
        assert_eq!((session.generation, session.revoked), (3, None));
    });
}

#[test]
fn roles_that_the_user_has_lost_are_not_told_and_new_ones_neither() {
    run(async {
        let world = World::shared().await;
        let client = world.client().await;
        let roles = |roles: &[&str]| {
            let roles = roles.iter().map(|role| AttributeValue::S((*role).to_owned()));
            AttributeValue::L(roles.collect())
        };
        let person = world
            .person_with(|new| new.user.roles = vec!["reader".to_owned(), "editor".to_owned()])
            .await;
        let tokens = world.sign_in(&person).await;
        world.set_user(person.id, "roles", roles(&["editor", "admin"])).await;
        let body = world.introspected(&client, &tokens.access).await;
        let said: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(said["roles"], json!(["editor"]));
    });
}

#[test]
fn custom_claims_are_those_that_the_user_has_now() {
    run(async {
        let world = World::shared().await;
        let client = world.client().await;
        let claims = CustomClaims::within(r#"{"plan": "pro", "beta": true}"#).unwrap();
        let person = world.person_with(|new| new.user.claims = claims).await;
        let tokens = world.sign_in(&person).await;
        let said = async |token| -> Value {
            serde_json::from_str(&world.introspected(&client, token).await).unwrap()
        };
        assert_eq!(said(&tokens.access).await["beta"], true);
        let claims = AttributeValue::S(r#"{"plan": "free", "active": false}"#.to_owned());
        world.set_user(person.id, "claims", claims).await;
        let now = said(&tokens.access).await;
        assert_eq!((&now["active"], &now["plan"]), (&json!(true), &json!("free")));
        assert!(now["beta"].is_null(), "{now}");
        let now = said(&tokens.refresh).await;
        assert!(now["active"] == true && now["plan"].is_null(), "not of a refresh token: {now}");
    });
}

#[test]
fn tokens_that_are_bound_to_a_key_name_it() {
    run(async {
        let world = World::shared().await;
        let client = world.client().await;
        let (owner, person) = (KeyClient::new(world).await, world.person().await);
        let first = owner.sign_in(&person).await;
        let tokens = owner.refresh(&first.refresh).await.tokens();
        let jkt = world.session(&tokens.refresh).await.unwrap().jkt.unwrap().to_string();
        for (token, kind) in [(&tokens.access, "DPoP"), (&tokens.refresh, "N_A")] {
            let body = world.introspected(&client, token).await;
            let said: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((&said["active"], &said["token_type"]), (&json!(true), &json!(kind)));
            assert_eq!(said["cnf"], json!({"jkt": jkt}));
        }
        assert!(world.is_active(&client, &first.refresh).await, "within the retry window");
        world.age_superseded(&tokens.refresh, Duration::from_secs(60)).await;
        assert!(!world.is_active(&client, &first.refresh).await, "its owner could still use it");
        assert_eq!(owner.refresh(&first.refresh).await.status, 200);
        let body = json!({"refresh_token": tokens.refresh});
        assert_eq!(owner.post("/logout", &body).await.status, 204);
        assert_eq!(world.are_active(&client, &tokens).await, [false; 2]);
    });
}

/// A world with known keys, whose calls are counted.
struct Target {
    world: World,
    dynamodb: Proxy,
    ring: String,
    client: NewClient,
}

async fn target(name: &str) -> Target {
    let shared = World::shared().await;
    let ring = shared.secret(&format!("{name}-ring"), &known(&[]).to_string()).await;
    let (world, dynamodb) = World::behind_proxy(name, &[("RATCHET_KEY_RING_SECRET", &ring)]).await;
    let client = world.client_of(&ring).await;
    Target { world, dynamodb, ring, client }
}

#[test]
fn strangers_get_one_answer_whatever_the_token_without_a_call_to_dynamodb() {
    run(async {
        let target = target("introspect-strangers").await;
        let (world, api) = (&target.world, target.world.api());
        let (_, tokens) = world.signed_in().await;
        let other = world.client_of(&target.ring).await;
        let foreign = World::shared().await.client().await;
        let NewClient { id, secret } = &target.client;
        let body = secret.strip_prefix("rs1_").unwrap();
        let bytes = from_base64url(body).unwrap();
        let mut strangers: Vec<(String, String, String)> = [
            ("another client's secret", id, &other.secret),
            ("another client's id", &other.id, secret),
            ("another ring's", &foreign.id, &foreign.secret),
            ("unknown id", &ClientId::from_bytes([9; 16]).to_string(), secret),
            ("no id", &String::new(), secret),
            ("no secret", id, &String::new()),
            ("garbage", &"x".to_owned(), &"y".to_owned()),
            ("id in upper case", &id.to_uppercase(), secret),
            ("truncated", id, &secret[..secret.len() - 1].to_owned()),
            ("of another version", id, &format!("rs2_{body}")),
            ("a refresh token", id, &tokens.refresh),
            ("an access token", id, &tokens.access),
            ("a huge one", id, &"A".repeat(4_000)),
        ]
        .map(|(name, id, secret)| (name.to_owned(), id.clone(), secret.clone()))
        .into();
        for bit in (0..bytes.len() * 8).step_by(5) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let secret = format!("rs1_{}", to_base64url(&flipped));
            strangers.push((format!("bit {bit}"), id.clone(), secret));
        }
        let calls = target.dynamodb.calls("*");
        let mut class = None;
        let mut is_refused = |name: &str, refusal: &Answer| {
            assert_eq!(refusal.status, 401, "{name}: {refusal:?}");
            assert_eq!(refusal.json()["error"], "invalid_client", "{name}");
            assert_eq!(refusal.header("www-authenticate"), r#"Basic realm="ratchet""#, "{name}");
            assert_eq!(refusal.header("cache-control"), "no-store", "{name}");
            let seen = visible(refusal);
            assert_eq!(&seen, class.get_or_insert_with(|| seen.clone()), "{name}");
        };
        let request = |token: &str| api.request("POST", PATH).form(&[("token", token)]);
        for (name, id, secret) in &strangers {
            for token in [tokens.access.as_str(), "x"] {
                let basic = Answer::of(request(token).basic_auth(id, Some(secret))).await;
                is_refused(name, &basic);
            }
            let form = [("token", &tokens.refresh), ("client_id", id), ("client_secret", secret)];
            is_refused(name, &Answer::of(api.request("POST", PATH).form(&form)).await);
        }
        for token in [&tokens.access, &tokens.refresh, "x"] {
            is_refused("nobody", &Answer::of(request(token)).await);
            is_refused("a user", &Answer::of(request(token).bearer_auth(&tokens.access)).await);
            for value in ["Basic", "Basic !", "Basic eA==", "Digest x"] {
                let refusal = Answer::of(request(token).header("authorization", value)).await;
                is_refused(value, &refusal);
            }
        }
        assert_eq!(target.dynamodb.calls("*"), calls, "strangers are free");
        assert!(world.is_active(&target.client, &tokens.access).await);
        let counted = world.metric_lines("refresh");
        assert!(counted.iter().any(|line| line["code"] == "invalid_client"), "{counted:?}");
    });
}

#[test]
fn a_revoked_client_is_refused_at_once_after_one_read() {
    run(async {
        let target = target("introspect-revoked").await;
        let world = &target.world;
        let (_, tokens) = world.signed_in().await;
        let (revoked, kept) = (&target.client, world.client_of(&target.ring).await);
        assert!(world.is_active(revoked, &tokens.access).await);
        world.ratchet(&["clients", "revoke", &revoked.id]).await.done();
        let calls = target.dynamodb.calls("*");
        let refusal = world.introspect(revoked, &tokens.access).await;
        assert_eq!(refusal.status, 401, "{refusal:?}");
        let stranger = NewClient { id: revoked.id.clone(), secret: "x".to_owned() };
        assert_eq!(visible(&refusal), visible(&world.introspect(&stranger, "x").await));
        assert_eq!(target.dynamodb.calls("*"), calls + 1);
        assert!(world.is_active(&kept, &tokens.access).await);
    });
}

#[test]
fn a_credential_that_has_expired_is_refused() {
    run(async {
        let target = target("introspect-expired").await;
        let (world, begun) = (&target.world, now());
        let ring = KeyRing::parse(&known(&[]).to_string(), begun.seconds()).unwrap();
        let (_, tokens) = world.signed_in().await;
        let table = world.stack().data().users_table.as_str();
        let clients = Clients::new(world.stack().dynamodb(), table);
        let made_at = async |made_at: UnixMillis| {
            let id = ClientId::generate(made_at, &random().unwrap());
            let credential = Credential::new(id, TokenSecret::new(random().unwrap()));
            clients.create(&credential.client(ClientName::parse("old").unwrap())).await.unwrap();
            let secret = credential.encode(ring.tagger(begun.seconds()).unwrap());
            NewClient { id: id.to_string(), secret: secret.expose().to_owned() }
        };
        let old = made_at(begun.minus(LIFE)).await;
        assert_eq!(world.introspect(&old, &tokens.access).await.status, 401);
        let ending = made_at(begun.minus(LIFE).plus(Duration::from_secs(600))).await;
        assert!(world.is_active(&ending, &tokens.access).await);
    });
}

#[test]
fn what_is_no_live_token_costs_its_client_one_read_and_is_not_told_about() {
    run(async {
        let target = target("introspect-forged").await;
        let (world, client) = (&target.world, &target.client);
        let (_, tokens) = world.signed_in().await;
        let seconds = now().seconds().get();
        let with = |header: Value, claims: Value| {
            altered(&tokens.access, &header, &claims, &signing_secret())
        };
        let none = || json!({});
        let (refresh, access) = (&tokens.refresh, &tokens.access);
        let forged = [
            ("garbage", "x".to_owned()),
            ("of three parts", "a.b.c".to_owned()),
            ("a refresh token cut short", refresh[..refresh.len() - 1].to_owned()),
            ("a refresh token with another end", format!("{}A", &refresh[..refresh.len() - 1])),
            ("an access token after a space", format!(" {access}")),
            ("its signature cut off", access.rsplit_once('.').unwrap().0.to_owned()),
            ("unsigned", with(json!({"alg": "none"}), none())),
            ("of an unknown key", with(json!({"kid": "unknown"}), none())),
            ("of another type", with(json!({"typ": "JWT"}), none())),
            ("of another issuer", with(none(), json!({"iss": "https://other.example"}))),
            ("for another audience", with(none(), json!({"aud": "other"}))),
            ("of tomorrow", with(none(), json!({"iat": seconds + 86_400}))),
            ("expired", with(none(), json!({"exp": seconds, "iat": seconds - 300}))),
            ("older than tokens live", with(none(), json!({"iat": seconds - 300}))),
            ("of another ring", World::shared().await.signed_in().await.1.access),
            ("the client's own secret", client.secret.clone()),
            ("a huge one", "A".repeat(12_000)),
        ];
        let calls = target.dynamodb.calls("*");
        for (position, (name, token)) in forged.iter().enumerate() {
            assert_eq!(world.introspected(client, token).await, INACTIVE, "{name}");
            assert_eq!(target.dynamodb.calls("*"), calls + position + 1, "{name}");
        }
        assert_eq!(world.are_active(client, &tokens).await, [true; 2]);
        assert_eq!(target.dynamodb.calls("*") - calls, forged.len() + 6, "three reads each");
        // Genuine, but of a session of another user.
        let (_, other) = world.signed_in().await;
        let (_, claims) = parts(&other.access);
        let swapped = with(none(), json!({"sid": claims["sid"]}));
        assert_eq!(world.introspected(client, &swapped).await, INACTIVE);
    });
}

#[test]
fn a_malformed_request_is_refused_and_a_token_is_read_from_the_body_only() {
    run(async {
        let target = target("introspect-malformed").await;
        let (world, api) = (&target.world, target.world.api());
        let NewClient { id, secret } = &target.client;
        let (_, tokens) = world.signed_in().await;
        let calls = target.dynamodb.calls("*");
        let token = ("token", tokens.access.as_str());
        let own = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
        let basic = |form: &[(&str, &str)]| {
            api.request("POST", PATH).form(form).basic_auth(id, Some(secret))
        };
        for (name, request) in [
            ("both at once", basic(&[token, own[0], own[1]])),
            ("a secret beside the header", basic(&[token, own[1]])),
            ("another id beside the header", basic(&[token, ("client_id", "other")])),
            ("a bearer token and the body", {
                let form = [token, own[0], own[1]];
                api.request("POST", PATH).form(&form).bearer_auth(&tokens.access)
            }),
            ("no token", basic(&[])),
            ("an empty token", basic(&[("token", "")])),
            ("two tokens", basic(&[token, token])),
            ("two ids", api.request("POST", PATH).form(&[token, own[0], own[0], own[1]])),
            ("a token in the query", {
                let path = format!("{PATH}?token={}", tokens.access);
                api.request("POST", &path).form(&[("x", "y")]).basic_auth(id, Some(secret))
            }),
        ] {
            let refusal = Answer::of(request).await;
            assert_eq!(refusal.status, 400, "{name}: {refusal:?}");
            assert_eq!(refusal.json()["error"], "invalid_request", "{name}");
            assert_eq!(refusal.header("cache-control"), "no-store", "{name}");
        }
        let in_query = format!("{PATH}?token={}&client_id={id}&client_secret={secret}", token.1);
        let form = [token];
        let refusal = Answer::of(api.request("POST", &in_query).form(&form)).await;
        assert_eq!(refusal.status, 401, "credentials are not read from the query");
        let get = api.request("GET", &in_query).basic_auth(id, Some(secret));
        assert_eq!(Answer::of(get).await.problem(), (405, "method_not_allowed".to_owned()));
        let json = api.request("POST", PATH).json(&json!({"token": token.1}));
        let refusal = Answer::of(json.basic_auth(id, Some(secret))).await;
        assert_eq!(refusal.problem(), (415, "unsupported_media_type".to_owned()));
        let huge = basic(&[("token", &"a".repeat(1_000_000))]);
        assert_eq!(Answer::of(huge).await.problem(), (413, "payload_too_large".to_owned()));
        assert_eq!(target.dynamodb.calls("*"), calls);
    });
}

#[test]
fn a_fault_is_never_an_inactive_token() {
    run(async {
        let faulty = faulty("faults-introspect").await;
        let world = &faulty.world;
        let client = world.client().await;
        let (person, tokens) = world.signed_in().await;
        for fault in LASTING {
            let request = world.introspect(&client, &tokens.access);
            unavailable(&faulty, "GetItem", fault, request).await;
        }
        // The client is read, and then neither session nor user.
        for token in [&tokens.access, &tokens.refresh] {
            let calls = faulty.dynamodb.calls("GetItem");
            let delay = Fault::Delay(Duration::from_millis(300));
            faulty.dynamodb.break_next("GetItem", 1, delay);
            let asked = tokio::spawn(ask(world.api(), client.clone(), token.clone()));
            faulty.dynamodb.arrived("GetItem", calls, &asked).await;
            faulty.dynamodb.break_all("GetItem", Fault::DENIED);
            assert_eq!(asked.await.unwrap().problem(), (503, "unavailable".to_owned()));
            faulty.dynamodb.heal();
            assert!(faulty.dynamodb.calls("GetItem") > calls + 1);
        }
        assert_eq!(world.are_active(&client, &tokens).await, [true; 2]);
        let dormant = AttributeValue::S("dormant".to_owned());
        world.set_user(person.id, "status", dormant).await;
        for token in [&tokens.access, &tokens.refresh] {
            let answer = world.introspect(&client, token).await;
            assert_eq!(answer.problem(), (500, "internal".to_owned()));
        }
    });
}
