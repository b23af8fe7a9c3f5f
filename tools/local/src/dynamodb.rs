//! DynamoDB Local, or the developer's own, and the tables of the template in it.

use std::{env, path::Path, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    error::{DisplayErrorContext, SdkError},
    operation::describe_table::DescribeTableError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, StreamSpecification, TimeToLiveSpecification,
    },
};

use crate::{
    process::{Process, Signal},
    run::Run,
    starting::{StartError, http_client, on_a_free_port, until_ready},
    template::{Key, Table, Template},
    toolbox::{DynamoDbLocal, Toolbox},
};

/// The developer's own DynamoDB, for example the Docker image `amazon/dynamodb-local`.
pub const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_DYNAMODB";
/// The only region of the local stack.
pub const REGION: &str = "us-east-1";
/// Access key id and secret of the local stack. DynamoDB Local separates data by access key.
pub const CREDENTIAL: &str = "local";

/// A running DynamoDB.
#[derive(Debug)]
pub struct DynamoDb {
    endpoint: String,
    /// `None` for the developer's own.
    process: Option<Process>,
}

/// The endpoint that the developer has set, if any.
///
/// # Errors
/// If it has no scheme, which the AWS SDK would only report at the first request.
pub fn developers_endpoint() -> Result<Option<String>, StartError> {
    endpoint(env::var(ENDPOINT_VARIABLE).ok())
}

fn endpoint(set: Option<String>) -> Result<Option<String>, StartError> {
    let Some(endpoint) = set.filter(|endpoint| !endpoint.is_empty()) else { return Ok(None) };
    let has_scheme = endpoint.starts_with("http://") || endpoint.starts_with("https://");
    if has_scheme { Ok(Some(endpoint)) } else { Err(StartError::NoScheme(endpoint)) }
}

impl DynamoDb {
    /// Uses the developer's DynamoDB, or starts one: with its tables in the folder `database`, or
    /// in memory.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn start(
        toolbox: &Toolbox,
        run: &Run,
        temporary: &Path,
        database: Option<&Path>,
    ) -> Result<Self, StartError> {
        let http = http_client()?;
        // Without a signature it is refused, but even a refusal is an answer.
        let answers = async |endpoint: &str| http.get(endpoint).send().await.is_ok();
        let Some(installed) = toolbox.dynamodb() else {
            let endpoint = developers_endpoint()?.unwrap_or_default();
            if !answers(&endpoint).await {
                return Err(StartError::NoDynamoDb { endpoint });
            }
            return Ok(Self { endpoint, process: None });
        };
        on_a_free_port("DynamoDB Local", async |port| {
            let mut java = installed.java();
            // Optimise for a quick start, and write files only into our own folder.
            java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"])
                .arg(format!("-Djava.io.tmpdir={}", temporary.display()))
                .arg(DynamoDbLocal::MAIN)
                .args(["-disableTelemetry", "-port", &port.to_string()])
                .current_dir(run.folder());
            match database {
                None => java.arg("-inMemory"),
                Some(folder) => java.arg("-dbPath").arg(folder),
            };
            let name = "DynamoDB Local";
            let process = Process::spawn(name, &java, &run.log("dynamodb"))
                .map_err(StartError::spawn(name))?;
            let endpoint = format!("http://127.0.0.1:{port}");
            until_ready(&process, Duration::from_secs(60), async || answers(&endpoint).await)
                .await?;
            Ok(Self { endpoint, process: Some(process) })
        })
        .await
    }

    /// Where it answers.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether it ends with us, and all tables with it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.process.is_some()
    }

    /// Stops the DynamoDB that we started, and waits until it has written everything.
    pub(crate) async fn finish(&self) {
        let Some(process) = &self.process else { return };
        if process.signal(Signal::Terminate).is_err() {
            return;
        }
        // If it does not end by then it is killed with the run.
        for _ in 0..50 {
            if !matches!(process.exit_status(), Ok(None)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn early_end(&self) -> Option<StartError> {
        self.process.as_ref().and_then(StartError::if_ended)
    }

    /// A client for it.
    #[must_use]
    pub fn client(&self) -> Client {
        let credentials = Credentials::new(CREDENTIAL, CREDENTIAL, None, None, "local stack");
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(credentials)
            .endpoint_url(&self.endpoint)
            .build();
        Client::from_conf(config)
    }

    /// Creates every table of the template, as `<prefix>-<logical id>`. What is there already
    /// under that name is kept or replaced, as `existing` says.
    ///
    /// # Errors
    /// If DynamoDB refuses one.
    pub async fn create_tables(
        &self,
        template: &Template,
        prefix: &str,
        existing: Existing,
    ) -> Result<(), StartError> {
        let client = self.client();
        for (id, table) in &template.tables {
            let name = format!("{prefix}-{id}");
            let failed = || StartError::create(&format!("the table {name}"));
            let described = client.describe_table().table_name(&name).send().await;
            match (described, existing) {
                (Err(error), _) if is_missing(&error) => {}
                (Err(error), _) => return Err(failed()(DisplayErrorContext(error).to_string())),
                (Ok(_), Existing::Keep) => continue,
                (Ok(_), Existing::Replace) => {
                    let deleted = client.delete_table().table_name(&name).send().await;
                    sdk_error(deleted).map_err(failed())?;
                }
            }
            create(&client, &name, table).await.map_err(failed())?;
        }
        Ok(())
    }
}

/// What to do with tables that exist already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Use them.
    Keep,
    /// Replace them: they are left over from a run that could not remove them.
    Replace,
}

fn is_missing(error: &SdkError<DescribeTableError>) -> bool {
    error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception)
}

async fn create(client: &Client, name: &str, table: &Table) -> Result<(), String> {
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(schema(&table.key)?));
    if let Some(view) = &table.stream {
        let specification = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(view.as_str().into());
        request = request.stream_specification(text_error(specification.build())?);
    }
    let mut keys: Vec<&Key> = table.key.iter().collect();
    for index in &table.indexes {
        keys.extend(&index.key);
        let included = Some(index.included.clone()).filter(|names| !names.is_empty());
        let projection = Projection::builder()
            .projection_type(index.projection.as_str().into())
            .set_non_key_attributes(included)
            .build();
        let index = GlobalSecondaryIndex::builder()
            .index_name(&index.name)
            .set_key_schema(Some(schema(&index.key)?))
            .projection(projection);
        request = request.global_secondary_indexes(text_error(index.build())?);
    }
    keys.sort_by_key(|key| &key.attribute);
    keys.dedup();
    for key in keys {
        let definition = AttributeDefinition::builder()
            .attribute_name(&key.attribute)
            .attribute_type(key.kind.as_str().into());
        request = request.attribute_definitions(text_error(definition.build())?);
    }
    sdk_error(request.send().await)?;

    if let Some(attribute) = &table.time_to_live {
        let specification =
            TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute);
        let request = client
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(text_error(specification.build())?);
        sdk_error(request.send().await)?;
    }
    Ok(())
}

fn schema(keys: &[Key]) -> Result<Vec<KeySchemaElement>, String> {
    keys.iter()
        .zip([KeyType::Hash, KeyType::Range])
        .map(|(key, kind)| {
            let element = KeySchemaElement::builder().attribute_name(&key.attribute).key_type(kind);
            text_error(element.build())
        })
        .collect()
}

fn text_error<T>(result: Result<T, aws_sdk_dynamodb::error::BuildError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

pub(crate) fn sdk_error<T, E: std::error::Error>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| DisplayErrorContext(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_scheme_is_refused_with_what_is_missing() {
        let set = |text: &str| endpoint(Some(text.to_owned()));
        let error = set("localhost:8000").unwrap_err().to_string();
        assert!(error.contains("has no scheme: set it to http://localhost:8000"), "{error}");
        let url = "http://localhost:8000";
        assert_eq!(set(url).unwrap().as_deref(), Some(url));
        assert_eq!((set("").unwrap(), endpoint(None).unwrap()), (None, None));
    }
}
