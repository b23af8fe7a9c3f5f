//! The whole stack.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    functions::{Environment, Functions, Mode, Own, choose_port},
    process::{Signal, locked},
    progress::Progress,
    services::{Data, Preparation, Services},
    starting::StartError,
    stream::Pump,
    template::EventSource,
};

/// How a stack is started. The default is for tests: spawned functions on a free port, with
/// services and data of their own.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// Names the logs, below the folder of the run.
    pub name: String,
    /// Port of the API on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// Who starts the functions.
    pub mode: Mode,
    /// Instances of each function; with [`Mode::Watched`] the most there will be.
    pub concurrency: usize,
    /// Variables of the functions that differ from the template's defaults or, with the endpoints
    /// (`AWS_ENDPOINT_URL_…`), from the services': for example a proxy that injects faults.
    pub environment: BTreeMap<String, String>,
    /// A command that starts each function's program, for example `faketime` or `prlimit`. It must
    /// replace itself by the program (`exec`). Empty for none.
    pub launcher: Vec<String>,
    /// Variables of one function, by its name; they override `environment`. Only with
    /// [`Mode::Spawned`].
    pub own_environment: BTreeMap<String, BTreeMap<String, String>>,
    /// Changes the template's event source mappings, for example how long a record is retried,
    /// because a test cannot wait for hours.
    pub event_sources: fn(EventSource) -> EventSource,
    /// Conditions of the template that hold besides those of the defaults, for example `HasEventBus`:
    /// event source mappings under other conditions are left out.
    pub conditions: Vec<&'static str>,
    /// Services to share with other stacks; `None` starts new ones.
    pub services: Option<Arc<Services>>,
    /// Tables and secret to share with another stack on the same services; `None` creates new ones.
    pub data: Option<Data>,
    /// Whether this stack invokes functions with the changes of the tables. Of several stacks with
    /// the same tables, one should.
    pub follows_streams: bool,
    /// Which steps are printed on standard error.
    pub progress: Progress,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            name: "stack".to_owned(),
            port: 0,
            mode: Mode::Spawned,
            concurrency: 2,
            environment: BTreeMap::new(),
            launcher: Vec::new(),
            own_environment: BTreeMap::new(),
            event_sources: std::convert::identity,
            conditions: Vec::new(),
            services: None,
            data: None,
            follows_streams: true,
            progress: Progress::LongSteps,
        }
    }
}

impl StackOptions {
    /// Another stack on the same services, tables and keys, with the same issuer, like a second
    /// Availability Zone. Its `environment` can differ.
    #[must_use]
    pub fn beside(stack: &Stack, name: &str) -> Self {
        let issuer = stack.environment.variables().get("RATCHET_ISSUER").cloned();
        Self {
            name: name.to_owned(),
            environment: issuer.map(|url| ("RATCHET_ISSUER".to_owned(), url)).into_iter().collect(),
            services: Some(Arc::clone(&stack.services)),
            data: Some(stack.data.clone()),
            follows_streams: false,
            ..Self::default()
        }
    }

    /// Sets a variable of the functions.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers write literals")]
    pub fn with(mut self, variable: &str, value: impl ToString) -> Self {
        self.environment.insert(variable.to_owned(), value.to_string());
        self
    }
}

/// A stack that answers HTTP. Dropping it stops everything that it started.
#[derive(Debug)]
pub struct Stack {
    // Fields are dropped in this order: the functions before what they use.
    pumps: Vec<Pump>,
    functions: Functions,
    environment: Environment,
    data: Data,
    services: Arc<Services>,
}

impl Stack {
    /// Starts a stack. Installs and builds what is missing first.
    ///
    /// `cargo lambda watch` 1.9.2 hangs for good when more than 100 requests wait for one function.
    /// Keep fewer in flight per stack, or start a second stack [beside](StackOptions::beside) it.
    ///
    /// # Errors
    /// If any part does not start; the message has the end of that part's log.
    pub async fn start(options: StackOptions) -> Result<Self, StartError> {
        let port = choose_port(options.port)?;
        let services = match options.services {
            Some(services) => services,
            None => Services::start(Preparation::complete("dev", options.progress)?).await?,
        };
        let data = match options.data {
            Some(data) => data,
            None => Data::create(&services).await?,
        };
        let url = format!("http://127.0.0.1:{port}");
        let environment = Environment::new(&services, &data, &url, &options.environment)?;
        options.progress.step("starting the functions …");
        let (mode, concurrency) = (options.mode, options.concurrency.max(1));
        let functions = Functions::start(
            &services,
            &options.name,
            mode,
            port,
            concurrency,
            &environment,
            Own { environment: &options.own_environment, launcher: &options.launcher },
        )
        .await?;
        let mut pumps = Vec::new();
        if options.follows_streams {
            let holds = |source: &EventSource| {
                let condition = source.condition.as_deref();
                condition.is_none_or(|condition| options.conditions.contains(&condition))
            };
            let sources = services.preparation().template().event_sources.iter();
            for source in sources.filter(|source| holds(source)).cloned() {
                let source = (options.event_sources)(source);
                let table = data.table(&source.table);
                let name = format!("{}-{}-dead-letters", options.name, source.function);
                let dead = services.run().log(&name);
                let url = functions.base_url();
                pumps.push(Pump::start(services.dynamodb(), &table, url, source, dead).await?);
            }
        }
        Ok(Self { pumps, functions, environment, data, services })
    }

    /// The API's URL, without a slash at the end; also the issuer, unless overridden.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.functions.base_url()
    }

    /// DynamoDB and Secrets Manager.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Names of the tables and the secret.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The functions' environment.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// A client for the tables.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.services.dynamodb().client()
    }

    /// The log files of the emulator and of the functions. With [`Mode::Watched`] the emulator's
    /// log has the functions' lines too.
    #[must_use]
    pub fn logs(&self) -> Vec<PathBuf> {
        self.functions.logs()
    }

    /// The file of records that were given up because a function kept failing for them.
    #[must_use]
    pub fn dead_letters(&self, function: &str) -> Option<PathBuf> {
        let pump = self.pumps.iter().find(|pump| pump.function() == function);
        pump.map(|pump| pump.dead_letters().to_path_buf())
    }

    /// The process ids of a function's instances, from instance 1 on; none with [`Mode::Watched`].
    #[must_use]
    pub fn process_ids(&self, function: &str) -> Vec<u32> {
        self.functions
            .instances()
            .iter()
            .map(locked)
            .filter(|instance| instance.function() == function)
            .map(|instance| instance.id())
            .collect()
    }

    /// Sends a signal to an instance of a function; instances count from 1.
    ///
    /// A request that the instance was working on when it was killed is never answered: the
    /// emulator waits for it as long as the client does.
    ///
    /// # Errors
    /// If there is no such instance.
    pub fn signal(&self, function: &str, number: usize, signal: Signal) -> io::Result<()> {
        self.functions.signal(function, number, signal)
    }

    /// Kills an instance of a function if it runs, and starts it again.
    ///
    /// # Errors
    /// If there is no such instance, or it does not start.
    pub fn restart(&self, function: &str, number: usize) -> io::Result<()> {
        self.functions.restart(function, number)
    }

    /// Completes with the reason if DynamoDB, Secrets Manager or the emulator ends unexpectedly.
    pub async fn broken(&self) -> StartError {
        loop {
            if let Some(error) = self.services.early_end().or_else(|| self.functions.early_end()) {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Stops the stack. Its data is written to the folder that outlives the run, if there is one.
    /// If not, it is removed from the developer's own DynamoDB.
    ///
    /// # Errors
    /// If the data cannot be written or removed.
    pub async fn stop(self) -> Result<(), StartError> {
        let Self { pumps, functions, data, services, .. } = self;
        drop(pumps);
        drop(functions);
        if services.keep().is_some() {
            services.keep_ring(&data).await?;
            services.dynamodb().finish().await;
            Ok(())
        } else if services.dynamodb().is_ours() {
            Ok(())
        } else {
            data.delete(&services).await
        }
    }
}
