//! What whoever runs a deployment relies on, for whatever functions and alarms the template has.

use std::{collections::BTreeSet, fs};

use saphyr::YamlOwned;

use super::super::document::{Place, load};
use crate::workspace::Workspace;

fn document() -> YamlOwned {
    load(&fs::read_to_string(Workspace::locate().template()).unwrap()).unwrap()
}

/// Logical id and properties of the resources of one type.
fn resources<'a>(document: &'a YamlOwned, kind: &str) -> Vec<(String, Place<'a>)> {
    let resources = Place::root(document).load("Resources").unwrap().entries().unwrap();
    resources
        .into_iter()
        .filter(|(_, resource)| resource.load("Type").unwrap().text().unwrap() == kind)
        .map(|(id, resource)| (id, resource.load("Properties").unwrap()))
        .collect()
}

fn functions(document: &YamlOwned) -> Vec<(String, Place<'_>)> {
    resources(document, "AWS::Serverless::Function")
}

/// The names after `!Ref` and within `${…}`, in the text of a part of the template.
fn references(text: &str) -> BTreeSet<String> {
    let after = |mark: &str, end: fn(char) -> bool| {
        let pieces = text.split(mark).skip(1);
        pieces.map(|piece| piece.split(end).next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let names = after("!Ref ", |c: char| !c.is_alphanumeric());
    names.into_iter().chain(after("${", |c: char| !c.is_alphanumeric())).collect()
}

/// The part of the template's text from a line to the next one that is not deeper.
fn part(text: &str, line: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|candidate| *candidate != line);
    let first = lines.next().unwrap_or_else(|| panic!("there is no {line:?}"));
    let rest = lines.take_while(|next| next.trim().is_empty() || indent(next) > indent(first));
    rest.fold(String::new(), |part, line| part + line + "\n")
}

#[test]
fn requests_reach_every_function_by_its_alias_only() {
    let document = document();
    let of_alias = |place: &Place<'_>| {
        let (tag, target) = place.intrinsic()?;
        let target = target.text().ok()?;
        (tag == "Ref").then(|| target.strip_suffix(".Alias").map(str::to_owned))?
    };
    let callers = [("AWS::ApiGatewayV2::Integration", "IntegrationUri")];
    for (kind, property) in callers {
        for (id, properties) in resources(&document, kind) {
            let target = properties.load(property).unwrap();
            assert!(of_alias(&target).is_some(), "{id}: {property} is to be !Ref ….Alias");
        }
    }
    // The gateway's permission has to be one for the alias: the one for the function is not it.
    for (id, properties) in resources(&document, "AWS::Lambda::Permission") {
        let principal = properties.load("Principal").unwrap().text().unwrap();
        if principal == "apigateway.amazonaws.com" {
            let target = properties.load("FunctionName").unwrap();
            assert!(of_alias(&target).is_some(), "{id}: FunctionName is to be !Ref ….Alias");
        }
    }
}

#[test]
fn a_changed_parameter_makes_a_new_version_of_every_function() {
    let document = document();
    for (id, properties) in functions(&document) {
        let description = properties.load("VersionDescription").map(|place| place.intrinsic());
        let told = description.is_ok_and(|description| {
            description.is_some_and(|(tag, text)| {
                tag == "Sub"
                    && text.text().is_ok_and(|text| text.contains("${ConfigurationVersion}"))
            })
        });
        assert!(
            told,
            "{id} needs VersionDescription: !Sub configuration ${{ConfigurationVersion}}"
        );
        let all = properties.load("AutoPublishAliasAllProperties");
        assert!(all.is_ok_and(|all| all.is_true().unwrap()), "{id}: AutoPublishAliasAllProperties");
    }
    // Exactly what the functions are told: a version that differs in nothing is refused by Lambda.
    let text = fs::read_to_string(Workspace::locate().template()).unwrap();
    let parameters: BTreeSet<_> = super::template().parameters.into_keys().collect();
    let among = |names: BTreeSet<String>| -> BTreeSet<_> {
        names.intersection(&parameters).cloned().collect()
    };
    let told = among(references(&part(&text, "    Environment:")));
    let kept = among(references(&part(&text, "  ConfigurationVersion:")));
    assert!(told.len() > 10, "{told:?}");
    assert_eq!(kept, told, "ConfigurationVersion and the functions' environment differ");
}

#[test]
fn errors_and_throttles_of_every_function_are_watched() {
    let document = document();
    for alarm in ["FunctionErrorsAlarm", "FunctionThrottlesAlarm"] {
        let watched: BTreeSet<String> = resources(&document, "AWS::CloudWatch::Alarm")
            .into_iter()
            .find(|(id, _)| id == alarm)
            .map(|(_, properties)| properties.load("Metrics").unwrap().items().unwrap())
            .unwrap()
            .iter()
            .filter_map(|metric| metric.find("MetricStat"))
            .map(|stat| stat.load("Metric").unwrap().load("Dimensions").unwrap().items().unwrap())
            .map(|dimensions| dimensions[0].load("Value").unwrap().intrinsic().unwrap().1)
            .map(|function| function.text().unwrap())
            .collect();
        let functions = functions(&document).into_iter().map(|(id, _)| id).collect();
        assert_eq!(watched, functions, "{alarm}");
    }
}

#[test]
fn the_runbook_has_a_section_for_every_alarm_and_no_other() {
    let document = document();
    let alarms: BTreeSet<String> =
        resources(&document, "AWS::CloudWatch::Alarm").into_iter().map(|(id, _)| id).collect();
    let runbook = Workspace::locate().root().join("docs/runbook.md");
    let runbook = fs::read_to_string(runbook).unwrap();
    let mut sections = BTreeSet::new();
    for section in runbook.split("\n## ").skip(1) {
        let (title, body) = section.split_once('\n').unwrap();
        if title.ends_with("Alarm") {
            for question in ["**Means**", "**Look at**", "**Do**"] {
                assert!(body.contains(question), "{title} lacks {question}");
            }
            sections.insert(title.to_owned());
        }
    }
    assert_eq!(sections, alarms);
}

#[test]
fn every_alarm_tells_the_topic() {
    let document = document();
    for (id, properties) in resources(&document, "AWS::CloudWatch::Alarm") {
        for actions in ["AlarmActions", "OKActions"] {
            let condition =
                properties.load(actions).unwrap().intrinsic().unwrap().1.items().unwrap();
            assert_eq!(condition[0].text().unwrap(), "HasAlarmTopic", "{id}");
        }
        assert!(properties.load("AlarmDescription").is_ok(), "{id}");
        assert_eq!(properties.load("TreatMissingData").unwrap().text().unwrap(), "notBreaching");
    }
}

#[test]
fn the_dashboard_is_json_and_shows_every_function() {
    let document = document();
    let [(_, dashboard)] =
        resources(&document, "AWS::CloudWatch::Dashboard").try_into().ok().unwrap();
    let (tag, body) = dashboard.load("DashboardBody").unwrap().intrinsic().unwrap();
    assert_eq!(tag, "Sub");
    let body = body.text().unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(parsed["widgets"].as_array().unwrap().len() >= 9);
    for (id, _) in functions(&document) {
        assert!(body.contains(&format!("${{{id}}}")), "{id} is not on the dashboard");
    }
}

/// Controls of AWS Foundational Security Best Practices, by their names. `APIGateway.8` does not
/// hold: routes have no authorization type of the gateway's, because the functions check tokens
/// themselves, and sign-in has none yet. `SecretsManager.2` and `.3` are about a secret that runs.
#[test]
fn foundational_security_best_practices_hold() {
    let document = document();
    for (id, permission) in resources(&document, "AWS::Lambda::Permission") {
        let principal = permission.load("Principal").unwrap().text().unwrap();
        assert!(principal.ends_with(".amazonaws.com"), "Lambda.1: {id}");
        let from = permission.find("SourceArn").or_else(|| permission.find("SourceAccount"));
        assert!(from.is_some(), "Lambda.1: {id}");
    }
    let globals = Place::root(&document).load("Globals").unwrap().load("Function").unwrap();
    assert_eq!(globals.load("Tracing").unwrap().text().unwrap(), "Active", "Lambda.7");
    for (id, table) in resources(&document, "AWS::DynamoDB::Table") {
        let mode = table.load("BillingMode").unwrap().text().unwrap();
        assert_eq!(mode, "PAY_PER_REQUEST", "DynamoDB.1: {id}");
        let recovery = table.load("PointInTimeRecoverySpecification").unwrap();
        let recovery = recovery.load("PointInTimeRecoveryEnabled").unwrap();
        assert!(recovery.is_true().unwrap(), "DynamoDB.2: {id}");
        assert!(table.find("DeletionProtectionEnabled").is_some(), "DynamoDB.6: {id}");
    }
    assert_eq!(super::template().parameters["DeletionProtection"].default, "true", "DynamoDB.6");
    for (id, stage) in resources(&document, "AWS::ApiGatewayV2::Stage") {
        assert!(stage.find("AccessLogSettings").is_some(), "APIGateway.9: {id}");
    }
    let secrets = resources(&document, "AWS::SecretsManager::Secret").len();
    let rotations = resources(&document, "AWS::SecretsManager::RotationSchedule").len();
    assert_eq!(secrets, rotations, "SecretsManager.1");
    let days: u32 = super::template().parameters["RotationDays"].default.parse().unwrap();
    assert!(days <= 90, "SecretsManager.4");
}
