//! `ratchet`, the operators' command line: the real binary against the local stack.

use std::{fmt::Write as _, fs, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use local::stack::StackOptions;
use ratchet::{attempts::AttemptKey, user::NameKey};
use ratchet_store::{Attempts, Users};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command, sync::OnceCell};

use crate::support::{
    World,
    items::ids,
    logs::CANARY,
    people::now,
    proxy::{Fault, Proxy},
    ring::parts,
    run,
    world::cheap,
};

static BINARY: OnceCell<PathBuf> = OnceCell::const_new();

/// What a run of the binary came to.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
    peak_kib: u64,
}

impl Run {
    fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    fn done(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        &self.out
    }
}

/// Builds the binary as it is now.
async fn binary() -> &'static PathBuf {
    BINARY
        .get_or_init(async || {
            let cargo = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--locked", "-p", "ratchet-cli"])
                .args(["--message-format", "json"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .stderr(Stdio::inherit())
                .output()
                .await
                .expect("cargo");
            assert!(cargo.status.success(), "ratchet-cli is built");
            let messages = String::from_utf8(cargo.stdout).expect("text");
            let executable = messages.lines().find_map(|line| {
                let message: Value = serde_json::from_str(line).ok()?;
                let executable = message["executable"].as_str()?;
                (message["target"]["name"] == "ratchet").then(|| PathBuf::from(executable))
            });
            executable.expect("the binary")
        })
        .await
}

impl World {
    async fn ratchet(&self, arguments: &[&str]) -> Run {
        self.ratchet_with(arguments, "", self.stack().services().dynamodb().endpoint()).await
    }

    async fn ratchet_with(&self, arguments: &[&str], stdin: &str, endpoint: &str) -> Run {
        let data = self.stack().data();
        let mut child = Command::new(binary().await)
            .args(["--endpoint-url", endpoint, "--region", "us-east-1"])
            .args(["--users-table", &data.users_table, "--tokens-table", &data.tokens_table])
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("ratchet");
        let mut input = child.stdin.take().expect("standard input");
        input.write_all(stdin.as_bytes()).await.expect("input");
        drop(input);
        let status = format!("/proc/{}/status", child.id().expect("a process"));
        let watch = tokio::spawn(async move {
            let mut peak_kib = 0;
            while let Ok(text) = fs::read_to_string(&status) {
                let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let peak = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
                let Some(peak) = peak else { break };
                peak_kib = peak;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            peak_kib
        });
        let output = child.wait_with_output().await.expect("an end");
        Run {
            code: output.status.code().expect("an exit code"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
            peak_kib: watch.await.expect("a peak"),
        }
    }

    /// Adds a user with the command line.
    async fn add(&self, name: &str, password: &str, further: &[&str]) -> Run {
        let email = format!("{name}@example.com");
        let arguments = ["users", "add", name, &email, "--confirmed", "--password-stdin"];
        let arguments = [&arguments, further].concat();
        let endpoint = self.stack().services().dynamodb().endpoint();
        self.ratchet_with(&arguments, &format!("{password}\n"), endpoint).await
    }
}

fn unique(what: &str) -> String {
    let random: [u8; 6] = ratchet::entropy::random().expect("random bytes");
    format!("{what}-{}", random.map(|byte| format!("{byte:02x}")).concat())
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(unique(name));
    fs::write(&path, text).expect("a file");
    path
}

#[test]
fn the_first_administrator_is_made_with_it() {
    run(async {
        let world = World::shared().await;
        let (name, password) = (unique("root"), unique(CANARY));
        world.add(&name, &password, &["--role", "admin", "--role", "reader"]).await.done();
        let tokens = world.api().authenticate(&name, &password).await.tokens();
        assert_eq!(parts(&tokens.access).1["roles"], json!(["admin", "reader"]));
        let shown = world.ratchet(&["--json", "users", "show", &name.to_uppercase()]).await;
        assert_eq!(shown.json()["roles"], json!(["admin", "reader"]));
        assert_eq!(shown.json()["email"], format!("{name}@example.com"));
        assert!(!shown.out.contains("$argon2"), "{shown:?}");
        let before = &name[..name.len() - 1];
        let listed = world.ratchet(&["users", "list", "--after", before, "--limit", "1"]).await;
        assert!(listed.done().starts_with(&name), "{listed:?}");
    });
}

#[test]
fn every_way_to_fail_has_its_exit_code() {
    run(async {
        let world = World::shared().await;
        let (name, password) = (unique("codes"), unique(CANARY));
        world.add(&name, &password, &[]).await.done();
        assert_eq!(world.add(&name, &password, &[]).await.code, 4, "taken");
        let weak = world.add(&unique("weak"), "Password", &[]).await;
        assert_eq!(weak.code, 5);
        assert!(weak.err.contains("too_short") && weak.err.contains("common"), "{weak:?}");
        assert_eq!(world.add("no name", &password, &[]).await.code, 5);
        assert_eq!(world.ratchet(&["users", "show", &unique("nobody")]).await.code, 3);
        assert_eq!(world.ratchet(&["users", "frobnicate"]).await.code, 2);
        let no_table = ["--tokens-table", "", "users", "list"];
        assert_eq!(world.ratchet(&no_table).await.code, 2);
        let nowhere = world.ratchet_with(&["users", "list"], "", "http://127.0.0.1:9").await;
        assert_eq!(nowhere.code, 1, "{nowhere:?}");
        // There is no way to give a password where other processes see it.
        let argument = ["users", "add", &name, "a@b.example", "--password", "x"];
        assert_eq!(world.ratchet(&argument).await.code, 2);
    });
}

#[test]
fn disabling_and_deleting_end_every_session_for_good() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        world.ratchet(&["users", "disable", &person.name]).await.done();
        assert!(world.session(&tokens.refresh).await.unwrap().revoked.is_some());
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401);
        assert_eq!(world.try_sign_in(&person).await.code(), "invalid_credentials");
        world.ratchet(&["users", "enable", &person.name]).await.done();
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401, "dead stays dead");
        let tokens = world.sign_in(&person).await;

        let kept = ["users", "delete", person.name.as_str()];
        let endpoint = world.stack().services().dynamodb().endpoint();
        assert_eq!(world.ratchet_with(&kept, "another\n", endpoint).await.code, 5);
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 200);
        world.ratchet(&["users", "delete", &person.name, "--yes"]).await.done();
        assert_eq!(world.api().refresh(&tokens.refresh).await.status, 401);
        assert_eq!(world.try_sign_in(&person).await.code(), "invalid_credentials");
        // The name is free, and whoever gets it is somebody else.
        world.add(&person.name, &person.password, &[]).await.done();
        let heir = world.sign_in(&person).await;
        assert_ne!(ids(&heir.refresh).user_id, person.id);
    });
}

#[test]
fn sessions_are_listed_and_ended_one_or_all() {
    run(async {
        let world = World::shared().await;
        let (person, first) = world.signed_in().await;
        let (second, third) = (world.sign_in(&person).await, world.sign_in(&person).await);
        let listed = world.ratchet(&["--json", "sessions", "list", &person.name]).await;
        assert_eq!(listed.done().lines().count(), 3);
        let id = ids(&first.refresh).session_id.to_string();
        world.ratchet(&["sessions", "end", &person.name, &id]).await.done();
        assert_eq!(world.ratchet(&["sessions", "end", &person.name, &id]).await.code, 3);
        assert_eq!(world.api().refresh(&first.refresh).await.code(), "revoked");
        assert_eq!(world.api().refresh(&second.refresh).await.status, 200);
        world.ratchet(&["sessions", "end", &person.name]).await.done();
        assert_eq!(world.api().refresh(&third.refresh).await.code(), "revoked");
        let listed = world.ratchet(&["sessions", "list", &person.name]).await;
        assert_eq!(listed.done(), "");
    });
}

#[test]
fn roles_are_in_the_next_access_token() {
    run(async {
        let world = World::shared().await;
        let (person, tokens) = world.signed_in().await;
        world.ratchet(&["users", "roles", &person.name, "auditor", "admin"]).await.done();
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(parts(&tokens.access).1["roles"], json!(["auditor", "admin"]));
        world.ratchet(&["users", "roles", &person.name]).await.done();
        let tokens = world.api().refresh(&tokens.refresh).await.tokens();
        assert_eq!(parts(&tokens.access).1["roles"], json!([]));
    });
}

#[test]
fn an_account_is_unlocked_without_a_new_password() {
    run(async {
        let world = World::beside("cli-unlock", &[("RATCHET_FAILURE_DELAY_SECONDS", "3600")]).await;
        let person = world.person().await;
        for _ in 0..5 {
            world.api().authenticate(&person.name, "canary wrong").await;
        }
        assert_eq!(world.try_sign_in(&person).await.status, 429);
        world.ratchet(&["users", "unlock", &person.name.to_uppercase()]).await.done();
        assert_eq!(world.try_sign_in(&person).await.status, 200);
        let table = world.stack().data().users_table.as_str();
        let attempts = Attempts::new(world.stack().dynamodb(), table);
        let left = attempts.find(&AttemptKey::account(&person.name)).await.unwrap();
        assert_eq!(left.map(|failures| failures.count), Some(0));
    });
}

/// Of "correct horse battery staple", by Python's bcrypt package.
const BCRYPT: &str = "$2b$04$t2hZJO738UQX3yVB7hn77e29pPTQYLs6R..6GBEbAFN/t/yBM1KSi";

fn import_line(name: &str) -> Value {
    json!({
        "name": name, "email": format!("{name}@example.com"), "email_confirmed": true,
        "roles": ["imported"], "password_hash": BCRYPT,
    })
}

#[test]
fn users_are_imported_with_their_passwords_and_a_second_run_changes_nothing() {
    run(async {
        let world = World::shared().await;
        let prefix = unique("import");
        let taken = world.person().await;
        let mut lines: Vec<_> =
            (0..70).map(|n| import_line(&format!("{prefix}-{n}")).to_string()).collect();
        let changed = |name: &str, value: Value| {
            let mut line = import_line(&format!("{prefix}-bad"));
            line[name] = value;
            line.to_string()
        };
        let same_email = format!("{prefix}-0@example.com");
        let bad = [
            changed("name", json!(taken.name)),
            changed("name", json!("a b")),
            changed("email", json!(same_email)),
            changed("email", json!("nowhere")),
            changed("password_hash", json!("$2b$20$t2hZJO738UQX3yVB7hn77e29pPTQYLs6R")),
            changed("is_admin", json!(true)),
            "not json".to_owned(),
        ];
        lines.extend(bad.clone());
        // A line that comes twice is one user.
        lines.push(lines[0].clone());
        let file = file("users.jsonl", &lines.join("\n"));
        let path = file.to_str().unwrap();

        let dry = world.ratchet(&["--json", "users", "import", path, "--dry-run"]).await;
        assert_eq!(dry.code, 6, "{dry:?}");
        let show = ["users", "show", &format!("{prefix}-1")];
        assert_eq!(world.ratchet(&show).await.code, 3, "a dry run writes nothing");

        let import = ["--json", "users", "import", path];
        let first = world.ratchet(&import).await;
        assert_eq!(first.code, 6, "{first:?}");
        let report: Value = serde_json::from_str(&first.out).unwrap();
        assert_eq!(report, json!({"lines": 78, "created": 70, "present": 1, "refused": 7}));
        assert!(!first.err.contains("$2b$"), "{first:?}");
        // The last line of standard error is for people.
        let refused = first.err.lines().filter(|line| line.starts_with('{'));
        let refused: Vec<Value> = refused.map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut numbers: Vec<_> = refused.iter().map(|line| line["line"].as_u64()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (71..78).map(Some).collect::<Vec<_>>(), "{refused:?}");

        let second = world.ratchet(&import).await;
        let report: Value = serde_json::from_str(&second.out).unwrap();
        assert_eq!(report, json!({"lines": 78, "created": 0, "present": 71, "refused": 7}));

        for number in [0, 33, 69] {
            let name = format!("{prefix}-{number}");
            let answer = world.api().authenticate(&name, "correct horse battery staple").await;
            assert_eq!(parts(&answer.tokens().access).1["roles"], json!(["imported"]));
        }
        fs::remove_file(file).unwrap();
    });
}

#[test]
fn an_interrupted_import_says_where_to_go_on() {
    run(async {
        let world = World::shared().await;
        let proxy = Proxy::before(world.stack().services().dynamodb().endpoint()).await;
        let prefix = unique("resume");
        let text = (0..100).fold(String::new(), |mut text, number| {
            writeln!(text, "{}", import_line(&format!("{prefix}-{number}"))).unwrap();
            text
        });
        let file = file("users.jsonl", &text);
        let import = ["users", "import", file.to_str().unwrap(), "--parallel", "1"];
        proxy.break_all("TransactWriteItems", Fault::DENIED);
        let endpoint = proxy.endpoint();
        let broken = world.ratchet_with(&import, "", &endpoint).await;
        assert_eq!(broken.code, 1, "{broken:?}");
        assert!(broken.err.contains("--from-line 1"), "{broken:?}");
        proxy.heal();
        let rest = [&import[..], &["--from-line", "34"]].concat();
        let rest = world.ratchet_with(&rest, "", &endpoint).await;
        assert!(rest.done().contains("67 users created"), "{rest:?}");
        // What passes does not interrupt: the whole file, a third of it new.
        proxy.break_next("TransactWriteItems", 2, Fault::THROTTLED);
        let whole = world.ratchet_with(&import, "", &endpoint).await;
        assert!(whole.done().contains("33 users created, 67 were there already"), "{whole:?}");
        fs::remove_file(file).unwrap();
    });
}

#[test]
fn an_export_gives_back_what_an_import_takes() {
    run(async {
        // A table of its own: those of other tests have damaged users in it.
        let options = StackOptions {
            name: "cli-export".to_owned(),
            services: Some(Arc::clone(World::shared().await.stack().services())),
            concurrency: 1,
            ..StackOptions::default()
        };
        let world = World::start(cheap(options)).await;
        let person = world.person().await;
        let hash = world.user_text(person.id, "password_hash").await;
        let exported = world.ratchet(&["users", "export", "-"]).await;
        let line = exported.done().lines().find(|line| line.contains(&person.id.to_string()));
        let line: Value = serde_json::from_str(line.unwrap()).unwrap();
        assert_eq!(line["password_hash"], hash);
        world.ratchet(&["users", "delete", &person.name, "--yes"]).await.done();
        let endpoint = world.stack().services().dynamodb().endpoint();
        let imported =
            world.ratchet_with(&["users", "import", "-"], &line.to_string(), endpoint).await;
        imported.done();
        let tokens = world.sign_in(&person).await;
        assert_eq!(ids(&tokens.refresh).user_id, person.id, "the id is kept");
        let file = file("kept.jsonl", "");
        let kept = world.ratchet(&["users", "export", file.to_str().unwrap()]).await;
        assert_eq!(kept.code, 1, "no file is overwritten");
        let damaged = world.person().await;
        world.set_user(damaged.id, "status", AttributeValue::Bool(true)).await;
        let partial = world.ratchet(&["users", "export", "-"]).await;
        assert_eq!(partial.code, 6, "{partial:?}");
        assert!(partial.err.contains(&damaged.name.to_lowercase()), "{partial:?}");
        assert!(partial.out.contains(&person.name), "one damaged user does not hide the others");
        fs::remove_file(file).unwrap();
    });
}

/// `cargo test -p e2e -- --ignored --nocapture cli::a_hundred_thousand`: prints the figures of
/// docs/operators.md.
#[test]
#[ignore = "a measurement of some minutes"]
fn a_hundred_thousand_users_are_imported_in_flat_memory() {
    run(async {
        let world = World::shared().await;
        let mut peaks = Vec::new();
        for count in [10_000_u64, 100_000] {
            let prefix = unique("many");
            let text = (0..count).fold(String::new(), |mut text, number| {
                writeln!(text, "{}", import_line(&format!("{prefix}-{number}"))).unwrap();
                text
            });
            let file = file("many.jsonl", &text);
            let begun = now();
            let imported = world.ratchet(&["users", "import", file.to_str().unwrap()]).await;
            let took = (now().get() - begun.get()).max(1);
            assert!(imported.done().contains(&format!("{count} users created")), "{imported:?}");
            let last = NameKey::parse(&format!("{prefix}-{}", count - 1)).unwrap();
            let users =
                Users::new(world.stack().dynamodb(), world.stack().data().users_table.as_str());
            assert!(users.find_profile(&last).await.unwrap().is_some());
            let rate = count * 1_000 / took;
            println!("{count} users: {took} ms, {rate} a second, peak {} KiB", imported.peak_kib);
            peaks.push(imported.peak_kib);
            fs::remove_file(file).unwrap();
        }
        assert!(peaks[1] < peaks[0] + 8 * 1_024, "ten times the users, no more memory: {peaks:?}");
    });
}

#[test]
fn keys_are_listed_without_secrets_rotated_at_once_and_revoked() {
    run(async {
        let seed = "q".repeat(64);
        let ring = json!({"keys": [], "seed": seed}).to_string();
        let secret = World::shared().await.secret(&unique("cli-ring"), &ring).await;
        let settings = [
            ("RATCHET_KEY_RING_SECRET", secret.as_str()),
            ("RATCHET_KEY_RING_RELOAD_SECONDS", "1"),
        ];
        let world = World::beside(&unique("cli-keys"), &settings).await;
        let keys = async |arguments: &[&str]| {
            let arguments = [&["--key-ring-secret", secret.as_str(), "keys"], arguments].concat();
            let endpoint = world.stack().services().secrets().endpoint();
            world.ratchet_with(&arguments, "", endpoint).await
        };
        let list = async || -> Vec<Value> {
            let listed = keys(&["list", "--json"]).await;
            assert!(!listed.done().contains(&seed) && !listed.done().contains("\"k\""));
            listed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let states = |listed: &[Value]| -> Vec<String> {
            let of = |key: &Value| format!("{} {}", key["use"], key["state"]).replace('"', "");
            listed.iter().map(of).collect()
        };
        let first = list().await;
        assert_eq!(states(&first), ["access tokens active", "refresh tokens active"]);
        let (_, before) = world.signed_in().await;

        keys(&["rotate", "--now"]).await.done();
        let rotated = list().await;
        assert_eq!(
            states(&rotated),
            [
                "access tokens verifies",
                "access tokens active",
                "refresh tokens active",
                "refresh tokens published",
            ]
        );
        assert_eq!(rotated[0]["kid"], first[0]["kid"]);
        let old = first[0]["kid"].as_str().unwrap();
        assert_eq!(parts(&before.access).0["kid"], old);
        assert_eq!(world.api().get("/users", &before.access).await.status, 200, "still verifies");

        keys(&["revoke", old]).await.done();
        assert!(list().await.iter().all(|key| key["kid"] != old));
        let refused =
            async { while world.api().get("/users", &before.access).await.status != 401 {} };
        tokio::time::timeout(Duration::from_secs(30), refused)
            .await
            .expect("refused after a reload");
        let after = world.api().refresh(&before.refresh).await.tokens();
        assert_eq!(world.api().get("/users", &after.access).await.status, 200);

        assert_eq!(keys(&["revoke", old]).await.code, 3, "gone already");
        let nameless = world.ratchet(&["keys", "list"]).await;
        assert_eq!(nameless.code, 2, "{}", nameless.err);
    });
}
