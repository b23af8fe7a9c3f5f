//! `functions/keys`.

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
        "response_types_supported": [],
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
            "metadataByItsOlderName",
            "Where everything is (RFC 8414 §5)",
            "Metadata",
            &metadata,
        ),
    ]
}
