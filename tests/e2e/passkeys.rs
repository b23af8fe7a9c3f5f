//! Passkeys: `/users/me/passkeys`, `/passkeys/…`, and everything around them. The authenticator is one
//! in software; browsers and theirs are in `tests/web`.

mod adding;
mod faults;
mod removing;
mod second_factor;
mod sign_in;
mod step_up;

/// Status and code of a problem.
fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
