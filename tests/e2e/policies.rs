//! Least privilege. Every test shows that no function lacks a permission, because a proxy refuses
//! calls that a role does not allow (`support::recorder`). This test calls every route once, to
//! show that no function has a permission that it does not need.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use local::{
    stack::StackOptions,
    template::{Function, Grant, Template},
};
use ratchet_core::{
    email::EmailAddress,
    entropy::random,
    jws::SignatureAlgorithm,
    letter::{Letter, Notice},
    password::PhcHash,
};
use ratchet_store::Outbox;
use serde_json::{Value, json};

use crate::{
    publisher::tables_with_streams,
    support::{
        Answer, Api, World,
        dpop::KeyClient,
        factor::{Authenticator, challenge, recovery_codes},
        items::ids,
        logs::CANARY,
        mail::{Newcomer, code, token},
        passkey::Ceremony,
        people::now,
        recorder::Tally,
        ring::of_algorithm,
        run,
        world::{EVENT_BUS, cheap},
    },
};

#[test]
fn every_function_uses_all_that_its_role_allows() {
    run(async {
        let tally = Tally::default();
        // The tables, and so their stream, are this test's own.
        let shared = World::shared().await;
        let services = Arc::clone(shared.stack().services());
        let bus = BTreeMap::from([("RATCHET_EVENT_BUS".to_owned(), EVENT_BUS.to_owned())]);
        let options = StackOptions {
            name: "policies".to_owned(),
            concurrency: 1,
            data: Some(tables_with_streams(&services).await),
            services: Some(services),
            own_environment: BTreeMap::from([("publisher".to_owned(), bus)]),
            conditions: vec!["HasEventBus"],
            ..StackOptions::default()
        };
        let (ring, _) = of_algorithm(SignatureAlgorithm::Es256);
        let secret = shared.secret("policies", &ring.to_string()).await;
        let options = options
            .with("RATCHET_KEY_RING_SECRET", &secret)
            .with("RATCHET_REVOCATIONS", "enabled")
            .with("RATCHET_MAX_SESSIONS", 2);
        let world = World::recorded(cheap(options), tally.clone()).await;
        sessions(&world).await;
        introspection(&world, &secret).await;
        evictions(&world, &secret, &tally).await;
        accounts(&world).await;
        by_email(&world).await;
        passkeys(&world).await;
        left_over(&world).await;
        required(&world, &secret, &tally).await;
        administration(&world).await;
        keys(&world, &secret).await;

        let template = world.stack().services().preparation().template();
        let mut wrong = Vec::new();
        for (name, function) in &template.functions {
            wrong.extend(not_asked(&world, name, function));
            let mut needed = tally.used(name);
            needed.extend(used_by_lambda(name, template));
            let granted = &function.grants;
            wrong.extend(
                granted.difference(&needed).map(|grant| format!("{name} never uses {grant:?}")),
            );
            wrong.extend(needed.difference(granted).map(|grant| format!("{name} lacks {grant:?}")));
            let wide = granted.iter().filter(|grant| {
                // X-Ray has no resources that a permission could be for.
                let any = grant.resource == "*" && !grant.action.starts_with("xray:");
                any || grant.action.contains('*')
            });
            wrong.extend(wide.map(|grant| format!("{name} may too much: {grant:?}")));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Calls that Lambda itself makes with a function's role, which the proxies do not see. It writes
/// the log and the trace. If a table's stream invokes the function, it also reads the stream and
/// stores records that are given up.
fn used_by_lambda(name: &str, template: &Template) -> BTreeSet<Grant> {
    let log_group: String = name.split('_').map(capitalised).chain(["LogGroup".into()]).collect();
    let mut needed = vec![
        ("logs:CreateLogStream".to_owned(), log_group.clone()),
        ("logs:PutLogEvents".to_owned(), log_group),
        ("xray:PutTelemetryRecords".to_owned(), "*".to_owned()),
        ("xray:PutTraceSegments".to_owned(), "*".to_owned()),
    ];
    for source in template.event_sources.iter().filter(|source| source.function == name) {
        let operations = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];
        needed.extend(operations.map(|operation| {
            (format!("dynamodb:{operation}"), format!("{}/stream/*", source.table))
        }));
        let queue = if name == "mailer" { "UnsentLettersQueue" } else { "UnpublishedEventsQueue" };
        needed.push(("sqs:SendMessage".to_owned(), queue.to_owned()));
    }
    needed
        .into_iter()
        .map(|(action, resource)| Grant { action, resource, condition: None })
        .collect()
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// The routes of a function that have no line in the log.
fn not_asked(world: &World, name: &str, function: &Function) -> Vec<String> {
    let text = world.log_text();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let asked: BTreeSet<(String, String)> = lines
        .filter_map(|line| {
            Some((line["method"].as_str()?.to_owned(), line["route"].as_str()?.to_owned()))
        })
        .collect();
    let is_asked = |path: &str| match path.split_once(' ') {
        Some((method, path)) => asked.contains(&(method.to_owned(), path.to_owned())),
        // Another function has the same path for one method.
        None if path == "/users" => asked.contains(&("GET".to_owned(), path.to_owned())),
        None => asked.iter().any(|(_, route)| route == path),
    };
    let left_out = function.paths.iter().filter(|path| !is_asked(path));
    left_out.map(|path| format!("ask {name} for {path} in this test")).collect()
}

async fn ask(api: &Api, method: &str, path: &str, access: &str, body: Value, status: u16) {
    let request = api.request(method, path).bearer_auth(access);
    let request = if body.is_null() { request } else { request.json(&body) };
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
}

async fn sessions(world: &World) {
    let api = world.api();
    let person = world.person().await;
    let wrong = format!("{CANARY} is not it");
    assert_eq!(api.authenticate(&person.name, &wrong).await.code(), "invalid_credentials");
    // By Python's bcrypt package. It is replaced at the first sign-in.
    let imported = "$2b$04$t2hZJO738UQX3yVB7hn77e29pPTQYLs6R..6GBEbAFN/t/yBM1KSi";
    let bob = world.person_with(|new| new.password_hash = PhcHash::import(imported).unwrap()).await;
    let password = "correct horse battery staple";
    assert_eq!(api.authenticate(&bob.name, password).await.status, 200);

    // A proof that does not count makes a refresh read the session.
    let client = KeyClient::new(world).await;
    let tokens = client.sign_in(&person).await;
    let request = api.request("POST", "/refresh").header("dpop", "garbage");
    let refused = Answer::of(request.json(&json!({"refresh_token": tokens.refresh}))).await;
    assert_eq!(refused.code(), "invalid_dpop_proof");

    let mut all = Vec::new();
    // One more than a user may have.
    for _ in 0..3 {
        all.push(world.sign_in(&person).await);
    }
    let [_, second, third] = all.try_into().unwrap();
    let second = api.refresh(&second.refresh).await.tokens();
    assert_eq!(Answer::of(api.request("GET", "/health")).await.status, 200);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &second.refresh)];
    let answer = Answer::of(api.request("POST", "/oauth2/token").form(&form)).await;
    let form = [("token", answer.tokens().refresh)];
    assert_eq!(Answer::of(api.request("POST", "/oauth2/revoke").form(&form)).await.status, 200);
    assert_eq!(api.logout(&third.refresh).await.status, 204);

    let (other, fourth) = (world.sign_in(&person).await, world.sign_in(&person).await);
    let access = &fourth.access;
    assert_eq!(api.get("/users", access).await.status, 200);
    assert_eq!(api.get("/users/me/sessions", access).await.status, 200);
    let path = format!("/users/me/sessions/{}", ids(&other.refresh).session_id);
    assert_eq!(api.delete(&path, access).await.status, 204);
    assert_eq!(api.delete("/users/me/sessions", access).await.status, 204);
}

async fn introspection(world: &World, secret: &str) {
    let client = world.client_of(secret).await;
    let (_, tokens) = world.signed_in().await;
    let request = world.api().request("POST", "/oauth2/introspect");
    let request = request.form(&[("token", &tokens.access)]);
    let answer = Answer::of(request.basic_auth(&client.id, Some(&client.secret))).await;
    assert_eq!(answer.json()["active"], true, "{answer:?}");
}

/// If ends are not published, sessions that make room are deleted.
async fn evictions(world: &World, secret: &str, tally: &Tally) {
    let options = StackOptions {
        concurrency: 1,
        ..StackOptions::beside(world.stack(), "policies-without-revocations")
    };
    let options = options.with("RATCHET_KEY_RING_SECRET", secret).with("RATCHET_MAX_SESSIONS", 1);
    let silent = World::recorded(cheap(options), tally.clone()).await;
    let person = silent.person().await;
    silent.sign_in(&person).await;
    silent.sign_in(&person).await;
    let mut keeper = silent.keeper().await;
    assert_eq!(silent.sign_in_with(&mut keeper.passkey).await.status, 200);
}

/// A user who needs a second factor sets it up to sign in.
async fn required(world: &World, secret: &str, tally: &Tally) {
    let options =
        StackOptions { concurrency: 1, ..StackOptions::beside(world.stack(), "policies-required") };
    let options =
        options.with("RATCHET_KEY_RING_SECRET", secret).with("RATCHET_SECOND_FACTOR", "required");
    let required = World::recorded(cheap(options), tally.clone()).await;
    let person = required.person().await;
    let challenge = challenge(&required.try_sign_in(&person).await);
    let api = required.api();
    let begun = api.post("/authenticate/second-factor/totp", json!({"challenge": challenge})).await;
    let app = Authenticator::new(begun.json()["secret"].as_str().unwrap());
    assert_eq!(required.complete(&challenge, &app.code()).await.status, 200);
    // The same route in the log of this world.
    let asked =
        world.api().post("/authenticate/second-factor/totp", json!({"challenge": "x"})).await;
    assert_eq!(asked.code(), "invalid_challenge");
}

async fn accounts(world: &World) {
    let api = world.api();
    let ada = Newcomer::new();
    assert_eq!(world.register(&ada).await.status, 202);
    world.mail(&ada.email, 1).await;
    let namesake = Newcomer { name: ada.name.clone(), ..Newcomer::new() };
    assert_eq!(world.register(&namesake).await.status, 202);
    // A letter with two messages, the newest registration's first.
    let stranger = Newcomer { email: ada.email.clone(), ..Newcomer::new() };
    assert_eq!(world.register(&stranger).await.status, 202);
    world.mail(&ada.email, 2).await;
    let asked = json!({"email": ada.email});
    assert_eq!(api.post("/users/confirm-email/resend", asked.clone()).await.status, 202);
    let body = json!({"token": token(&world.mail(&ada.email, 4).await)});
    assert_eq!(api.post("/users/confirm-email", body).await.status, 204);

    assert_eq!(api.post("/users/password-reset", asked).await.status, 202);
    let password = format!("{CANARY} is the password after");
    let body = json!({"token": token(&world.mail(&ada.email, 5).await), "password": password});
    assert_eq!(api.post("/users/password-reset/confirm", body).await.status, 204);

    let access = &api.authenticate(&ada.name, &password).await.tokens().access;
    assert_eq!(api.authenticate(&ada.email, &password).await.status, 200);
    assert_eq!(api.get("/users/me", access).await.status, 200);
    let moved = format!("moved-{}", ada.email);
    let body = json!({"email": moved, "password": password});
    ask(&api, "PATCH", "/users/me", access, body, 202).await;
    let body = json!({"token": token(&world.mail(&moved, 1).await)});
    assert_eq!(api.post("/users/confirm-email", body).await.status, 204);
    second_factor(world, &ada, &password, access).await;
    let new = format!("{CANARY} is the last password");
    let body = json!({"current": password, "new": new, "keep_this_session": true});
    ask(&api, "POST", "/users/me/password", access, body, 204).await;
    ask(&api, "DELETE", "/users/me", access, json!({"password": new}), 204).await;
}

async fn passkeys(world: &World) {
    let (api, mut keeper) = (world.api(), world.keeper().await);
    let access = &keeper.tokens.access.clone();
    let path = format!("/users/me/passkeys/{}", keeper.id);
    assert_eq!(api.get("/users/me/passkeys", access).await.status, 200);
    ask(&api, "PATCH", &path, access, json!({"name": "Phone"}), 200).await;
    let options = "/users/me/step-up/passkey/options";
    let begun = Ceremony::of(&Answer::of(api.request("POST", options).bearer_auth(access)).await);
    let body = begun.sign_in(&mut keeper.passkey);
    ask(&api, "POST", "/users/me/step-up/passkey", access, body, 200).await;
    // More sessions than a user may have.
    for _ in 0..3 {
        assert_eq!(world.sign_in_with(&mut keeper.passkey).await.status, 200);
    }
    let access = world.sign_in_with(&mut keeper.passkey).await.tokens().access;
    // The same answer again makes it look for the session.
    let body = world.begin_passkey_sign_in().await.sign_in(&mut keeper.passkey);
    for status in [200, 401] {
        let answer = api.post("/passkeys/authenticate", body.clone()).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    // In place of a code.
    let person = &keeper.person;
    let app = world.begin_totp(person, &access).await;
    let body = json!({"code": app.code()});
    ask(&api, "POST", "/users/me/totp/confirm", &access, body, 200).await;
    let challenge = world.challenge(person).await;
    let options = api.post("/passkeys/options", json!({"challenge": challenge})).await;
    let mut body = Ceremony::of(&options).sign_in(&mut keeper.passkey);
    body["challenge"] = json!(challenge);
    let answer = api.post("/passkeys/authenticate", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let password = json!({"password": person.password});
    ask(&api, "DELETE", &path, &access, password, 204).await;
}

async fn by_email(world: &World) {
    let (api, person) = (world.api(), world.person().await);
    let email = format!("{}@example.com", person.name).to_lowercase();
    assert_eq!(api.post("/authenticate/email", json!({"email": email})).await.status, 202);
    let body = json!({"email": email, "code": code(&world.mail(&email, 1).await)});
    assert_eq!(api.post("/authenticate/email/confirm", body).await.status, 200);
}

/// A second factor within a session, and what a deployment that requires one asks.
async fn second_factor(world: &World, ada: &Newcomer, password: &str, access: &str) {
    let api = world.api();
    let begun = world.ask("POST", "/users/me/totp", access, json!({"password": password})).await;
    let app = Authenticator::new(begun.json()["secret"].as_str().unwrap());
    let body = json!({"code": app.code()});
    let recovery = recovery_codes(&world.ask("POST", "/users/me/totp/confirm", access, body).await);
    // One more session would end the oldest.
    let challenge = challenge(&api.authenticate(&ada.name, password).await);
    assert_eq!(world.recover(&challenge, &recovery[0]).await.status, 200);
    let body = json!({"password": password, "recovery_code": recovery[1]});
    let path = "/users/me/totp/recovery-codes";
    let recovery = recovery_codes(&world.ask("POST", path, access, body).await);
    ask(&api, "POST", "/users/me/step-up", access, json!({"recovery_code": recovery[1]}), 200)
        .await;
    let body = json!({"password": password, "recovery_code": recovery[0]});
    ask(&api, "DELETE", "/users/me/totp", access, body, 204).await;
}

/// Sessions that a change left are revoked by the mailer.
async fn left_over(world: &World) {
    let (person, tokens) = world.signed_in().await;
    world.delete_user(person.id).await;
    let email = EmailAddress::parse(&Newcomer::new().email).unwrap();
    let notice = Notice::Deleted { user_id: person.id, email: email.clone(), name: None };
    let letter = Letter::new(notice, now(), &random().unwrap());
    let table = world.stack().data().users_table.as_str();
    Outbox::new(world.stack().dynamodb(), table).post(&letter).await.unwrap();
    world.mail(email.as_str(), 1).await;
    assert!(world.session(&tokens.refresh).await.unwrap().revoked.is_some());
}

async fn administration(world: &World) {
    let api = world.api();
    let root = world.person_with(|new| new.user.roles = vec!["admin".to_owned()]).await;
    let access = &world.sign_in(&root).await.access;
    let (person, _) = world.signed_in().await;
    let path = format!("/users/{}", person.id);
    for path in ["/users", &path] {
        assert_eq!(api.get(path, access).await.status, 200, "{path}");
    }
    let all = format!("{path}/sessions");
    assert_eq!(api.delete(&all, access).await.status, 204);
    for status in ["disabled", "active"] {
        ask(&api, "PATCH", &path, access, json!({"status": status}), 200).await;
    }
    assert_eq!(api.delete(&path, access).await.status, 204);
}

async fn keys(world: &World, secret: &str) {
    let api = world.api();
    let (_, tokens) = world.signed_in().await;
    let published = [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/revocations",
    ];
    for path in published {
        assert_eq!(Answer::of(api.request("GET", path)).await.status, 200, "{path}");
    }
    let event = json!({"identitySource": [format!("Bearer {}", tokens.access)]});
    assert_eq!(world.invoke("authorizer", &event).await["isAuthorized"], true);
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        let token = "01920000-0000-7000-8000-000000000000";
        let event = json!({"Step": step, "SecretId": secret, "ClientRequestToken": token});
        assert_eq!(world.invoke("rotate_keys", &event).await, Value::Null, "{step}");
    }
}
