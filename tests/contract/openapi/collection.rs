//! A collection for Postman (format 2.1), from the document.
//!
//! General generators write a request per operation, with a random id and without a thread between
//! the requests. Here a token pair that is answered is kept in variables, and what follows uses
//! them: the first folder is one session from sign-in to log-out, to be run as it is. And nothing
//! is random, so that the committed file can be compared.

use local::demo_users::ADA;
use ratchet_core::refresh_token;
use serde_json::{Map, Value, json};

/// One session, in this order.
const SESSION: [&str; 6] =
    ["authenticate", "refresh", "listUsers", "showAccount", "listSessions", "logout"];

/// The collection of all operations of a document.
pub(crate) fn collection(document: &Value) -> Value {
    let mut others = Vec::new();
    let mut session = SESSION.map(|_| Value::Null);
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let place = SESSION.iter().position(|id| operation["operationId"] == *id);
            let item = item(path, method, operation, place.is_some());
            match place {
                Some(place) => session[place] = item,
                None => others.push(item),
            }
        }
    }
    let variable = |name: &str, value: &str| json!({"key": name, "value": value});
    json!({
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "auth": {"type": "bearer", "bearer": [
            {"key": "token", "value": "{{access_token}}", "type": "string"},
        ]},
        "variable": [
            variable("base_url", "http://127.0.0.1:9000"),
            variable("name", ADA.name),
            variable("password", ADA.password),
            variable("access_token", ""),
            variable("refresh_token", ""),
        ],
        "item": [
            {"name": "A session, from sign-in to log-out", "item": session},
            {"name": "Everything else", "item": others},
        ],
    })
}

fn item(path: &str, method: &str, operation: &Value, must_succeed: bool) -> Value {
    let mut headers = Vec::new();
    let mut query = Vec::new();
    let mut in_path = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, description) = (&parameter["name"], &parameter["description"]);
        let value = parameter.get("example").or_else(|| parameter["schema"]["enum"].get(0));
        let value = value.and_then(Value::as_str).unwrap_or_default();
        let described = json!({"key": name, "value": value, "description": description});
        match parameter["in"].as_str() {
            Some("path") => in_path.push(described),
            Some("query") => query.push(optional(described)),
            _ => headers.push(optional(described)),
        }
    }
    let segments: Vec<_> = path.trim_start_matches('/').split('/').map(segment).collect();
    let mut request = json!({
        "method": method.to_uppercase(),
        "description": operation.get("description").unwrap_or(&operation["summary"]),
        "url": {
            "raw": format!("{{{{base_url}}}}/{}", segments.join("/")),
            "host": ["{{base_url}}"],
            "path": segments,
            "query": query,
            "variable": in_path,
        },
    });
    if operation.get("security").is_none() {
        request["auth"] = json!({"type": "noauth"});
    }
    let contents = operation["requestBody"]["content"].as_object().into_iter().flatten();
    for (content_type, content) in contents {
        headers.push(json!({"key": "Content-Type", "value": content_type}));
        request["body"] = body(content_type, &filled(example(content)));
    }
    request["header"] = headers.into();
    json!({
        "name": operation["summary"],
        "request": request,
        "event": [{
            "listen": "test",
            "script": {"type": "text/javascript", "exec": checks(operation, must_succeed)},
        }],
    })
}

/// A part of a path as Postman writes it.
fn segment(part: &str) -> String {
    let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
    name.map_or_else(|| part.to_owned(), |name| format!(":{name}"))
}

/// Is there, and not sent unless somebody switches it on.
fn optional(mut parameter: Value) -> Value {
    parameter["disabled"] = true.into();
    parameter
}

/// The first example of a program: browsers have the page.
fn example(content: &Value) -> Value {
    let mut examples = content["examples"].as_object().into_iter().flat_map(Map::values);
    let for_programs = examples.find(|example| example["value"].get("mode").is_none());
    for_programs.map_or(Value::Null, |example| example["value"].clone())
}

/// With variables in place of values that differ between deployments.
fn filled(mut value: Value) -> Value {
    for member in value.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let variable = match member.as_str() {
            Some(text) if text == ADA.name => "{{name}}",
            Some(text) if text == ADA.password => "{{password}}",
            Some(text) if text.starts_with(refresh_token::PREFIX) => "{{refresh_token}}",
            _ => continue,
        };
        *member = variable.into();
    }
    value
}

fn body(content_type: &str, value: &Value) -> Value {
    if content_type == "application/json" {
        let options = json!({"raw": {"language": "json"}});
        return json!({"mode": "raw", "raw": format!("{value:#}"), "options": options});
    }
    let fields = value.as_object().into_iter().flatten();
    let fields: Vec<_> = fields.map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"mode": "urlencoded", "urlencoded": fields})
}

/// The checks of a response, and the values kept from it.
fn checks(operation: &Value, must_succeed: bool) -> Vec<String> {
    let statuses: Vec<_> = operation["responses"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .filter(|status| !must_succeed || status.starts_with('2'))
        .map(String::as_str)
        .collect();
    let title = if must_succeed { "It succeeds." } else { "The answer is a described one." };
    let mut lines = vec![format!(
        "pm.test('{title}', () => pm.expect(pm.response.code).to.be.oneOf([{}]));",
        statuses.join(", ")
    )];
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    if schema["$ref"] == "#/components/schemas/TokenPair" {
        lines.extend(
            [
                "if (pm.response.code === 200) {",
                "  const pair = pm.response.json();",
                "  pm.collectionVariables.set('access_token', pair.access_token);",
                "  pm.collectionVariables.set('refresh_token', pair.refresh_token);",
                "}",
            ]
            .map(str::to_owned),
        );
    }
    lines
}
