//! Responses with a token pair.

use utoipa::{
    ToResponse, ToSchema as _,
    openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, link::Link},
};

use crate::tokens::{Body, TokenResponse};

/// The response to a sign-in.
#[derive(Debug)]
pub struct FirstTokenPair;

/// The response to a refresh.
#[derive(Debug)]
pub struct NextTokenPair;

impl<'r> ToResponse<'r> for FirstTokenPair {
    fn response() -> (&'r str, RefOr<Response>) {
        let example = Body { device_token: Some("dt1_AaIMQeYvc_Ce…"), ..EXAMPLE };
        ("FirstTokenPair", response("The first token pair of a session", &example).into())
    }
}

impl<'r> ToResponse<'r> for NextTokenPair {
    fn response() -> (&'r str, RefOr<Response>) {
        ("NextTokenPair", response("The next token pair", &EXAMPLE).into())
    }
}

const EXAMPLE: Body<'static> = Body {
    access_token: "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.….…",
    token_type: "Bearer",
    expires_in: 300,
    refresh_token: Some("rt1_AaIMQeYvc_Ce…"),
    refresh_token_expires_in: 2_592_000,
    session_expires_in: 7_776_000,
    refresh_after: 214,
    device_token: None,
    recovery_codes: None,
};

/// The response, and what a client can do next with it.
fn response(description: &str, example: &Body<'_>) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(TokenResponse::name())))
        .example(serde_json::to_value(example).ok());
    let body = serde_json::json!({"refresh_token": "$response.body#/refresh_token"});
    let refresh = Link::builder()
        .operation_id("refresh")
        .description("The refresh token leads to the next pair.")
        .request_body(Some(body.clone()));
    let log_out = Link::builder()
        .operation_id("logout")
        .description("The refresh token ends its session.")
        .request_body(Some(body));
    let users = Link::builder().operation_id("listUsers").description(
        "`$response.body#/access_token` is the access token of every route that needs one.",
    );
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content.build())
        .link("refresh", refresh.build())
        .link("logout", log_out.build())
        .link("users", users.build())
        .build()
}
