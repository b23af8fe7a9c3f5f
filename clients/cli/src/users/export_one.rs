//! `ratchet users export-one`: what the tables have about one user, for people who ask for their own
//! data.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    primitives::{DateTime, DateTimeFormat},
    types::AttributeValue,
};
use ratchet_core::{
    attempts::AttemptKey, encoding::to_base64url, ids::SessionId, time::UnixMillis,
};
use ratchet_store::users::Profile;
use serde_json::{Map, Value, json};

use crate::{connection::Connection, failure::Failure, output};

type Item = HashMap<String, AttributeValue>;

/// How the value of an attribute is printed.
#[derive(Clone, Copy)]
enum Form {
    /// As it is.
    Plain,
    /// Text that is JSON.
    Json,
    /// A time in seconds since 1970, as text.
    Seconds,
    /// A time in milliseconds since 1970, as text.
    Millis,
    /// A step-up: its time, as text.
    StepUp,
    /// The id of a session.
    Id,
    /// Bytes.
    Base64Url,
}

/// The attributes whose values are printed, here for a user and below for other kinds of items.
///
/// # Security
/// Of all other attributes, only the names are printed, so a new attribute cannot reveal a secret by
/// accident.
const ACCOUNT: &[(&str, Form)] = &[
    ("user_id", Form::Plain),
    ("name", Form::Plain),
    ("email", Form::Plain),
    ("email_confirmed", Form::Plain),
    ("second_factor", Form::Plain),
    ("passkeys", Form::Plain),
    ("pending_email", Form::Plain),
    ("status", Form::Plain),
    ("roles", Form::Plain),
    ("claims", Form::Json),
    ("cut_at", Form::Millis),
    ("expires_at", Form::Seconds),
];
const FACTOR: &[(&str, Form)] = &[
    ("enabled_at", Form::Millis),
    ("pending_until", Form::Seconds),
    ("expires_at", Form::Seconds),
];
const PASSKEY: &[(&str, Form)] = &[
    ("id", Form::Plain),
    ("name", Form::Plain),
    ("backed_up", Form::Plain),
    ("created_at", Form::Millis),
    ("last_used_at", Form::Millis),
];
const MESSAGE: &[(&str, Form)] = &[("email", Form::Plain), ("expires_at", Form::Seconds)];
const ATTEMPTS: &[(&str, Form)] =
    &[("failures", Form::Plain), ("last_at", Form::Millis), ("expires_at", Form::Seconds)];
const SESSION: &[(&str, Form)] = &[
    ("session_id", Form::Id),
    ("device", Form::Plain),
    ("user_agent", Form::Plain),
    ("network", Form::Plain),
    ("source_ip", Form::Plain),
    ("jkt", Form::Base64Url),
    ("amr", Form::Plain),
    ("auth_time", Form::Millis),
    ("step_up", Form::StepUp),
    ("expires_at", Form::Seconds),
    ("absolute_expires_at", Form::Seconds),
    ("revoked_at", Form::Millis),
    ("revoked_reason", Form::Plain),
];

pub(super) async fn run(connection: &Connection, name: &str, json: bool) -> Result<(), Failure> {
    let Profile { user, email, .. } = connection.user(name).await?;
    let sessions = connection.sessions.items_about(user.id).await?;
    let mut counters = vec![AttemptKey::account(&user.name), AttemptKey::account(&email)];
    counters.push(AttemptKey::second_factor(user.id));
    counters.extend(sessions.iter().filter_map(session_id).map(AttemptKey::session));
    let items = connection.users.items_about(user.id, &counters).await?;
    let found = everything(user.id.created_at(), &items, &sessions);
    if json {
        return output::json(&found);
    }
    let text = serde_json::to_string_pretty(&found).map_err(|error| Failure::machine(&error))?;
    output::line(&text)
}

/// What is printed about a user who was created at this time, from the items of both tables.
fn everything(created_at: UnixMillis, items: &[Item], sessions: &[Item]) -> Value {
    let (mut account, mut second_factor) = (Value::Null, Value::Null);
    let mut passkeys = Vec::new();
    let (mut messages, mut attempts) = (Vec::new(), Vec::new());
    for item in items {
        let Some(AttributeValue::S(key)) = item.get("pk") else { continue };
        let mut parts = key.split('#');
        match (parts.next(), parts.next()) {
            (Some("user"), _) => {
                account = shown(item, ACCOUNT, &[("created_at", time(created_at))]);
            }
            (Some("factor"), _) => second_factor = shown(item, FACTOR, &[]),
            (Some("passkeys"), _) => passkeys = keys(item),
            (Some("challenge"), Some(purpose)) => {
                messages.push(shown(item, MESSAGE, &[("purpose", json!(purpose))]));
            }
            (_, kind) => attempts.push(shown(item, ATTEMPTS, &[("counted_for", json!(kind))])),
        }
    }
    let sessions: Vec<_> = sessions.iter().map(|item| shown(item, SESSION, &[])).collect();
    json!({
        "account": account,
        "second_factor": second_factor,
        "passkeys": passkeys,
        "sessions": sessions,
        "messages": messages,
        "failed_attempts": attempts,
    })
}

/// The passkeys of an item.
fn keys(item: &Item) -> Vec<Value> {
    let keys = item.get("keys").and_then(|keys| keys.as_l().ok()).into_iter().flatten();
    keys.filter_map(|key| key.as_m().ok()).map(|key| shown(key, PASSKEY, &[])).collect()
}

/// An item as JSON: these attributes, the members of `known`, and the names of all other attributes.
fn shown(item: &Item, attributes: &[(&str, Form)], known: &[(&str, Value)]) -> Value {
    let mut shown: Map<_, _> =
        known.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let mut withheld = Vec::new();
    for (name, value) in item {
        let form = attributes.iter().find(|(shown, _)| shown == name).map(|(_, form)| *form);
        match form.and_then(|form| printed(value, form)) {
            Some(value) => drop(shown.insert(name.clone(), value)),
            None => withheld.push(name.as_str()),
        }
    }
    withheld.sort_unstable();
    shown.insert("withheld".to_owned(), json!(withheld));
    Value::Object(shown)
}

/// The value as JSON, or `None` if it does not have this form.
fn printed(value: &AttributeValue, form: Form) -> Option<Value> {
    match (form, value) {
        (Form::Plain, AttributeValue::S(text)) => Some(json!(text)),
        (Form::Plain, AttributeValue::Bool(truth)) => Some(json!(truth)),
        (Form::Plain, AttributeValue::N(number)) => serde_json::from_str(number).ok(),
        (Form::Plain, AttributeValue::L(members)) => {
            members.iter().map(|member| printed(member, form)).collect()
        }
        (Form::Json, AttributeValue::S(text)) => serde_json::from_str(text).ok(),
        (Form::Seconds, AttributeValue::N(number)) => {
            Some(time(UnixMillis::new(number.parse::<u64>().ok()?.checked_mul(1_000)?)))
        }
        (Form::Millis, AttributeValue::N(number)) => {
            Some(time(UnixMillis::new(number.parse().ok()?)))
        }
        (Form::StepUp, AttributeValue::N(number)) => {
            Some(time(UnixMillis::new(number.parse::<u64>().ok()? / 256)))
        }
        (Form::Id, AttributeValue::B(bytes)) => {
            let bytes = bytes.as_ref().try_into().ok()?;
            Some(json!(SessionId::from_bytes(bytes).to_string()))
        }
        (Form::Base64Url, AttributeValue::B(bytes)) => Some(json!(to_base64url(bytes.as_ref()))),
        _ => None,
    }
}

fn session_id(item: &Item) -> Option<SessionId> {
    let bytes = item.get("session_id")?.as_b().ok()?.as_ref().try_into().ok()?;
    Some(SessionId::from_bytes(bytes))
}

/// A time as text, for example `2026-11-28T08:00:00Z`.
fn time(at: UnixMillis) -> Value {
    let millis = i64::try_from(at.get()).unwrap_or(i64::MAX);
    json!(DateTime::from_millis(millis).fmt(DateTimeFormat::DateTime).ok())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::primitives::Blob;

    use super::*;

    fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    fn n(number: u64) -> AttributeValue {
        AttributeValue::N(number.to_string())
    }

    #[test]
    fn attributes_that_are_not_listed_are_named_but_not_shown() {
        let user = item([
            ("pk", s("user#7")),
            ("name", s("Ada")),
            ("roles", AttributeValue::L(vec![s("admin")])),
            ("email_confirmed", AttributeValue::Bool(true)),
            ("claims", s(r#"{"plan":"pro"}"#)),
            ("password_hash", s("canary")),
            ("invented_later", AttributeValue::B(Blob::new("canary"))),
        ]);
        let found = everything(UnixMillis::new(1_000), &[user], &[]);
        assert_eq!(
            found["account"],
            json!({
                "name": "Ada",
                "roles": ["admin"],
                "email_confirmed": true,
                "claims": {"plan": "pro"},
                "created_at": "1970-01-01T00:00:01Z",
                "withheld": ["invented_later", "password_hash", "pk"],
            })
        );
        assert!(!found.to_string().contains("canary"), "{found}");
    }

    #[test]
    fn of_a_second_factor_only_times_are_shown() {
        let factor = item([
            ("pk", s("factor#7")),
            ("enabled_at", n(1_000)),
            ("secret", AttributeValue::B(Blob::new("canary"))),
            ("recovery", AttributeValue::Bs(vec![Blob::new("canary")])),
            ("last_step", n(5)),
        ]);
        let found = everything(UnixMillis::new(0), &[factor], &[]);
        assert_eq!(
            found["second_factor"],
            json!({
                "enabled_at": "1970-01-01T00:00:01Z",
                "withheld": ["last_step", "pk", "recovery", "secret"],
            })
        );
        assert!(found["failed_attempts"].as_array().unwrap().is_empty());
    }

    #[test]
    fn of_passkeys_the_public_keys_are_not_shown() {
        let key = item([
            ("id", s("abc")),
            ("name", s("Phone")),
            ("backed_up", AttributeValue::Bool(true)),
            ("created_at", n(1_000)),
            ("credential", s("canary")),
        ]);
        let keys = AttributeValue::L(vec![AttributeValue::M(key)]);
        let found = everything(
            UnixMillis::new(0),
            &[item([("pk", s("passkeys#7")), ("keys", keys), ("revision", n(1))])],
            &[],
        );
        assert_eq!(
            found["passkeys"],
            json!([{
                "id": "abc",
                "name": "Phone",
                "backed_up": true,
                "created_at": "1970-01-01T00:00:01Z",
                "withheld": ["credential"],
            }])
        );
    }

    #[test]
    fn messages_attempts_and_sessions_are_told_apart() {
        let items = [
            item([("pk", s("challenge#reset-password#7")), ("expires_at", n(2))]),
            item([("pk", s("attempts#account#hash")), ("failures", n(3)), ("last_at", n(4_000))]),
        ];
        let session = item([
            ("session_id", AttributeValue::B(Blob::new([1; 16]))),
            ("jkt", AttributeValue::B(Blob::new([0xff; 32]))),
            ("revoked_at", n(5_000)),
            ("token_hash", AttributeValue::B(Blob::new([2; 32]))),
        ]);
        let found = everything(UnixMillis::new(0), &items, &[session]);
        assert_eq!(found["messages"][0]["purpose"], "reset-password");
        assert_eq!(found["messages"][0]["expires_at"], "1970-01-01T00:00:02Z");
        assert_eq!(found["failed_attempts"][0]["counted_for"], "account");
        assert_eq!(found["failed_attempts"][0]["failures"], 3);
        let session = &found["sessions"][0];
        assert_eq!(session["session_id"], "01010101-0101-0101-0101-010101010101");
        assert_eq!(session["revoked_at"], "1970-01-01T00:00:05Z");
        assert_eq!(session["withheld"], json!(["token_hash"]));
    }

    #[test]
    fn a_value_of_an_unexpected_form_is_withheld() {
        let damaged = item([("expires_at", s("tomorrow")), ("session_id", n(1))]);
        let found = everything(UnixMillis::new(0), &[], &[damaged]);
        assert_eq!(found["sessions"][0]["withheld"], json!(["expires_at", "session_id"]));
    }
}
