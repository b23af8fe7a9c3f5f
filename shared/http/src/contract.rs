//! The API description: what the routes of all functions share.
//!
//! Every function describes its routes and bodies beside their code. Refusals are described here,
//! from the table of problems.

mod parameters;
mod token_pair;

use std::collections::BTreeMap;

use axum::response::IntoResponse as _;
use http::StatusCode;
use ratchet_core::dpop::ProofError;
use serde_json::Value;
use utoipa::{
    Modify, PartialSchema, ToSchema,
    openapi::{
        AllOfBuilder, ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Response,
        ResponseBuilder, Schema,
        example::ExampleBuilder,
        path::{Operation, ParameterIn},
        schema::{AnyOfBuilder, SchemaType, Type},
    },
};

pub use self::{
    parameters::{CookieConfirmation, IfNoneMatch, ProofOfPossession},
    token_pair::{FirstTokenPair, NextTokenPair},
};
use crate::{
    Problem,
    problem::{Details, every_problem},
};

/// The extension in which an operation lists the codes of its own refusals. It is not part of the
/// finished description.
const REFUSALS: &str = "x-refusals";

/// The security scheme of routes that need an access token.
pub const ACCESS_TOKEN: &str = "accessToken";

/// The security scheme of routes that need a client's credential.
pub const CLIENT: &str = "client";

/// Completes the description of a function: describes the refusals that a route lists in
/// `x-refusals`, and those that follow from its access token, body or query.
#[derive(Debug)]
pub struct Refusals;

impl Modify for Refusals {
    fn modify(&self, description: &mut OpenApi) {
        for path in description.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.post, &mut path.patch, &mut path.delete];
            for operation in operations.into_iter().flatten() {
                // These are names of modules, which mean nothing to clients.
                operation.tags = None;
                // The first line of a doc comment ends with a full stop. A title does not.
                if let Some(summary) = &mut operation.summary {
                    summary.truncate(summary.trim_end_matches('.').len());
                }
                add_refusals(operation);
            }
        }
        let mut schemas = vec![(Details::name().into_owned(), Details::schema())];
        Details::schemas(&mut schemas);
        description.components.get_or_insert_default().schemas.extend(schemas);
    }
}

/// The codes of all problems.
#[must_use]
pub fn codes() -> Vec<&'static str> {
    every_problem().iter().map(Problem::code).collect()
}

/// The schema of an optional member that is not a string: `value`, or what counts as absent.
#[must_use]
pub fn optional(value: impl Into<RefOr<Schema>>, description: &str) -> Schema {
    let absent = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .enum_values(Some([Value::Null, "".into()]));
    AnyOfBuilder::new().item(value).item(absent).description(Some(description)).build().into()
}

fn add_refusals(operation: &mut Operation) {
    let mut by_status: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for problem in implied(operation).into_iter().chain(take_listed(operation)) {
        let problems = by_status.entry(problem.status()).or_default();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    for (status, problems) in by_status {
        let refusal = response(&problems);
        let other =
            operation.responses.responses.insert(status.as_str().to_owned(), refusal.into());
        assert!(other.is_none(), "{:?}: {status} is a refusal", operation.operation_id);
    }
}

/// The refusals that follow from what the route needs.
fn implied(operation: &Operation) -> Vec<Problem> {
    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";
    let mut problems = vec![Problem::Unavailable, Problem::Internal];
    if takes_access_token(operation) {
        problems.extend([
            Problem::MissingAccessToken,
            Problem::InvalidAccessToken,
            Problem::ExpiredAccessToken,
            Problem::StaleAccessToken,
            Problem::UnprovenAccess(ProofError::Missing),
            Problem::UnprovenAccess(ProofError::StaleNonce),
        ]);
    }
    let malformed = Problem::MalformedRequest { expected: "what the schema says" };
    if let Some(RefOr::T(body)) = &operation.request_body {
        problems.push(Problem::PayloadTooLarge);
        if body.content.contains_key(JSON) {
            problems.extend([Problem::UnsupportedMediaType { expected: JSON }, malformed.clone()]);
        }
        // OAuth has its own answer to a malformed form (RFC 6749 §5.2).
        if body.content.contains_key(FORM) {
            problems.push(Problem::UnsupportedMediaType { expected: FORM });
        }
    }
    let mut parameters = operation.parameters.iter().flatten();
    if parameters.any(|one| matches!(one, RefOr::T(one) if one.parameter_in == ParameterIn::Query))
    {
        problems.push(malformed);
    }
    problems
}

/// Whether callers authenticate with an access token, and not as a client.
fn takes_access_token(operation: &Operation) -> bool {
    let security = serde_json::to_value(&operation.security).unwrap_or_default();
    security.as_array().into_iter().flatten().any(|one| one.get(ACCESS_TOKEN).is_some())
}

/// The refusals that the route lists itself.
///
/// # Panics
/// If no problem has a listed code. Only tests read the description.
fn take_listed(operation: &mut Operation) -> Vec<Problem> {
    let listed = operation.extensions.as_mut().and_then(|all| all.remove(REFUSALS));
    let known = every_problem();
    let listed = listed.iter().filter_map(Value::as_array).flatten();
    let has_session = takes_access_token(operation);
    let problem = |code: &Value| {
        let mut with_code = known.iter().filter(|problem| code == problem.code());
        // Of two with the same code, the one within a session is no 401, which would end that.
        let within = |problem: &&Problem| problem.status() != StatusCode::UNAUTHORIZED;
        let problem = with_code.clone().find(|problem| has_session && within(problem));
        let problem = problem.or_else(|| with_code.next());
        assert!(problem.is_some(), "{:?}: no problem has the code {code}", operation.operation_id);
        problem.cloned()
    };
    listed.filter_map(problem).collect()
}

/// The response with one of some problems that share a status. Its examples are the real bodies.
fn response(problems: &[Problem]) -> Response {
    let codes = problems.iter().map(Problem::code);
    let code = ObjectBuilder::new().schema_type(SchemaType::AnyValue).enum_values(Some(codes));
    let with_code = ObjectBuilder::new().schema_type(SchemaType::AnyValue).property("code", code);
    let schema = AllOfBuilder::new().item(Ref::from_schema_name(Details::name())).item(with_code);
    let examples = problems.iter().map(|problem| {
        let body = serde_json::to_value(problem.details()).unwrap_or_default();
        (problem.code(), ExampleBuilder::new().value(Some(body)).build())
    });
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let mut titles: Vec<_> = problems.iter().map(|problem| problem.details().title).collect();
    titles.dedup();
    let response = ResponseBuilder::new()
        .description(titles.join(" "))
        .content("application/problem+json", content);
    problems.iter().fold(response, with_headers).build()
}

/// Adds the headers that clients should read of a problem.
fn with_headers(mut response: ResponseBuilder, problem: &Problem) -> ResponseBuilder {
    for name in problem.clone().into_response().headers().keys() {
        let description = match name.as_str() {
            "www-authenticate" => "What to authenticate with (RFC 6750 §3)",
            "is-token-expired" => "`true` if the access token is genuine but has expired",
            "dpop-nonce" => "The nonce for the next proof (RFC 9449 §8)",
            "retry-after" => "When to send the same request again, in seconds",
            _ => continue,
        };
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let header = HeaderBuilder::new().schema(Some(text)).description(Some(description));
        response = response.header(name.as_str(), header.build());
    }
    response
}

/// The schema of an optional [`Mode`](crate::cookie::Mode).
#[must_use]
pub fn optional_mode() -> Schema {
    let mode = <crate::cookie::Mode as PartialSchema>::schema();
    optional(mode, "Who keeps the refresh token.")
}
