//! Records the AWS calls of a function. Calls that its role does not allow are refused, as by IAM.
//! The rest are recorded, to find unused permissions and to compute costs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use local::template::Grant;
use serde_json::Value;

use super::asked::Asked;

/// A record of calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    /// Units of DynamoDB by function, operation and call.
    units: BTreeMap<(String, String, String), f64>,
    /// The grants that calls used, by function.
    used: BTreeSet<(String, Grant)>,
}

impl Tally {
    /// Returns the units so far and resets them.
    pub(crate) fn take(&self) -> BTreeMap<(String, String), f64> {
        let mut units = BTreeMap::new();
        for ((function, operation, _), of_call) in std::mem::take(&mut self.counted().units) {
            *units.entry((function, operation)).or_default() += of_call;
        }
        units
    }

    /// What a function was allowed to do and has done.
    pub(crate) fn used(&self, function: &str) -> BTreeSet<Grant> {
        let counted = self.counted();
        let of_function = counted.used.iter().filter(|(name, _)| name == function);
        of_function.map(|(_, grant)| grant.clone()).collect()
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The calls that were refused, in all worlds.
static REFUSED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The calls that were refused since the last time. Every test checks this at its end.
pub(crate) fn take_refused() -> Vec<String> {
    std::mem::take(&mut REFUSED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Listens to one function.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    pub(crate) function: String,
    /// What its role allows.
    pub(crate) grants: Arc<BTreeSet<Grant>>,
    /// Local names and their logical ids in the template.
    pub(crate) names: Vec<(String, &'static str)>,
    /// Where calls are counted, if anywhere. They are then asked to return their costs.
    pub(crate) tally: Option<Tally>,
}

impl Recorder {
    /// Whether the role of the function allows a call.
    pub(crate) fn allows(&self, operation: &str, request: &[u8]) -> bool {
        let asked = Asked::of(operation, &body(request).unwrap_or_default(), &self.names);
        for asked in &asked {
            let mut grants = self.grants.iter().filter(|grant| asked.is_within(grant)).peekable();
            if grants.peek().is_none() {
                let refusal = format!("{} asks for {asked:?}, and may not", self.function);
                REFUSED.lock().unwrap_or_else(PoisonError::into_inner).push(refusal);
                return false;
            }
            if let Some(tally) = &self.tally {
                let used = grants.map(|grant| (self.function.clone(), grant.clone()));
                tally.counted().used.extend(used);
            }
        }
        true
    }

    /// Records the cost of a call, without retries that happened because this machine is slow.
    pub(crate) fn answered(&self, operation: &str, call: &str, response: &[u8]) {
        if let Some(tally) = &self.tally
            && let Some(answered) = body(response)
        {
            let units = units(&answered["ConsumedCapacity"]);
            let key = (self.function.clone(), operation.to_owned(), call.to_owned());
            tally.counted().units.insert(key, units);
        }
    }
}

/// A DynamoDB call, changed so that it also returns its cost.
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

/// One object, or a list of them for a transaction.
fn units(consumed: &Value) -> f64 {
    match consumed {
        Value::Array(parts) => parts.iter().map(units).sum(),
        part => part["CapacityUnits"].as_f64().unwrap_or_default(),
    }
}
