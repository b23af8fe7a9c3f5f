//! Output: text for people, JSON for programs.

use std::io::{self, Write as _};

use ratchet_core::{custom_claims::CustomClaims, user::UserStatus};
use ratchet_store::users::Profile;
use serde::Serialize;

use crate::failure::Failure;

/// A user as printed, without the password hash.
#[derive(Serialize)]
pub(crate) struct PrintedUser<'a> {
    id: String,
    name: &'a str,
    email: &'a str,
    email_confirmed: bool,
    second_factor: bool,
    status: &'static str,
    roles: &'a [String],
    claims: &'a CustomClaims,
}

impl<'a> PrintedUser<'a> {
    pub(crate) fn new(profile: &'a Profile) -> Self {
        Self {
            id: profile.user.id.to_string(),
            name: &profile.user.name,
            email: &profile.email,
            email_confirmed: profile.user.email_confirmed,
            second_factor: profile.user.second_factor,
            status: status(profile.user.status),
            roles: &profile.user.roles,
            claims: &profile.user.claims,
        }
    }

    pub(crate) fn line(&self) -> String {
        let confirmed = if self.email_confirmed { "" } else { " (not confirmed)" };
        let Self { name, email, status, .. } = self;
        format!("{name:<24} {status:<9} {email}{confirmed}  {}", self.roles.join(" "))
    }
}

pub(crate) const fn status(status: UserStatus) -> &'static str {
    match status {
        UserStatus::Active => "active",
        UserStatus::Disabled => "disabled",
    }
}

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::machine(&error))?;
    line(&text)
}

/// Prints a line. If the reader is gone, for example `head`, this fails and does not panic.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}").map_err(Failure::io("standard output cannot be written"))
}

/// Reports what was done: as text, or as `{"done": …}`.
pub(crate) fn done(text: &str, as_json: bool) -> Result<(), Failure> {
    if as_json { json(&serde_json::json!({ "done": text })) } else { line(text) }
}

/// Warns on standard error, where programs that read the output do not see it.
pub(crate) fn warning(text: &str) -> Result<(), Failure> {
    let warned = writeln!(io::stderr(), "warning: {text}");
    warned.map_err(Failure::io("standard error cannot be written"))
}
