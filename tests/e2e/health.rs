//! `GET /health`.

use local::stack::StackOptions;

use crate::support::{Answer, World, proxy::Proxy, run, world::cheap};

#[test]
fn health_says_what_runs_and_asks_nobody() {
    run(async {
        let services = World::shared().await.stack().services();
        let dynamodb = Proxy::before(services.dynamodb().endpoint()).await;
        let secrets = Proxy::before(services.secrets().endpoint()).await;
        let shared = World::shared().await;
        let mut options =
            StackOptions { concurrency: 1, ..StackOptions::beside(shared.stack(), "health") };
        let own = options.own_environment.entry("refresh".to_owned()).or_default();
        own.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamodb.endpoint());
        own.insert("AWS_ENDPOINT_URL_SECRETS_MANAGER".to_owned(), secrets.endpoint());
        let world = World::start(cheap(options)).await;
        let calls = dynamodb.calls("*") + secrets.calls("*");
        let answer = Answer::of(world.api().request("GET", "/health")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(body["build"], option_env!("RATCHET_BUILD").unwrap_or("unknown"));
        assert_eq!(body["function_version"], "1");
        assert!(body["key_ring_age_seconds"].as_u64().unwrap() < 300);
        assert_eq!(body.as_object().unwrap().len(), 4, "nothing else: {body}");
        assert_eq!(dynamodb.calls("*") + secrets.calls("*"), calls);
    });
}
