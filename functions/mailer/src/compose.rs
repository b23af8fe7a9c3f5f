//! Messages from their templates.
//!
//! `templates/*.txt` are the messages: the subject in the first line, then paragraphs. The HTML has
//! the same paragraphs in `message.html`, so the two cannot differ.

use std::fmt;

use askama::Template;
use ratchet_core::email::EmailAddress;
use zeroize::Zeroizing;

pub(crate) use crate::template::Message;
use crate::{
    proofs::Proofs,
    template::{Html, Paragraph},
};

impl Message<'_> {
    /// The name in the counters of messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::ConfirmEmail { .. } => "confirm-email",
            Self::ResetPassword { .. } => "reset-password",
            Self::EmailSignIn { .. } => "email-sign-in",
            Self::ChangeEmail { .. } => "change-email",
            Self::AddressTaken { .. } => "address-taken",
            Self::NameTaken { .. } => "name-taken",
            Self::PasswordChanged { .. } => "password-changed",
            Self::SecondFactorEnabled { .. } => "second-factor-enabled",
            Self::SecondFactorDisabled { .. } => "second-factor-disabled",
            Self::SecondFactorReset { .. } => "second-factor-reset",
            Self::RecoveryCodeUsed { .. } => "recovery-code-used",
            Self::RecoveryCodesReplaced { .. } => "recovery-codes-replaced",
            Self::PasskeyAdded { .. } => "passkey-added",
            Self::PasskeyRemoved { .. } => "passkey-removed",
            Self::PasskeysReset { .. } => "passkeys-reset",
            Self::EmailChangeTold { .. } => "email-change-told",
            Self::EmailChanged { .. } => "email-changed",
            Self::Deleted { .. } => "deleted",
        }
    }

    /// Puts the secrets into a message that has any.
    pub(crate) fn prove(&mut self, with: Proofs) {
        match self {
            Self::ConfirmEmail { proofs, .. }
            | Self::ResetPassword { proofs, .. }
            | Self::EmailSignIn { proofs, .. }
            | Self::ChangeEmail { proofs, .. } => *proofs = with,
            Self::AddressTaken { .. }
            | Self::NameTaken { .. }
            | Self::PasswordChanged { .. }
            | Self::SecondFactorEnabled { .. }
            | Self::SecondFactorDisabled { .. }
            | Self::SecondFactorReset { .. }
            | Self::RecoveryCodeUsed { .. }
            | Self::RecoveryCodesReplaced { .. }
            | Self::PasskeyAdded { .. }
            | Self::PasskeyRemoved { .. }
            | Self::PasskeysReset { .. }
            | Self::EmailChangeTold { .. }
            | Self::EmailChanged { .. }
            | Self::Deleted { .. } => {}
        }
    }

    const fn proofs(&self) -> Option<&Proofs> {
        match self {
            Self::ConfirmEmail { proofs, .. }
            | Self::ResetPassword { proofs, .. }
            | Self::EmailSignIn { proofs, .. }
            | Self::ChangeEmail { proofs, .. } => Some(proofs),
            Self::AddressTaken { .. }
            | Self::NameTaken { .. }
            | Self::PasswordChanged { .. }
            | Self::SecondFactorEnabled { .. }
            | Self::SecondFactorDisabled { .. }
            | Self::SecondFactorReset { .. }
            | Self::RecoveryCodeUsed { .. }
            | Self::RecoveryCodesReplaced { .. }
            | Self::PasskeyAdded { .. }
            | Self::PasskeyRemoved { .. }
            | Self::PasskeysReset { .. }
            | Self::EmailChangeTold { .. }
            | Self::EmailChanged { .. }
            | Self::Deleted { .. } => None,
        }
    }

    /// Writes the message.
    ///
    /// # Errors
    /// [`askama::Error`] if a value cannot be written, which none of these do.
    pub(crate) fn compose(&self, to: EmailAddress) -> Result<Mail, askama::Error> {
        let text = Zeroizing::new(self.render()?);
        let (subject, body) = text.split_once('\n').unwrap_or_default();
        let paragraphs = body.trim().split("\n\n").map(|text| self.paragraph(text.trim()));
        let html = Html { subject, paragraphs: paragraphs.collect() }.render()?;
        Ok(Mail {
            to,
            subject: subject.to_owned(),
            text: Zeroizing::new(format!("{}\n", body.trim())),
            html: Zeroizing::new(html),
        })
    }

    /// A paragraph that is nothing but link or code is shown as such.
    fn paragraph<'t>(&self, text: &'t str) -> Paragraph<'t> {
        match self.proofs() {
            Some(proofs) if *proofs.link == text && proofs.is_url => Paragraph::Url(text),
            Some(proofs) if *proofs.link == text => Paragraph::Token(text),
            Some(proofs) if *proofs.code == text => Paragraph::Code(text),
            _ => Paragraph::Text(text),
        }
    }
}

/// A message, ready to be sent.
pub(crate) struct Mail {
    pub(crate) to: EmailAddress,
    pub(crate) subject: String,
    pub(crate) text: Zeroizing<String>,
    pub(crate) html: Zeroizing<String>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ratchet_core::{
        challenge::{LetterSecrets, Purpose},
        ids::{LetterId, UserId},
        key_ring::TagKey,
    };

    use super::*;

    const PAGE: &str = "https://app.example/account";

    fn secrets() -> LetterSecrets {
        let (letter, user) = (LetterId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        LetterSecrets::derive(&TagKey::new(&[7; 32]), letter, Purpose::ConfirmEmail, user)
    }

    fn proofs(page: Option<&str>) -> Proofs {
        Proofs::new(Purpose::ConfirmEmail, &secrets(), &TagKey::new(&[7; 32]), page)
    }

    fn all(page: Option<&str>) -> Vec<Message<'static>> {
        let (service, account) = ("Acme", || "ada".to_owned());
        vec![
            Message::ConfirmEmail { service, name: account(), proofs: proofs(page) },
            Message::ResetPassword { service, account: account(), proofs: proofs(page) },
            Message::EmailSignIn { service, account: account(), proofs: proofs(page) },
            Message::ChangeEmail { service, proofs: proofs(page) },
            Message::AddressTaken { service, name: Some(account()) },
            Message::AddressTaken { service, name: None },
            Message::NameTaken { service },
            Message::PasswordChanged { service, account: account() },
            Message::EmailChangeTold { service, account: account() },
            Message::EmailChanged { service, account: account() },
            Message::SecondFactorEnabled { service, account: account() },
            Message::SecondFactorDisabled { service, account: account() },
            Message::SecondFactorReset { service, account: account() },
            Message::RecoveryCodeUsed { service, account: account(), left: 0 },
            Message::RecoveryCodeUsed { service, account: account(), left: 1 },
            Message::RecoveryCodeUsed { service, account: account(), left: 9 },
            Message::RecoveryCodesReplaced { service, account: account() },
            Message::PasskeyAdded { service, account: account() },
            Message::PasskeyRemoved { service, account: account() },
            Message::PasskeysReset { service, account: account() },
            Message::Deleted { service, account: account() },
        ]
    }

    fn mail(message: &Message<'_>) -> Mail {
        message.compose(EmailAddress::parse("ada@example.com").unwrap()).unwrap()
    }

    #[test]
    fn every_message_has_a_subject_of_one_line_and_whole_sentences() {
        for message in all(None) {
            let Mail { subject, text, html, .. } = mail(&message);
            assert!(subject.contains("Acme") && !subject.contains('\n'), "{subject}");
            assert!(html.ends_with("</html>") && html.matches("<p>").count() >= 2, "{}", &*html);
            for paragraph in text.trim().split("\n\n") {
                assert!(!paragraph.contains('\n') && !paragraph.contains("  "), "{paragraph:?}");
                assert!(!paragraph.contains(" .") && !paragraph.contains(" ,"), "{paragraph:?}");
                let ends = paragraph.ends_with(['.', ':']) || !paragraph.contains(' ');
                assert!(ends, "{paragraph:?}");
            }
        }
    }

    #[test]
    fn text_and_html_say_the_same() {
        for message in all(Some(PAGE)) {
            let Mail { text, html, .. } = mail(&message);
            let (_, body) = html.split_once("<body").unwrap();
            for paragraph in text.trim().split("\n\n") {
                let escaped = paragraph.replace('&', "&#38;");
                assert!(body.contains(&format!(">{escaped}</")), "{paragraph:?} in {body}");
            }
        }
    }

    #[test]
    fn a_message_that_proves_something_has_code_and_link_with_the_token_in_the_fragment() {
        let (secrets, token) = (secrets(), secrets().token.encode(&TagKey::new(&[7; 32])));
        let (code, token) = (secrets.code.expose(), token.as_str());
        for message in &all(Some(PAGE))[..4] {
            let Mail { text, html, .. } = mail(message);
            assert!(text.contains(&format!("\n{PAGE}#action=confirm-email&token={token}\n")));
            let link = format!(r#"<a href="{PAGE}#action=confirm-email&#38;token={token}">"#);
            assert!(html.contains(&link), "{}", &*html);
            // A change of address is confirmed by its link alone.
            let has_code = !matches!(message, Message::ChangeEmail { .. });
            assert_eq!(text.contains(&format!("\n{code}\n")), has_code, "{}", &*text);
            let strong = format!("<p><strong>{code}</strong></p>");
            assert_eq!(html.contains(&strong), has_code, "{}", &*html);
        }
        let bare = mail(&all(None)[0]);
        assert!(bare.html.contains(&format!("<p><code>{token}</code></p>")), "{}", &*bare.html);
    }

    #[test]
    fn a_name_cannot_write_html() {
        let account = "<img/src=x>\"'&{{ service }}".to_owned();
        let mail = mail(&Message::PasswordChanged { service: "Acme", account: account.clone() });
        assert!(!mail.html.contains("<img"), "{}", &*mail.html);
        assert!(mail.html.contains("&#60;img/src=x&#62;&#34;&#39;&#38;{{ service }}"));
        assert!(mail.text.contains(&account));
    }

    #[test]
    fn nothing_prints_a_message() {
        let message = &all(None)[0];
        for printed in [format!("{message:?}"), format!("{:?}", mail(message))] {
            assert!(!printed.contains("rm1_"), "{printed}");
        }
    }
}
