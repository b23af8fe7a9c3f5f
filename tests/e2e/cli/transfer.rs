//! `ratchet users import` and `ratchet users export`.

use std::{fmt::Write as _, fs, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;
use local::stack::StackOptions;
use ratchet_core::{custom_claims::CustomClaims, user::NameKey};
use ratchet_store::Users;
use serde_json::{Value, json};

use super::{file, unique};
use crate::support::{
    World,
    items::ids,
    people::now,
    proxy::{Fault, Proxy},
    ring::parts,
    run,
    world::cheap,
};

/// Of "correct horse battery staple", by Python's bcrypt package.
const BCRYPT: &str = "$2b$04$t2hZJO738UQX3yVB7hn77e29pPTQYLs6R..6GBEbAFN/t/yBM1KSi";

fn import_line(name: &str) -> Value {
    json!({
        "name": name, "email": format!("{name}@example.com"), "email_confirmed": true,
        "roles": ["imported"], "password_hash": BCRYPT,
    })
}

#[test]
fn a_line_that_is_too_long_is_refused_as_a_whole() {
    run(async {
        let world = World::shared().await;
        let (hidden, next) = (unique("hidden"), unique("next"));
        // The rest of the long line would be a user by itself.
        let long = "x".repeat(16 * 1024);
        let lines = format!("{long}{}\n{}\r\n", import_line(&hidden), import_line(&next));
        let file = file("long.jsonl", &lines);
        let import = ["--json", "users", "import", file.to_str().unwrap()];
        let imported = world.ratchet(&import).await;
        let report: Value = serde_json::from_str(&imported.out).unwrap();
        assert_eq!(report, json!({"lines": 2, "created": 1, "present": 0, "refused": 1}));
        assert_eq!(world.ratchet(&["users", "show", &hidden]).await.code, 3);
        world.ratchet(&["users", "show", &next]).await.done();
        fs::remove_file(file).unwrap();
    });
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
            changed("claims", json!({"roles": ["admin"]})),
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
        assert_eq!(report, json!({"lines": 79, "created": 70, "present": 1, "refused": 8}));
        assert!(!first.err.contains("$2b$"), "{first:?}");
        // The last line of standard error is for people.
        let refused = first.err.lines().filter(|line| line.starts_with('{'));
        let refused: Vec<Value> = refused.map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut numbers: Vec<_> = refused.iter().map(|line| line["line"].as_u64()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (71..79).map(Some).collect::<Vec<_>>(), "{refused:?}");

        let second = world.ratchet(&import).await;
        let report: Value = serde_json::from_str(&second.out).unwrap();
        assert_eq!(report, json!({"lines": 79, "created": 0, "present": 71, "refused": 8}));

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
        let rest = [&import[..], &["--from-line", "26"]].concat();
        let rest = world.ratchet_with(&rest, "", &endpoint).await;
        assert!(rest.done().contains("75 users created"), "{rest:?}");
        // What passes does not interrupt: the whole file, a quarter of it new.
        proxy.break_next("TransactWriteItems", 2, Fault::THROTTLED);
        let whole = world.ratchet_with(&import, "", &endpoint).await;
        assert!(whole.done().contains("25 users created, 75 were there already"), "{whole:?}");
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
        let claims = CustomClaims::within(r#"{"tenant": "acme"}"#).unwrap();
        let person = world.person_with(|new| new.user.claims = claims).await;
        let hash = world.user_text(person.id, "password_hash").await;
        let exported = world.ratchet(&["users", "export", "-"]).await;
        let line = exported.done().lines().find(|line| line.contains(&person.id.to_string()));
        let line: Value = serde_json::from_str(line.unwrap()).unwrap();
        assert_eq!(line["password_hash"], hash);
        assert_eq!(line["claims"], json!({"tenant": "acme"}));
        world.ratchet(&["users", "delete", &person.name, "--yes"]).await.done();
        let endpoint = world.stack().services().dynamodb().endpoint();
        let imported =
            world.ratchet_with(&["users", "import", "-"], &line.to_string(), endpoint).await;
        imported.done();
        let tokens = world.sign_in(&person).await;
        assert_eq!(ids(&tokens.refresh).user_id, person.id, "the id is kept");
        assert_eq!(parts(&tokens.access).1["tenant"], "acme");
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

/// `cargo test -p e2e -- --ignored --nocapture cli::transfer::a_hundred`: prints the figures of
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
            assert!(users.find_profile(&last, now()).await.unwrap().is_some());
            let rate = count * 1_000 / took;
            println!("{count} users: {took} ms, {rate} a second, peak {} KiB", imported.peak_kib);
            peaks.push(imported.peak_kib);
            fs::remove_file(file).unwrap();
        }
        assert!(peaks[1] < peaks[0] + 8 * 1_024, "ten times the users, no more memory: {peaks:?}");
    });
}
