use std::{collections::BTreeMap, process::Command};

use ratchet_core::config::{Config, ConfigError};

use super::*;
use crate::workspace::Workspace;

mod operations;
mod permissions;

fn template() -> Template {
    Template::read(&Workspace::locate().template()).unwrap()
}

/// The same routes for `cargo lambda watch`, from the root `Cargo.toml`.
fn watch_routes() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(Workspace::locate().root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut routes = BTreeMap::<String, Vec<String>>::new();
    for route in metadata["metadata"]["lambda"]["watch"]["router"].as_array().unwrap() {
        let text = |key: &str| route[key].as_str().unwrap().to_owned();
        let methods = route["methods"].as_array().map_or(&[][..], Vec::as_slice);
        let path = match methods {
            // The function itself answers 405.
            [] => text("path"),
            [method] => format!("{} {}", method.as_str().unwrap(), text("path")),
            // `cargo lambda watch` has no word for 'all others'.
            others => {
                let all = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT", "TRACE"];
                assert_eq!(others, all, "{route}: all methods but POST");
                text("path")
            }
        };
        routes.entry(text("function")).or_default().push(path);
    }
    for paths in routes.values_mut() {
        paths.sort();
    }
    routes
}

#[test]
fn the_routes_are_those_of_cargo_lambda_watch() {
    let routes: BTreeMap<_, _> =
        template().functions.into_iter().map(|(name, function)| (name, function.paths)).collect();
    // Those that other services invoke have none.
    let routes = routes.into_iter().filter(|(_, paths)| !paths.is_empty());
    assert_eq!(routes.collect::<BTreeMap<_, _>>(), watch_routes());
}

#[test]
fn the_tables_have_their_keys_index_and_time_to_live() {
    let tables = template().tables;
    let key = |attribute: &str, kind: &str| Key { attribute: attribute.into(), kind: kind.into() };
    let users = &tables["UsersTable"];
    assert_eq!(users.key, [key("pk", "S")]);
    assert_eq!(users.time_to_live.as_deref(), Some("expires_at"));
    let [names] = users.indexes.as_slice() else { panic!("one index: {:?}", users.indexes) };
    assert_eq!(names.name, "names");
    assert_eq!(names.key, [key("listing", "S"), key("name_key", "S")]);
    assert_eq!((names.projection.as_str(), names.included.len()), ("INCLUDE", 6));
    let tokens = &tables["TokensTable"];
    assert_eq!(tokens.key, [key("user_id", "B"), key("session_id", "B")]);
    assert_eq!(tokens.time_to_live.as_deref(), Some("expires_at"));
    let [ends] = tokens.indexes.as_slice() else { panic!("one index: {:?}", tokens.indexes) };
    assert_eq!(ends.name, "ends");
    assert_eq!(ends.key, [key("published", "S"), key("revoked_at", "N")]);
    assert_eq!(ends.projection, "KEYS_ONLY", "no more than ids and times leaves the table");
}

#[test]
fn the_key_ring_starts_as_a_json_object_with_a_seed() {
    let secret = template().key_ring;
    assert_eq!((secret.template.as_str(), secret.key.as_str()), (r#"{"keys":[]}"#, "seed"));
    assert_eq!(secret.length, 64);
    assert!(secret.exclude_punctuation && !secret.include_space);
}

#[test]
fn only_names_of_resources_are_unknown_before_a_deployment() {
    let environment = template().environment;
    let unknown: Vec<_> =
        environment.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
    assert_eq!(
        unknown,
        [
            "RATCHET_ISSUER",
            "RATCHET_KEY_RING_SECRET",
            "RATCHET_TOKENS_TABLE",
            "RATCHET_USERS_TABLE"
        ]
    );
    assert_eq!(environment["RATCHET_RETRY_WINDOW_SECONDS"].as_deref(), Some("60"));
    assert_eq!(environment["RATCHET_CORS_ORIGINS"].as_deref(), Some(""));
}

#[test]
fn every_default_is_within_its_bounds() {
    for (name, parameter) in template().parameters {
        assert!(!parameter.description.is_empty(), "{name} has no description");
        if !parameter.allowed.is_empty() {
            assert!(parameter.allowed.contains(&parameter.default), "{name}");
        } else if parameter.kind == "Number" {
            let default: i64 = parameter.default.parse().unwrap();
            let (minimum, maximum) = (parameter.minimum.unwrap(), parameter.maximum.unwrap());
            assert!(minimum <= default && default <= maximum, "{name}");
        }
    }
}

/// The template's values as a deployment would pass them, with one changed.
fn configuration(changed: Option<(&str, &str)>) -> Result<Config, ConfigError> {
    let environment = template().environment;
    Config::read(|name| match changed {
        Some((other, value)) if other == name => Some(value.to_owned()),
        // What only one function has is not among the variables of all.
        _ => environment.get(name)?.clone().or_else(|| Some("https://example.com".to_owned())),
    })
}

#[test]
fn the_defaults_are_those_of_the_functions() {
    let named = ["USERS_TABLE", "TOKENS_TABLE", "KEY_RING_SECRET", "ISSUER"];
    let without = Config::read(|name| {
        let known = named.iter().any(|known| name == format!("RATCHET_{known}"));
        known.then(|| "https://example.com".to_owned())
    });
    assert_eq!(configuration(None).unwrap(), without.unwrap());
}

#[test]
fn what_the_template_allows_the_functions_accept() {
    for (name, parameter) in template().parameters {
        let Some(variable) = variable_of(&name) else { continue };
        let bounds = [parameter.minimum, parameter.maximum].into_iter().flatten();
        for value in bounds.map(|bound| bound.to_string()).chain(parameter.allowed) {
            let complaint = configuration(Some((&variable, &value))).err().map(|e| e.to_string());
            let about_it = format!("{variable} is {value:?}");
            let refused = complaint.is_some_and(|complaint| complaint.contains(&about_it));
            assert!(!refused, "{about_it}");
        }
    }
}

/// `RetryWindowSeconds` sets `RATCHET_RETRY_WINDOW_SECONDS`.
fn variable_of(parameter: &str) -> Option<String> {
    let mut variable = "RATCHET".to_owned();
    for letter in parameter.chars() {
        if letter.is_ascii_uppercase() {
            variable.push('_');
        }
        variable.push(letter.to_ascii_uppercase());
    }
    template().environment.contains_key(&variable).then_some(variable)
}

#[test]
fn lifetimes_are_ordered() {
    let default = |name: &str| template().parameters[name].default.parse::<u64>().unwrap();
    assert!(default("RetryWindowSeconds") < default("AccessTokenSeconds"));
    assert!(default("AccessTokenSeconds") < default("IdleSeconds"));
    assert!(default("IdleSeconds") < default("AbsoluteSeconds"));
}

#[test]
fn a_log_level_that_shows_raw_events_cannot_be_deployed() {
    assert_eq!(template().parameters["LogLevel"].allowed, ["info", "warn", "error"]);
}

#[test]
fn errors_name_the_place() {
    let error = "Parameters: {A: {Type: Number}}\nResources: {}\n".parse::<Template>().unwrap_err();
    assert!(error.to_string().contains("Parameters.A (key Default)"), "{error}");
    let error = "a: [".parse::<Template>().unwrap_err();
    assert!(matches!(error, TemplateError::Syntax(_)), "{error}");
}
