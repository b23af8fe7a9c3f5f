//! Messages from their templates.
//!
//! A template is the text of the message: the subject in its first line, then paragraphs. The HTML
//! is the same paragraphs in `layout.html`, so the two can not say different things.

use std::fmt;

use ratchet_core::{
    challenge::{MailCode, Purpose},
    email::EmailAddress,
};
use zeroize::Zeroizing;

const LAYOUT: &str = include_str!("../templates/layout.html");

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Template {
    ConfirmEmail,
    ResetPassword,
    ChangeEmail,
    AddressTaken,
    NameTaken,
    PasswordChanged,
    EmailChangeTold,
    EmailChanged,
    Deleted,
}

impl Template {
    /// The name in the counters of messages.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "confirm-email",
            Self::ResetPassword => "reset-password",
            Self::ChangeEmail => "change-email",
            Self::AddressTaken => "address-taken",
            Self::NameTaken => "name-taken",
            Self::PasswordChanged => "password-changed",
            Self::EmailChangeTold => "email-change-told",
            Self::EmailChanged => "email-changed",
            Self::Deleted => "deleted",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::ConfirmEmail => include_str!("../templates/confirm-email.txt"),
            Self::ResetPassword => include_str!("../templates/reset-password.txt"),
            Self::ChangeEmail => include_str!("../templates/change-email.txt"),
            Self::AddressTaken => include_str!("../templates/address-taken.txt"),
            Self::NameTaken => include_str!("../templates/name-taken.txt"),
            Self::PasswordChanged => include_str!("../templates/password-changed.txt"),
            Self::EmailChangeTold => include_str!("../templates/email-change-told.txt"),
            Self::EmailChanged => include_str!("../templates/email-changed.txt"),
            Self::Deleted => include_str!("../templates/deleted.txt"),
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

/// What lets the reader meet a challenge, as it stands in the message.
pub(crate) struct Proofs {
    /// A link, or the bare token if there is no page for it to lead to.
    link: Zeroizing<String>,
    is_url: bool,
    code: Zeroizing<String>,
}

impl Proofs {
    /// # Security
    /// The token is in the query of the link. The page has to be one that loads nothing from
    /// elsewhere and sends no referrer; docs/accounts.md says so.
    pub(crate) fn new(purpose: Purpose, token: &str, code: &MailCode, page: Option<&str>) -> Self {
        let link = page.map_or_else(
            || token.to_owned(),
            |page| format!("{page}?action={}&token={token}", purpose.as_str()),
        );
        Self {
            link: Zeroizing::new(link),
            is_url: page.is_some(),
            code: Zeroizing::new(code.expose().to_owned()),
        }
    }
}

/// Writes a message.
pub(crate) fn compose(
    to: EmailAddress,
    template: Template,
    service: &str,
    name: &str,
    proofs: Option<&Proofs>,
) -> Mail {
    let (subject, body) = template.text().split_once('\n').unwrap_or_default();
    let values = |encode: fn(&str) -> String| {
        let (link, code) = proofs.map_or(("", ""), |proofs| (&*proofs.link, &*proofs.code));
        [
            ("{{service}}", encode(service)),
            ("{{name}}", encode(name)),
            ("{{link}}", encode(link)),
            ("{{code}}", encode(code)),
        ]
    };
    let plain = values(str::to_owned);
    let html = values(escape);
    let is_url = proofs.is_some_and(|proofs| proofs.is_url);
    let paragraphs: String = body
        .trim()
        .split("\n\n")
        .map(|paragraph| Zeroizing::new(as_html(paragraph.trim(), &html, is_url)))
        .fold(String::new(), |all, paragraph| all + &paragraph + "\n");
    let subject = fill(subject, &plain);
    let html = fill(LAYOUT, &[("{{subject}}", escape(&subject)), ("{{body}}", paragraphs)]);
    Mail {
        to,
        text: Zeroizing::new(fill(body.trim_start(), &plain)),
        html: Zeroizing::new(html),
        subject,
    }
}

fn as_html(paragraph: &str, values: &[(&str, String)], is_url: bool) -> String {
    match paragraph {
        "{{link}}" if is_url => fill(r#"<p><a href="{{link}}">{{link}}</a></p>"#, values),
        "{{link}}" => fill("<p><code>{{link}}</code></p>", values),
        "{{code}}" => fill("<p><strong>{{code}}</strong></p>", values),
        text => format!("<p>{}</p>", fill(&escape(text), values)),
    }
}

/// Puts the values into a template, in one pass: what a value looks like is not filled again.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, from)) = rest.find("{{").and_then(|at| rest.split_at_checked(at)) {
        filled.push_str(before);
        let known = values.iter().find_map(|(mark, value)| Some((from.strip_prefix(mark)?, value)));
        rest = if let Some((after, value)) = known {
            filled.push_str(value);
            after
        } else {
            filled.push_str("{{");
            from.trim_start_matches("{{")
        };
    }
    filled + rest
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Template; 9] = [
        Template::ConfirmEmail,
        Template::ResetPassword,
        Template::ChangeEmail,
        Template::AddressTaken,
        Template::NameTaken,
        Template::PasswordChanged,
        Template::EmailChangeTold,
        Template::EmailChanged,
        Template::Deleted,
    ];

    fn proofs(page: Option<&str>) -> Proofs {
        Proofs::new(Purpose::ConfirmEmail, "rm1_x", &MailCode::new([0; 8]), page)
    }

    fn to() -> EmailAddress {
        EmailAddress::parse("ada@example.com").unwrap()
    }

    #[test]
    fn every_template_is_filled_and_has_a_subject_of_one_line() {
        for template in ALL {
            let mail = compose(to(), template, "Acme", "ada", Some(&proofs(None)));
            for text in [&mail.subject, &*mail.text, &*mail.html] {
                assert!(!text.contains("{{"), "{template:?}: {text}");
                assert!(!text.trim().is_empty(), "{template:?}");
            }
            assert!(mail.subject.contains("Acme") && !mail.subject.contains('\n'), "{template:?}");
            assert!(mail.html.contains("</html>"), "{template:?}");
        }
    }

    #[test]
    fn a_message_that_proves_something_has_link_and_code() {
        let page = "https://app.example/account";
        for template in [Template::ConfirmEmail, Template::ResetPassword] {
            let mail = compose(to(), template, "Acme", "ada", Some(&proofs(Some(page))));
            assert!(mail.text.contains(&format!("{page}?action=confirm-email&token=rm1_x\n")));
            assert!(mail.text.contains("000000"));
            let link = format!(r#"<a href="{page}?action=confirm-email&amp;token=rm1_x">"#);
            assert!(mail.html.contains(&link), "{}", &*mail.html);
            assert!(mail.html.contains("<strong>000000</strong>"));
        }
        let mail = compose(to(), Template::ConfirmEmail, "Acme", "ada", Some(&proofs(None)));
        assert!(mail.html.contains("<code>rm1_x</code>"), "{}", &*mail.html);
    }

    #[test]
    fn a_name_can_neither_write_html_nor_be_filled_again() {
        let name = "<img/src=x>\"'&{{code}}";
        let mail = compose(to(), Template::PasswordChanged, "Acme", name, Some(&proofs(None)));
        assert!(!mail.html.contains("<img"), "{}", &*mail.html);
        assert!(mail.html.contains("&lt;img/src=x&gt;&quot;&#39;&amp;{{code}}"));
        assert!(mail.text.contains(name));
    }

    #[test]
    fn nothing_prints_a_message() {
        let mail = compose(to(), Template::ConfirmEmail, "Acme", "ada", Some(&proofs(None)));
        assert!(!format!("{mail:?}").contains("rm1_"));
    }
}
