//! Least privilege, compared: what each function's role allows is what its code was seen to ask for
//! in a whole run of the end-to-end tests, nothing less and nothing more.
//!
//! `RATCHET_RECORD=1 cargo test -p e2e --test e2e`, then
//! `cargo test -p e2e --test policies -- --ignored`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::{collections::BTreeSet, fs};

use local::{
    template::{Grant, Template},
    workspace::Workspace,
};

/// What is not asked for by the functions' own calls to DynamoDB and Secrets Manager: Lambda's
/// runtime writes logs and traces, and the service itself polls streams and keeps failures in the
/// function's name.
fn is_the_platforms(action: &str) -> bool {
    let services = ["logs:", "xray:", "sqs:", "ses:"];
    let streams = ["GetRecords", "GetShardIterator", "DescribeStream", "ListStreams"];
    services.iter().any(|service| action.starts_with(service))
        || streams.iter().any(|name| action == format!("dynamodb:{name}"))
}

#[test]
#[ignore = "reads what a whole run of the end-to-end tests has seen"]
fn every_function_may_do_what_it_does_and_nothing_else() {
    let root = Workspace::locate();
    let seen = fs::read_to_string(root.root().join("target/e2e/seen.tsv"))
        .expect("RATCHET_RECORD=1 cargo test -p e2e --test e2e has run, and has run whole");
    let template = Template::read(&root.template()).unwrap();
    let mut wrong = Vec::new();
    for (function, described) in &template.functions {
        let asked: BTreeSet<Grant> = seen
            .lines()
            .filter_map(|line| {
                let mut fields = line.split('\t');
                (fields.next()? == function).then_some(())?;
                let (action, resource) = (fields.next()?, fields.next()?);
                Some(Grant { action: action.to_owned(), resource: resource.to_owned() })
            })
            .collect();
        let wide = described.grants.iter().filter(|grant| grant.action.contains('*'));
        wrong.extend(wide.map(|grant| format!("{function}: {grant:?} is a wildcard")));
        let missing = asked.difference(&described.grants);
        wrong.extend(missing.map(|grant| format!("{function} asks for {grant:?}, and may not")));
        let unused =
            described.grants.difference(&asked).filter(|grant| !is_the_platforms(&grant.action));
        wrong.extend(unused.map(|grant| format!("{function} may {grant:?}, and never asks")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
