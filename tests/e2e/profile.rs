//! Functions with region, credentials and endpoints from a profile, as on a developer's machine.

use std::{fs, path::PathBuf};

use local::stack::{Stack, StackOptions};

use crate::support::{World, aws::config_file, run, world::cheap};

/// Starts a function with these variables, and without the AWS variables that Lambda sets.
fn launcher(assignments: &str) -> Vec<String> {
    let script = format!(
        r#"unset AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
        unset AWS_ENDPOINT_URL_DYNAMODB AWS_ENDPOINT_URL_SECRETS_MANAGER
        export AWS_SHARED_CREDENTIALS_FILE=/dev/null {assignments}
        exec "$1""#
    );
    ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
}

fn file(text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ratchet-profile-{}", std::process::id()));
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn functions_run_under_a_developers_own_profile() {
    run(async {
        let shared = World::shared().await;
        let services = shared.stack().services();
        let config = config_file(services.dynamodb().endpoint(), services.secrets().endpoint());
        let path = file(&config.replace("[default]", "[profile developer]"));
        let assignments = format!("AWS_PROFILE=developer AWS_CONFIG_FILE={}", path.display());
        let options = StackOptions {
            concurrency: 1,
            launcher: launcher(&assignments),
            ..StackOptions::beside(shared.stack(), "profile")
        };
        let world = World::start(cheap(options)).await;
        fs::remove_file(path).unwrap();
        let (_, tokens) = world.signed_in().await;
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
    });
}

#[test]
fn a_function_without_a_region_or_credentials_does_not_start() {
    run(async {
        let shared = World::shared().await;
        for (assignments, message) in [
            ("AWS_CONFIG_FILE=/dev/null", "no AWS region is configured"),
            ("AWS_CONFIG_FILE=/dev/null AWS_REGION=us-east-1", "no AWS credentials were found"),
        ] {
            let options = StackOptions {
                concurrency: 1,
                launcher: launcher(assignments),
                ..StackOptions::beside(shared.stack(), "profile-missing")
            };
            let error = Stack::start(options).await.unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    });
}
