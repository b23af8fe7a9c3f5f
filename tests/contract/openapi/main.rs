//! The description of the API (`OpenAPI` 3.1), and that it is true.
//!
//! Each function describes its routes beside their handlers (feature `contract`). [`document`] merges
//! the descriptions. The routes are compared with `template.yaml`, and the whole with the committed
//! `openapi.json`, which `UPDATE_OPENAPI=1 cargo test -p contract` writes. It also writes the
//! [`collection`] for Postman that is made from it.
//!
//! This is a test and not a program, because the features of a test's dependencies stay out of what
//! `cargo build --bin` builds. Deployed functions do not have this feature.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends at what it cannot continue with"
)]

mod collection;
mod document;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use document::document as current;

fn checkout(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn assert_committed(file: &str, current: &Value) {
    let path = checkout(file);
    if env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, format!("{current:#}\n")).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    let committed: Value = serde_json::from_str(&committed).unwrap_or_default();
    assert!(committed == *current, "{file}: run `UPDATE_OPENAPI=1 cargo test -p contract`");
}

#[test]
fn the_committed_description_is_the_current_one() {
    assert_committed("openapi.json", &current());
}

#[test]
fn the_committed_collection_is_that_of_the_description() {
    let collection = collection::collection(&current());
    assert_committed("tests/contract/ratchet.postman_collection.json", &collection);
}

#[test]
fn the_description_has_the_routes_of_the_deployment_and_no_others() {
    let document = current();
    let described: BTreeSet<_> =
        members(&document["paths"]).map(|(path, _)| path.clone()).collect();
    let template =
        local::template::Template::read(&local::workspace::Workspace::locate().template());
    let functions = template.unwrap().functions;
    let paths = functions.into_values().flat_map(|function| function.paths);
    // A route of one method is written `<method> <path>`.
    let deployed = paths.map(|path| path.split(' ').next_back().unwrap().to_owned()).collect();
    assert_eq!(described, deployed);
}

/// The codes that some route is described to refuse with, and the one that no route has.
fn described_codes() -> BTreeSet<String> {
    let document = current();
    let mut described = BTreeSet::from(["method_not_allowed".to_owned()]);
    for (_, methods) in members(&document["paths"]) {
        for (_, operation) in members(methods) {
            for (_, response) in members(&operation["responses"]) {
                let problems = &response["content"]["application/problem+json"];
                let codes = &problems["schema"]["allOf"][1]["properties"]["code"]["enum"];
                let codes = codes.as_array().into_iter().flatten();
                described.extend(codes.map(|code| code.as_str().unwrap().to_owned()));
            }
        }
    }
    described
}

#[test]
fn every_problem_is_described_as_a_refusal_of_some_route() {
    let problems = ratchet_http::contract::codes().into_iter().map(str::to_owned).collect();
    assert_eq!(described_codes(), problems);
}

#[test]
fn every_described_problem_is_explained_in_the_reference() {
    let described = described_codes();
    let reference = fs::read_to_string(checkout("docs/api.md")).unwrap();
    let table =
        reference.split("| `code` | meaning |").nth(1).unwrap().split("\n\n").next().unwrap();
    let named: BTreeSet<_> = table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split(','))
        .map(|code| code.trim().trim_matches('`').to_owned())
        .filter(|code| !code.is_empty() && code != "---")
        .collect();
    assert_eq!(described.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// Statuses that every route may answer. The reference lists them once, below its table.
const OF_ALL: [&str; 4] = ["405", "413", "415", "500"];

#[test]
fn every_route_of_the_reference_has_the_described_refusals() {
    let document = current();
    let reference = fs::read_to_string(checkout("docs/api.md")).unwrap();
    let table = reference.split("| route | takes | success | refusals |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let mut listed = BTreeSet::new();
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [routes, _, _, refusals] = cells.as_slice() else { panic!("four cells: {row}") };
        let mut described = Vec::new();
        for (method, path) in routes_of(routes) {
            let operation = &document["paths"][&path][&method];
            assert!(operation.is_object(), "nothing describes {method} {path}");
            let statuses = members(&operation["responses"]).map(|(status, _)| status.clone());
            let refusals = statuses
                .filter(|status| status.starts_with(['4', '5']))
                .filter(|status| !OF_ALL.contains(&status.as_str()));
            described.push(refusals.collect::<BTreeSet<_>>());
            listed.insert((method, path));
        }
        let digits = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let words = refusals.split(|c: char| !c.is_ascii_alphanumeric());
        let named: BTreeSet<_> = words.filter(|word| digits(word)).map(str::to_owned).collect();
        for described in described {
            assert_eq!(named, described, "{routes}");
        }
    }
    assert_eq!(listed, routes_described_by(&document));
}

#[test]
fn the_readme_lists_every_route_and_no_other() {
    let readme = fs::read_to_string(checkout("README.md")).unwrap();
    let table = readme.split("| route | does |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows = table.lines().filter_map(|row| row.strip_prefix("| ")?.split(" | ").next());
    let listed: BTreeSet<_> = rows.flat_map(routes_of).collect();
    assert_eq!(listed, routes_described_by(&current()));
}

/// The methods and paths in a cell of a table. `GET`, `PATCH /users/{id}` is two routes with one
/// path.
fn routes_of(cell: &str) -> Vec<(String, String)> {
    let mut methods = Vec::new();
    let mut routes = Vec::new();
    for route in cell.split('`').skip(1).step_by(2) {
        let (method, path) = route.split_once(' ').unwrap_or((route, ""));
        methods.push(method.to_lowercase());
        if !path.is_empty() {
            routes.extend(methods.drain(..).map(|method| (method, path.to_owned())));
        }
    }
    routes
}

fn routes_described_by(document: &Value) -> BTreeSet<(String, String)> {
    members(&document["paths"])
        .flat_map(|(path, methods)| {
            members(methods).map(move |(method, _)| (method.clone(), path.clone()))
        })
        .collect()
}

#[test]
fn every_reference_leads_somewhere() {
    let document = current();
    let mut waiting = vec![&document];
    let mut references = 0;
    while let Some(value) = waiting.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let target = document.pointer(reference.trim_start_matches('#'));
            assert!(target.is_some(), "{reference}");
            references += 1;
        }
        waiting.extend(members(value).map(|(_, member)| member));
        waiting.extend(value.as_array().into_iter().flatten());
    }
    assert!(references > 20, "{references}");
}
