//! The services as the template describes them, for real.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, KeySchemaElement, ScalarAttributeType, TimeToLiveStatus,
};
use local::{
    functions::Environment,
    progress::Progress,
    services::{Data, Preparation, Services},
    starting::StartError,
};

#[tokio::test]
async fn tables_and_secret_are_those_of_the_template() {
    let services =
        Services::start(Preparation::complete("dev", Progress::default()).unwrap()).await.unwrap();
    let data = Data::create(&services).await.unwrap();

    let client = services.dynamodb().client();
    let tokens = client.describe_table().table_name(&data.tokens_table).send().await.unwrap();
    let tokens = tokens.table.unwrap();
    let key: Vec<_> = tokens.key_schema().iter().map(KeySchemaElement::attribute_name).collect();
    assert_eq!(key, ["user_id", "session_id"]);
    let of_the_key = |definition: &&AttributeDefinition| key.contains(&definition.attribute_name());
    for definition in tokens.attribute_definitions().iter().filter(of_the_key) {
        assert_eq!(*definition.attribute_type(), ScalarAttributeType::B);
    }
    for table in [&data.users_table, &data.tokens_table] {
        let ttl = client.describe_time_to_live().table_name(table).send().await.unwrap();
        let ttl = ttl.time_to_live_description.unwrap();
        assert_eq!(ttl.time_to_live_status, Some(TimeToLiveStatus::Enabled));
        assert_eq!(ttl.attribute_name(), Some("expires_at"));
    }
    let users = client.describe_table().table_name(&data.users_table).send().await.unwrap();
    let index = users.table.unwrap().global_secondary_indexes.unwrap().remove(0);
    assert_eq!(index.index_name(), Some("names"));

    let secrets = services.secrets().client();
    let secret = secrets.get_secret_value().secret_id(&data.key_ring_secret).send().await.unwrap();
    let ring: serde_json::Value = serde_json::from_str(secret.secret_string().unwrap()).unwrap();
    assert_eq!(ring["keys"].as_array().unwrap().len(), 0);
    let seed = ring["seed"].as_str().unwrap();
    assert!(seed.len() == 64 && seed.chars().all(|c| c.is_ascii_alphanumeric()), "{seed}");

    // Another deployment beside it has its own.
    let other = Data::create(&services).await.unwrap();
    assert_ne!(other, data);

    let url = "http://127.0.0.1:1";
    let environment = Environment::new(&services, &data, url, &BTreeMap::new()).unwrap();
    assert_eq!(environment.variables()["RATCHET_ISSUER"], url);
    assert_eq!(environment.variables()["RATCHET_TOKENS_TABLE"], data.tokens_table);
    assert_eq!(environment.variables()["RATCHET_ACCESS_TOKEN_SECONDS"], "300");
    let misspelt = BTreeMap::from([("RATCHET_ACCES_TOKEN_SECONDS".to_owned(), "3".to_owned())]);
    let error = Environment::new(&services, &data, url, &misspelt).unwrap_err();
    assert!(matches!(error, StartError::UnknownVariable(_)), "{error}");

    other.delete(&services).await.unwrap();
    let gone = client.describe_table().table_name(&other.users_table).send().await;
    assert!(gone.unwrap_err().into_service_error().is_resource_not_found_exception());
}
