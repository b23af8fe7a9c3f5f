//! `POST /oauth2/token` and `POST /oauth2/revoke`, for libraries that speak OAuth.

use crate::support::{Answer, World, run};

async fn post(world: &World, path: &str, form: &[(&str, &str)]) -> Answer {
    Answer::of(world.api().request("POST", path).form(form)).await
}

#[test]
fn the_refresh_grant_is_the_same_refresh() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)];
        let answer = post(world, "/oauth2/token", &form).await;
        assert_eq!(answer.json()["token_type"], "Bearer");
        let next = answer.tokens();
        assert_eq!(world.api().refresh(&tokens.refresh).await.tokens().refresh, next.refresh);
    });
}

#[test]
fn refusals_are_those_of_rfc_6749() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        let (_, others) = world.signed_in().await;
        let live = [("grant_type", "refresh_token"), ("refresh_token", &*others.refresh)];
        world.api().logout(&tokens.refresh).await;
        let revoked = [("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh)];
        let cases: [(&[(&str, &str)], &str, &str); 11] = [
            (&revoked, "invalid_grant", "revoked"),
            (
                &[("grant_type", "refresh_token"), ("refresh_token", "x")],
                "invalid_grant",
                "malformed",
            ),
            (&[("grant_type", "refresh_token")], "invalid_request", ""),
            (&[], "invalid_request", ""),
            (&[("grant_type", "refresh_token"), ("refresh_token", "")], "invalid_request", ""),
            (&[("grant_type", ""), revoked[1]], "invalid_request", ""),
            (&[live[0], live[1], ("scope", "admin")], "invalid_scope", ""),
            (&[live[0], live[1], ("scope", ""), ("scope", "")], "invalid_request", ""),
            (&[revoked[0], revoked[1], revoked[1]], "invalid_request", ""),
            (
                &[("grant_type", "password"), ("username", "x"), ("password", "y")],
                "unsupported_grant_type",
                "",
            ),
            (&[("grant_type", "client_credentials")], "unsupported_grant_type", ""),
        ];
        for (form, error, description) in cases {
            let refusal = post(world, "/oauth2/token", form).await;
            assert_eq!(refusal.status, 400, "{refusal:?}");
            assert_eq!(refusal.header("cache-control"), "no-store");
            assert_eq!(refusal.json()["error"], error);
            if !description.is_empty() {
                assert_eq!(refusal.json()["error_description"], description);
            }
        }
        // Refused requests have used nothing up, and an empty parameter counts as absent.
        let answer = post(world, "/oauth2/token", &[live[0], live[1], ("scope", "")]).await;
        assert!(answer.json()["refresh_after"].is_u64(), "{answer:?}");
    });
}

#[test]
fn revocation_ends_the_session_and_says_200_to_whatever_is_no_token() {
    run(async {
        let world = World::shared().await;
        let (_, tokens) = world.signed_in().await;
        for token in [&*tokens.refresh, &tokens.refresh, "x", "a.b.c"] {
            let form = [("token", token), ("token_type_hint", "refresh_token")];
            assert_eq!(post(world, "/oauth2/revoke", &form).await.status, 200);
        }
        assert_eq!(world.api().refresh(&tokens.refresh).await.code(), "revoked");
        for (form, error) in [
            ([("token", &*tokens.access)], "unsupported_token_type"),
            ([("token", "")], "invalid_request"),
            ([("x", "y")], "invalid_request"),
        ] {
            let refusal = post(world, "/oauth2/revoke", &form).await;
            assert_eq!((refusal.status, refusal.json()["error"].as_str()), (400, Some(error)));
        }
    });
}
