//! Amazon SES.

use std::{error::Error, fmt, time::Duration};

use aws_sdk_sesv2::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{BuildError, ProvideErrorMetadata as _, SdkError},
    operation::send_email::{SendEmailError, builders::SendEmailFluentBuilder},
    types::{Body, Content, Destination, EmailContent, Message, MessageHeader},
};
use ratchet_core::{config::Config, email::EmailAddress};
use ratchet_store::aws::AwsSettings;

use crate::compose::Mail;

/// The SES of this deployment.
#[derive(Debug)]
pub(crate) struct Ses {
    client: Client,
    /// Absent if the deployment has no address to send from.
    from: Option<Sender>,
}

/// Who messages come from.
#[derive(Debug)]
struct Sender {
    address: EmailAddress,
    /// With the display name.
    mailbox: String,
    configuration_set: Option<String>,
}

/// SES did not take a message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// `RATCHET_MAIL_FROM` is empty. Letters wait until it is set, or until they are given up.
    #[error("there is no address to send from: set RATCHET_MAIL_FROM (MailFrom)")]
    NoSender,
    /// SES refuses this message because of its recipient. Others must not wait for it.
    #[error("SES refuses the message")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// SES cannot be reached, or accepts no messages until somebody fixes the cause: the sender is
    /// not verified, sending is paused or not allowed, a quota is used up.
    #[error("SES takes no messages")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl Ses {
    pub(crate) fn new(config: &Config, aws: &AwsSettings) -> Self {
        // A batch has a minute, and one message must not take all of it.
        let client = aws_sdk_sesv2::config::Builder::from(aws.sdk())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(1))
                    .operation_attempt_timeout(Duration::from_secs(3))
                    .operation_timeout(Duration::from_secs(5))
                    .build(),
            );
        let from = config.mail_from.as_ref().map(|address| Sender {
            address: address.clone(),
            mailbox: mailbox(&config.password_policy.service_name, address),
            configuration_set: config.mail_configuration_set.clone(),
        });
        Self { client: Client::from_conf(client.build()), from }
    }

    /// Sends a message.
    pub(crate) async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let from = self.from.as_ref().ok_or(SendError::NoSender)?;
        let call = from.addressed(self.client.send_email(), mail);
        let call = call.map_err(|error| SendError::Unavailable(error.into()))?;
        let Err(error) = call.send().await else {
            return Ok(());
        };
        let refused = error
            .as_service_error()
            .is_some_and(|answer| is_about_recipient(answer, &from.address, &mail.to));
        let source = without_text(error);
        Err(if refused { SendError::Refused(source) } else { SendError::Unavailable(source) })
    }
}

impl Sender {
    /// The call that sends a message.
    fn addressed(
        &self,
        call: SendEmailFluentBuilder,
        mail: &Mail,
    ) -> Result<SendEmailFluentBuilder, BuildError> {
        let destination = Destination::builder().to_addresses(mail.to.as_str()).build();
        let call = call.from_email_address(&self.mailbox).destination(destination);
        let call = call.set_configuration_set_name(self.configuration_set.clone());
        Ok(call.content(content(mail)?))
    }
}

/// Whether SES refuses a message because of its recipient. Every other cause passes or can be
/// fixed, and the letter is tried again.
///
/// Only the text of the error says so. In the sandbox it lists the identities that are not
/// verified; for addresses that SES considers malformed it says what is wrong with them.
fn is_about_recipient(answer: &SendEmailError, from: &EmailAddress, to: &EmailAddress) -> bool {
    let lower = |text: Option<&str>| text.unwrap_or_default().to_ascii_lowercase();
    match answer {
        SendEmailError::MessageRejected(rejected) => {
            let text = lower(rejected.message());
            text.contains(to.as_str()) && !text.contains(from.as_str())
        }
        SendEmailError::BadRequestException(bad) => {
            let text = lower(bad.message());
            let malformed = ["illegal address", "local address", "domain", "missing final"];
            malformed.iter().any(|complaint| text.contains(complaint)) && !text.contains("verified")
        }
        _ => false,
    }
}

/// The error for the log. Of a response only the code, because its text contains addresses.
fn without_text<R>(error: SdkError<SendEmailError, R>) -> Box<dyn Error + Send + Sync>
where
    R: fmt::Debug + Send + Sync + 'static,
{
    match error.as_service_error() {
        Some(answer) => answer.code().unwrap_or("an error without a code").into(),
        None => error.into(),
    }
}

/// A display name in quotes, and the address (RFC 5322 §3.4).
fn mailbox(name: &str, address: &EmailAddress) -> String {
    let quoted: String = name
        .chars()
        .filter(|c| !c.is_control())
        .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
        .collect();
    format!("\"{quoted}\" <{address}>")
}

fn content(mail: &Mail) -> Result<EmailContent, BuildError> {
    let text = |data: &str| Content::builder().data(data).charset("UTF-8").build();
    let body = Body::builder().text(text(&mail.text)?).html(text(&mail.html)?).build();
    // RFC 3834: suppresses out-of-office replies.
    let automatic = MessageHeader::builder().name("Auto-Submitted").value("auto-generated");
    let message = Message::builder()
        .subject(text(&mail.subject)?)
        .body(body)
        .headers(automatic.build()?)
        .build();
    Ok(EmailContent::builder().simple(message).build())
}

#[cfg(test)]
mod tests {
    use aws_sdk_sesv2::{
        config::BehaviorVersion,
        error::ErrorMetadata,
        types::error::{BadRequestException, MessageRejected, SendingPausedException},
    };
    use ratchet_core::error_chain::ErrorChain;

    use super::*;

    fn is_refused(answer: &SendEmailError) -> bool {
        let from = EmailAddress::parse("accounts@example.com").unwrap();
        is_about_recipient(answer, &from, &EmailAddress::parse("ada@example.org").unwrap())
    }

    #[test]
    fn messages_are_sent_under_the_configuration_set() {
        let mail = Mail {
            to: EmailAddress::parse("ada@example.org").unwrap(),
            subject: "Subject".to_owned(),
            text: String::new().into(),
            html: String::new().into(),
        };
        let client = Client::from_conf(
            aws_sdk_sesv2::Config::builder().behavior_version(BehaviorVersion::latest()).build(),
        );
        for set in [None, Some("ratchet-set".to_owned())] {
            let sender = Sender {
                address: EmailAddress::parse("accounts@example.com").unwrap(),
                mailbox: "accounts@example.com".to_owned(),
                configuration_set: set.clone(),
            };
            let call = sender.addressed(client.send_email(), &mail).unwrap();
            assert_eq!(*call.get_configuration_set_name(), set);
            assert!(call.get_content().is_some() && call.get_destination().is_some());
        }
    }

    #[test]
    fn only_a_refusal_that_is_about_the_recipient_sets_a_letter_aside() {
        let rejected = |text: &str| {
            SendEmailError::MessageRejected(MessageRejected::builder().message(text).build())
        };
        let bad = |text: &str| {
            let error = BadRequestException::builder().message(text).build();
            SendEmailError::BadRequestException(error)
        };
        let unverified = "Email address is not verified. The following identities failed the check \
                          in region EU-WEST-1: ";
        for refused in [
            rejected(&format!("{unverified}Ada@example.org")),
            bad("Local address contains control or whitespace"),
            bad("Missing final '@domain'"),
            bad("Invalid domain name: 'example.org'."),
        ] {
            assert!(is_refused(&refused), "{refused:?}");
        }
        for tried_again in [
            rejected(&format!("{unverified}accounts@example.com")),
            rejected(&format!("{unverified}accounts@example.com, ada@example.org")),
            rejected("Sending suspended for this account."),
            rejected(""),
            bad("The domain of MAIL FROM is not verified"),
            bad("Invalid header"),
            SendEmailError::SendingPausedException(SendingPausedException::builder().build()),
            SendEmailError::generic(ErrorMetadata::builder().code("AccessDenied").build()),
        ] {
            assert!(!is_refused(&tried_again), "{tried_again:?}");
        }
    }

    #[test]
    fn of_a_response_the_code_is_logged_and_no_address() {
        let answer = ErrorMetadata::builder()
            .code("MessageRejected")
            .message("Email address is not verified: ada@example.com");
        let answer = SendEmailError::generic(answer.build());
        let source = without_text(SdkError::service_error(answer, "ada@example.com"));
        let logged = ErrorChain(&SendError::Refused(source)).to_string();
        assert_eq!(logged, "SES refuses the message: MessageRejected");
    }

    #[test]
    fn a_display_name_cannot_become_an_address() {
        let address = EmailAddress::parse("a@example.com").unwrap();
        assert_eq!(
            mailbox("Evil\" <b@example.com>\r\nBcc: c", &address),
            "\"Evil\\\" <b@example.com>Bcc: c\" <a@example.com>"
        );
    }
}
