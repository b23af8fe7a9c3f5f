//! Looks for secrets in logs, and for messages that only a defect can cause.

use std::{fs, path::Path};

/// Every test password contains this.
pub(crate) const CANARY: &str = "canary";

/// What must never be logged: passwords of the tests, refresh tokens (`rt1_…`), secrets of
/// clients (`rs1_…`), challenges (`sf1_…`), secrets of authenticator apps and recovery codes, JWTs (`eyJ…` is `{"` in base64url), password hashes, and the key ring. Also the
/// message that a write and its decision disagree, which clients see as an ordinary 503.
const NEVER: [&str; 16] = [
    "contradicts the decision table",
    CANARY,
    "correct horse",
    "an admiral",
    "rt1_",
    "rs1_",
    "rm1_",
    "dt1_",
    "sf1_",
    "otpauth:",
    "recovery_codes\":",
    "eyJ",
    "$argon2",
    "$2b$",
    "\"seed\"",
    "\"keys\":",
];

/// The first line that contains one of these, if any.
pub(crate) fn unwanted_in(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| NEVER.iter().any(|secret| line.contains(secret)))?;
    Some(line.to_owned())
}

#[test]
fn what_must_not_be_in_a_log_is_found() {
    let file = std::env::temp_dir().join(format!("ratchet-log-{}", std::process::id()));
    for secret in NEVER {
        fs::write(&file, format!("{{\"a\":1}}\n{{\"message\":\"x {secret}y\"}}\n")).unwrap();
        assert!(unwanted_in(&file).is_some(), "{secret}");
    }
    fs::write(&file, "{\"a\":1}\n").unwrap();
    assert_eq!(unwanted_in(&file), None);
    fs::remove_file(&file).unwrap();
}
