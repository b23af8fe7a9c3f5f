//! The local Amazon SES: moto's, which keeps messages instead of sending them.

use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    dynamodb::{CREDENTIAL, REGION},
    starting::{StartError, http_client},
};

/// The address that local messages come from.
pub const FROM: &str = "accounts@example.com";

/// A message that moto received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its recipient.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its HTML; moto forgets the text of a message that has both.
    pub html: String,
}

impl Message {
    /// The message without its tags, for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let body = self.html.split_once("<body").map_or(self.html.as_str(), |(_, body)| body);
        let body = body.split_once('>').map_or(body, |(_, body)| body);
        let mut text = String::new();
        for piece in body.split('<') {
            // Everything before `>` is a tag; the first piece has none.
            text.push_str(piece.split_once('>').map_or("", |(_, after)| after));
        }
        let entities = [
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&#34;", "\""),
            ("&#39;", "'"),
            ("&#60;", "<"),
            ("&#62;", ">"),
            // Last, so that unescaping it does not create other entities.
            ("&#38;", "&"),
            ("&amp;", "&"),
        ];
        let text = entities.iter().fold(text, |text, (entity, sign)| text.replace(entity, sign));
        text.trim().replace('\n', "\n\n")
    }
}

/// A credential that names the account. It is not signed, because moto does not check.
pub(crate) fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={CREDENTIAL}/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

/// Verifies [`FROM`] as a sender, as an operator does with SES.
pub(crate) async fn verify_sender(moto: &str) -> Result<(), StartError> {
    let failed = |cause: String| StartError::create("the sender of messages")(cause);
    let request = http_client()?
        .post(format!("{moto}/v2/email/identities"))
        .header(AUTHORIZATION, authorization("ses"))
        .json(&json!({ "EmailIdentity": FROM }));
    let answer = request.send().await.map_err(|error| failed(error.to_string()))?;
    answer.error_for_status().map_err(|error| failed(error.to_string()))?;
    Ok(())
}

/// All messages that the moto at an endpoint received, oldest first.
///
/// # Errors
/// If it does not answer, or with something else.
pub async fn messages(moto: &str) -> Result<Vec<Message>, reqwest::Error> {
    #[derive(Deserialize)]
    struct Kept {
        subject: String,
        body: String,
        destinations: Value,
    }
    let client = reqwest::Client::builder().no_proxy().build()?;
    let data: Value = client.get(format!("{moto}/moto-api/data.json")).send().await?.json().await?;
    let kept = data.pointer("/ses/Message").and_then(Value::as_array).cloned().unwrap_or_default();
    let message = |kept: Value| {
        let Kept { subject, body, destinations } = serde_json::from_value(kept).ok()?;
        let to = destinations.pointer("/ToAddresses/0")?.as_str()?.to_owned();
        Some(Message { to, subject, html: body })
    };
    Ok(kept.into_iter().filter_map(message).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_paragraphs_without_tags() {
        let html = "<html><head><title>T</title></head>\n<body style=\"x\">\n<p>Ada &amp; Bob &#60;3</p>\n\
                    <p><a href=\"https://a?b&amp;c\">https://a?b&#38;c</a></p>\n</body></html>";
        let message = Message { to: String::new(), subject: String::new(), html: html.to_owned() };
        assert_eq!(message.text(), "Ada & Bob <3\n\nhttps://a?b&c");
    }
}
