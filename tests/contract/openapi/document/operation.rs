//! One operation: what it takes, answers and refuses.

use std::collections::BTreeMap;

use axum::response::IntoResponse;
use http_body_util::BodyExt;
use ratchet_http::Problem;
use serde_json::{Map, Value, json};

/// A method of a path.
pub(crate) struct Operation {
    method: &'static str,
    path: &'static str,
    described: Map<String, Value>,
    parameters: Vec<Value>,
    responses: Map<String, Value>,
    refusals: Vec<Problem>,
}

impl Operation {
    pub(crate) fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let described = Map::from_iter([
            ("operationId".to_owned(), id.into()),
            ("summary".to_owned(), summary.into()),
        ]);
        Self {
            method,
            path,
            described,
            parameters: Vec::new(),
            responses: Map::new(),
            refusals: vec![Problem::Unavailable, Problem::Internal],
        }
    }

    pub(crate) fn description(self, text: &str) -> Self {
        self.with("description", text.into())
    }

    /// Wants an access token.
    pub(crate) fn bearer(self) -> Self {
        self.with("security", json!([{"accessToken": []}])).refuses(&[
            Problem::MissingAccessToken,
            Problem::InvalidAccessToken,
            Problem::ExpiredAccessToken,
            Problem::StaleAccessToken,
        ])
    }

    /// Takes a body, with examples by name.
    pub(crate) fn takes(
        self,
        content_type: &'static str,
        schema: &'static str,
        examples: &[(&str, Value)],
    ) -> Self {
        let examples = examples.iter().map(|(name, value)| {
            let key = name.replace(' ', "-");
            (key, json!({"summary": name, "value": value}))
        });
        let examples: Map<_, _> = examples.collect();
        let content = json!({content_type: {"schema": schema_named(schema), "examples": examples}});
        let takes = self.with("requestBody", json!({"required": true, "content": content}));
        let takes = takes.refuses(&[
            Problem::PayloadTooLarge,
            Problem::UnsupportedMediaType { expected: content_type },
        ]);
        // Forms are OAuth's, which has an answer of its own for them.
        if content_type == "application/json" {
            takes.refuses(&[Problem::MalformedRequest { expected: "what the schema says" }])
        } else {
            takes
        }
    }

    /// Takes what the members of a type are read from, none of which has to be there.
    pub(crate) fn query(mut self, schema: &schemars::Schema) -> Self {
        let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (name, schema) in members {
            let mut schema = schema.clone();
            let members = schema.as_object_mut();
            // `format` is the width of the number, which the range says already.
            let description = members.and_then(|members| {
                members.remove("format");
                members.remove("description")
            });
            self = self.parameter(
                json!({"name": name, "in": "query", "description": description, "schema": schema}),
            );
        }
        self.refuses(&[Problem::MalformedRequest { expected: "what the schema says" }])
    }

    pub(crate) fn in_path(self, name: &str, description: &str, example: &str) -> Self {
        self.parameter(json!({
            "name": name, "in": "path", "required": true, "description": description,
            "schema": {"type": "string"}, "example": example,
        }))
    }

    pub(crate) fn header(self, name: &str, description: &str) -> Self {
        self.parameter(json!({
            "name": name, "in": "header", "description": description, "schema": {"type": "string"},
        }))
    }

    /// An answer without a body.
    pub(crate) fn done(mut self, status: u16, description: &str) -> Self {
        self.responses.insert(status.to_string(), json!({"description": description}));
        self
    }

    /// An answer with a JSON body.
    pub(crate) fn answers(
        mut self,
        status: u16,
        description: &str,
        schema: &'static str,
        example: &Value,
    ) -> Self {
        let content =
            json!({"application/json": {"schema": schema_named(schema), "example": example}});
        let response = json!({"description": description, "content": content});
        self.responses.insert(status.to_string(), response);
        self
    }

    /// An answer that is a text of some content type.
    pub(crate) fn answers_text(
        mut self,
        status: u16,
        description: &str,
        content_type: &'static str,
        example: &str,
    ) -> Self {
        let content = json!({content_type: {"schema": {"type": "string"}, "example": example}});
        let response = json!({"description": description, "content": content});
        self.responses.insert(status.to_string(), response);
        self
    }

    /// What a client can do next with an answer.
    pub(crate) fn link(mut self, status: u16, name: &str, link: Value) -> Self {
        if let Some(Value::Object(response)) = self.responses.get_mut(&status.to_string()) {
            let links = response.entry("links").or_insert_with(|| json!({}));
            if let Some(links) = links.as_object_mut() {
                links.insert(name.to_owned(), link);
            }
        }
        self
    }

    pub(crate) fn refuses(mut self, problems: &[Problem]) -> Self {
        self.refusals.extend_from_slice(problems);
        self
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.described.insert(name.to_owned(), value);
        self
    }

    fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Path, method, and what is said of them. Refusals of one status are one response, with the
    /// real answers as its examples.
    pub(crate) async fn describe(mut self) -> (String, String, Value) {
        let mut by_status: BTreeMap<u16, Vec<Refusal>> = BTreeMap::new();
        for problem in self.refusals {
            let refusal = Refusal::of(problem).await;
            let refusals = by_status.entry(refusal.status).or_default();
            if refusals.iter().all(|known| known.code != refusal.code) {
                refusals.push(refusal);
            }
        }
        for (status, refusals) in by_status {
            let described = Refusal::response(&refusals);
            match self.responses.get_mut(&status.to_string()).and_then(|own| own.get_mut("content"))
            {
                // Beside what the operation itself says with this status.
                Some(Value::Object(content)) => {
                    let theirs = described.get("content").and_then(Value::as_object);
                    content.extend(theirs.cloned().unwrap_or_default());
                }
                _ => {
                    self.responses.insert(status.to_string(), described);
                }
            }
        }
        if !self.parameters.is_empty() {
            self.described.insert("parameters".to_owned(), self.parameters.into());
        }
        self.described.insert("responses".to_owned(), self.responses.into());
        (self.path.to_owned(), self.method.to_owned(), self.described.into())
    }
}

fn schema_named(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A refusal as it is really answered.
struct Refusal {
    status: u16,
    code: String,
    headers: Map<String, Value>,
    body: Value,
}

impl Refusal {
    async fn of(problem: Problem) -> Self {
        let (status, code) = (problem.status().as_u16(), problem.code().to_owned());
        let (parts, body) = problem.into_response().into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        let body = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or(Value::Null);
        let headers = parts.headers.keys().filter_map(|name| {
            let description = match name.as_str() {
                "www-authenticate" => "What to authenticate with (RFC 6750 §3)",
                "is-token-expired" => "`true` if the access token is genuine but has expired",
                "retry-after" => "When to send the same request again, in seconds",
                _ => return None,
            };
            let described = json!({"description": description, "schema": {"type": "string"}});
            Some((name.to_string(), described))
        });
        Self { status, code, headers: headers.collect(), body }
    }

    fn response(refusals: &[Self]) -> Value {
        let title =
            |refusal: &Self| refusal.body.get("title").and_then(Value::as_str).map(str::to_owned);
        let mut titles: Vec<String> = refusals.iter().filter_map(title).collect();
        titles.dedup();
        let codes: Vec<_> = refusals.iter().map(|refusal| refusal.code.as_str()).collect();
        let headers: Map<_, _> =
            refusals.iter().flat_map(|refusal| refusal.headers.clone()).collect();
        let examples: Map<_, _> = refusals
            .iter()
            .map(|refusal| (refusal.code.clone(), json!({"value": refusal.body})))
            .collect();
        let schema = json!({
            "allOf": [schema_named("Problem"), {"properties": {"code": {"enum": codes}}}],
        });
        let mut response = json!({
            "description": titles.join(" "),
            "content": {"application/problem+json": {"schema": schema, "examples": examples}},
        });
        if let (false, Some(response)) = (headers.is_empty(), response.as_object_mut()) {
            response.insert("headers".to_owned(), headers.into());
        }
        response
    }
}
