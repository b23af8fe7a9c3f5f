//! `cargo local`: the stack, up until Ctrl-C.

use std::{net::IpAddr, path::PathBuf, process, time::Duration};

use local::{
    binaries::Binaries,
    demo_users,
    functions::Mode,
    gateway::Gateway,
    keep::Keep,
    listener::Listener,
    page::Page,
    progress::Progress,
    running::{DEFAULT_PORT, Registration, Running},
    stack::{Stack, StackOptions},
    template::Template,
    workspace::Workspace,
};
use tokio::runtime::Runtime;

use super::{Failure, Start, ratchet, settings::Settings, welcome::Welcome, with_stack};

/// How to start the stack.
#[derive(Debug, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// Port of the demonstration page [default: the next one after the API's]
    #[arg(long, value_name = "PORT")]
    page_port: Option<u16>,
    /// Instances of each function that may run at the same time
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    concurrency: u8,
    /// Keep users, sessions and keys in this folder between runs
    #[arg(long, value_name = "DIR")]
    persist: Option<PathBuf>,
    /// Add the users of this file, in the format of `ratchet users import`
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Listen on this address instead of loopback, for example 0.0.0.0 in a container
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<IpAddr>,
    #[command(flatten)]
    settings: Settings,
}

/// How often the key ring is saved.
const KEEPING: Duration = Duration::from_millis(500);

/// Starts the stack and waits for the end.
pub fn run(runtime: &Runtime, port: Option<u16>, options: &Options) -> Result<(), Failure> {
    let workspace = Workspace::locate();
    let template = Template::read(&workspace.template())?;
    local::dynamodb::developers_endpoint()?;
    // Reserve everything that another process may hold before anything starts.
    let asked = port.unwrap_or(DEFAULT_PORT);
    let mut registration = match asked {
        0 => None,
        port => Some(Registration::claim(&workspace, port)?),
    };
    let bind = |port, option| {
        runtime.block_on(Listener::bind(port, options.listen)).map_err(move |error| {
            format!("cannot listen on port {port}: {error}. Choose another with {option}")
        })
    };
    let api = bind(asked, "--port")?;
    let port = api.port();
    let next_port = if asked == 0 { 0 } else { port.saturating_add(1) };
    let page = Page::new(bind(options.page_port.unwrap_or(next_port), "--page-port")?);
    let mut registration = match registration.take() {
        Some(registration) => registration,
        None => Registration::claim(&workspace, port)?,
    };
    let keep = options.persist.as_deref().map(Keep::open).transpose()?;
    let gateway = Gateway::new(api);
    let variables = options.settings.variables(&template, &gateway.url(), &page.origin())?;
    let importer = match &options.seed {
        None => None,
        Some(seed) if seed.is_file() => Some((Binaries::build_ratchet(&workspace)?, seed)),
        Some(seed) => return Err(format!("{} is not a file", seed.display()).into()),
    };

    let stack = StackOptions {
        name: "local".to_owned(),
        mode: Mode::Watched,
        concurrency: options.concurrency.into(),
        environment: variables,
        progress: Progress::EveryStep,
        ..StackOptions::default()
    };
    let tables = match (&keep, asked) {
        // The tables in the folder have the same names for every port.
        (Some(_), _) => Some("ratchet-local".to_owned()),
        (None, 0) => None,
        (None, port) => Some(format!("ratchet-local-{port}")),
    };
    let start = Start { stack, tables, keep };
    with_stack(runtime, start, async move |stack: &Stack| {
        demo_users::create(stack).await?;
        let environment = stack.environment().variables();
        if let Some((ratchet, seed)) = importer {
            let mut import = ratchet::command(&ratchet, environment);
            let import = import.args(["users", "import"]).arg(seed).status()?;
            if !import.success() {
                return Err(format!("{} was not imported whole", seed.display()).into());
            }
        }
        registration.publish(&Running {
            pid: process::id(),
            api: gateway.url(),
            moto: stack.services().secrets().endpoint().to_owned(),
            log: stack.logs().into_iter().next().unwrap_or_default(),
            environment: environment.clone(),
        })?;
        let welcome = Welcome { stack, api: &gateway.url(), page: &page.origin(), port };
        println!("{welcome}");
        tokio::select! {
            error = stack.broken() => Err(error.into()),
            error = page.serve(stack, port) => Err(error.into()),
            error = gateway.serve(&template, stack.base_url()) => Err(error.into()),
            kept = keep_ring(stack) => kept,
        }
    })
}

/// Saves the key ring regularly, so that the sessions of a killed stack continue in the next one.
/// The functions and `ratchet keys` may change the ring at any time.
async fn keep_ring(stack: &Stack) -> Result<(), Failure> {
    loop {
        stack.services().keep_ring(stack.data()).await?;
        tokio::time::sleep(KEEPING).await;
    }
}
