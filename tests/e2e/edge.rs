//! What holds for every route: methods, types, headers, CORS.

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
        let settings = [("RATCHET_CORS_ORIGINS", "https://app.example, https://b.example")];
        let world = World::beside("cors", &settings).await;
        let api = world.api();
        for (origin, allowed) in [
            ("https://app.example", true),
            ("https://b.example", true),
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
        let answer =
            Answer::of(api.request("GET", "/users").header("origin", "https://app.example"));
        assert_eq!(
            answer.await.header("access-control-expose-headers"),
            "is-token-expired,www-authenticate,retry-after"
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
        let lines: Vec<serde_json::Value> = log
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
