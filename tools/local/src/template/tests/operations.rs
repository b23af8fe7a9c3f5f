//! What operators of a deployment rely on, whatever functions and alarms the template has.

use std::{collections::BTreeSet, fs};

use ratchet_core::access_token::MAX_ORIGIN_LEN;
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
    // Exactly the functions' settings: Lambda refuses a version that does not differ from the last.
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

/// A metric that an alarm watches: namespace, name, and its dimensions with their values as they are
/// written (`UsersTable`, `names`).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Watched {
    namespace: String,
    name: String,
    dimensions: Vec<(String, String)>,
}

impl Watched {
    fn read(metric: &Place<'_>) -> Self {
        let text = |place: &Place<'_>, key: &str| place.load(key).unwrap().text().unwrap();
        let written = |place: Place<'_>| match place.of_own_resource().unwrap().intrinsic() {
            Some((_, target)) => target.text().unwrap(),
            None => place.text().unwrap(),
        };
        let dimensions = metric.find("Dimensions").map_or_else(Vec::new, |list| {
            let dimensions = list.items().unwrap();
            let pair = |one: &Place<'_>| (text(one, "Name"), written(one.load("Value").unwrap()));
            dimensions.iter().map(pair).collect()
        });
        Self { namespace: text(metric, "Namespace"), name: text(metric, "MetricName"), dimensions }
    }

    fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }
}

/// What each alarm watches.
fn watched(document: &YamlOwned) -> Vec<(String, Vec<Watched>)> {
    let alarms = resources(document, "AWS::CloudWatch::Alarm").into_iter();
    let metrics = |properties: &Place<'_>| match properties.find("Metrics") {
        Some(metrics) => metrics
            .items()
            .unwrap()
            .iter()
            .filter_map(|metric| metric.find("MetricStat"))
            .map(|stat| Watched::read(&stat.load("Metric").unwrap()))
            .collect(),
        None => vec![Watched::read(properties)],
    };
    alarms.map(|(id, properties)| (id, metrics(&properties))).collect()
}

#[test]
fn errors_and_throttles_of_every_function_are_watched() {
    let document = document();
    let functions: BTreeSet<_> = functions(&document).into_iter().map(|(id, _)| id).collect();
    for metric in ["Errors", "Throttles"] {
        let watched: BTreeSet<_> = watched(&document)
            .into_iter()
            .flat_map(|(_, metrics)| metrics)
            .filter(|watched| watched.is("AWS/Lambda", metric))
            .map(|watched| watched.dimensions[0].1.clone())
            .collect();
        assert_eq!(watched, functions, "{metric}");
    }
}

#[test]
fn a_deployment_is_rolled_back_when_any_function_fails() {
    let document = document();
    let globals = Place::root(&document).load("Globals").unwrap().load("Function").unwrap();
    let stopping = globals.load("DeploymentPreference").unwrap().load("Alarms").unwrap();
    let stopping: BTreeSet<_> = stopping
        .items()
        .unwrap()
        .iter()
        .map(|alarm| alarm.intrinsic().unwrap().1.text().unwrap())
        .collect();
    // A function that not every deployment has is watched by an alarm that it names itself.
    let own: BTreeSet<_> = functions(&document)
        .iter()
        .filter_map(|(_, function)| function.find("DeploymentPreference"))
        .flat_map(|preference| preference.load("Alarms").unwrap().items().unwrap())
        .map(|alarm| alarm.intrinsic().unwrap().1.text().unwrap())
        .collect();
    for (id, metrics) in watched(&document) {
        if metrics.iter().any(|metric| metric.is("AWS/Lambda", "Errors")) {
            assert!(stopping.contains(&id) || own.contains(&id), "{id} rolls nothing back");
        }
    }
    assert!(stopping.len() + own.len() <= 10, "CodeDeploy takes ten alarms");
}

/// An alarm on a metric math expression has at most ten metrics, the expression included:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html>.
/// One more is refused only when the stack is created.
#[test]
fn alarms_have_no_more_metrics_than_metric_math_allows() {
    let document = document();
    for (id, properties) in resources(&document, "AWS::CloudWatch::Alarm") {
        if let Some(metrics) = properties.find("Metrics") {
            let metrics = metrics.items().unwrap().len();
            assert!(metrics <= 10, "{id} has {metrics}: split it");
        }
    }
}

/// DynamoDB counts an index's throttled requests under the index's own name only.
#[test]
fn throttling_of_every_table_and_index_is_watched() {
    let document = document();
    let dimension = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut expected = BTreeSet::new();
    for (id, table) in super::template().tables {
        expected.insert(vec![dimension("TableName", &id)]);
        for index in table.indexes {
            let index = dimension("GlobalSecondaryIndexName", &index.name);
            expected.insert(vec![dimension("TableName", &id), index]);
        }
    }
    for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] {
        let watched: BTreeSet<_> = watched(&document)
            .into_iter()
            .flat_map(|(_, metrics)| metrics)
            .filter(|watched| watched.is("AWS/DynamoDB", metric))
            .map(|watched| watched.dimensions)
            .collect();
        assert_eq!(watched, expected, "{metric}");
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
    let body = body.items().unwrap()[0].text().unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(parsed["widgets"].as_array().unwrap().len() >= 9);
    for (id, _) in functions(&document) {
        assert!(body.contains(&format!("${{{id}}}")), "{id} is not on the dashboard");
    }
    let searches: Vec<_> = parsed["widgets"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|widget| widget["properties"]["metrics"].as_array().unwrap())
        .filter_map(|metric| metric[0]["expression"].as_str())
        .collect();
    let refusals = r#"SEARCH('{Ratchet,FunctionName,code} MetricName="refusals"', 'Sum', 60)"#;
    assert_eq!(searches, [refusals]);
}

fn protected_tables(document: &YamlOwned) -> Vec<String> {
    let [(_, protection)] = resources(document, "Custom::TableProtection").try_into().ok().unwrap();
    let tables = protection.load("Tables").unwrap().items().unwrap();
    let own = tables.iter().map(|table| table.of_own_resource().unwrap());
    own.map(|table| table.intrinsic().unwrap().1.text().unwrap()).collect()
}

/// The gateway's throttling is per route. docs/quotas.md has the sums, in the order checked here.
#[test]
fn the_documented_quotas_follow_from_the_template() {
    let document = document();
    let parameters = super::template().parameters;
    let default = |name: &str| parameters[name].default.parse::<u32>().unwrap();
    let routes: Vec<_> = resources(&document, "AWS::ApiGatewayV2::Route")
        .into_iter()
        .map(|(_, route)| route.load("RouteKey").unwrap().text().unwrap())
        .collect();
    let [(_, stage)] = resources(&document, "AWS::ApiGatewayV2::Stage").try_into().ok().unwrap();
    let hashing = stage.load("RouteSettings").unwrap().entries().unwrap();
    for (route, settings) in &hashing {
        assert!(routes.contains(route), "{route} is no route");
        let rate = settings.load("ThrottlingRateLimit").unwrap().intrinsic().unwrap().1;
        assert_eq!(rate.text().unwrap(), "HashingThrottlingRate");
    }
    let hashing = u32::try_from(hashing.len()).unwrap();
    let others = u32::try_from(routes.len()).unwrap() - hashing;
    let thousands = |number: u32| match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    };
    let (slow, fast) = (default("HashingThrottlingRate"), default("ThrottlingRate"));
    let slow_burst = hashing * default("HashingThrottlingBurst");
    let fast_burst = others * default("ThrottlingBurst");
    let environments = |slow: u32, fast: u32| {
        (f64::from(hashing * slow) * 0.045, f64::from(others * fast) * 0.008)
    };
    let (for_hashing, for_others) = environments(slow, fast);
    let (few_for_hashing, few_for_others) = environments(10, 30);
    let stated = [
        format!(
            "| {hashing} that hash | {slow} | {} | {} |",
            thousands(hashing * slow),
            thousands(slow_burst)
        ),
        format!(
            "| {others} others | {fast} | {} | {} |",
            thousands(others * fast),
            thousands(fast_burst)
        ),
        format!(
            "| all {} | | {} | {} |",
            hashing + others,
            thousands(hashing * slow + others * fast),
            thousands(slow_burst + fast_burst)
        ),
        format!(
            "that is {for_hashing:.0} environments for hashing and {for_others:.0} for everything else"
        ),
        format!(
            "which needs {few_for_hashing:.1} environments for hashing and {few_for_others:.2} for \
             everything else"
        ),
    ];
    let quotas = fs::read_to_string(Workspace::locate().root().join("docs/quotas.md")).unwrap();
    let quotas = quotas.replace('\n', " ");
    for sentence in stated {
        assert!(quotas.contains(&sentence), "docs/quotas.md should say: {sentence}");
    }
}

/// DynamoDB refuses to delete a protected table, also when `CloudFormation` rolls a failed creation
/// back: the stack would be stuck, and its tables would stay.
#[test]
fn a_creation_that_fails_can_delete_the_tables() {
    let document = document();
    for (id, table) in resources(&document, "AWS::DynamoDB::Table") {
        assert!(table.find("DeletionProtectionEnabled").is_none(), "{id}: see TableProtection");
    }
    let protection = Place::root(&document).load("Resources").unwrap();
    let protection = protection.load("TableProtection").unwrap();
    // Deleted with a failed creation, which ends the protection, and with nothing else.
    let policy = protection.load("DeletionPolicy").unwrap().text().unwrap();
    assert_eq!(policy, "RetainExceptOnCreate");
}

/// `CloudFormation` generates a new secret when any of this changes: a deployment that did so would
/// replace the key ring of every stack, and every token would be refused. So it never changes.
#[test]
fn how_the_key_ring_is_generated_never_changes() {
    let text = fs::read_to_string(Workspace::locate().template()).unwrap();
    let generated = part(&text, "      GenerateSecretString:");
    let words: Vec<_> = generated.split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "SecretStringTemplate: '{\"keys\":[]}' GenerateStringKey: seed PasswordLength: 64 \
         ExcludePunctuation: true IncludeSpace: false"
    );
}

/// Lambda refuses to publish what it published last, so a version that a rollback leaves behind
/// would keep the same build from being deployed again.
#[test]
fn versions_are_deleted_with_their_resource() {
    let document = document();
    let globals = Place::root(&document).load("Globals").unwrap().load("Function").unwrap();
    assert_eq!(globals.load("VersionDeletionPolicy").unwrap().text().unwrap(), "Delete");
}

/// Otherwise an `Issuer` that is set to what it was before makes a version that differs in nothing,
/// which Lambda refuses.
#[test]
fn configuration_version_and_environment_have_the_same_issuer() {
    let text = fs::read_to_string(Workspace::locate().template()).unwrap();
    let issuer = |line: &str, key: &str| {
        let part = part(&text, line);
        let value = part.split_once(key).unwrap().1.trim_start();
        let lines = value.lines().take_while(|line| !line.trim_start().starts_with("RATCHET_"));
        lines.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let environment = issuer("    Environment:", "RATCHET_ISSUER: ");
    assert!(environment.starts_with("!If - HasIssuer - !Ref Issuer"), "{environment}");
    assert_eq!(issuer("  ConfigurationVersion:", " Url: "), environment);
}

/// An AAAA record needs a target that has an IPv6 address.
#[test]
fn names_with_an_ipv6_record_have_an_ipv6_address() {
    let document = document();
    let dual = |place: &Place<'_>| place.load("IpAddressType").unwrap().text().unwrap();
    let [(_, domain)] =
        resources(&document, "AWS::ApiGatewayV2::DomainName").try_into().ok().unwrap();
    let configurations = domain.load("DomainNameConfigurations").unwrap().items().unwrap();
    assert_eq!(dual(&configurations[0]), "dualstack");
    let [(_, api)] = resources(&document, "AWS::ApiGatewayV2::Api").try_into().ok().unwrap();
    assert_eq!(dual(&api), "dualstack");
}

/// A replica of the key ring cannot be rotated, and the active stack sends the letters. The deployment
/// tests check the rest of a standby, but their emulator has no rotation.
#[test]
fn a_standby_rotates_no_keys_and_sends_no_letters_and_no_events() {
    let document = document();
    let resources = Place::root(&document).load("Resources").unwrap();
    let rotation = resources.load("KeyRingRotation").unwrap();
    assert_eq!(rotation.load("Condition").unwrap().text().unwrap(), "Active");
    let sources = ["MailerEventSource", "PublisherUsersEventSource", "PublisherTokensEventSource"];
    for source in sources {
        let source = resources.load(source).unwrap().load("Properties").unwrap();
        let (tag, branches) = source.load("Enabled").unwrap().intrinsic().unwrap();
        let branches = branches.items().unwrap();
        assert_eq!((tag, branches[0].text().unwrap().as_str()), ("If", "Active"));
        assert!(branches[1].is_true().unwrap() && !branches[2].is_true().unwrap());
    }
}

/// Without a bus there is no publisher, nothing that it needs, and no stream that only it reads. Its
/// resources refer to each other, and nothing else does but under the same condition.
#[test]
fn without_an_event_bus_nothing_of_it_is_deployed() {
    let document = document();
    let resources = Place::root(&document).load("Resources").unwrap();
    let (mut of_bus, mut others) = (BTreeSet::new(), Vec::new());
    let text = fs::read_to_string(Workspace::locate().template()).unwrap();
    for (id, resource) in resources.entries().unwrap() {
        let condition = resource.find("Condition").map(|condition| condition.text().unwrap());
        if condition.as_deref() == Some("HasEventBus") {
            of_bus.insert(id);
        } else {
            assert!(!id.contains("Publisher") && !id.contains("Events"), "{id} has no condition");
            others.push(part(&text, &format!("  {id}:")));
        }
    }
    assert_eq!(of_bus.len(), 11, "{of_bus:?}");
    for line in others.iter().flat_map(|part| part.lines()) {
        let refers = of_bus.iter().any(|id| line.contains(&format!("!Ref {id}")));
        assert!(!refers || line.contains("!If [HasEventBus, "), "{line}");
    }
    let tokens = part(&text, "  TokensTable:");
    let conditional =
        "!If [HasEventBus, { StreamViewType: NEW_AND_OLD_IMAGES }, !Ref AWS::NoValue]";
    assert!(tokens.contains(&format!("StreamSpecification: {conditional}")), "{tokens}");
}

/// Otherwise each switch would make a new version of every function, which a canary holds up and may
/// roll back.
#[test]
fn a_switch_to_the_standby_changes_no_function() {
    let text = fs::read_to_string(Workspace::locate().template()).unwrap();
    // The conditions that depend on `Standby`, and those that depend on them.
    let conditions = part(&text, "Conditions:");
    let mut depend = BTreeSet::from(["Standby".to_owned()]);
    for line in conditions.lines() {
        let Some((name, rule)) = line.trim().split_once(": ") else { continue };
        let mut words = rule.split(|c: char| !c.is_alphanumeric());
        if words.any(|word| depend.contains(word)) {
            depend.insert(name.to_owned());
        }
    }
    assert!(depend.contains("Active") && depend.contains("HasMapping"), "{depend:?}");
    let document = document();
    let functions = functions(&document).into_iter().map(|(id, _)| format!("  {id}:"));
    let fixed = ["Globals:".to_owned(), "  ConfigurationVersion:".to_owned()];
    for line in functions.chain(fixed) {
        let part = part(&text, &line).replace("Tracing: Active", "");
        let mut words = part.split(|c: char| !c.is_alphanumeric());
        assert!(!words.any(|word| depend.contains(word)), "{line} depends on Standby");
    }
}

/// Functions do not start with longer ones: an access token could become too long.
#[test]
fn the_longest_issuer_audience_and_client_id_leave_room_in_access_tokens() {
    let document = document();
    let parameters = Place::root(&document).load("Parameters").unwrap();
    let mut longest = 0;
    for name in ["Issuer", "Audience", "ClientId"] {
        let pattern = parameters.load(name).unwrap().load("AllowedPattern").unwrap();
        let pattern = pattern.text().unwrap();
        // For example `^https://[\x21\x24-\x3E]{1,248}$`.
        let (prefix, rest) = pattern.rsplit_once('[').unwrap();
        let (class, times) = rest.split_once("]{1,").unwrap();
        let mut allowed = BTreeSet::new();
        let mut begin = None;
        for code in class.split("\\x").skip(1) {
            let byte = u8::from_str_radix(&code[..2], 16).unwrap();
            allowed.extend(begin.unwrap_or(byte)..=byte);
            begin = code.ends_with('-').then_some(byte);
        }
        for byte in &allowed {
            let json = serde_json::to_string(&char::from(*byte)).unwrap();
            assert_eq!(json.len(), 3, "{name}: {json} is longer than a byte");
        }
        assert!(allowed.len() > 80, "{name}: {allowed:?}");
        let prefix = prefix.rsplit_once('^').unwrap().1;
        let times: usize = times.trim_end_matches("}$").parse().unwrap();
        longest += prefix.len() + times + "\"\"".len();
    }
    assert!(longest <= MAX_ORIGIN_LEN, "{longest} bytes");
}

/// `AppConfig`'s names have at most 64 characters, a stack's name up to 128.
#[test]
fn names_with_a_limit_do_not_come_from_the_name_of_the_stack() {
    let text = fs::read_to_string(Workspace::locate().template()).unwrap();
    let application = part(&text, "  ConfigurationApplication:");
    assert!(!application.contains("AWS::StackName"), "{application}");
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
        let protected = protected_tables(&document);
        assert!(protected.contains(&id), "DynamoDB.6: {id}");
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
