//! The functions' log in readable form.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::template::Template;

/// Turns lines of the log into readable ones.
#[derive(Debug)]
pub struct Reader {
    /// Functions by the path of their route.
    routes: BTreeMap<String, String>,
    functions: Vec<String>,
    only: Option<String>,
    /// Lines without a function of their own, which belong to the request that follows them.
    waiting: Vec<String>,
}

impl Reader {
    /// A reader of the lines of all functions, or of one.
    ///
    /// # Errors
    /// The names of the functions, if there is none of that name.
    pub fn new(template: &Template, only: Option<&str>) -> Result<Self, String> {
        let functions: Vec<String> = template.functions.keys().cloned().collect();
        if only.is_some_and(|only| !functions.iter().any(|function| function == only)) {
            return Err(functions.join(", "));
        }
        let routes = template.functions.iter().flat_map(|(name, function)| {
            function.paths.iter().map(move |path| (path.clone(), name.clone()))
        });
        Ok(Self {
            routes: routes.collect(),
            functions,
            only: only.map(str::to_owned),
            waiting: Vec::new(),
        })
    }

    /// What to print for a line; `None` for nothing yet. Events have no function in the log, so a
    /// reader of one function prints them with the request that follows them.
    pub fn read(&mut self, line: &str) -> Option<String> {
        // Programs that start at the same time may interleave their lines.
        let json = line.find('{').and_then(|start| line.get(start..));
        let Some(Value::Object(entry)) = json.and_then(|json| serde_json::from_str(json).ok())
        else {
            return self.only.is_none().then(|| plain(line)).flatten();
        };
        if is_noise(&entry) {
            return None;
        }
        let function = self.function(&entry);
        let text = readable(&entry, function.as_deref());
        match (&self.only, function) {
            (None, _) => Some(text),
            (Some(_), None) => {
                self.waiting.push(text);
                None
            }
            (Some(only), Some(function)) => {
                let before = std::mem::take(&mut self.waiting);
                (*only == function)
                    .then(|| before.into_iter().chain([text]).collect::<Vec<_>>().join("\n"))
            }
        }
    }

    fn function(&self, entry: &Map<String, Value>) -> Option<String> {
        let text = |key| entry.get(key).and_then(Value::as_str);
        if let (Some(method), Some(route)) = (text("method"), text("route")) {
            let of_method = self.routes.get(&format!("{method} {route}"));
            return of_method.or_else(|| self.routes.get(route)).cloned();
        }
        let target = text("target")?.split("::").next()?;
        self.functions.iter().find(|function| *function == target).cloned()
    }
}

/// Metrics, and what the runtime says about itself at every start.
fn is_noise(entry: &Map<String, Value>) -> bool {
    let of_the_runtime = |target: &str| target.starts_with("lambda_runtime");
    entry.contains_key("_aws")
        || entry.get("target").and_then(Value::as_str).is_some_and(of_the_runtime)
}

/// Lines of cargo and of panics, without the emulator's own.
fn plain(line: &str) -> Option<String> {
    const NOISE: [&str; 4] = ["INFO", "Blocking waiting", "Finished `", "Running `"];
    let text = line.trim();
    let is_noise = text.is_empty() || NOISE.iter().any(|noise| text.starts_with(noise));
    (!is_noise).then(|| line.to_owned())
}

fn readable(entry: &Map<String, Value>, function: Option<&str>) -> String {
    const TOLD: [&str; 10] = [
        "request_id",
        "timestamp",
        "level",
        "message",
        "target",
        "event",
        "method",
        "route",
        "status",
        "milliseconds",
    ];
    let text = |key| entry.get(key).map(shown).unwrap_or_default();
    // 2026-11-28T07:22:45.200113Z
    let timestamp = text("timestamp");
    let time = timestamp.get(11..19).unwrap_or(&timestamp);
    let level = text("level");
    let from = function.map_or_else(|| text("target"), str::to_owned);
    let message = if text("message") == "request" {
        let [method, route, status] = ["method", "route", "status"].map(text);
        format!("{method} {route} {status} {} ms", text("milliseconds"))
    } else if level == "INFO" {
        text("event") + &text("message")
    } else {
        format!("{level} {}{}", text("event"), text("message"))
    };
    let mut line = format!("{time}  {from:<13}{message}");
    for (key, value) in entry.iter().filter(|(key, _)| !TOLD.contains(&key.as_str())) {
        line.extend([" ", key, "=", &shown(value)]);
    }
    line
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    const EVENT: &str = r#"{"timestamp":"2026-11-28T07:22:45.199908Z","level":"INFO","event":"session_created","user_id":"01a2","session_id":"01a3","target":"security"}"#;
    const REQUEST: &str = r#"{"timestamp":"2026-11-28T07:22:45.200113Z","level":"INFO","message":"request","request_id":"6f55","method":"POST","route":"/authenticate","status":200,"milliseconds":90,"target":"ratchet_http::edge"}"#;
    const REFUSED: &str = r#"{"timestamp":"2026-11-28T07:22:46.200113Z","level":"INFO","message":"request","request_id":"6f56","method":"POST","route":"/users","status":401,"code":"missing_access_token","milliseconds":0,"target":"ratchet_http::edge"}"#;
    const METRICS: &str = r#"{"FunctionName":"users","_aws":{"Timestamp":1},"requests":1}"#;

    fn read(only: Option<&str>, lines: &[&str]) -> Vec<String> {
        let template = Template::read(&Workspace::locate().template()).unwrap();
        let mut reader = Reader::new(&template, only).unwrap();
        lines.iter().filter_map(|line| reader.read(line)).collect()
    }

    #[test]
    fn a_request_is_one_readable_line_and_metrics_are_none() {
        let partial = format!("     Running{METRICS}");
        let lines = [EVENT, REQUEST, METRICS, " INFO starting", &partial, "", "error[E0308]: x"];
        assert_eq!(
            read(None, &lines),
            [
                "07:22:45  security     session_created session_id=01a3 user_id=01a2",
                "07:22:45  authenticate POST /authenticate 200 90 ms",
                "error[E0308]: x",
            ]
        );
    }

    #[test]
    fn the_lines_of_one_function_come_with_the_events_before_them() {
        let lines = [EVENT, REQUEST, REFUSED, "panicked"];
        let authenticate = read(Some("authenticate"), &lines);
        assert_eq!(authenticate.len(), 1);
        assert!(authenticate[0].contains("session_created") && authenticate[0].contains("90 ms"));
        let accounts = read(Some("accounts"), &lines);
        assert_eq!(
            accounts,
            ["07:22:46  accounts     POST /users 401 0 ms code=missing_access_token"]
        );
    }

    #[test]
    fn a_function_that_does_not_exist_is_answered_with_those_that_do() {
        let template = Template::read(&Workspace::locate().template()).unwrap();
        let known = Reader::new(&template, Some("refrehs")).unwrap_err();
        assert!(known.contains("authenticate, ") && known.contains("refresh"), "{known}");
    }
}
