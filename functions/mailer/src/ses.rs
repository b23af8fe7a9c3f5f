//! Amazon SES.

use std::{error::Error, fmt, time::Duration};

use aws_sdk_sesv2::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{BuildError, ProvideErrorMetadata as _, SdkError},
    operation::send_email::SendEmailError,
    types::{Body, Content, Destination, EmailContent, Message, MessageHeader},
};
use ratchet_core::{config::Config, email::EmailAddress};
use ratchet_store::aws::AwsSettings;

use crate::compose::Mail;

/// The SES of this deployment.
#[derive(Debug)]
pub(crate) struct Ses {
    client: Client,
    /// Name and address; absent if the deployment has none to send from.
    from: Option<String>,
}

/// A message was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// `RATCHET_MAIL_FROM` is empty. Letters wait until it is not, or they are given up.
    #[error("there is no address to send from: set RATCHET_MAIL_FROM (MailFrom)")]
    NoSender,
    /// SES will not take this message, however often it is asked.
    #[error("SES refuses the message")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// SES can not be reached or takes nothing at the moment.
    #[error("SES is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl Ses {
    pub(crate) fn new(config: &Config, aws: &AwsSettings) -> Self {
        // A batch has a minute: one message may not take all of it.
        let client = aws_sdk_sesv2::config::Builder::from(aws.sdk())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(1))
                    .operation_attempt_timeout(Duration::from_secs(3))
                    .operation_timeout(Duration::from_secs(5))
                    .build(),
            );
        let service = &config.password_policy.service_name;
        let from = config.mail_from.as_ref().map(|address| mailbox(service, address));
        Self { client: Client::from_conf(client.build()), from }
    }

    /// Hands a message over.
    pub(crate) async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let from = self.from.as_ref().ok_or(SendError::NoSender)?;
        let content = content(mail).map_err(|error| SendError::Refused(error.into()))?;
        let destination = Destination::builder().to_addresses(mail.to.as_str()).build();
        let call = self.client.send_email().from_email_address(from).destination(destination);
        match call.content(content).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.as_service_error() {
                Some(
                    SendEmailError::MessageRejected(_) | SendEmailError::BadRequestException(_),
                ) => SendError::Refused(without_text(error)),
                _ => SendError::Unavailable(without_text(error)),
            }),
        }
    }
}

/// What went wrong, for the log: of an answer its code only. Its text has addresses in it.
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
    // RFC 3834: nobody's out-of-office notice is to answer this.
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
    use aws_sdk_sesv2::error::ErrorMetadata;
    use ratchet_core::error_chain::ErrorChain;

    use super::*;

    #[test]
    fn of_an_answer_the_code_is_logged_and_no_address() {
        let answer = ErrorMetadata::builder()
            .code("MessageRejected")
            .message("Email address is not verified: ada@example.com");
        let answer = SendEmailError::generic(answer.build());
        let source = without_text(SdkError::service_error(answer, "ada@example.com"));
        let logged = ErrorChain(&SendError::Refused(source)).to_string();
        assert_eq!(logged, "SES refuses the message: MessageRejected");
    }

    #[test]
    fn a_display_name_can_not_become_an_address() {
        let address = EmailAddress::parse("a@example.com").unwrap();
        assert_eq!(
            mailbox("Evil\" <b@example.com>\r\nBcc: c", &address),
            "\"Evil\\\" <b@example.com>Bcc: c\" <a@example.com>"
        );
    }
}
