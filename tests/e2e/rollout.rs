//! A changed configuration, rolled out instance by instance: for a while both run.

use serde_json::{Value, json};

use crate::support::{
    Tokens, World,
    people::now,
    ring::{altered, known, parts, signing_secret},
    run,
};

/// Two instances of one stack, before and after the change, with a ring whose key the test knows.
struct Rollout {
    before: World,
    after: World,
}

async fn rollout(name: &str, before: &[(&str, &str)], after: &[(&str, &str)]) -> Rollout {
    let shared = World::shared().await;
    let secret = shared.secret(&format!("{name}-ring"), &known(&[]).to_string()).await;
    let ring = [("RATCHET_KEY_RING_SECRET", secret.as_str())];
    Rollout {
        before: World::beside(&format!("{name}-before"), &[&ring, before].concat()).await,
        after: World::beside(&format!("{name}-after"), &[&ring, after].concat()).await,
    }
}

/// The same token, as if it had been issued `seconds` ago.
fn aged(tokens: &Tokens, seconds: u64) -> String {
    let (_, claims) = parts(&tokens.access);
    let number = |name: &str| claims[name].as_u64().unwrap() - seconds;
    let claims = json!({"iat": number("iat"), "exp": number("exp")});
    altered(&tokens.access, &json!({}), &claims, &signing_secret())
}

async fn refresh_with(world: &World, refresh: &str, access: &str) -> Tokens {
    let body = json!({"refresh_token": refresh, "access_token": access});
    world.api().post("/refresh", body).await.tokens()
}

#[test]
fn a_shorter_life_expires_tokens_and_refuses_none_as_invalid() {
    run(async {
        let life = [("RATCHET_ACCESS_TOKEN_SECONDS", "3600")];
        let rollout = rollout("life", &life, &[]).await;
        let (_, tokens) = rollout.before.signed_in().await;
        for world in [&rollout.before, &rollout.after] {
            assert_eq!(world.api().get("/users", &tokens.access).await.status, 200);
        }
        let old = aged(&tokens, 400);
        assert_eq!(rollout.before.api().get("/users", &old).await.status, 200);
        let refusal = rollout.after.api().get("/users", &old).await;
        assert_eq!(refusal.problem(), (401, "expired_access_token".to_owned()));
        assert_eq!(refusal.header("is-token-expired"), "true");
        let next = refresh_with(&rollout.after, &tokens.refresh, &old).await;
        assert_eq!(rollout.before.api().get("/users", &next.access).await.status, 200);
    });
}

#[test]
fn another_issuer_and_audience_accept_the_former_ones_while_their_tokens_live() {
    run(async {
        let (old, new) = ("https://old.example", "https://new.example");
        let before = [
            ("RATCHET_ISSUER", old),
            ("RATCHET_AUDIENCE", "api"),
            ("RATCHET_FORMER_ISSUERS", new),
            ("RATCHET_FORMER_AUDIENCES", "web"),
        ];
        let after = [
            ("RATCHET_ISSUER", new),
            ("RATCHET_AUDIENCE", "web"),
            ("RATCHET_FORMER_ISSUERS", "https://older.example,https://old.example"),
            ("RATCHET_FORMER_AUDIENCES", "mobile,api"),
        ];
        let rollout = rollout("issuer", &before, &after).await;
        for (issuer, verifier) in
            [(&rollout.before, &rollout.after), (&rollout.after, &rollout.before)]
        {
            let (_, tokens) = issuer.signed_in().await;
            assert_eq!(verifier.api().get("/users", &tokens.access).await.status, 200);
            let refusal = verifier.api().get("/users", &aged(&tokens, 300)).await;
            assert_eq!(refusal.problem(), (401, "expired_access_token".to_owned()));
            let next = refresh_with(verifier, &tokens.refresh, &tokens.access).await;
            let (_, claims) = parts(&next.access);
            assert_ne!(claims["iss"], parts(&tokens.access).1["iss"], "issued anew");
        }
        let (_, tokens) = rollout.after.signed_in().await;
        let other = json!({"iss": "https://other.example"});
        let other = altered(&tokens.access, &json!({}), &other, &signing_secret());
        let refusal = rollout.after.api().get("/users", &other).await;
        assert_eq!(refusal.problem(), (401, "stale_access_token".to_owned()));
    });
}

#[test]
fn an_access_token_beside_a_good_refresh_token_may_be_of_any_age_issuer_audience_and_removed_key() {
    run(async {
        let rollout = rollout("beside", &[], &[]).await;
        let world = &rollout.after;
        let seconds = now().seconds().get();
        let (_, mut tokens) = world.signed_in().await;
        for (header, claims) in [
            (json!({}), json!({"iat": seconds - 90_000, "exp": seconds - 89_700})),
            (json!({}), json!({"iat": seconds - 90_000, "exp": seconds - 3_600})),
            (json!({}), json!({"iat": seconds + 5, "exp": seconds + 305})),
            (json!({}), json!({"iss": "https://old.example", "aud": "old"})),
            (json!({"kid": "removed"}), json!({})),
        ] {
            let access = altered(&tokens.access, &header, &claims, &signing_secret());
            tokens = refresh_with(world, &tokens.refresh, &access).await;
        }
        let before = world.session(&tokens.refresh).await;
        let forged =
            |secret: &[u8], claims: &Value| altered(&tokens.access, &json!({}), claims, secret);
        let (_, stranger) = world.signed_in().await;
        for access in [
            forged(b"a secret that is not the ring's key, of 40 bytes", &json!({})),
            forged(&signing_secret(), &json!({"sid": parts(&stranger.access).1["sid"]})),
            forged(&signing_secret(), &json!({"exp": "soon"})),
        ] {
            let body = json!({"refresh_token": tokens.refresh, "access_token": access});
            let refusal = world.api().post("/refresh", body).await;
            assert_eq!(refusal.problem(), (401, "access_token_mismatch".to_owned()), "{access}");
        }
        assert_eq!(world.session(&tokens.refresh).await, before, "the session is untouched");
    });
}
