//! Checks the deployer's policy against the types of the template's resources.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::super::document::{Place, load};
use crate::workspace::Workspace;

/// What `CloudFormation` calls to make and delete a resource of a type, by its schema in the registry
/// (`aws cloudformation describe-type`, `handlers`).
const NEEDED: &[(&str, &[&str])] = &[
    ("AWS::ApiGatewayV2::Api", &["apigateway:POST", "apigateway:DELETE", "apigateway:PATCH"]),
    ("AWS::ApiGatewayV2::ApiMapping", &["apigateway:POST", "apigateway:DELETE"]),
    ("AWS::ApiGatewayV2::DomainName", &["apigateway:POST", "apigateway:DELETE"]),
    ("AWS::ApiGatewayV2::Integration", &["apigateway:POST", "apigateway:DELETE"]),
    ("AWS::ApiGatewayV2::Route", &["apigateway:POST", "apigateway:DELETE"]),
    (
        "AWS::ApiGatewayV2::Stage",
        &[
            "apigateway:POST",
            "apigateway:DELETE",
            "logs:CreateLogDelivery",
            "logs:PutResourcePolicy",
        ],
    ),
    (
        "AWS::AppConfig::Application",
        &["appconfig:CreateApplication", "appconfig:DeleteApplication"],
    ),
    (
        "AWS::AppConfig::ConfigurationProfile",
        &["appconfig:CreateConfigurationProfile", "appconfig:DeleteConfigurationProfile"],
    ),
    (
        "AWS::AppConfig::HostedConfigurationVersion",
        &[
            "appconfig:CreateHostedConfigurationVersion",
            "appconfig:DeleteHostedConfigurationVersion",
        ],
    ),
    ("AWS::CloudWatch::Alarm", &["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"]),
    ("AWS::CloudWatch::Dashboard", &["cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"]),
    (
        "AWS::DynamoDB::Table",
        &[
            "dynamodb:CreateTable",
            "dynamodb:DeleteTable",
            "dynamodb:DescribeTable",
            "dynamodb:UpdateTimeToLive",
            "dynamodb:UpdateContinuousBackups",
            "dynamodb:TagResource",
        ],
    ),
    ("AWS::IAM::Role", &["iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRole", "iam:PassRole"]),
    (
        "AWS::Lambda::EventSourceMapping",
        &["lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping"],
    ),
    ("AWS::Lambda::Function", &["lambda:CreateFunction", "lambda:DeleteFunction"]),
    ("AWS::Lambda::Permission", &["lambda:AddPermission", "lambda:RemovePermission"]),
    ("AWS::Logs::LogGroup", &["logs:CreateLogGroup", "logs:PutRetentionPolicy"]),
    ("AWS::Route53::RecordSet", &["route53:ChangeResourceRecordSets", "route53:GetChange"]),
    ("AWS::SES::ConfigurationSet", &["ses:CreateConfigurationSet", "ses:DeleteConfigurationSet"]),
    ("AWS::SQS::Queue", &["sqs:CreateQueue", "sqs:DeleteQueue"]),
    ("AWS::SecretsManager::RotationSchedule", &["secretsmanager:RotateSecret"]),
    (
        "AWS::SecretsManager::Secret",
        &["secretsmanager:CreateSecret", "secretsmanager:GetRandomPassword"],
    ),
    // And what SAM makes of it: alias, version and, with a gradual rollout, CodeDeploy's resources.
    (
        "AWS::Serverless::Function",
        &[
            "lambda:CreateFunction",
            "lambda:UpdateFunctionCode",
            "lambda:PublishVersion",
            "lambda:CreateAlias",
            "lambda:UpdateAlias",
            "lambda:PutFunctionConcurrency",
            "codedeploy:CreateApplication",
            "codedeploy:CreateDeploymentGroup",
            "codedeploy:CreateDeployment",
            "iam:AttachRolePolicy",
            "s3:GetObject",
        ],
    ),
    // CloudFormation invokes the function behind it.
    ("Custom::TableProtection", &["lambda:InvokeFunction"]),
];

/// What `sam deploy` itself calls.
const OF_SAM: &[&str] = &[
    "cloudformation:CreateChangeSet",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:DescribeStacks",
    "cloudformation:DescribeStackEvents",
    "s3:PutObject",
    "s3:CreateBucket",
];

fn policy() -> Value {
    let file = Workspace::locate().root().join("docs/examples/deployer-policy.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// Whether a statement of the policy allows an action, on whatever.
fn allows(policy: &Value, action: &str) -> bool {
    let fits = |pattern: &str| match pattern.split_once('*') {
        Some((start, end)) => {
            action.len() >= start.len() + end.len()
                && action.starts_with(start)
                && action.ends_with(end)
        }
        None => pattern == action,
    };
    let statements = policy["Statement"].as_array().unwrap().iter();
    let mut actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.any(|pattern| fits(pattern.as_str().unwrap()))
}

#[test]
fn a_deployer_may_do_what_the_template_needs() {
    let text = fs::read_to_string(Workspace::locate().template()).unwrap();
    let document = load(&text).unwrap();
    let resources = Place::root(&document).load("Resources").unwrap().entries().unwrap();
    let types: BTreeSet<String> = resources
        .into_iter()
        .map(|(_, resource)| resource.load("Type").unwrap().text().unwrap())
        .collect();
    let known: BTreeSet<String> = NEEDED.iter().map(|(kind, _)| (*kind).to_owned()).collect();
    assert_eq!(types, known, "what do these need?");
    let policy = policy();
    let needed = NEEDED.iter().flat_map(|(_, actions)| *actions).chain(OF_SAM);
    let missing: Vec<_> = needed.filter(|action| !allows(&policy, action)).collect();
    assert!(missing.is_empty(), "docs/examples/deployer-policy.json lacks {missing:?}");
}

#[test]
fn a_deployer_may_not_read_users_sessions_or_keys() {
    let policy = policy();
    for action in [
        "dynamodb:GetItem",
        "dynamodb:BatchGetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:PartiQLSelect",
        "dynamodb:GetRecords",
        "dynamodb:ExportTableToPointInTime",
        "dynamodb:RestoreTableToPointInTime",
        "secretsmanager:GetSecretValue",
        "secretsmanager:BatchGetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        "logs:GetLogEvents",
        "logs:FilterLogEvents",
        "ses:SendEmail",
    ] {
        assert!(!allows(&policy, action), "{action}");
    }
}

/// A managed policy has at most 6,144 characters, spaces not counted:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
#[test]
fn the_policy_of_a_deployer_fits_into_a_managed_policy() {
    assert!(policy().to_string().len() <= 6_144);
}
