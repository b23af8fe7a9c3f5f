//! `--openauth`: compares the function that refreshes with `OpenAuth`'s issuer in Node, on the same
//! DynamoDB Local, through the same runtime API, in turns.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use local::{functions::Environment, workspace::Workspace};

use crate::{
    Bench, Failure, Tokens,
    counting_proxy::WRITES,
    event,
    function::{Instance, Program},
    refresh_event,
    report::Report,
    sign_in,
};

const TABLE: &str = "openauth";

/// Measures both, and the ratios of theirs to ours.
pub fn measure(bench: &Bench, quick: bool, report: &mut Report) -> Result<(), Failure> {
    let (colds, warms) = if quick { (5, 60) } else { (31, 600) };
    let bundle = build()?;
    bench.runtime.block_on(create_table(bench))?;
    let openauth = Program {
        name: "openauth",
        path: "node".into(),
        arguments: vec![bundle],
        environment: with_table(bench.stack.environment()),
        ..bench.program("refresh")?.clone()
    };
    // Sign-ins are not measured.
    let signer = openauth.warm(&bench.api)?;
    let authenticate = bench.program("authenticate")?.warm(&bench.api)?;

    for _ in 0..colds {
        let tokens = sign_in(&authenticate)?;
        let event = refresh_event(&tokens.refresh_token);
        let cold = bench.program("refresh")?.cold_start(&bench.api, event)?;
        report.sample("refresh_cold", cold.first_answer);
        bench.forget_sessions(&tokens)?;
        let cold = openauth.cold_start(&bench.api, token_event(&session(&signer)?))?;
        report.sample("openauth_cold", cold.first_answer);
    }

    let ours = bench.program("refresh")?.warm(&bench.api)?;
    let theirs = openauth.warm(&bench.api)?;
    let mut our_tokens = sign_in(&authenticate)?;
    let mut their_tokens = session(&signer)?;
    let before = [&ours, &theirs].map(Instance::resources);
    for round in 0..warms {
        // Four rotations fit into a retry window.
        if round % 4 == 0 {
            bench.forget_sessions(&our_tokens)?;
            our_tokens = sign_in(&authenticate)?;
        }
        let answer = ours.invoke(refresh_event(&our_tokens.refresh_token), 200)?;
        report.sample("refresh", answer.duration());
        our_tokens = answer.json()?;
        let answer = theirs.invoke(token_event(&their_tokens), 200)?;
        report.sample("openauth", answer.duration());
        their_tokens = answer.json()?;
    }
    let calls = f64::from(u32::try_from(warms)?);
    for (instance, before) in [&ours, &theirs].into_iter().zip(before) {
        if let (Some(before), Some(after)) = (before, instance.resources()) {
            let name = instance.name();
            let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e3 / calls;
            report.figure(&format!("{name}_cpu_ms"), cpu);
            report.figure(&format!("{name}_peak_mib"), after.peak_mebibytes());
        }
    }

    bench.forget_sessions(&our_tokens)?;
    our_tokens = sign_in(&authenticate)?;
    let proxied = [("AWS_ENDPOINT_URL_DYNAMODB", bench.proxy.url())];
    let environment = bench.environment(&proxied)?;
    let counted = Program { environment, ..bench.program("refresh")?.clone() };
    count(bench, &counted, &our_tokens, |tokens| refresh_event(&tokens.refresh_token), report)?;
    let environment = with_table(&bench.environment(&proxied)?);
    let counted = Program { environment, ..openauth };
    count(bench, &counted, &their_tokens, token_event, report)?;

    report.ratio("openauth_cold", "refresh_cold");
    report.ratio("openauth", "refresh");
    for figure in ["cpu_ms", "peak_mib", "calls", "write_bytes"] {
        report.ratio_of_figures(&format!("openauth_{figure}"), &format!("refresh_{figure}"));
    }
    Ok(())
}

/// The function in one file, as it would be deployed.
fn build() -> Result<PathBuf, Failure> {
    let root = Workspace::locate().root().to_path_buf();
    let (from, to) = (root.join("tools/bench/openauth"), root.join("target/bench/openauth"));
    fs::create_dir_all(&to)?;
    for file in ["package.json", "package-lock.json", "lambda.js"] {
        fs::copy(from.join(file), to.join(file))?;
    }
    let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
    for arguments in [install.as_slice(), &["run", "--silent", "build"]] {
        let status = Command::new("npm").args(arguments).current_dir(&to).status()?;
        if !status.success() {
            return Err(format!("npm {} ended with {status}", arguments.join(" ")).into());
        }
    }
    Ok(to.join("bundle.mjs"))
}

/// The table that `OpenAuth`'s documentation asks for.
async fn create_table(bench: &Bench) -> Result<(), Failure> {
    let mut table = bench.stack.dynamodb().create_table().table_name(TABLE);
    for (name, key_type) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        let attribute = attribute.attribute_type(ScalarAttributeType::S).build()?;
        let key = KeySchemaElement::builder().attribute_name(name).key_type(key_type).build()?;
        table = table.attribute_definitions(attribute).key_schema(key);
    }
    table.billing_mode(BillingMode::PayPerRequest).send().await?;
    Ok(())
}

fn with_table(environment: &Environment) -> Environment {
    let mut variables: BTreeMap<_, _> = environment.variables().clone();
    variables.insert("OPENAUTH_TABLE".to_owned(), TABLE.to_owned());
    Environment::of(variables)
}

fn session(signer: &Instance) -> Result<Tokens, Failure> {
    signer.invoke(event::get("/bench/session", ""), 200)?.json()
}

fn token_event(tokens: &Tokens) -> String {
    let body = format!("grant_type=refresh_token&refresh_token={}", tokens.refresh_token);
    event::form("/token", &body)
}

/// Counts the calls of the second refresh of a process; the first may read keys.
fn count(
    bench: &Bench,
    program: &Program,
    tokens: &Tokens,
    event: impl Fn(&Tokens) -> String,
    report: &mut Report,
) -> Result<(), Failure> {
    let instance = program.warm(&bench.api)?;
    let tokens: Tokens = instance.invoke(event(tokens), 200)?.json()?;
    bench.proxy.take();
    instance.invoke(event(&tokens), 200)?;
    let counts = bench.proxy.take();
    let writes = || WRITES.iter().filter_map(|name| counts.get(*name));
    let name = program.name;
    report
        .figure(&format!("{name}_calls"), counts.values().map(|one| one.calls).sum::<u32>().into());
    report.figure(&format!("{name}_writes"), writes().map(|one| one.calls).sum::<u32>().into());
    report
        .figure(&format!("{name}_write_bytes"), writes().map(|one| one.bytes).sum::<u32>().into());
    Ok(())
}
