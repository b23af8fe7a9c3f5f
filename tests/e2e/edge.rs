//! Behaviour of every route: events, methods, types, headers, CORS.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{Answer, World, run};

#[test]
fn other_methods_are_405_with_the_ones_that_are_not() {
    run(async {
        let world = World::shared().await;
        let api = world.api();
        for (path, allowed) in [
            ("/authenticate", "POST"),
            ("/refresh", "POST"),
            ("/logout", "POST"),
            ("/oauth2/token", "POST"),
            ("/oauth2/revoke", "POST"),
            ("/oauth2/introspect", "POST"),
            ("/users", "GET,HEAD"),
            ("/users/me/sessions", "DELETE,GET,HEAD"),
        ] {
            for method in ["PUT", "PATCH", "TRACE"] {
                let refusal = Answer::of(api.request(method, path)).await;
                assert_eq!(refusal.problem(), (405, "method_not_allowed".to_owned()), "{path}");
                let mut methods: Vec<_> = refusal.header("allow").split(',').collect();
                methods.sort_unstable();
                assert_eq!(methods.join(","), allowed, "{path}");
            }
        }
    });
}

#[test]
fn errors_too_are_neither_stored_nor_sniffed() {
    run(async {
        let world = World::shared().await;
        let api = world.api();
        for answer in [
            api.authenticate("nobody", "canary").await,
            api.refresh("x").await,
            api.get("/users", "x").await,
            Answer::of(api.request("PUT", "/users")).await,
            Answer::of(api.request("POST", "/refresh").body("x")).await,
        ] {
            assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer:?}");
        }
    });
}

#[test]
fn only_configured_origins_may_call_from_a_browser() {
    run(async {
        let settings = [
            (
                "RATCHET_CORS_ORIGINS",
                "https://App.example:443, https://b.example,capacitor://localhost",
            ),
            ("RATCHET_CORS_HEADERS", "Traceparent"),
        ];
        let world = World::beside("cors", &settings).await;
        let api = world.api();
        for (origin, allowed) in [
            ("https://app.example", true),
            ("https://b.example", true),
            ("capacitor://localhost", true),
            ("ionic://localhost", false),
            ("https://app.example.evil", false),
            ("http://app.example", false),
            ("null", false),
        ] {
            let preflight = api
                .request("OPTIONS", "/refresh")
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "content-type,x-ratchet");
            let simple = api.request("GET", "/users").header("origin", origin);
            for answer in [Answer::of(preflight).await, Answer::of(simple).await] {
                let header = answer.header("access-control-allow-origin");
                assert_eq!(header, if allowed { origin } else { "" }, "{origin}");
                let credentials = answer.header("access-control-allow-credentials");
                assert_eq!(credentials == "true" && !header.is_empty(), allowed, "{origin}");
            }
        }
        let preflight = |origin: &'static str, headers: &'static str| {
            let request = api.request("OPTIONS", "/users/me").header("origin", origin);
            let request = request.header("access-control-request-method", "PATCH");
            request.header("access-control-request-headers", headers)
        };
        let answer = Answer::of(preflight("https://app.example", "traceparent")).await;
        assert_eq!(
            answer.header("access-control-allow-headers"),
            "authorization,content-type,x-ratchet,dpop,traceparent"
        );
        // Browsers do not show the reason.
        assert!(!world.log_text().contains("CorsHeaders does not list"));
        Answer::of(preflight("https://app.example", "authorization,sentry-trace")).await;
        Answer::of(preflight("https://other.example", "authorization")).await;
        let log = world.log_text();
        for (origin, reason) in [
            ("https://app.example", "CorsHeaders does not list the header sentry-trace"),
            ("https://other.example", "CorsOrigins does not list the origin"),
        ] {
            let is_line = |line: &&str| line.contains(origin) && line.contains(reason);
            assert_eq!(log.lines().filter(is_line).count(), 1, "{origin}: {log}");
        }
        let answer =
            Answer::of(api.request("GET", "/users").header("origin", "https://app.example"));
        assert_eq!(
            answer.await.header("access-control-expose-headers"),
            "is-token-expired,www-authenticate,retry-after,dpop-nonce,date"
        );
        let without = World::shared().await.api();
        let request = without.request("GET", "/users").header("origin", "https://app.example");
        assert_eq!(Answer::of(request).await.header("access-control-allow-origin"), "");
    });
}

#[test]
fn a_request_is_one_log_line_with_what_an_operator_needs() {
    run(async {
        let world = World::beside("log-lines", &[]).await;
        world.api().refresh("rt9_").await;
        let log = world.log_text();
        let lines: Vec<Value> = log
            .lines()
            .filter(|line| line.contains("\"/refresh\"") && line.contains("\"malformed\""))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert_eq!(lines[0]["method"], "POST");
        assert_eq!(lines[0]["status"], 401);
        assert!(lines[0]["milliseconds"].is_u64());
        assert!(!lines[0]["request_id"].as_str().unwrap().is_empty());
    });
}

/// A sample of `events/`.
fn sample(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn what_a_uri_parser_refuses_is_answered_as_any_other_request() {
    run(async {
        let world = World::shared().await;
        let host = &b"host: api.example"[..];
        for lines in [
            &[b"GET /users HTTP/1.1", host][..],
            &[b"GET /users HTTP/1.1", b"host: ["],
            &[b"GET /users HTTP/1.1", b"host: a b"],
            &[b"GET /users HTTP/1.1", b"host: a:b:c"],
            &[b"GET /users HTTP/1.1", b"host:"],
            &[b"GET /users HTTP/1.1", host, b"x-forwarded-proto: 1"],
            &[b"GET /users HTTP/1.1", host, b"x-forwarded-proto: http,https"],
            &[b"GET /users HTTP/1.1", host, b"x-forwarded-port: x", b"x-forwarded-host: ["],
            &[b"GET /users HTTP/1.1", host, b"cookie: a=1; flag; =; \"quoted; \"; a=2"],
            &[b"GET /users?name=[0]|{}^`'\\ HTTP/1.1", host],
            &[b"GET /users?name=%3C%22%20%00%zz%&&=&x HTTP/1.1", host],
        ] {
            let shown = String::from_utf8_lossy(&lines.join(&b" | "[..])).into_owned();
            let (status, response) = world.send_raw(lines).await;
            assert!(response.contains("missing_access_token"), "{shown}: {response}");
            assert_eq!(status, 401, "{shown}: {response}");
        }
        // What the emulator would not pass on, but the gateway does.
        for (member, value) in [
            ("rawQueryString", json!("name=<script>\"a b\"\u{0}\u{e9}#x")),
            ("rawPath", json!("/users")),
            ("headers", json!({"host": "\u{e9}", "x-name": "J\u{fc}rgen", "x y": "z", "x-n": 1})),
            ("cookies", json!(["name=J\u{fc}rgen", "a=\u{1}", 1, "", "=", "huge=".repeat(20_000)])),
        ] {
            let mut event = sample("users/list-without-token.json");
            event[member] = value;
            let response = world.invoke("users", &event).await;
            assert_eq!(response["statusCode"], 401, "{member}: {response}");
        }
    });
}

#[test]
fn an_event_that_is_no_request_is_a_400_in_the_log_and_in_the_metrics() {
    run(async {
        let world = World::beside("no-request", &[]).await;
        for (member, value) in [
            ("rawPath", json!("users")),
            ("rawPath", json!(format!("/users/{}", "a".repeat(65_535)))),
            ("requestContext", json!({"http": {"method": "G E T"}})),
            ("body", json!([])),
            ("isBase64Encoded", json!("yes")),
        ] {
            let mut event = sample("users/list-without-token.json");
            event[member] = value;
            let response = world.invoke("users", &event).await;
            assert_eq!(response["statusCode"], 400, "{member}: {response}");
            assert_eq!(response["headers"]["cache-control"], "no-store");
            assert!(response["body"].as_str().unwrap().contains("malformed_request"), "{response}");
        }
        let log = world.log_text();
        let is_line =
            |line: &&str| line.contains("malformed_request") && line.contains("\"route\"");
        assert_eq!(log.lines().filter(is_line).count(), 5, "{log}");
        let lines = world.metric_lines("users");
        let counted = lines.iter().filter(|line| line["code"] == "malformed_request");
        assert_eq!(counted.filter(|line| line["requests"] == 1).count(), 5, "{lines:?}");
        assert_eq!(
            world.invoke("users", &sample("users/unknown-path.json")).await["statusCode"],
            404
        );
    });
}

/// A body with each of these members absent in one way or the other.
fn without(body: &Value, absent: &[&str]) -> [Value; 3] {
    [None, Some(Value::Null), Some(json!(""))].map(|value| {
        let mut body = body.clone();
        for member in absent {
            let body = body.as_object_mut().unwrap();
            match &value {
                None => drop(body.remove(*member)),
                Some(value) => drop(body.insert((*member).to_owned(), value.clone())),
            }
        }
        body
    })
}

#[test]
fn null_and_empty_optional_members_count_as_absent() {
    run(async {
        let world = World::shared().await;
        let api = world.api();
        let person = world.person().await;
        let admin = world.person_with(|new| new.user.roles = vec!["admin".to_owned()]).await;
        let access = world.sign_in(&admin).await.access;

        let sign_in = json!({"name": person.name, "password": person.password});
        for body in without(&sign_in, &["device", "device_token", "mode"]) {
            let pair = api.post("/authenticate", body.clone()).await.tokens();
            for body in without(&json!({"refresh_token": pair.refresh}), &["access_token"]) {
                assert_eq!(api.post("/refresh", body.clone()).await.status, 200, "{body}");
            }
            for scope in ["", "&scope="] {
                let form =
                    format!("grant_type=refresh_token&refresh_token={}{scope}", pair.refresh);
                let request = api.request("POST", "/oauth2/token").body(form);
                let request = request.header("content-type", "application/x-www-form-urlencoded");
                assert_eq!(Answer::of(request).await.status, 200, "{scope}");
            }
        }
        // Without a token there is neither a refresh nor a log-out.
        for path in ["/refresh", "/logout"] {
            for body in without(&json!({}), &["refresh_token"]) {
                let refusal = api.post(path, body.clone()).await;
                assert_eq!(
                    refusal.problem(),
                    (400, "malformed_request".to_owned()),
                    "{path} {body}"
                );
            }
        }
        let by_code = json!({"email": "nobody@example.com", "code": "123456"});
        for body in without(&by_code, &["token"]) {
            let refusal = api.post("/users/confirm-email", body.clone()).await;
            assert_eq!(refusal.problem(), (400, "invalid_proof".to_owned()), "{body}");
        }
        for body in without(&json!({"token": "rm1_x"}), &["email", "code"]) {
            let mut body = body.clone();
            body["password"] = json!("canary sixteen words or so");
            let refusal = api.post("/users/password-reset/confirm", body.clone()).await;
            assert_eq!(refusal.problem(), (400, "invalid_proof".to_owned()), "{body}");
        }
        let mut current = person.password.clone();
        for (number, body) in without(&json!({}), &["keep_this_session"]).into_iter().enumerate() {
            let access = api.authenticate(&person.name, &current).await.tokens().access;
            let new = format!("canary of the year number {number}");
            let mut body = body.clone();
            (body["current"], body["new"]) = (json!(current), json!(new));
            let request =
                api.request("POST", "/users/me/password").bearer_auth(&access).json(&body);
            assert_eq!(Answer::of(request).await.status, 204);
            assert_eq!(api.get("/users/me", &access).await.status, 401, "this session ended too");
            current = new;
        }
        let path = format!("/users/{}", person.id);
        let patch = async |body: &Value| {
            Answer::of(api.request("PATCH", &path).bearer_auth(&access).json(body)).await
        };
        for body in without(&json!({"roles": []}), &["status", "claims"]) {
            assert_eq!(patch(&body).await.status, 200, "{body}");
        }
        for body in without(&json!({"status": "active"}), &["roles", "claims"]) {
            assert_eq!(patch(&body).await.status, 200, "{body}");
        }
        for body in without(&json!({}), &["roles", "status", "claims"]) {
            assert_eq!(patch(&body).await.code(), "malformed_request", "{body}");
        }
        assert_eq!(api.get("/users?limit=&cursor=&name=", &access).await.status, 200);
        // A body that would end more than intended is refused.
        let refusal = api.delete("/users/me/sessions?except=", &access).await;
        assert_eq!(refusal.problem(), (400, "malformed_request".to_owned()));
    });
}
