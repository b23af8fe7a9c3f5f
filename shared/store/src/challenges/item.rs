//! The item of a challenge.

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    challenge::{Challenge, CodeHash, Hashes, Message, MessageSecret, Met, Purpose},
    email::EmailAddress,
    ids::{LetterId, UserId},
    secret::SecretHash,
    time::{UnixMillis, UnixSeconds},
};

use crate::{
    StoreError,
    conditions::EXPIRES_AT,
    item::{Item, Reader, binary, number, string},
};

pub(super) const MESSAGES: &str = "messages";
pub(super) const MET: &str = "met";
pub(super) const USED_UP_TO: &str = "used_up_to";

const CUT_SEEN: &str = "cut_seen";

/// Counts the changes of the item, so that a write can require that the item is as it was read.
pub(super) const REVISION: &str = "revision";

pub(crate) fn key(purpose: Purpose, user_id: UserId) -> String {
    format!("challenge#{}#{user_id}", purpose.as_str())
}

pub(super) fn from_challenge(key: String, challenge: &Challenge, revision: u64) -> Item {
    let mut item = Item::from([
        ("pk".to_owned(), string(key)),
        (REVISION.to_owned(), number(revision)),
        (EXPIRES_AT.to_owned(), number(challenge.expires_at().get())),
    ]);
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    if let Some(email) = &challenge.email {
        set("email", string(email.as_str()));
    }
    if let Some(cut_seen) = challenge.cut_seen {
        set(CUT_SEEN, number(cut_seen.get()));
    }
    if !challenge.messages.is_empty() {
        let messages = challenge.messages.iter().map(from_message);
        set(MESSAGES, AttributeValue::L(messages.collect()));
    }
    if let Some(met) = challenge.met {
        let (name, hash) = match met.by {
            MessageSecret::Token(token) => ("token", binary(token.as_bytes())),
            MessageSecret::Code(code) => ("code", binary(code.as_bytes())),
        };
        let met = [(name, hash), (EXPIRES_AT, number(met.expires_at.get()))];
        set(MET, map(met));
    }
    if let Some(used_up_to) = challenge.used_up_to {
        set(USED_UP_TO, number(used_up_to.get()));
    }
    item
}

fn from_message(message: &Message) -> AttributeValue {
    map([
        ("letter", binary(message.letter.as_bytes())),
        ("token", binary(message.hashes.token.as_bytes())),
        ("code", binary(message.hashes.code.as_bytes())),
        (EXPIRES_AT, number(message.expires_at.get())),
    ])
}

fn map<const N: usize>(members: [(&str, AttributeValue); N]) -> AttributeValue {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
    AttributeValue::M(members.collect())
}

/// A challenge and its revision. Items of earlier releases have no revision and no valid messages.
pub(super) fn to_challenge(item: &Item) -> Result<(Challenge, Option<u64>), StoreError> {
    let reader = Reader(item);
    let email = reader.optional_string("email")?.map(EmailAddress::parse);
    let messages = reader.optional_list(MESSAGES)?.into_iter().map(|message| to_message(&message));
    let challenge = Challenge {
        email: email.transpose().map_err(|_| StoreError::MalformedItem("email"))?,
        cut_seen: reader.optional_number(CUT_SEEN)?.map(UnixMillis::new),
        messages: messages.collect::<Result<_, _>>()?,
        met: reader.optional_map(MET)?.map(|met| to_met(&met)).transpose()?,
        used_up_to: reader.optional_number(USED_UP_TO)?.map(UnixMillis::new),
    };
    Ok((challenge, reader.optional_number(REVISION)?))
}

fn to_message(message: &Reader<'_>) -> Result<Message, StoreError> {
    Ok(Message {
        letter: LetterId::from_bytes(message.bytes("letter")?),
        hashes: Hashes {
            token: SecretHash::from_bytes(message.bytes("token")?),
            code: CodeHash::from_bytes(message.bytes("code")?),
        },
        expires_at: UnixSeconds::new(message.number(EXPIRES_AT)?),
    })
}

fn to_met(met: &Reader<'_>) -> Result<Met, StoreError> {
    let by = match met.optional_bytes("token")? {
        Some(token) => MessageSecret::Token(SecretHash::from_bytes(token)),
        None => MessageSecret::Code(CodeHash::from_bytes(met.bytes("code")?)),
    };
    Ok(Met { by, expires_at: UnixSeconds::new(met.number(EXPIRES_AT)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u8) -> Message {
        Message {
            letter: LetterId::from_bytes([number; 16]),
            hashes: Hashes {
                token: SecretHash::from_bytes([number + 1; 32]),
                code: CodeHash::from_bytes([number + 2; 32]),
            },
            expires_at: UnixSeconds::new(1_780_000_000 + u64::from(number)),
        }
    }

    #[test]
    fn a_challenge_reads_back_as_written() {
        let email = EmailAddress::parse("ada@example.com").unwrap();
        let expires_at = UnixSeconds::new(1_780_000_100);
        let open = Challenge {
            email: Some(email),
            messages: vec![message(1), message(7)],
            ..Challenge::default()
        };
        let by_token = MessageSecret::Token(SecretHash::from_bytes([9; 32]));
        let by_code = MessageSecret::Code(CodeHash::from_bytes([9; 32]));
        let met = |by| Challenge {
            met: Some(Met { by, expires_at }),
            used_up_to: Some(UnixMillis::new(1_780_000_000_123)),
            ..open.clone()
        };
        let signs_in = Challenge { cut_seen: Some(UnixMillis::new(7)), ..open.clone() };
        let challenges =
            [met(by_token), met(by_code), Challenge::default(), open.clone(), signs_in];
        for (revision, challenge) in (1..).zip(challenges) {
            let item = from_challenge("challenge#x".to_owned(), &challenge, revision);
            assert_eq!(to_challenge(&item).unwrap(), (challenge.clone(), Some(revision)));
            assert_eq!(item[EXPIRES_AT], number(challenge.expires_at().get()));
        }
    }
}
