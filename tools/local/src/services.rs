//! The services that the functions need: DynamoDB, Secrets Manager, and the data in them.

use std::sync::Arc;

use ratchet_core::entropy::random;

use crate::{
    binaries::Binaries,
    dynamodb::{DynamoDb, Existing, developers_endpoint},
    keep::Keep,
    mail,
    progress::Progress,
    run::{Run, Temporary},
    secrets::SecretsManager,
    starting::StartError,
    template::Template,
    toolbox::Toolbox,
    workspace::Workspace,
};

/// Everything that is needed on disk before a process is started.
#[derive(Clone, Debug)]
pub struct Preparation {
    pub(crate) workspace: Workspace,
    pub(crate) template: Template,
    pub(crate) toolbox: Toolbox,
    pub(crate) binaries: Binaries,
    pub(crate) progress: Progress,
}

impl Preparation {
    /// Installs the tools and builds the functions with a profile (`dev`, `release`, …), unless that
    /// has been done before. Blocks until then.
    ///
    /// # Errors
    /// If a prerequisite is missing, an installation fails or the functions do not build.
    pub fn complete(profile: &str, progress: Progress) -> Result<Self, StartError> {
        let workspace = Workspace::locate();
        let template = Template::read(&workspace.template())?;
        let toolbox = Toolbox::install(&workspace, developers_endpoint()?.is_none())?;
        progress.step("building the functions …");
        let binaries =
            Binaries::build(&workspace, profile, template.functions.keys().map(String::as_str))?;
        Ok(Self { workspace, template, toolbox, binaries, progress })
    }

    /// The contents of `template.yaml`.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The built functions.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The installed tools.
    #[must_use]
    pub fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }
}

/// A DynamoDB and a Secrets Manager that answer. Several stacks may share them.
#[derive(Debug)]
pub struct Services {
    dynamodb: DynamoDb,
    secrets: SecretsManager,
    keep: Option<Keep>,
    run: Run,
    preparation: Preparation,
    /// Dropped (and removed) after the programs that use it.
    _temporary: Temporary,
}

impl Services {
    /// Starts both at the same time, empty.
    ///
    /// # Errors
    /// If one of them does not answer.
    pub async fn start(preparation: Preparation) -> Result<Arc<Self>, StartError> {
        Self::start_with(preparation, None).await
    }

    /// Starts both with the data of an earlier run, if `keep` has any, and keeps their data.
    ///
    /// # Errors
    /// If one of them does not answer.
    pub async fn start_with(
        preparation: Preparation,
        keep: Option<Keep>,
    ) -> Result<Arc<Self>, StartError> {
        let run = Run::begin(&preparation.workspace).map_err(StartError::spawn("a run"))?;
        let temporary = run.temporary().map_err(StartError::spawn("a run"))?;
        preparation.progress.step("starting DynamoDB Local and moto …");
        let database = keep.as_ref().map(Keep::database);
        let (dynamodb, secrets) = tokio::try_join!(
            DynamoDb::start(&preparation.toolbox, &run, temporary.folder(), database.as_deref()),
            SecretsManager::start(&preparation.toolbox, &run, temporary.folder()),
        )?;
        mail::verify_sender(secrets.endpoint()).await?;
        Ok(Arc::new(Self { dynamodb, secrets, keep, run, preparation, _temporary: temporary }))
    }

    /// The DynamoDB.
    #[must_use]
    pub fn dynamodb(&self) -> &DynamoDb {
        &self.dynamodb
    }

    /// The folder that outlives this run, if there is one.
    #[must_use]
    pub fn keep(&self) -> Option<&Keep> {
        self.keep.as_ref()
    }

    /// Writes the current key ring to the folder that outlives this run.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub async fn keep_ring(&self, data: &Data) -> Result<(), StartError> {
        let Some(keep) = &self.keep else { return Ok(()) };
        let ring = self.secrets.current(&data.key_ring_secret).await?;
        let cannot = |cause| StartError::Keep { folder: keep.folder().to_path_buf(), cause };
        keep.save_ring(&ring).map_err(cannot)
    }

    /// The Secrets Manager.
    #[must_use]
    pub fn secrets(&self) -> &SecretsManager {
        &self.secrets
    }

    /// All messages that were sent so far, the oldest first.
    ///
    /// # Errors
    /// If moto does not answer.
    pub async fn messages(&self) -> Result<Vec<mail::Message>, reqwest::Error> {
        mail::messages(self.secrets.endpoint()).await
    }

    /// The folder with the logs.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    pub(crate) fn early_end(&self) -> Option<StartError> {
        self.dynamodb.early_end().or_else(|| self.secrets.early_end())
    }

    /// The preparation that they were started from.
    #[must_use]
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }
}

/// The tables and the secret of one deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Name of the users table.
    pub users_table: String,
    /// Name of the tokens table.
    pub tokens_table: String,
    /// ARN of the key ring secret.
    pub key_ring_secret: String,
}

impl Data {
    /// Creates the template's tables and its secret, under unique names.
    ///
    /// # Errors
    /// If a service refuses.
    pub async fn create(services: &Services) -> Result<Self, StartError> {
        let unique = random::<8>()
            .map_err(|error| StartError::create("a name for the tables")(error.to_string()))?;
        let prefix = format!("ratchet-{:016x}", u64::from_be_bytes(unique));
        Self::called(services, &prefix, Existing::Replace).await
    }

    /// Creates them under names that begin with `prefix`, or uses those of the last run if the
    /// services have kept them.
    ///
    /// # Errors
    /// If a service refuses.
    pub async fn named(services: &Services, prefix: &str) -> Result<Self, StartError> {
        let existing = if services.keep.is_some() { Existing::Keep } else { Existing::Replace };
        Self::called(services, prefix, existing).await
    }

    async fn called(
        services: &Services,
        prefix: &str,
        existing: Existing,
    ) -> Result<Self, StartError> {
        let template = &services.preparation.template;
        let secret_name = format!("{prefix}-KeyRingSecret");
        let ring = match &services.keep {
            None => None,
            Some(keep) => keep
                .load_ring()
                .map_err(|cause| StartError::Keep { folder: keep.folder().to_path_buf(), cause })?,
        };
        let ((), key_ring_secret) = tokio::try_join!(
            services.dynamodb.create_tables(template, prefix, existing),
            services.secrets.create(&secret_name, &template.key_ring, ring),
        )?;
        Ok(Self {
            users_table: format!("{prefix}-UsersTable"),
            tokens_table: format!("{prefix}-TokensTable"),
            key_ring_secret,
        })
    }

    /// The name of the table with a logical id of the template.
    pub(crate) fn table(&self, id: &str) -> String {
        self.users_table.replace("UsersTable", id)
    }

    /// Deletes the tables, from a DynamoDB that keeps running.
    ///
    /// # Errors
    /// If DynamoDB refuses.
    pub async fn delete(&self, services: &Services) -> Result<(), StartError> {
        let client = services.dynamodb.client();
        for table in [&self.users_table, &self.tokens_table] {
            let deleted = client.delete_table().table_name(table).send().await;
            crate::dynamodb::sdk_error(deleted)
                .map_err(StartError::create(&format!("order (delete the table {table})")))?;
        }
        Ok(())
    }
}
