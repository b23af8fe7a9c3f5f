//! What a function was seen to ask of AWS: for the permissions that it needs, and for its bill.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use local::{services::Data, workspace::Workspace};
use serde_json::Value;

/// Units of DynamoDB by function and operation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<(String, String), f64>>>);

impl Tally {
    /// Takes what there is, and begins anew.
    pub(crate) fn take(&self) -> BTreeMap<(String, String), f64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Listens to one function.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    function: String,
    /// Local names and the logical ids that the template has for them.
    names: Vec<(String, &'static str)>,
    tally: Tally,
}

impl Recorder {
    pub(crate) fn new(function: &str, data: &Data, tally: &Tally) -> Self {
        let names = vec![
            (data.users_table.clone(), "UsersTable"),
            (data.tokens_table.clone(), "TokensTable"),
            (data.key_ring_secret.clone(), "KeyRingSecret"),
        ];
        Self { function: function.to_owned(), names, tally: tally.clone() }
    }

    pub(crate) fn record(&self, operation: &str, request: &[u8], response: &[u8]) {
        let Some(asked) = body(request) else { return };
        for (action, name, index) in uses(operation, &asked) {
            let known = self.names.iter().find(|(local, _)| *local == name);
            let resource = known.map_or(name.as_str(), |(_, id)| id);
            SEEN.add(&format!("{}\t{action}\t{resource}{index}", self.function));
        }
        if let Some(answered) = body(response) {
            let units = units(&answered["ConsumedCapacity"]);
            let mut tally = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
            *tally.entry((self.function.clone(), operation.to_owned())).or_default() += units;
        }
    }
}

/// A call of DynamoDB that asks what it costs as well.
pub(crate) fn asking_for_its_cost(request: Vec<u8>) -> Vec<u8> {
    let Some(end) = request.windows(4).position(|end| end == b"\r\n\r\n") else { return request };
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let Some(mut asked) = body(&request) else { return request };
    if !head.contains("DynamoDB_") || !asked.is_object() {
        return request;
    }
    asked["ReturnConsumedCapacity"] = "TOTAL".into();
    let asked = asked.to_string();
    let head: Vec<String> = head
        .split("\r\n")
        .map(|line| {
            if line.to_ascii_lowercase().starts_with("content-length:") {
                format!("content-length: {}", asked.len())
            } else {
                line.to_owned()
            }
        })
        .collect();
    format!("{}\r\n\r\n{asked}", head.join("\r\n")).into_bytes()
}

fn body(message: &[u8]) -> Option<Value> {
    let end = message.windows(4).position(|end| end == b"\r\n\r\n")?;
    serde_json::from_slice(&message[end + 4..]).ok()
}

/// Actions of IAM with what they touch: a transaction needs the action of each of its parts.
fn uses(operation: &str, asked: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(secret) = asked.get("SecretId") {
        return vec![(format!("secretsmanager:{operation}"), text(secret), String::new())];
    }
    if let Some(parts) = asked["TransactItems"].as_array() {
        let parts = parts.iter().filter_map(Value::as_object).flatten();
        return parts
            .map(|(kind, part)| {
                let kind = if kind == "ConditionCheck" { "ConditionCheck" } else { kind };
                (format!("dynamodb:{kind}Item"), text(&part["TableName"]), String::new())
            })
            .collect();
    }
    if let Some(tables) = asked["RequestItems"].as_object() {
        let action = format!("dynamodb:{operation}");
        return tables.keys().map(|name| (action.clone(), name.clone(), String::new())).collect();
    }
    let index = asked["IndexName"].as_str().map(|name| format!("/index/{name}"));
    vec![(format!("dynamodb:{operation}"), text(&asked["TableName"]), index.unwrap_or_default())]
}

/// One object, or a list of them for a transaction.
fn units(consumed: &Value) -> f64 {
    match consumed {
        Value::Array(parts) => parts.iter().map(units).sum(),
        part => part["CapacityUnits"].as_f64().unwrap_or_default(),
    }
}

static SEEN: LazyLock<Seen> = LazyLock::new(Seen::begin);

/// What was seen in this run, in a file that the test program `policies` reads.
struct Seen {
    lines: Mutex<BTreeSet<String>>,
    file: Option<Mutex<File>>,
}

impl Seen {
    /// Begins a new file, unless only some of the tests run: they do not show all there is.
    fn begin() -> Self {
        let some = env::var_os("RATCHET_RECORD").is_none()
            || env::args().skip(1).any(|argument| {
                !argument.starts_with('-')
                    || ["--skip", "--exact", "--ignored"].contains(&&*argument)
            });
        let file = (!some).then(|| {
            let path = path();
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the file");
            Mutex::new(
                OpenOptions::new()
                    .create(true)
                    .write(true)
                    .truncate(true)
                    .open(path)
                    .expect("a file"),
            )
        });
        Self { lines: Mutex::default(), file }
    }

    fn add(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.insert(line.to_owned())
            && let Some(file) = &self.file
        {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(file, "{line}").expect("a written line");
        }
    }
}

fn path() -> PathBuf {
    Workspace::locate().root().join("target/e2e/seen.tsv")
}

#[test]
fn a_transaction_needs_the_action_of_each_part() {
    let asked = serde_json::json!({"TransactItems": [
        {"Put": {"TableName": "a"}}, {"ConditionCheck": {"TableName": "b"}},
    ]});
    let used = uses("TransactWriteItems", &asked);
    let actions: Vec<_> = used.iter().map(|(action, name, _)| (&**action, &**name)).collect();
    assert_eq!(actions, [("dynamodb:PutItem", "a"), ("dynamodb:ConditionCheckItem", "b")]);
}
