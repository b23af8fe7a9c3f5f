//! Every sample in `events/` through `cargo lambda invoke`, as CONTRIBUTING.md shows it.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use tokio::process::Command;

use crate::support::{World, run};

/// Stands for a function that answers something else than HTTP.
const NO_STATUS: u16 = 0;

/// The answer to every sample, by function and case.
const EXPECTED: &[(&str, u16, &str)] = &[
    ("accounts/administer-without-token", 401, "missing_access_token"),
    ("accounts/begin-totp-without-token", 401, "missing_access_token"),
    ("accounts/change-email-without-token", 401, "missing_access_token"),
    ("accounts/change-password-without-token", 401, "missing_access_token"),
    ("accounts/confirm-email-forged-token", 400, "invalid_proof"),
    ("accounts/confirm-totp-without-token", 401, "missing_access_token"),
    ("accounts/delete-me-without-token", 401, "missing_access_token"),
    ("accounts/delete-user-without-token", 401, "missing_access_token"),
    ("accounts/disable-totp-without-token", 401, "missing_access_token"),
    ("accounts/end-sessions-without-token", 401, "missing_access_token"),
    ("accounts/me-without-token", 401, "missing_access_token"),
    ("accounts/password-reset", 202, "message"),
    ("accounts/password-reset-forged-token", 400, "invalid_proof"),
    ("accounts/recovery-codes-without-token", 401, "missing_access_token"),
    ("accounts/register", 202, "message"),
    ("accounts/register-role", 400, "malformed_request"),
    ("accounts/register-short-password", 422, "too_short"),
    ("accounts/resend-confirmation", 202, "message"),
    ("accounts/show-user-without-token", 401, "missing_access_token"),
    ("accounts/step-up-without-token", 401, "missing_access_token"),
    ("authenticate/email-not-confirmed", 401, "email_not_confirmed"),
    ("authenticate/email-sign-in", 202, "message"),
    ("authenticate/email-sign-in-forged-token", 400, "invalid_proof"),
    ("authenticate/enroll-forged-challenge", 401, "invalid_challenge"),
    ("authenticate/ipv6-caller", 200, "access_token"),
    ("authenticate/malformed", 400, "malformed_request"),
    ("authenticate/older-spelling", 200, "access_token"),
    ("authenticate/right-password", 200, "access_token"),
    ("authenticate/second-factor-forged-challenge", 401, "invalid_challenge"),
    ("authenticate/second-factor-without-code", 400, "malformed_request"),
    ("authenticate/unknown-user", 401, "invalid_credentials"),
    ("authenticate/wrong-method", 405, "method_not_allowed"),
    ("authenticate/wrong-password", 401, "invalid_credentials"),
    ("authorizer/forged-token", NO_STATUS, r#"{"isAuthorized":false}"#),
    ("authorizer/without-token", NO_STATUS, r#"{"isAuthorized":false}"#),
    ("keys/invalid-host", 200, "jwks_uri"),
    ("keys/jwks", 200, "keys"),
    ("keys/jwks-known", 304, ""),
    ("keys/metadata", 200, "jwks_uri"),
    ("keys/openid-configuration", 200, "jwks_uri"),
    ("keys/wrong-method", 405, "method_not_allowed"),
    ("mailer/letter-already-sent", NO_STATUS, r#"{"batchItemFailures":[]}"#),
    ("passkeys/add-without-token", 401, "missing_access_token"),
    ("passkeys/authenticate-forged-ceremony", 401, "invalid_challenge"),
    ("passkeys/begin-without-token", 401, "missing_access_token"),
    ("passkeys/list-without-token", 401, "missing_access_token"),
    ("passkeys/options", 200, "pk1_"),
    ("passkeys/remove-without-token", 401, "missing_access_token"),
    ("passkeys/rename-without-token", 401, "missing_access_token"),
    ("passkeys/step-up-options-without-token", 401, "missing_access_token"),
    ("passkeys/step-up-without-token", 401, "missing_access_token"),
    ("publisher/another-kind-of-item", NO_STATUS, r#"{"batchItemFailures":[]}"#),
    ("refresh/body-that-is-not-base64", 400, "malformed_request"),
    ("refresh/cookie-from-another-site", 403, "forbidden_origin"),
    ("refresh/cookies-of-other-applications", 401, "malformed"),
    ("refresh/forged-token", 401, "malformed"),
    ("refresh/health", 200, "key_ring_age_seconds"),
    ("refresh/logout-forged-token", 400, "malformed_request"),
    ("refresh/oauth2-introspect-without-client", 401, "invalid_client"),
    ("refresh/oauth2-revoke-unknown-token", 200, ""),
    ("refresh/oauth2-token-password-grant", 400, "unsupported_grant_type"),
    ("refresh/oauth2-token-refresh-grant", 400, "invalid_grant"),
    ("refresh/refused-preflight", 405, "method_not_allowed"),
    ("refresh/wrong-content-type", 415, "unsupported_media_type"),
    ("revocations/list", 200, ""),
    ("rotate_keys/another-secret", NO_STATUS, "no other secret"),
    ("users/end-all-sessions-without-token", 401, "missing_access_token"),
    ("users/end-one-session-without-token", 401, "missing_access_token"),
    ("users/list-invalid-token", 401, "invalid_access_token"),
    ("users/list-without-token", 401, "missing_access_token"),
    ("users/sessions-without-token", 401, "missing_access_token"),
    ("users/unencoded-query", 401, "missing_access_token"),
    ("users/unknown-path", 404, "not_found"),
];

#[test]
fn every_sample_event_is_answered_as_expected() {
    run(async {
        let world = World::beside("events", &[("RATCHET_REVOCATIONS", "enabled")]).await;
        local::demo_users::create(world.stack()).await.unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
        let expected: BTreeMap<_, _> =
            EXPECTED.iter().map(|(name, status, text)| (*name, (*status, *text))).collect();
        let mut invoked = 0;
        for folder in fs::read_dir(root).unwrap() {
            let folder = folder.unwrap();
            let function = folder.file_name();
            let function = function.to_str().unwrap();
            for file in fs::read_dir(folder.path()).unwrap() {
                let file = file.unwrap().path();
                let case = file.file_stem().unwrap().to_str().unwrap();
                let name = format!("{function}/{case}");
                let (status, text) = expected
                    .get(name.as_str())
                    .unwrap_or_else(|| panic!("say what {name} is to be answered"));
                let output = invoke(&world, function, &file).await;
                if *status == NO_STATUS {
                    assert!(output.contains(text), "{name}: {output}");
                } else {
                    let answer: Value = serde_json::from_str(&output)
                        .unwrap_or_else(|_| panic!("{name}: {output}"));
                    assert_eq!(answer["statusCode"], *status, "{name}: {answer}");
                    let body = answer["body"].as_str().unwrap_or_default();
                    assert!(body.contains(text), "{name}: {answer}");
                }
                invoked += 1;
            }
        }
        assert_eq!(invoked, EXPECTED.len());
    });
}

/// What is printed, of an answer or of an error.
async fn invoke(world: &World, function: &str, file: &Path) -> String {
    let toolbox = world.stack().services().preparation().toolbox();
    let (_, port) = world.stack().base_url().rsplit_once(':').unwrap();
    let output = Command::new(toolbox.bin().join("cargo-lambda"))
        .args(["lambda", "invoke", "--invoke-address", "127.0.0.1", "--invoke-port", port])
        .args([function, "--data-file"])
        .arg(file)
        .output()
        .await
        .unwrap();
    let [answer, error] = [output.stdout, output.stderr];
    String::from_utf8(if answer.is_empty() { error } else { answer }).unwrap()
}
