//! Protected APIs in other languages, as HTTP services: the programs of `docs/guides/`.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

use crate::{
    adversarial,
    issuer::Fixture,
    local_stack::LocalStack,
    verifiers::{available, copy, example, succeed},
};

/// The front end that the services allow.
const ORIGIN: &str = "http://localhost:5173";

/// Next.js, in the folder of an application.
const NEXT: &str = "node_modules/next/dist/bin/next";

/// How to run a service.
struct Program {
    name: &'static str,
    command: Vec<OsString>,
    folder: PathBuf,
    /// The protected route.
    path: &'static str,
    /// What its page says before a browser has run it, if it has a page.
    page: Option<&'static str>,
    /// Whether it has CORS, a route for a role, and says why it refuses.
    is_whole: bool,
    /// Whether it has a route that needs a recent second factor.
    has_export: bool,
}

impl Program {
    fn new(name: &'static str, command: Vec<OsString>, folder: &Path) -> Self {
        let folder = folder.to_path_buf();
        Self {
            name,
            command,
            folder,
            path: "/whoami",
            page: None,
            is_whole: true,
            has_export: true,
        }
    }
}

/// All that can be built here; with `RATCHET_INTEROP=all` that has to be every one.
async fn install(fixture: &Fixture) -> Vec<Program> {
    let sources = fixture.root.join("tests/interop/services");
    let built = fixture.folder.join("services");
    let axum = vec![example(fixture, "protected_service").await.into()];
    let axum = Program::new("Axum", axum, &fixture.folder);
    let mut programs = vec![Program { is_whole: false, ..axum }];

    let python = built.join("fastapi");
    install_python(&sources.join("fastapi"), &python).await;
    let command = vec![python.join("bin/python").into(), "service.py".into()];
    programs.push(Program::new("FastAPI", command, &sources.join("fastapi")));

    // Next.js needs 20.9.
    if available("node", &["--version"], (20, 9)).await
        && available("npm", &["--version"], (8, 0)).await
    {
        let folder = built.join("express");
        copy(&sources.join("express"), &folder);
        npm_ci(&folder).await;
        let command = vec!["node".into(), "service.mjs".into()];
        programs.push(Program::new("Express", command, &folder));

        // In place, because it names the browser client by a path.
        let folder = sources.join("nextjs");
        npm_ci(&folder).await;
        let mut build = Command::new("node");
        build.args([NEXT, "build"]).env("NEXT_TELEMETRY_DISABLED", "1").current_dir(&folder);
        succeed(&mut build).await;
        let command = ["node", NEXT, "start", "--hostname", "127.0.0.1"];
        let command = command.into_iter().map(OsString::from).collect();
        programs.push(Program {
            path: "/api/whoami",
            page: Some("One moment"),
            is_whole: false,
            has_export: false,
            ..Program::new("Next.js", command, &folder)
        });
    }

    if available("go", &["env", "GOVERSION"], (1, 25)).await {
        let program = built.join("go-service");
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&program).arg(".").current_dir(sources.join("nethttp"));
        succeed(&mut build).await;
        programs.push(Program::new("net/http", vec![program.into()], &built));
    }

    if available("mvn", &["--version"], (3, 6)).await {
        let target = built.join("spring");
        let mut build = Command::new("mvn");
        build
            .args(["--batch-mode", "--quiet", "package"])
            .arg(format!("-DbuildDirectory={}", target.display()))
            .current_dir(sources.join("spring"));
        succeed(&mut build).await;
        let jar = target.join("protected.jar");
        let command =
            vec!["java".into(), "-XX:TieredStopAtLevel=1".into(), "-jar".into(), jar.into()];
        programs.push(Program::new("Spring Boot", command, &built));
    }
    programs
}

async fn npm_ci(folder: &Path) {
    let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
    succeed(Command::new("npm").args(install).current_dir(folder)).await;
}

async fn install_python(source: &Path, environment: &Path) {
    let requirements = source.join("requirements.txt");
    let installed = environment.join("requirements.txt");
    if fs::read(&requirements).ok() == fs::read(&installed).ok() {
        return;
    }
    succeed(Command::new("python3").args(["-m", "venv"]).arg(environment)).await;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    succeed(pip.args(["--require-hashes", "--no-deps", "-r"]).arg(&requirements)).await;
    fs::copy(requirements, installed).unwrap();
}

/// A service that answers.
struct Service {
    url: String,
    path: &'static str,
    process: Child,
}

impl Service {
    async fn start(program: &Program, issuer: &str) -> Self {
        let port = local::starting::free_port().unwrap();
        let mut command = Command::new(&program.command[0]);
        command
            .args(&program.command[1..])
            .current_dir(&program.folder)
            .env("ISSUER", issuer)
            .env("AUDIENCE", "ratchet")
            .env("ORIGIN", ORIGIN)
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let begun = Instant::now();
        while reqwest::get(format!("{url}{}", program.path)).await.is_err() {
            assert!(process.try_wait().unwrap().is_none(), "{} has ended", program.name);
            assert!(begun.elapsed() < Duration::from_secs(120), "{} is silent", program.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { url, path: program.path, process }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        reqwest::Client::new().get(format!("{}{path}", self.url)).header("origin", ORIGIN)
    }

    /// The answer about a token. A verifier may fetch the keys in the background, and say 503 until
    /// it has them.
    async fn asked(&self, path: &str, token: &str) -> Response {
        let begun = Instant::now();
        loop {
            let answer = self.get(path).bearer_auth(token).send().await.unwrap();
            if answer.status() != 503 || begun.elapsed() > Duration::from_secs(20) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn whoami(&self, token: &str) -> (u16, Value) {
        let answer = self.asked(self.path, token).await;
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_of_the_guides_protect_their_routes_on_the_local_stack() {
    let _turn = crate::TURN.lock().await;
    let fixture = Fixture::start().await;
    let stack = LocalStack::start(&[]).await;
    let token = stack.sign_in("ada", "correct horse battery staple").await;
    let (_, claims) = adversarial::parts(&token);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = input.split_once('.').unwrap();
    let expired = stack.expired(&token).await;
    let stepped_up = stack.step_up(&token, "correct horse battery staple").await;

    for program in install(&fixture).await {
        let name = program.name;
        let mut service = Service::start(&program, &stack.api).await;
        let (status, body) = service.whoami(&token).await;
        let expected = json!({"sub": claims["sub"], "sid": claims["sid"], "roles": []});
        assert_eq!((status, body), (200, expected), "{name}");

        let forged = format!("{input}.{}", signature.chars().rev().collect::<String>());
        let unsigned = format!("{input}.");
        let other_issuer =
            adversarial::unsigned(header, &claims, "iss", &json!("http://localhost"));
        let foreign = format!("{other_issuer}.{signature}");
        for (what, refused) in [
            ("expired", &expired),
            ("forged", &forged),
            ("unsigned", &unsigned),
            ("of another issuer", &foreign),
            ("garbage", &"x".to_owned()),
        ] {
            assert_eq!(service.whoami(refused).await.0, 401, "{name} of a token that is {what}");
        }
        let without = service.get(service.path).send().await.unwrap();
        assert_eq!(without.status(), 401, "{name} without a token");

        if program.is_whole {
            assert_eq!(service.asked("/admin", &token).await.status(), 403, "{name}");
            let refused = service.asked(service.path, &expired).await;
            let text = |header| refused.headers().get(header).map(|value| value.to_str().unwrap());
            let challenge = text("www-authenticate").unwrap_or_default();
            assert!(challenge.contains("invalid_token"), "{name}: {challenge}");
            assert_eq!(text("access-control-allow-origin"), Some(ORIGIN), "{name}");
            let exposed = text("access-control-expose-headers").unwrap_or_default();
            assert!(exposed.to_lowercase().contains("www-authenticate"), "{name}: {exposed}");
        }
        if program.has_export {
            let refused = service.asked("/export", &token).await;
            assert_eq!(refused.status(), 401, "{name}");
            let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
            let expected = r#"Bearer error="insufficient_user_authentication", max_age="300", amr_values="otp hwk""#;
            assert_eq!(challenge, expected, "{name}");
            assert_eq!(service.asked("/export", &stepped_up).await.status(), 200, "{name}");
        }
        if let Some(page) = program.page {
            let html = service.get("/").send().await.unwrap();
            assert_eq!(html.status(), 200, "{name}");
            assert!(html.text().await.unwrap().contains(page), "{name}");
        }
        service.process.kill().await.unwrap();

        // No server answers there. A 401 would sign the user out.
        let nobody = format!("http://127.0.0.1:{}", local::starting::free_port().unwrap());
        let service = Service::start(&program, &nobody).await;
        let answer = service.get(service.path).bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 503, "{name} without keys");
    }
}

/// A hash as ASP.NET Core Identity writes it, made by Python's own PBKDF2.
const IDENTITY_HASH: &str = "
import base64, hashlib, os, struct, sys
salt = os.urandom(16)
key = hashlib.pbkdf2_hmac('sha512', sys.argv[1].encode(), salt, 100000, 32)
print(base64.b64encode(struct.pack('>BIII', 1, 2, 100000, 16) + salt + key).decode())
";

#[tokio::test(flavor = "multi_thread")]
async fn users_of_an_asp_net_application_keep_their_passwords() {
    let _turn = crate::TURN.lock().await;
    let fixture = Fixture::start().await;
    let password = "Passw0rd! of an old application";
    let hash = Command::new("python3").args(["-c", IDENTITY_HASH, password]).output().await;
    let hash = String::from_utf8(hash.unwrap().stdout).unwrap();
    let table = format!(
        "UserName,Email,EmailConfirmed,PasswordHash\nlegacy,legacy@example.com,True,{}\n",
        hash.trim()
    );
    let users = fixture.services.run().folder().join("users.csv");
    let seed = users.with_extension("jsonl");
    fs::write(&users, table).unwrap();
    let script = fixture.root.join("tests/interop/services/aspnet_users.py");
    let mut convert = Command::new("python3");
    convert.arg(script).stdin(fs::File::open(&users).unwrap());
    let converted = convert.output().await.unwrap();
    assert!(converted.status.success(), "{converted:?}");
    fs::write(&seed, converted.stdout).unwrap();

    let stack = LocalStack::start(&["--seed", seed.to_str().unwrap()]).await;
    let token = stack.sign_in("legacy", password).await;
    let (_, claims) = adversarial::parts(&token);
    assert_eq!(claims["name"], "legacy");
}
