//! `functions/refresh`.

use ratchet_http::{Problem, problem::InvalidAttempt};
use serde_json::json;

use super::{
    authenticate::{CONFIRMATION, opens_users, token_pair},
    operation::Operation,
};

const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) fn operations() -> Vec<Operation> {
    let next = json!({
        "operationId": "refresh",
        "requestBody": {"refresh_token": "$response.body#/refresh_token"},
    });
    let end = json!({
        "operationId": "logout",
        "requestBody": {"refresh_token": "$response.body#/refresh_token"},
    });
    let oauth_error = json!({"error": "invalid_grant", "error_description": "revoked"});
    let revoke_error = json!({
        "error": "unsupported_token_type",
        "error_description": "only refresh tokens can be revoked",
    });
    let health = json!({
        "version": "0.1.0",
        "build": "unknown",
        "function_version": "7",
        "key_ring_age_seconds": 42,
    });
    vec![
        Operation::new("post", "/refresh", "refresh", "A refresh token for the next token pair")
            .description(
                "Takes the refresh token from the body, or else from the cookie. After a 503 or a \
                 lost answer send the same token again: it leads to the live one.",
            )
            .header("X-Ratchet", CONFIRMATION)
            .takes(
                "application/json",
                "RefreshRequest",
                &[
                    ("a refresh token", json!({"refresh_token": "rt1_AaIMQeYvc_Ce…"})),
                    ("from the cookie", json!({})),
                ],
            )
            .answers(200, "The next token pair", "TokenPair", &token_pair())
            .link(200, "refresh", next)
            .link(200, "logout", end)
            .link(200, "users", opens_users())
            .refuses(&InvalidAttempt::ALL.map(Problem::InvalidAttempt))
            .refuses(&[Problem::ForbiddenOrigin]),
        Operation::new("post", "/logout", "logout", "Ends the session of a refresh token")
            .description("Whichever of the session's tokens it is, and also if it is over already.")
            .header("X-Ratchet", CONFIRMATION)
            .takes(
                "application/json",
                "LogoutRequest",
                &[
                    ("a refresh token", json!({"refresh_token": "rt1_AaIMQeYvc_Ce…"})),
                    ("from the cookie", json!({})),
                ],
            )
            .done(204, "The session is over")
            .refuses(&[Problem::ForbiddenOrigin]),
        Operation::new("post", "/oauth2/token", "oauth2Token", "The same refresh (RFC 6749 §6)")
            .takes(
                FORM,
                "OAuth2TokenRequest",
                &[(
                    "a refresh token",
                    json!({"grant_type": "refresh_token", "refresh_token": "rt1_AaIMQeYvc_Ce…"}),
                )],
            )
            .answers(200, "The next token pair", "TokenPair", &token_pair())
            .answers(400, "A refusal (RFC 6749 §5.2)", "OAuth2Error", &oauth_error),
        Operation::new("post", "/oauth2/revoke", "oauth2Revoke", "The same log-out (RFC 7009)")
            .takes(
                FORM,
                "OAuth2RevokeRequest",
                &[("a refresh token", json!({"token": "rt1_AaIMQeYvc_Ce…"}))],
            )
            .done(200, "The session is over, or there was none")
            .answers(400, "A refusal (RFC 7009 §2.2.1)", "OAuth2Error", &revoke_error),
        Operation::new("get", "/health", "health", "What is running")
            .description("Costs no call to anybody.")
            .answers(200, "This function could refresh a session", "Health", &health),
    ]
}
