//! `cargo run -p bench`: the release functions through a runtime API of our own, beside floors.
//!
//! Everything is measured in turns, so that a machine that slows down slows all alike. Figures are
//! of this machine and this run; the ratios are what counts.

mod clock;
mod counting_proxy;
mod event;
mod function;
mod memory;
mod message;
mod openauth;
mod proof;
mod report;
mod resources;
mod runtime_api;
mod share;
mod timing;

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    time::Duration,
};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use clap::Parser as _;
use counting_proxy::{CountingProxy, WRITES};
use flate2::{Compression, write::DeflateEncoder};
use function::{Instance, Program};
use local::{
    demo_users::{self, ADA},
    functions::Environment,
    progress::Progress,
    services::{Preparation, Services},
    stack::{Stack, StackOptions},
};
use ratchet_core::{encoding::from_base64url, ids::UserId};
use ratchet_store::Sessions;
use report::Report;
use runtime_api::RuntimeApi;
use serde_json::json;
use tokio::runtime::Runtime;

/// What anything here fails with: a message.
type Failure = Box<dyn Error + Send + Sync>;

/// Measures the release functions beside the floors.
#[derive(clap::Parser)]
struct Arguments {
    /// Fewer repetitions.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    only: Only,
    /// Also write the figures there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A choice of what to measure; without one, the functions beside the floors.
#[derive(clap::Args)]
#[group(multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag, and at most one is set")]
struct Only {
    /// Compare the times of refusals: does one tell who exists?
    #[arg(long)]
    timing: bool,
    /// Measure each function with the processor time of several memory sizes.
    #[arg(long)]
    memory: bool,
    /// Measure what a proof of possession costs to verify.
    #[arg(long)]
    proof: bool,
    /// Measure `refresh` beside the issuer of `OpenAuth` in Node. Needs Node 20 or newer, and npm.
    #[arg(long)]
    openauth: bool,
}

/// The programs, in the order in which they take turns.
const PROGRAMS: [&str; 8] = [
    "floor_noop",
    "floor_update",
    "floor_update_get",
    "floor_rotate_get",
    "floor_refresh",
    "refresh",
    "users",
    "authenticate",
];

/// The functions that are deployed.
const DEPLOYED: [&str; 3] = ["authenticate", "refresh", "users"];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let measured = if arguments.only.timing {
        timing::measure(if arguments.quick { 100 } else { 600 })
    } else if arguments.only.proof {
        proof::measure()
    } else {
        measure(&arguments)
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is running while measurements are taken.
struct Bench {
    api: RuntimeApi,
    programs: BTreeMap<&'static str, Program>,
    bare_hash: PathBuf,
    proxy: CountingProxy,
    stack: Stack,
    runtime: Runtime,
}

impl Bench {
    fn start() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // The functions' own binaries and the floors' are built as they are deployed.
        let preparation = Preparation::complete("dev", Progress::EveryStep)?;
        eprintln!("bench: building the release binaries …");
        let workspace = local::workspace::Workspace::locate();
        let names = PROGRAMS.into_iter().chain(["bare_hash"]);
        let binaries = local::binaries::Binaries::build(&workspace, "release", names)?;
        let stack = runtime.block_on(async {
            let services = Services::start(preparation).await?;
            let options = StackOptions { services: Some(services), ..StackOptions::default() };
            // All wrong passwords come from one network here.
            let options = options.with("RATCHET_NETWORK_FREE_FAILURES", 1_000_000);
            let stack = Stack::start(options).await?;
            demo_users::create(&stack).await?;
            put_floor_items(&stack).await?;
            Ok::<_, Failure>(stack)
        })?;
        let path = |name: &str| binaries.get(name).map(PathBuf::from).ok_or("a binary is missing");
        let logs = stack.services().run().folder().to_path_buf();
        let program = |name| -> Result<_, Failure> {
            let environment = stack.environment().clone();
            let (path, logs) = (path(name)?, logs.clone());
            let arguments = Vec::new();
            Ok((name, Program { name, path, arguments, environment, logs, memory_mib: None }))
        };
        let programs = PROGRAMS.into_iter().map(program).collect::<Result<_, _>>()?;
        let proxy = CountingProxy::start(stack.services().dynamodb().endpoint(), Duration::ZERO)?;
        Ok(Self {
            api: RuntimeApi::start()?,
            programs,
            bare_hash: path("bare_hash")?,
            proxy,
            stack,
            runtime,
        })
    }

    /// Deletes the sessions of `tokens`. A sign-in also lists the user's sessions, and hundreds of
    /// them would distort its measurement.
    fn forget_sessions(&self, tokens: &Tokens) -> Result<(), Failure> {
        let user_id = tokens.user_id()?;
        let sessions = Sessions::new(self.stack.dynamodb(), &self.stack.data().tokens_table);
        self.runtime.block_on(async {
            for session in sessions.list(user_id).await?.sessions {
                sessions.delete(user_id, session.session_id).await?;
            }
            Ok(())
        })
    }

    /// The functions' environment with some variables changed.
    fn environment(&self, changed: &[(&str, String)]) -> Result<Environment, Failure> {
        let mut overrides: BTreeMap<_, _> =
            changed.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        overrides.insert("RATCHET_ISSUER".to_owned(), self.stack.base_url().to_owned());
        let (services, data) = (self.stack.services(), self.stack.data());
        Ok(Environment::new(services, data, self.stack.base_url(), &overrides)?)
    }

    fn program(&self, name: &str) -> Result<&Program, Failure> {
        self.programs.get(name).ok_or_else(|| format!("there is no {name}").into())
    }
}

/// The items that the floors update and read.
async fn put_floor_items(stack: &Stack) -> Result<(), Failure> {
    let key = || AttributeValue::B(Blob::new(floors::SESSION_KEY));
    let client = stack.dynamodb();
    let session = client.put_item().table_name(&stack.data().tokens_table);
    let session = session.item("user_id", key()).item("session_id", key());
    session.item("generation", AttributeValue::N("0".to_owned())).send().await?;
    let sessions = Sessions::new(client.clone(), &stack.data().tokens_table);
    for session_id in floors::SESSIONS {
        sessions.create(&floors::session(session_id)).await?;
    }
    let user = client.put_item().table_name(&stack.data().users_table);
    user.item("pk", AttributeValue::S(floors::USER_KEY.to_owned())).send().await?;
    Ok(())
}

/// A client's tokens.
#[derive(serde::Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: String,
}

impl Tokens {
    /// Whose they are: the first sixteen bytes of a refresh token.
    fn user_id(&self) -> Result<UserId, Failure> {
        let text = self.refresh_token.strip_prefix("rt1_").ok_or("no refresh token")?;
        let bytes = from_base64url(text).ok_or("no refresh token")?;
        Ok(UserId::from_bytes(*bytes.first_chunk().ok_or("no refresh token")?))
    }
}

fn sign_in(instance: &Instance) -> Result<Tokens, Failure> {
    instance.invoke(sign_in_event(ADA.name, ADA.password), 200)?.json()
}

fn sign_in_event(name: &str, password: &str) -> String {
    event::post("/authenticate", &json!({"name": name, "password": password}))
}

fn refresh_event(refresh_token: &str) -> String {
    event::post("/refresh", &json!({"refresh_token": refresh_token}))
}

/// The event that a program is measured with.
fn event_for(name: &str, tokens: &Tokens) -> String {
    match name {
        "authenticate" => sign_in_event(ADA.name, ADA.password),
        "refresh" => refresh_event(&tokens.refresh_token),
        _ => event::get("/users", &tokens.access_token),
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let bench = Bench::start()?;
    let mut report = Report::default();
    if arguments.only.memory {
        memory::measure(&bench, arguments.quick, &mut report)?;
    } else if arguments.only.openauth {
        openauth::measure(&bench, arguments.quick, &mut report)?;
    } else {
        let (colds, warms) = if arguments.quick { (11, 90) } else { (31, 600) };
        cold_starts(&bench, colds, &mut report)?;
        warm_requests(&bench, warms, &mut report)?;
        billed_memory_time(&bench, &mut report)?;
        write_requests(&bench, &mut report)?;
        sizes(&bench, &mut report)?;
    }
    let all = report.print();
    if let Some(file) = &arguments.json {
        fs::write(file, format!("{all:#}\n"))?;
    }
    println!("{all}");
    let Bench { stack, runtime, .. } = bench;
    runtime.block_on(stack.stop())?;
    Ok(())
}

/// From the start of a process to its first answer.
fn cold_starts(bench: &Bench, rounds: usize, report: &mut Report) -> Result<(), Failure> {
    let authenticate = bench.program("authenticate")?.warm(&bench.api)?;
    for _ in 0..rounds {
        for name in PROGRAMS {
            let tokens = sign_in(&authenticate)?;
            let event = event_for(name, &tokens);
            let cold = bench.program(name)?.cold_start(&bench.api, event)?;
            report.sample(&format!("{name}_cold"), cold.first_answer);
            bench.forget_sessions(&tokens)?;
        }
    }
    Ok(())
}

/// One request after the other, the programs in turns; each refresh uses the token of the last.
fn warm_requests(bench: &Bench, rounds: usize, report: &mut Report) -> Result<(), Failure> {
    let mut instances = BTreeMap::new();
    for name in PROGRAMS {
        instances.insert(name, bench.program(name)?.warm(&bench.api)?);
    }
    let mut bare_hash = BareHash::start(bench)?;
    let authenticate = instances.get("authenticate").ok_or("no authenticate")?;
    let mut tokens = sign_in(authenticate)?;
    for round in 0..rounds {
        // Four rotations fit into a retry window; a new session makes the next ones writes too.
        if round % 4 == 0 {
            bench.forget_sessions(&tokens)?;
            tokens = sign_in(authenticate)?;
        }
        for (name, instance) in &instances {
            let answer = instance.invoke(event_for(name, &tokens), 200)?;
            report.sample(name, answer.duration());
            if *name == "refresh" {
                tokens = answer.json()?;
            }
        }
        report.sample("bare_hash", bare_hash.time()?);
        // The next sign-in forgives the wrong password; an unknown name is never forgiven.
        let nobody = format!("nobody-{round}");
        for (kind, name) in [("wrong_password", ADA.name), ("unknown_user", nobody.as_str())] {
            let answer = authenticate.invoke(sign_in_event(name, "not the password"), 401)?;
            report.sample(kind, answer.duration());
        }
    }
    for (name, instance) in &instances {
        if let Some(used) = instance.resources() {
            report.figure(&format!("{name}_peak_mib"), used.peak_mebibytes());
            report.figure(&format!("{name}_cpu_ms_in_all"), used.cpu.as_secs_f64() * 1e3);
        }
    }
    bare_hash.stop()
}

/// What Lambda would bill for a warm request that takes as long as it does here: the memory that the
/// template gives, by whole milliseconds.
fn billed_memory_time(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let functions = &bench.stack.services().preparation().template().functions;
    for name in DEPLOYED {
        let memory_mib = functions.get(name).ok_or("a function is missing")?.memory_mib;
        let median = report.median(name).ok_or("a function was not measured")?;
        let milliseconds = (median.as_secs_f64() * 1e3).ceil();
        let gigabytes = f64::from(memory_mib) / 1024.0;
        report.figure(&format!("{name}_gb_ms"), gigabytes * milliseconds);
    }
    Ok(())
}

/// Argon2id alone, at the parameters of the functions, in a process that waits to be asked.
struct BareHash {
    process: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl BareHash {
    fn start(bench: &Bench) -> Result<Self, Failure> {
        let variable = |name: String| bench.stack.environment().variables().get(&name).cloned();
        let mut command = Command::new(&bench.bare_hash);
        for name in ["MEMORY_KIB", "ITERATIONS", "PARALLELISM"] {
            command.arg(variable(format!("RATCHET_ARGON2_{name}")).ok_or("no Argon2 parameters")?);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = process.stdin.take().ok_or("no input")?;
        let answers = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
        Ok(Self { process, questions, answers })
    }

    /// How long one hash takes.
    fn time(&mut self) -> Result<Duration, Failure> {
        writeln!(self.questions, "{}", ADA.password)?;
        Ok(Duration::from_nanos(self.answers.next().ok_or("no hash")??.parse()?))
    }

    fn stop(self) -> Result<(), Failure> {
        let Self { mut process, questions, .. } = self;
        // It ends with its input.
        drop(questions);
        process.wait()?;
        Ok(())
    }
}

/// How many calls a refresh makes, counted at a proxy.
fn write_requests(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let environment = bench.environment(&[("AWS_ENDPOINT_URL_DYNAMODB", bench.proxy.url())])?;
    let counted = Program { environment, ..bench.program("refresh")?.clone() };
    let counted = counted.warm(&bench.api)?;
    let authenticate = bench.program("authenticate")?.warm(&bench.api)?;
    let tokens = sign_in(&authenticate)?;
    bench.proxy.take();
    counted.invoke(refresh_event(&tokens.refresh_token), 200)?;
    let counts = bench.proxy.take();
    let writes: u32 = WRITES.iter().filter_map(|name| counts.get(*name)).map(|one| one.calls).sum();
    report.figure("refresh_write_requests", writes.into());
    report.figure("refresh_requests", counts.values().map(|one| one.calls).sum::<u32>().into());
    Ok(())
}

/// What is uploaded: the binary, and about what its zip has.
fn sizes(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    for name in DEPLOYED {
        let binary = fs::read(&bench.program(name)?.path)?;
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
        deflate.write_all(&binary)?;
        let megabytes = |bytes: usize| as_f64(u64::try_from(bytes).unwrap_or(0)) / 1e6;
        report.figure(&format!("{name}_binary_mb"), megabytes(binary.len()));
        report.figure(&format!("{name}_zip_mb"), megabytes(deflate.finish()?.len()));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "sizes are below 2^52")]
const fn as_f64(number: u64) -> f64 {
    number as f64
}
