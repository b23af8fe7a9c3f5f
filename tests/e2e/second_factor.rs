//! Second factors: `/users/me/totp`, `/authenticate/second-factor`, and everything around them.

use crate::support::Answer;

mod enrolling;
mod faults;
mod guessing;
mod operators;
mod races;
mod sign_in;

/// Status and code of a problem.
fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// The answer was a token pair.
fn is_signed_in(answer: &Answer) -> bool {
    answer.status == 200 && answer.json()["access_token"].is_string()
}
