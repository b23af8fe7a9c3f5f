//! The other implementations, installed with pinned versions below `target/interop/`.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};

use crate::issuer::{Fixture, Issuer};

/// Programs that read tokens, one a line, and print `ok <sub>` or `refused …` for each.
pub(crate) struct Verifiers(BTreeMap<&'static str, Vec<OsString>>);

impl Verifiers {
    /// Installs what can be installed here. With `RATCHET_INTEROP=all` that has to be everything.
    pub(crate) async fn install(fixture: &Fixture) -> Self {
        let interop = fixture.root.join("tests/interop");
        let mut programs = BTreeMap::new();
        programs.insert("Rust", vec![example(fixture, "verify").await.into()]);
        install_python(fixture).await;
        for (name, script) in [("PyJWT", "verify.py"), ("Authlib", "authlib_verify.py")] {
            let script = interop.join("python").join(script);
            programs.insert(name, vec![fixture.python().into(), script.into()]);
        }
        if let Some(folder) = install_node(fixture).await {
            for (name, script) in [("jose", "jose.mjs"), ("aws-jwt-verify", "aws-jwt-verify.mjs")] {
                programs.insert(name, vec!["node".into(), folder.join(script).into()]);
            }
        }
        if available("go", &["env", "GOVERSION"], (1, 25)).await {
            for (name, package, program) in
                [("lestrrat-go/jwx", ".", "go-verify"), ("coreos/go-oidc", "./oidc", "go-oidc")]
            {
                let program = fixture.folder.join(program);
                let mut build = Command::new("go");
                build.args(["build", "-o"]).arg(&program).arg(package);
                succeed(build.current_dir(interop.join("go"))).await;
                programs.insert(name, vec![program.into()]);
            }
        }
        Self(programs)
    }

    /// What each says about each token of an issuer.
    pub(crate) async fn verdicts(
        &self,
        issuer: &Issuer,
        tokens: &[&str],
    ) -> BTreeMap<&'static str, Vec<String>> {
        self.verdicts_about(&issuer.url, Some(&issuer.ca), tokens).await
    }

    /// The same; `ca` certifies an issuer under https.
    pub(crate) async fn verdicts_about(
        &self,
        issuer: &str,
        ca: Option<&Path>,
        tokens: &[&str],
    ) -> BTreeMap<&'static str, Vec<String>> {
        let mut verdicts = BTreeMap::new();
        for (name, command) in &self.0 {
            let mut verifier = Command::new(&command[0]);
            verifier.args(&command[1..]).args([issuer, "ratchet"]);
            if let Some(ca) = ca {
                trusting(&mut verifier, ca);
            }
            let mut child = verifier
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let mut input = child.stdin.take().unwrap();
            let lines = tokens.join("\n") + "\n";
            let write = async move { input.write_all(lines.as_bytes()).await };
            let read = child.wait_with_output();
            let both = async { tokio::join!(write, read) };
            let (_, output) = tokio::time::timeout(Duration::from_secs(120), both).await.unwrap();
            let output = String::from_utf8(output.unwrap().stdout).unwrap();
            let said: Vec<String> = output.lines().map(str::to_owned).collect();
            assert_eq!(said.len(), tokens.len(), "{name} said: {output}");
            verdicts.insert(*name, said);
        }
        verdicts
    }
}

/// The example service of `ratchet-verify`.
pub(crate) struct ExampleService {
    url: String,
    _process: Child,
}

impl ExampleService {
    pub(crate) async fn start(fixture: &Fixture, issuer: &Issuer) -> Self {
        let port = local::starting::free_port().unwrap();
        let mut service = Command::new(example(fixture, "protected_service").await);
        service.env("ISSUER", &issuer.url).env("AUDIENCE", "ratchet").env("PORT", port.to_string());
        let process = trusting(&mut service, &issuer.ca).kill_on_drop(true).spawn().unwrap();
        let url = format!("http://127.0.0.1:{port}/whoami");
        while reqwest::get(&url).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { url, _process: process }
    }

    pub(crate) async fn whoami(&self, token: Option<&str>) -> (u16, String) {
        let request = reqwest::Client::new().get(&self.url);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

/// The libraries for Node, unless it is not installed. Returns the folder of the programs.
async fn install_node(fixture: &Fixture) -> Option<PathBuf> {
    let is_available = available("node", &["--version"], (20, 0)).await
        && available("npm", &["--version"], (8, 0)).await;
    if !is_available {
        return None;
    }
    let folder = fixture.folder.join("node");
    copy(&fixture.root.join("tests/interop/node"), &folder);
    let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
    succeed(Command::new("npm").args(install).current_dir(&folder)).await;
    Some(folder)
}

/// Refreshes and revokes with `openid-client`. Returns the error that it gets for a revoked token,
/// `None` if Node is not installed.
pub(crate) async fn openid_client(
    fixture: &Fixture,
    issuer: &Issuer,
    refresh_token: &str,
) -> Option<String> {
    let program = install_node(fixture).await?.join("openid-client.mjs");
    let mut client = Command::new("node");
    client.arg(program).args([&issuer.url, "first-party", refresh_token]);
    let output = trusting(&mut client, &issuer.ca).output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// Introspects the tokens with `oauth4webapi`, and ends their session. Returns the results; `None` if
/// Node is not installed.
pub(crate) async fn oauth4webapi(
    fixture: &Fixture,
    issuer: &Issuer,
    client: (&str, &str),
    tokens: (&str, &str),
) -> Option<Value> {
    let program = install_node(fixture).await?.join("oauth4webapi.mjs");
    let mut library = Command::new("node");
    library.arg(program).args([&issuer.url, client.0, client.1, tokens.0, tokens.1]);
    let output = trusting(&mut library, &issuer.ca).output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Binds sessions to keys with `dpop` and `oauth4webapi`. Returns the results; `None` if Node is not
/// installed.
pub(crate) async fn dpop(fixture: &Fixture, issuer: &Issuer) -> Option<Value> {
    let program = install_node(fixture).await?.join("dpop.mjs");
    let mut library = Command::new("node");
    library.arg(program).args([&issuer.url, "ada", "correct horse battery staple"]);
    let output = trusting(&mut library, &issuer.ca).output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// The libraries for Python, and what the TLS front needs.
pub(crate) async fn install_python(fixture: &Fixture) {
    let environment = fixture.folder.join("python");
    let requirements = fixture.root.join("tests/interop/python/requirements.txt");
    let installed = environment.join("requirements.txt");
    if fs::read(&requirements).ok() == fs::read(&installed).ok() {
        return;
    }
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&environment)).await;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    succeed(pip.args(["--require-hashes", "--no-deps", "-r"]).arg(&requirements)).await;
    fs::copy(requirements, installed).unwrap();
}

/// Tells every implementation to trust the issuer's certificate.
fn trusting<'c>(command: &'c mut Command, ca: &Path) -> &'c mut Command {
    command.env("SSL_CERT_FILE", ca).env("NODE_EXTRA_CA_CERTS", ca)
}

pub(crate) async fn example(fixture: &Fixture, name: &str) -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "-p", "ratchet-verify", "--example", name]);
    succeed(build.current_dir(&fixture.root)).await;
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| fixture.root.join("target"));
    target.join("debug/examples").join(name)
}

/// Whether a program exists in a version that its libraries need. Prints a message if not.
pub(crate) async fn available(program: &str, arguments: &[&str], least: (u32, u32)) -> bool {
    let output = Command::new(program).args(arguments).output().await;
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    // `v20.20.2`, `go1.26.8`; Maven writes colours before its name.
    let found = version.unwrap_or_default().split_whitespace().find_map(|word| {
        let numbers = word.trim_start_matches(|c: char| !c.is_ascii_digit());
        let (major, rest) = numbers.split_once('.')?;
        Some((major.parse().ok()?, rest.split('.').next()?.parse().unwrap_or_default()))
    });
    let found: (u32, u32) = found.unwrap_or_default();
    let good = found >= least;
    let all = env::var("RATCHET_INTEROP").is_ok_and(|value| value == "all");
    assert!(good || !all, "{program} {}.{} or newer is needed", least.0, least.1);
    if !good {
        eprintln!("skipped: {program} {}.{} or newer is not there", least.0, least.1);
    }
    good
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

pub(crate) async fn succeed(command: &mut Command) {
    let output = command.output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
}
