//! What CloudWatch would make of the log: one line per request in the embedded metric format.

use serde_json::Value;

use crate::support::{Answer, World, run};

/// The metric lines of a function's log, as CloudWatch reads them: what a line declares, it has.
fn lines(world: &World, function: &str) -> Vec<Value> {
    let text = world.log_text();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get("_aws").is_some() && line["FunctionName"] == function).collect()
}

fn declared(line: &Value) -> Vec<&str> {
    let set = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(set["Namespace"], "Ratchet");
    for dimension in set["Dimensions"][0].as_array().unwrap() {
        assert!(line[dimension.as_str().unwrap()].is_string(), "{line}");
    }
    let metrics = set["Metrics"].as_array().unwrap();
    metrics.iter().map(|metric| metric["Name"].as_str().unwrap()).collect()
}

#[test]
fn every_request_is_counted_and_timed_with_its_calls() {
    run(async {
        let world = World::beside("metrics", &[]).await;
        let begun = ["authenticate", "refresh"].map(|function| lines(&world, function).len());
        let (_, tokens) = world.signed_in().await;
        world.api().refresh(&tokens.refresh).await.tokens();
        let refused = world.api().refresh("rt1_forged").await;
        assert_eq!(refused.problem(), (401, "malformed".to_owned()));
        Answer::of(world.api().request("GET", "/health")).await;

        let authenticate = lines(&world, "authenticate").split_off(begun[0]);
        let refresh = lines(&world, "refresh").split_off(begun[1]);
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
fn a_new_instance_counts_one_cold_start() {
    run(async {
        let world = World::beside("cold-starts", &[]).await;
        for _ in 0..3 {
            Answer::of(world.api().request("GET", "/health")).await;
        }
        let lines = lines(&world, "refresh");
        let cold = lines.iter().filter(|line| declared(line).contains(&"cold_starts"));
        assert_eq!(cold.count(), 1);
    });
}
