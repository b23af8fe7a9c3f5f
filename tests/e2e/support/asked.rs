//! The permissions that a call needs, in terms of IAM.

use local::{mail, template::Grant};
use ratchet_core::domain_event::SOURCE;
use serde_json::Value;

/// One action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    action: String,
    resource: String,
    /// What a condition can check, in the form that a [`Grant`] has.
    value: Option<String>,
}

impl Asked {
    /// The permissions of a call. A transaction needs those of each of its parts. `names` are local
    /// names and their logical ids in the template.
    pub(crate) fn of(operation: &str, call: &Value, names: &[(String, &'static str)]) -> Vec<Self> {
        let asked = |action: String, name: &Value, suffix: &str, value| {
            let name = name.as_str().unwrap_or_default();
            let known = names.iter().find(|(local, _)| *local == name);
            let resource = known.map_or(name, |(_, id)| id);
            Self { action, resource: format!("{resource}{suffix}"), value }
        };
        if let Some(secret) = call.get("SecretId") {
            return vec![asked(format!("secretsmanager:{operation}"), secret, "", None)];
        }
        if let Some(from) = call["FromEmailAddress"].as_str() {
            // The condition checks the address without the display name.
            let is_ours = from.ends_with(&format!("<{}>", mail::FROM));
            let value = is_ours.then(|| "ses:FromAddress=MailFrom".to_owned());
            let identities = "arn:AWS::Partition:ses:AWS::Region:AWS::AccountId:*".into();
            return vec![asked(format!("ses:{operation}"), &identities, "", value)];
        }
        if let Some(entries) = call["Entries"].as_array() {
            let ours = entries.iter().all(|entry| entry["Source"] == SOURCE);
            let value = ours.then(|| format!("events:source={SOURCE}"));
            let name = entries.first().map_or(&Value::Null, |entry| &entry["EventBusName"]);
            let mut asked = asked(format!("events:{operation}"), name, "", value);
            let buses = "arn:AWS::Partition:events:AWS::Region:AWS::AccountId:event-bus";
            asked.resource = format!("{buses}/{}", asked.resource);
            return vec![asked];
        }
        if let Some(parts) = call["TransactItems"].as_array() {
            let parts = parts.iter().filter_map(Value::as_object).flatten();
            return parts
                .map(|(kind, part)| {
                    let action = format!("dynamodb:{kind}Item");
                    asked(action, &part["TableName"], "", leading_key(part))
                })
                .collect();
        }
        let action = format!("dynamodb:{operation}");
        if let Some(tables) = call["RequestItems"].as_object() {
            let names = tables.keys().map(|name| Value::from(name.as_str()));
            return names.map(|name| asked(action.clone(), &name, "", None)).collect();
        }
        let index = call["IndexName"].as_str().map(|name| format!("/index/{name}"));
        vec![asked(action, &call["TableName"], &index.unwrap_or_default(), leading_key(call))]
    }

    /// Whether a grant allows it.
    pub(crate) fn is_within(&self, grant: &Grant) -> bool {
        self.action == grant.action
            && self.resource == grant.resource
            && grant.condition.as_deref().is_none_or(|condition| {
                self.value.as_deref().is_some_and(|value| match condition.strip_suffix('*') {
                    Some(beginning) => value.starts_with(beginning),
                    None => value == condition,
                })
            })
    }
}

/// The partition key of a call, if it has one that is a string.
fn leading_key(call: &Value) -> Option<String> {
    let key =
        [&call["Key"], &call["Item"]].into_iter().find_map(|item| item["pk"]["S"].as_str())?;
    Some(format!("dynamodb:LeadingKeys={key}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn grant(action: &str, resource: &str, condition: Option<&str>) -> Grant {
        Grant {
            action: action.to_owned(),
            resource: resource.to_owned(),
            condition: condition.map(str::to_owned),
        }
    }

    #[test]
    fn a_transaction_needs_the_action_of_each_part() {
        let call = json!({"TransactItems": [
            {"Put": {"TableName": "a", "Item": {"pk": {"S": "user#1"}}}},
            {"ConditionCheck": {"TableName": "b"}},
        ]});
        let names = [("a".to_owned(), "UsersTable")];
        let asked = Asked::of("TransactWriteItems", &call, &names);
        let grants = [
            grant("dynamodb:PutItem", "UsersTable", None),
            grant("dynamodb:ConditionCheckItem", "b", None),
        ];
        assert_eq!(asked.len(), 2);
        assert!(asked.iter().zip(&grants).all(|(asked, grant)| asked.is_within(grant)));
        assert!(!asked[0].is_within(&grants[1]));
    }

    #[test]
    fn conditions_tables_and_indexes_count() {
        let letters = Some("dynamodb:LeadingKeys=outbox#*");
        let call = |key: &str| json!({"TableName": "a", "Key": {"pk": {"S": key}}});
        let deletes =
            |key: &str, grant: &Grant| Asked::of("DeleteItem", &call(key), &[])[0].is_within(grant);
        assert!(deletes("outbox#1", &grant("dynamodb:DeleteItem", "a", letters)));
        assert!(!deletes("user#1", &grant("dynamodb:DeleteItem", "a", letters)));
        assert!(!deletes("outbox#1", &grant("dynamodb:DeleteItem", "b", letters)));
        let query = json!({"TableName": "a", "IndexName": "names"});
        let query = &Asked::of("Query", &query, &[])[0];
        assert!(query.is_within(&grant("dynamodb:Query", "a/index/names", None)));
        assert!(!query.is_within(&grant("dynamodb:Query", "a", None)));
        let mail = |from: String| {
            let grant = grant(
                "ses:SendEmail",
                "arn:AWS::Partition:ses:AWS::Region:AWS::AccountId:*",
                Some("ses:FromAddress=MailFrom"),
            );
            Asked::of("SendEmail", &json!({"FromEmailAddress": from}), &[])[0].is_within(&grant)
        };
        let event = |source: &str| {
            let grant = grant(
                "events:PutEvents",
                "arn:AWS::Partition:events:AWS::Region:AWS::AccountId:event-bus/EventBus",
                Some("events:source=ratchet"),
            );
            let entries = json!({"Entries": [{"Source": source, "EventBusName": "b"}]});
            let names = [("b".to_owned(), "EventBus")];
            Asked::of("PutEvents", &entries, &names)[0].is_within(&grant)
        };
        assert!(event("ratchet") && !event("somebody"));
        assert!(mail(format!("\"ratchet\" <{}>", mail::FROM)));
        assert!(!mail("\"ratchet\" <somebody@example.com>".to_owned()));
    }
}
