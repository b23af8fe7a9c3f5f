//! Prints the tables of docs/cost.md.

#![expect(clippy::print_stdout, reason = "a report")]

use estimates::{
    bill::{Habits, cognito_essentials, cognito_lite, month, per_million},
    calls::{AUTHENTICATE, REFRESH, USERS},
};

fn main() {
    println!("| call | write units | read units | GB-ms | dollars per million |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for call in [AUTHENTICATE, REFRESH, USERS] {
        let (writes, reads) = (call.write_units, call.read_units);
        let (route, time) = (call.route, call.gb_milliseconds());
        println!("| `{route}` | {writes} | {reads} | {time:.1} | {:.2} |", per_million(&call));
    }
    println!();
    println!(
        "| active users | Ratchet, 5 min tokens | Ratchet, 60 min tokens | Cognito Lite | Cognito Essentials |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for users in [1e4, 1e5, 1e6, 1e7, 1e8] {
        println!(
            "| {users} | {:.0} | {:.0} | {:.0} | {:.0} |",
            month(users, &Habits::usual(300.0)),
            month(users, &Habits::usual(3_600.0)),
            cognito_lite(users),
            cognito_essentials(users),
        );
    }
}
