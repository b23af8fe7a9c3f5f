//! `functions/keys` and `functions/revocations`.

use ratchet_http::Problem;
use serde_json::{Value, json};

use super::operation::Operation;

pub(crate) fn operations() -> Vec<Operation> {
    let jwks = json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "2026-11",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }]});
    let metadata = json!({
        "issuer": "https://auth.example.com",
        "jwks_uri": "https://auth.example.com/.well-known/jwks.json",
        "token_endpoint": "https://auth.example.com/oauth2/token",
        "revocation_endpoint": "https://auth.example.com/oauth2/revoke",
        "grant_types_supported": ["refresh_token"],
        "response_types_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "EdDSA", "RS256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "access_token_signing_alg_values_supported": ["ES256", "EdDSA", "RS256"],
    });
    let document = |path, id, summary, schema, example: &Value| {
        Operation::new("get", path, id, summary)
            .header("If-None-Match", "The `ETag` of what the client has")
            .answers(200, "May be kept as `Cache-Control` says", schema, example)
            .done(304, "The client has it already")
    };
    vec![
        document("/.well-known/jwks.json", "jwks", "Public keys (RFC 7517)", "JwkSet", &jwks),
        document(
            "/.well-known/oauth-authorization-server",
            "metadata",
            "Where everything is (RFC 8414)",
            "Metadata",
            &metadata,
        ),
        document(
            "/.well-known/openid-configuration",
            "openidConfiguration",
            "The same, where verifiers of OpenID Connect look for it",
            "Metadata",
            &metadata,
        ),
        Operation::new("get", "/.well-known/revocations", "revocations", "Sessions that ended lately")
            .description(
                "A JWT of the type `revocations+jwt`, signed like access tokens. `ended` has, of every \
                 session that ended between `since` and `iat`, the first 16 bytes of the SHA-256 of \
                 its id (`sid`) in base64url; access tokens issued before `since` count as expired. \
                 There is no list unless the deployment wants one.",
            )
            .header("If-None-Match", "The `ETag` of what the client has")
            .answers_text(200, "May be kept for 15 s", "application/jwt", "eyJ0eXAiOiJyZXZvY2F0…")
            .done(304, "The client has it already")
            .refuses(&[Problem::NotFound]),
    ]
}
