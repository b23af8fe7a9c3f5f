//! A local Secrets Manager (moto), and the key ring secret of the template in it.

use std::{path::Path, process::Command, time::Duration};

use aws_sdk_secretsmanager::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use serde_json::{Map, Value};

use crate::{
    dynamodb::{CREDENTIAL, REGION, sdk_error},
    process::Process,
    run::Run,
    starting::{StartError, http_client, on_a_free_port, until_ready},
    template::GeneratedSecret,
    toolbox::Toolbox,
};

/// A Secrets Manager that answers.
#[derive(Debug)]
pub struct SecretsManager {
    endpoint: String,
    process: Process,
}

impl SecretsManager {
    /// Starts moto on a free port of the loopback interface.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn start(toolbox: &Toolbox, run: &Run, temporary: &Path) -> Result<Self, StartError> {
        let http = http_client()?;
        on_a_free_port("moto", async |port| {
            let name = "moto";
            // Run with Python explicitly: the system truncates a script's first line, which names
            // the interpreter, if the path of the checkout is long.
            let mut moto = Command::new(toolbox.bin().join("python"));
            moto.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
                .env("TMPDIR", temporary)
                .current_dir(run.folder());
            let process =
                Process::spawn(name, &moto, &run.log("moto")).map_err(StartError::spawn(name))?;
            let endpoint = format!("http://127.0.0.1:{port}");
            let status_page = format!("{endpoint}/moto-api/data.json");
            until_ready(&process, Duration::from_secs(60), async || {
                http.get(&status_page).send().await.is_ok()
            })
            .await?;
            Ok(Self { endpoint, process })
        })
        .await
    }

    /// Where it answers.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn early_end(&self) -> Option<StartError> {
        StartError::if_ended(&self.process)
    }

    /// A client for it.
    #[must_use]
    pub fn client(&self) -> Client {
        let credentials = Credentials::new(CREDENTIAL, CREDENTIAL, None, None, "local stack");
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(credentials)
            .endpoint_url(&self.endpoint)
            .build();
        Client::from_conf(config)
    }

    /// Creates a secret and returns its ARN. The value is `known`, or else generated as
    /// `CloudFormation` does from `GenerateSecretString`.
    ///
    /// # Errors
    /// If the template of the secret is not a JSON object, or moto refuses.
    pub async fn create(
        &self,
        name: &str,
        generated: &GeneratedSecret,
        known: Option<String>,
    ) -> Result<String, StartError> {
        let create = async {
            let client = self.client();
            let secret = match known {
                Some(secret) => secret,
                None => Self::generate(&client, generated).await?,
            };
            let created = client.create_secret().name(name).secret_string(secret).send().await;
            sdk_error(created)?.arn.ok_or_else(|| "there is no ARN in the answer".to_owned())
        };
        create.await.map_err(StartError::create(&format!("the secret {name}")))
    }

    /// The current version of a secret.
    ///
    /// # Errors
    /// If moto does not have it.
    pub async fn current(&self, id: &str) -> Result<String, StartError> {
        let failed = StartError::create("a copy of the key ring");
        match sdk_error(self.client().get_secret_value().secret_id(id).send().await) {
            Ok(answer) => Ok(answer.secret_string.unwrap_or_default()),
            Err(cause) => Err(failed(cause)),
        }
    }

    async fn generate(client: &Client, generated: &GeneratedSecret) -> Result<String, String> {
        let password = client
            .get_random_password()
            .password_length(generated.length)
            .exclude_punctuation(generated.exclude_punctuation)
            .include_space(generated.include_space)
            .send()
            .await;
        let password = sdk_error(password)?.random_password.unwrap_or_default();
        let mut object: Map<String, Value> =
            serde_json::from_str(&generated.template).map_err(|error| error.to_string())?;
        object.insert(generated.key.clone(), Value::String(password));
        Ok(Value::Object(object).to_string())
    }
}
