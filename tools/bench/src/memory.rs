//! `--memory`: how long a function takes at each memory size, and what that costs.
//!
//! A delay of 4 ms, about what a store call takes in a region, is added to each one, so that the
//! ratio of waiting to computing is realistic.

use std::{collections::BTreeMap, time::Duration};

use estimates::bill::prices::{LAMBDA_GB_SECOND, LAMBDA_REQUESTS};
use local::functions::Environment;

use crate::{
    Bench, DEPLOYED, Failure,
    counting_proxy::CountingProxy,
    event_for,
    function::Program,
    report::{Report, percentile},
    sign_in,
};

/// The last size has a whole processor.
const SIZES_MIB: [u32; 5] = [128, 256, 512, 1024, 1769];

/// About how long a DynamoDB call takes in a region.
const STORE_CALL: Duration = Duration::from_millis(4);

/// The measured times of a function at one memory size.
#[derive(Default)]
struct Durations {
    init: Vec<Duration>,
    cold: Vec<Duration>,
    warm: Vec<Duration>,
}

/// Measures the deployed functions at each size, and prints a table.
pub fn measure(bench: &Bench, quick: bool, report: &mut Report) -> Result<(), Failure> {
    let (colds, warms) = if quick { (3, 20) } else { (15, 120) };
    let services = bench.stack.services();
    let dynamodb = CountingProxy::start(services.dynamodb().endpoint(), STORE_CALL)?;
    let secrets = CountingProxy::start(services.secrets().endpoint(), STORE_CALL)?;
    let environment = bench.environment(&[
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.url()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.url()),
    ])?;
    println!(
        "| function | MB | init ms | cold ms | warm p50 ms | warm p99 ms | warm GB-ms | cold GB-ms \
         | dollars per million, warm | cold |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    let mut means = "nothing";
    for name in DEPLOYED {
        for memory_mib in SIZES_MIB {
            let (durations, limited) =
                at_size(bench, name, &environment, memory_mib, (colds, warms))?;
            means = limited;
            print(name, memory_mib, &durations, report);
        }
    }
    println!(
        "\nThe processors are limited by {means}. Every call of a store takes {STORE_CALL:?} longer. \
         A start is billed from the start of the process; the dollars are Lambda's on arm64, \
         without gateway, store and logs."
    );
    Ok(())
}

fn at_size(
    bench: &Bench,
    name: &str,
    environment: &Environment,
    memory_mib: u32,
    (colds, warms): (usize, usize),
) -> Result<(Durations, &'static str), Failure> {
    // Signs in, and is not limited.
    let authenticate = bench.program("authenticate")?.warm(&bench.api)?;
    let environment = environment.clone();
    let program = bench.program(name)?.clone();
    let program = Program { environment, memory_mib: Some(memory_mib), ..program };
    let mut durations = Durations::default();
    for _ in 0..colds {
        let tokens = sign_in(&authenticate)?;
        let cold = program.cold_start(&bench.api, event_for(name, &tokens))?;
        durations.init.push(cold.init);
        durations.cold.push(cold.first_answer);
        bench.forget_sessions(&tokens)?;
    }
    let instance = program.warm(&bench.api)?;
    let mut tokens = sign_in(&authenticate)?;
    for round in 0..warms {
        // As often as a session may be rotated in a retry window.
        if round % 4 == 0 {
            bench.forget_sessions(&tokens)?;
            tokens = sign_in(&authenticate)?;
        }
        let answer = instance.invoke(event_for(name, &tokens), 200)?;
        durations.warm.push(answer.duration());
        if name == "refresh" {
            tokens = answer.json()?;
        }
    }
    bench.forget_sessions(&tokens)?;
    Ok((durations, instance.limited_by()))
}

fn print(name: &str, memory_mib: u32, durations: &Durations, report: &mut Report) {
    let Durations { init, cold, warm } = durations;
    let milliseconds =
        |series: &[Duration], percent| percentile(series.to_vec(), percent).as_secs_f64() * 1e3;
    let (warm_bill, cold_bill) =
        (gb_milliseconds(warm, memory_mib), gb_milliseconds(cold, memory_mib));
    let figures = BTreeMap::from([
        ("init_p50_ms", milliseconds(init, 50)),
        ("cold_p50_ms", milliseconds(cold, 50)),
        ("warm_p50_ms", milliseconds(warm, 50)),
        ("warm_p99_ms", milliseconds(warm, 99)),
        ("warm_gb_ms", warm_bill),
        ("cold_gb_ms", cold_bill),
        ("warm_dollars", dollars_per_million(warm_bill)),
        ("cold_dollars", dollars_per_million(cold_bill)),
    ]);
    let cell = |figure: &str| figures.get(figure).copied().unwrap_or_default();
    println!(
        "| {name} | {memory_mib} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | {:.2} |",
        cell("init_p50_ms"),
        cell("cold_p50_ms"),
        cell("warm_p50_ms"),
        cell("warm_p99_ms"),
        cell("warm_gb_ms"),
        cell("cold_gb_ms"),
        cell("warm_dollars"),
        cell("cold_dollars"),
    );
    for (figure, value) in figures {
        report.figure(&format!("{name}_{memory_mib}mb_{figure}"), value);
    }
}

/// The mean of what is billed: whole milliseconds, times the memory.
fn gb_milliseconds(durations: &[Duration], memory_mib: u32) -> f64 {
    let billed: f64 = durations.iter().map(|one| (one.as_secs_f64() * 1e3).ceil()).sum();
    let number = u32::try_from(durations.len()).unwrap_or(u32::MAX).max(1);
    billed / f64::from(number) * f64::from(memory_mib) / 1024.0
}

/// Lambda's part of the bill of a million requests.
fn dollars_per_million(gb_milliseconds: f64) -> f64 {
    LAMBDA_REQUESTS + gb_milliseconds * 1_000.0 * LAMBDA_GB_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_milliseconds_are_billed() {
        let durations = [Duration::from_micros(100), Duration::from_micros(2_900)];
        assert!((gb_milliseconds(&durations, 512) - 1.0).abs() < 1e-9);
        assert!((dollars_per_million(1.0) - (0.20 + 0.013_333_4)).abs() < 1e-9);
    }
}
