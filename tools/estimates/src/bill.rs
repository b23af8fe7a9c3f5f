//! From calls to dollars.

use crate::calls::{AUTHENTICATE, Call, REFRESH, USERS};

/// List prices of us-east-1 in US dollars, without any free tier of Ratchet's services. From the
/// price pages of AWS as they were in 2025; look them up again before you rely on them.
pub mod prices {
    /// HTTP API, a million requests: the first 300 million of a month.
    pub const GATEWAY_FIRST: f64 = 1.00;
    /// HTTP API, a million requests: those after that.
    pub const GATEWAY_FURTHER: f64 = 0.90;
    /// Lambda, a million requests.
    pub const LAMBDA_REQUESTS: f64 = 0.20;
    /// Lambda on arm64, a GB-second of the first 7.5 billion.
    pub const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
    /// DynamoDB on demand, a million write request units.
    pub const WRITE_UNITS: f64 = 0.625;
    /// DynamoDB on demand, a million read request units.
    pub const READ_UNITS: f64 = 0.125;
    /// DynamoDB, a GB for a month, with continuous backups.
    pub const STORED_GB: f64 = 0.25 + 0.20;
    /// CloudWatch Logs, a GB written.
    pub const LOGGED_GB: f64 = 0.50;
    /// X-Ray, a million traces recorded; one in twenty is.
    pub const TRACES: f64 = 5.00;
    /// EventBridge, a million events of our own.
    pub const EVENTS: f64 = 1.00;
    /// Per month, without any request: a secret, about 40 metrics, 17 alarms on 48 metrics (each of
    /// which is billed as an alarm), a dashboard.
    pub const FIXED: f64 = 0.40 + 40.0 * 0.30 + 48.0 * 0.10 + 3.00;
    /// Amazon Cognito, users per month that are free in both plans.
    pub const COGNITO_FREE: f64 = 10_000.0;
    /// Amazon Cognito Essentials, a monthly active user.
    pub const COGNITO_ESSENTIALS: f64 = 0.015;
    /// Amazon Cognito Lite: the price of a monthly active user, up to a number of users.
    pub const COGNITO_LITE: [(f64, f64); 4] = [
        (100_000.0, 0.005_5),
        (1_000_000.0, 0.004_6),
        (10_000_000.0, 0.003_25),
        (f64::INFINITY, 0.002_5),
    ];
}

/// What an active user does in a month.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Days on which they use the application.
    pub days: f64,
    /// Minutes on such a day.
    pub minutes: f64,
    /// Life of an access token, in seconds.
    pub access_token_seconds: f64,
    /// Sign-ins.
    pub sign_ins: f64,
    /// Calls of `GET /users` and its kin.
    pub users_calls: f64,
}

impl Habits {
    /// Twenty days of half an hour, one sign-in.
    #[must_use]
    pub const fn usual(access_token_seconds: f64) -> Self {
        Self { days: 20.0, minutes: 30.0, access_token_seconds, sign_ins: 1.0, users_calls: 2.0 }
    }

    /// Refreshes in a month: one when the application is opened again, and one at 75 % of each
    /// access token's life, the middle of the jitter.
    #[must_use]
    pub fn refreshes(&self) -> f64 {
        let during = (self.minutes * 60.0 / (0.75 * self.access_token_seconds)).floor();
        self.days * (1.0 + during)
    }
}

/// Dollars for a million calls, but for the gateway's discount.
#[must_use]
pub fn per_million(call: &Call) -> f64 {
    use prices::{
        GATEWAY_FIRST, LAMBDA_GB_SECOND, LAMBDA_REQUESTS, LOGGED_GB, READ_UNITS, TRACES,
        WRITE_UNITS,
    };
    GATEWAY_FIRST
        + LAMBDA_REQUESTS
        + call.gb_milliseconds() * 1_000.0 * LAMBDA_GB_SECOND
        + call.write_units * WRITE_UNITS
        + call.read_units * READ_UNITS
        + call.log_bytes / 1_000.0 * LOGGED_GB
        + TRACES / 20.0
}

/// Dollars for a million events for other systems, each in an invocation of its own: 20 ms with
/// 256 MiB, and 1.2 kB of logs.
#[must_use]
pub fn per_million_events() -> f64 {
    use prices::{EVENTS, LAMBDA_GB_SECOND, LAMBDA_REQUESTS, LOGGED_GB, TRACES};
    EVENTS
        + LAMBDA_REQUESTS
        + 20.0 * 0.25 * 1_000.0 * LAMBDA_GB_SECOND
        + 1.2 * LOGGED_GB
        + TRACES / 20.0
}

/// Dollars per month with this many active users, who have one session each.
#[must_use]
pub fn month(users: f64, habits: &Habits) -> f64 {
    use prices::{FIXED, GATEWAY_FIRST, GATEWAY_FURTHER, STORED_GB};
    let calls = [
        (&REFRESH, habits.refreshes()),
        (&AUTHENTICATE, habits.sign_ins),
        (&USERS, habits.users_calls),
    ];
    let millions = |times: f64| users * times / 1e6;
    let used: f64 = calls.iter().map(|(call, times)| per_million(call) * millions(*times)).sum();
    let requests: f64 = calls.iter().map(|(_, times)| millions(*times)).sum();
    let discount = (requests - 300.0).max(0.0) * (GATEWAY_FIRST - GATEWAY_FURTHER);
    // A session and a user of less than 1 KiB each, and 100 bytes of DynamoDB's own for each.
    let stored = users * 2.0 * 1_124.0 / 1e9 * STORED_GB;
    used - discount + stored + FIXED
}

/// Dollars of a month of Amazon Cognito Essentials.
#[must_use]
pub fn cognito_essentials(users: f64) -> f64 {
    (users - prices::COGNITO_FREE).max(0.0) * prices::COGNITO_ESSENTIALS
}

/// Dollars of a month of Amazon Cognito Lite.
#[must_use]
pub fn cognito_lite(users: f64) -> f64 {
    let mut from = prices::COGNITO_FREE;
    prices::COGNITO_LITE
        .iter()
        .map(|(up_to, price)| {
            let band = (users.min(*up_to) - from).max(0.0);
            from = *up_to;
            band * price
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_costs_what_the_documents_say() {
        let documented = include_str!("../../../docs/cost.md");
        let dollars = format!("{:.2} dollars per million", per_million_events());
        assert!(documented.contains(&dollars), "{dollars}");
    }

    #[test]
    fn refreshes_are_those_of_the_habits() {
        // Half an hour holds eight times 225 s.
        assert!((Habits::usual(300.0).refreshes() - 180.0).abs() < 1e-9);
        assert!((Habits::usual(3600.0).refreshes() - 20.0).abs() < 1e-9);
    }

    #[test]
    fn bands_of_a_price_add_up() {
        assert!(cognito_lite(10_000.0).abs() < 1e-9);
        assert!((cognito_lite(100_000.0) - 90_000.0 * 0.005_5).abs() < 1e-6);
        let million = 90_000.0 * 0.005_5 + 900_000.0 * 0.004_6;
        assert!((cognito_lite(1_000_000.0) - million).abs() < 1e-6);
    }

    #[test]
    fn ten_times_the_users_cost_less_than_ten_times_as_much() {
        let habits = Habits::usual(300.0);
        assert!(month(1e7, &habits) < 10.0 * month(1e6, &habits));
    }
}
