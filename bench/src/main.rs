//! `cargo run -p bench`: the release functions through a runtime API of our own, beside floors.
//!
//! Everything is measured in turns, so that a machine that slows down slows all alike. Figures are
//! of this machine and this run; the ratios are what counts.

mod clock;
mod counting_proxy;
mod event;
mod function;
mod message;
mod resources;
mod runtime_api;

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
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
use ratchet::{encoding::from_base64url, ids::UserId};
use ratchet_store::Sessions;
use runtime_api::RuntimeApi;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

/// What anything here fails with: a message.
type Failure = Box<dyn Error + Send + Sync>;

/// Measures the release functions beside the floors.
#[derive(clap::Parser)]
struct Arguments {
    /// Fewer repetitions.
    #[arg(long)]
    quick: bool,
    /// Also write the figures there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The programs, in the order in which they take turns.
const PROGRAMS: [&str; 7] = [
    "floor_noop",
    "floor_update",
    "floor_update_get",
    "floor_rotate_get",
    "refresh",
    "users",
    "authenticate",
];

/// The functions that are deployed.
const DEPLOYED: [&str; 3] = ["authenticate", "refresh", "users"];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
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
            let stack = Stack::start(options).await?;
            demo_users::create(&stack).await?;
            put_floor_items(&stack).await?;
            Ok::<_, Failure>(stack)
        })?;
        let path = |name: &str| binaries.get(name).map(PathBuf::from).ok_or("a binary is missing");
        let logs = stack.services().run().folder().to_path_buf();
        let program = |name| -> Result<_, Failure> {
            let environment = stack.environment().clone();
            Ok((name, Program { name, path: path(name)?, environment, logs: logs.clone() }))
        };
        let programs = PROGRAMS.into_iter().map(program).collect::<Result<_, _>>()?;
        let proxy = CountingProxy::start(stack.services().dynamodb().endpoint())?;
        Ok(Self {
            api: RuntimeApi::start()?,
            programs,
            bare_hash: path("bare_hash")?,
            proxy,
            stack,
            runtime,
        })
    }

    /// Deletes the sessions of whoever holds `tokens`: a sign-in also lists the user's sessions,
    /// and hundreds that nobody has in life would be measured with it.
    fn forget_sessions(&self, tokens: &Tokens) -> Result<(), Failure> {
        let user_id = tokens.user_id()?;
        let sessions = Sessions::new(self.stack.dynamodb(), &self.stack.data().tokens_table);
        self.runtime.block_on(async {
            for session in sessions.list(user_id).await? {
                sessions.delete(user_id, session.session_id).await?;
            }
            Ok(())
        })
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
    Sessions::new(client.clone(), &stack.data().tokens_table).create(&floors::session()).await?;
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

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let bench = Bench::start()?;
    let (colds, warms) = if arguments.quick { (5, 60) } else { (31, 600) };
    let mut figures = Map::new();
    cold_starts(&bench, colds, &mut figures)?;
    warm_requests(&bench, warms, &mut figures)?;
    bare_hashes(&bench, warms / 3, &mut figures)?;
    write_requests(&bench, &mut figures)?;
    sizes(&bench, &mut figures)?;
    let ratios = ratios(&figures);
    print_table(&figures, &ratios);
    let all = json!({"figures": figures, "ratios": ratios});
    if let Some(file) = &arguments.json {
        fs::write(file, format!("{all:#}\n"))?;
    }
    println!("{all}");
    let Bench { stack, runtime, .. } = bench;
    runtime.block_on(stack.stop())?;
    Ok(())
}

/// From the start of a process to its first answer.
fn cold_starts(
    bench: &Bench,
    rounds: usize,
    figures: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let authenticate = bench.program("authenticate")?.warm(&bench.api)?;
    let mut samples: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for _ in 0..rounds {
        for name in PROGRAMS {
            let tokens = sign_in(&authenticate)?;
            let event = match name {
                "authenticate" => sign_in_event(ADA.name, ADA.password),
                "refresh" => refresh_event(&tokens.refresh_token),
                _ => event::get("/users", &tokens.access_token),
            };
            let cold = bench.program(name)?.cold_start(&bench.api, event)?;
            samples.entry(name).or_default().push(cold.first_answer);
        }
    }
    for (name, samples) in samples {
        figures.insert(format!("{name}_cold_ms"), milliseconds(percentile(samples, 50)));
    }
    Ok(())
}

/// One request after the other, the programs in turns; each refresh uses the token of the last.
fn warm_requests(
    bench: &Bench,
    rounds: usize,
    figures: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let mut instances = BTreeMap::new();
    for name in PROGRAMS {
        instances.insert(name, bench.program(name)?.warm(&bench.api)?);
    }
    let authenticate = instances.get("authenticate").ok_or("no authenticate")?;
    let mut samples: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    let mut tokens = sign_in(authenticate)?;
    for round in 0..rounds {
        // Four rotations fit into a retry window; a new session makes the next ones writes too.
        if round % 4 == 0 {
            bench.forget_sessions(&tokens)?;
            tokens = sign_in(authenticate)?;
        }
        for (name, instance) in &instances {
            let event = match *name {
                "authenticate" if round % 3 != 0 => continue,
                "authenticate" => sign_in_event(ADA.name, ADA.password),
                "refresh" => refresh_event(&tokens.refresh_token),
                _ => event::get("/users", &tokens.access_token),
            };
            let answer = instance.invoke(event, 200)?;
            samples.entry((*name).to_owned()).or_default().push(answer.duration());
            if *name == "refresh" {
                tokens = answer.json()?;
            }
        }
        for (kind, name) in [("wrong_password", ADA.name), ("unknown_user", "nobody")] {
            let answer = authenticate.invoke(sign_in_event(name, "not the password"), 401)?;
            samples.entry(kind.to_owned()).or_default().push(answer.duration());
        }
    }
    for (name, samples) in samples {
        figures.insert(format!("{name}_p99_ms"), milliseconds(percentile(samples.clone(), 99)));
        figures.insert(format!("{name}_p50_ms"), milliseconds(percentile(samples, 50)));
    }
    for (name, instance) in &instances {
        if let Some(used) = instance.resources() {
            figures.insert(
                format!("{name}_peak_mib"),
                json!(rounded(as_f64(used.peak_memory) / 1_048_576.0)),
            );
            figures.insert(format!("{name}_cpu_ms_in_all"), milliseconds(used.cpu));
        }
    }
    Ok(())
}

/// Argon2id alone, at the parameters of the functions.
fn bare_hashes(
    bench: &Bench,
    rounds: usize,
    figures: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let variable = |name: String| bench.stack.environment().variables().get(&name).cloned();
    let mut command = Command::new(&bench.bare_hash);
    for name in ["MEMORY_KIB", "ITERATIONS", "PARALLELISM"] {
        command.arg(variable(format!("RATCHET_ARGON2_{name}")).ok_or("no Argon2 parameters")?);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let (mut input, output) = (input.ok_or("no input")?, output.ok_or("no output")?);
    let mut output = BufReader::new(output).lines();
    let mut samples = Vec::new();
    for _ in 0..rounds {
        writeln!(input, "{}", ADA.password)?;
        let nanoseconds = output.next().ok_or("no hash")??.parse()?;
        samples.push(Duration::from_nanos(nanoseconds));
    }
    drop(input);
    child.wait()?;
    figures.insert("bare_hash_p50_ms".to_owned(), milliseconds(percentile(samples, 50)));
    Ok(())
}

/// How many calls a refresh makes, counted at a proxy.
fn write_requests(bench: &Bench, figures: &mut Map<String, Value>) -> Result<(), Failure> {
    let overrides = BTreeMap::from([
        ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), bench.proxy.url()),
        ("RATCHET_ISSUER".to_owned(), bench.stack.base_url().to_owned()),
    ]);
    let (services, data) = (bench.stack.services(), bench.stack.data());
    let environment = Environment::new(services, data, bench.stack.base_url(), &overrides)?;
    let counted = Program { environment, ..bench.program("refresh")?.clone() };
    let counted = counted.warm(&bench.api)?;
    let authenticate = bench.program("authenticate")?.warm(&bench.api)?;
    let tokens = sign_in(&authenticate)?;
    bench.proxy.take();
    counted.invoke(refresh_event(&tokens.refresh_token), 200)?;
    let counts = bench.proxy.take();
    let writes: u32 = WRITES.iter().filter_map(|name| counts.get(*name)).sum();
    figures.insert("refresh_write_requests".to_owned(), json!(writes));
    figures.insert("refresh_requests".to_owned(), json!(counts.values().sum::<u32>()));
    Ok(())
}

/// What is uploaded: the binary, and about what its zip has.
fn sizes(bench: &Bench, figures: &mut Map<String, Value>) -> Result<(), Failure> {
    for name in DEPLOYED {
        let binary = fs::read(&bench.program(name)?.path)?;
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
        deflate.write_all(&binary)?;
        let megabytes =
            |bytes: usize| json!(rounded(as_f64(u64::try_from(bytes).unwrap_or(0)) / 1e6));
        figures.insert(format!("{name}_binary_mb"), megabytes(binary.len()));
        figures.insert(format!("{name}_zip_mb"), megabytes(deflate.finish()?.len()));
    }
    Ok(())
}

/// The goal whose ratio counts in both directions.
const ALIKE: &str = "unknown user and wrong password";

/// A goal: what is measured, over what, and the most that it should be.
const GOALS: [(&str, &str, Option<&str>, f64); 9] = [
    ("warm refresh over its own calls", "refresh_p50_ms", Some("floor_rotate_get_p50_ms"), 1.15),
    ("warm refresh over the least calls", "refresh_p50_ms", Some("floor_update_get_p50_ms"), 1.15),
    ("cold refresh over the least calls", "refresh_cold_ms", Some("floor_update_get_cold_ms"), 1.5),
    ("sign-in over its bare hash", "authenticate_p50_ms", Some("bare_hash_p50_ms"), 1.05),
    (
        "unknown user over wrong password",
        "unknown_user_p50_ms",
        Some("wrong_password_p50_ms"),
        1.02,
    ),
    ("write requests of a refresh", "refresh_write_requests", None, 1.0),
    ("zip of refresh, MB", "refresh_zip_mb", None, 3.0),
    ("zip of users, MB", "users_zip_mb", None, 3.0),
    ("peak memory of refresh, MiB", "refresh_peak_mib", None, 16.0),
];

fn ratios(figures: &Map<String, Value>) -> Map<String, Value> {
    let figure = |name: &str| figures.get(name).and_then(Value::as_f64);
    GOALS
        .iter()
        .filter_map(|(title, name, floor, _)| {
            let floor = floor.map_or(Some(1.0), figure)?;
            let ratio = figure(name)? / floor;
            // Which of two that must not be told apart is the faster makes no difference.
            let ratio = if *title == ALIKE { ratio.max(1.0 / ratio) } else { ratio };
            Some(((*title).to_owned(), json!(rounded(ratio))))
        })
        .collect()
}

fn print_table(figures: &Map<String, Value>, ratios: &Map<String, Value>) {
    for (name, figure) in figures {
        println!("{name:<32} {figure:>10}");
    }
    println!();
    for (title, .., goal) in GOALS {
        if let Some(ratio) = ratios.get(title).and_then(Value::as_f64) {
            let met = if ratio <= goal { "met" } else { "missed" };
            println!("{title:<34} {ratio:>8} (goal {goal}: {met})");
        }
    }
}

fn percentile(mut samples: Vec<Duration>, percent: usize) -> Duration {
    samples.sort_unstable();
    let place = samples.len().saturating_sub(1) * percent / 100;
    samples.get(place).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> Value {
    json!(rounded(duration.as_secs_f64() * 1e3))
}

/// Three decimals are more than the machine is good for.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "sizes are below 2^52")]
const fn as_f64(number: u64) -> f64 {
    number as f64
}
