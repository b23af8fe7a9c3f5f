//! The metrics that CloudWatch extracts from the log: one line per request in the embedded metric
//! format.

use serde_json::Value;

use crate::support::{Answer, World, run};

fn declared(line: &Value) -> Vec<&str> {
    let mut names = Vec::new();
    for set in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(set["Namespace"], "Ratchet");
        for dimension in set["Dimensions"][0].as_array().unwrap() {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{line}");
        }
        let metrics = set["Metrics"].as_array().unwrap();
        names.extend(metrics.iter().map(|metric| metric["Name"].as_str().unwrap()));
    }
    names
}

#[test]
fn every_request_is_counted_and_timed_with_its_calls() {
    run(async {
        let world = World::beside("metrics", &[]).await;
        let begun = ["authenticate", "refresh"].map(|function| world.metric_lines(function).len());
        let (_, tokens) = world.signed_in().await;
        world.api().refresh(&tokens.refresh).await.tokens();
        let refused = world.api().refresh("rt1_forged").await;
        assert_eq!(refused.problem(), (401, "malformed".to_owned()));
        Answer::of(world.api().request("GET", "/health")).await;

        let authenticate = world.metric_lines("authenticate").split_off(begun[0]);
        let refresh = world.metric_lines("refresh").split_off(begun[1]);
        let values = |lines: &[Value], metric: &str| -> Vec<Value> {
            let having = lines.iter().filter(|line| declared(line).contains(&metric));
            having.map(|line| line[metric].clone()).collect()
        };
        assert_eq!(values(&authenticate, "requests"), [Value::from(1)]);
        assert_eq!(values(&authenticate, "argon2_milliseconds").len(), 1);
        assert_eq!(values(&authenticate, "session_created"), [Value::from(1)]);
        assert_eq!(values(&refresh, "requests"), [1, 1, 1].map(Value::from));
        assert_eq!(values(&refresh, "milliseconds").len(), 3);
        // A write and a read for the rotation; none for garbage and for health.
        let calls = values(&refresh, "dynamodb_milliseconds");
        assert_eq!(calls.iter().map(|calls| calls.as_array().unwrap().len()).sum::<usize>(), 2);
        assert_eq!(values(&refresh, "refusals"), [Value::from(1)]);
        let refusal = refresh.iter().find(|line| declared(line).contains(&"refusals")).unwrap();
        assert_eq!(refusal["code"], "malformed");
    });
}

#[test]
fn letters_are_counted_with_the_calls_they_took() {
    run(async {
        let world = World::shared().await;
        world.member().await;
        let sent =
            world.metric_lines("mailer").into_iter().find(|line| line["letters_sent"].is_u64());
        let sent = sent.expect("a line of an invocation that sent a letter");
        for metric in ["letters_sent", "requests", "milliseconds", "dynamodb_milliseconds"] {
            assert!(declared(&sent).contains(&metric), "{sent}");
        }
        assert!(!sent["request_id"].as_str().unwrap().is_empty());
    });
}

#[test]
fn a_new_instance_counts_one_cold_start() {
    run(async {
        let world = World::beside("cold-starts", &[]).await;
        for _ in 0..3 {
            Answer::of(world.api().request("GET", "/health")).await;
        }
        let lines = world.metric_lines("refresh");
        let cold = lines.iter().filter(|line| declared(line).contains(&"cold_starts"));
        assert_eq!(cold.count(), 1);
    });
}
