//! Prints the table of docs/scale.md: ten million sessions, an outage of two minutes.

#![expect(clippy::print_stdout, reason = "a report")]

use std::time::Duration;

use estimates::crowd::Crowd;

fn main() {
    let crowd = Crowd {
        sessions: 10_000_000,
        life: Duration::from_secs(300),
        jitter: true,
        outage: Duration::from_secs(120),
        partitions: 128,
        seed: 20_260_101,
    };
    println!("refreshes in the busiest second of each 225 s after the outage:");
    for (name, outage, jitter) in [
        ("no outage, all at 75 %", Duration::ZERO, false),
        ("no outage, jitter", Duration::ZERO, true),
        ("outage, all at 75 %", crowd.outage, false),
        ("outage, jitter", crowd.outage, true),
    ] {
        let load = Crowd { outage, jitter, ..crowd }.live(2_250);
        let peaks: Vec<String> = load.peaks(225).iter().map(u32::to_string).collect();
        println!("| {name} | {} | {} |", peaks.join(" | "), load.hottest_partition);
    }
    println!("(the last column: writes in the busiest second of the busiest of 128 partitions)");
}
