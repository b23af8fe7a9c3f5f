//! The templates of `templates/` with their values, which are escaped in HTML only.

#![expect(
    unused_qualifications,
    clippy::let_underscore_must_use,
    clippy::ref_binding_to_reference,
    reason = "what the template engine derives has them"
)]

use askama::Template;

use crate::proofs::Proofs;

/// What a message says. `account` is what it calls the account.
#[derive(Debug, Template)]
pub(crate) enum Message<'a> {
    #[template(path = "confirm-email.txt")]
    ConfirmEmail { service: &'a str, name: String, proofs: Proofs },
    #[template(path = "reset-password.txt")]
    ResetPassword { service: &'a str, account: String, proofs: Proofs },
    #[template(path = "email-sign-in.txt")]
    EmailSignIn { service: &'a str, account: String, proofs: Proofs },
    #[template(path = "change-email.txt")]
    ChangeEmail { service: &'a str, proofs: Proofs },
    #[template(path = "address-taken.txt")]
    AddressTaken { service: &'a str, name: Option<String> },
    #[template(path = "name-taken.txt")]
    NameTaken { service: &'a str },
    #[template(path = "password-changed.txt")]
    PasswordChanged { service: &'a str, account: String },
    #[template(path = "email-change-told.txt")]
    EmailChangeTold { service: &'a str, account: String },
    #[template(path = "email-changed.txt")]
    EmailChanged { service: &'a str, account: String },
    #[template(path = "second-factor-enabled.txt")]
    SecondFactorEnabled { service: &'a str, account: String },
    #[template(path = "second-factor-disabled.txt")]
    SecondFactorDisabled { service: &'a str, account: String },
    #[template(path = "second-factor-reset.txt")]
    SecondFactorReset { service: &'a str, account: String },
    #[template(path = "recovery-code-used.txt")]
    RecoveryCodeUsed { service: &'a str, account: String, left: usize },
    #[template(path = "recovery-codes-replaced.txt")]
    RecoveryCodesReplaced { service: &'a str, account: String },
    #[template(path = "passkey-added.txt")]
    PasskeyAdded { service: &'a str, account: String },
    #[template(path = "passkey-removed.txt")]
    PasskeyRemoved { service: &'a str, account: String },
    #[template(path = "passkeys-reset.txt")]
    PasskeysReset { service: &'a str, account: String },
    #[template(path = "deleted.txt")]
    Deleted { service: &'a str, account: String },
}

/// The HTML of a message. Values are escaped where the template puts them.
#[derive(Template)]
#[template(path = "message.html")]
pub(crate) struct Html<'a> {
    pub(crate) subject: &'a str,
    pub(crate) paragraphs: Vec<Paragraph<'a>>,
}

pub(crate) enum Paragraph<'a> {
    Text(&'a str),
    Url(&'a str),
    Token(&'a str),
    Code(&'a str),
}
