//! The tools of the local stack, installed below `target/local` once.

use std::{
    env,
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use crate::{
    prerequisites::{Java, MissingPrerequisites, Prerequisites},
    progress::tell,
    workspace::Workspace,
};

/// Why the tools could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum ToolboxError {
    /// The machine lacks something.
    #[error(transparent)]
    Prerequisites(#[from] MissingPrerequisites),
    /// A file or folder below `target/local` cannot be written.
    #[error("cannot write {path}: {cause}\nMake it writable, or remove `target/local`.")]
    Files {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// `pip` or `mvn` failed.
    #[error(
        "{tool} could not install {what}. Check the network (and the proxy or mirror that {tool} is set up with), \
         then try again. Its last words:\n{output}"
    )]
    Install {
        /// The program that failed.
        tool: &'static str,
        /// What it was to install.
        what: &'static str,
        /// The end of its output.
        output: String,
    },
    /// The class that starts DynamoDB Local did not compile; the end of the compiler's output.
    #[error(
        "this Java could not compile Loopback.java. Try another one, 17 or newer (JAVA_HOME says which). \
         The compiler's last words:\n{0}"
    )]
    Compile(String),
}

const POM: &str = "dynamodb/pom.xml";
const LOOPBACK: &str = "dynamodb/Loopback.java";

/// The installed tools.
#[derive(Clone, Debug)]
pub struct Toolbox {
    bin: PathBuf,
    dynamodb: Option<DynamoDbLocal>,
}

/// DynamoDB Local as installed, with the Java that runs it.
#[derive(Clone, Debug)]
pub(crate) struct DynamoDbLocal {
    java: PathBuf,
    folder: PathBuf,
}

impl DynamoDbLocal {
    /// The main class, which is our own: the port is open on the loopback interface only.
    pub(crate) const MAIN: &str = "Loopback";

    /// Java with everything on its class path.
    pub(crate) fn java(&self) -> Command {
        let mut java = Command::new(&self.java);
        let mut class_path = self.folder.join("classes").into_os_string();
        class_path.push(":");
        class_path.push(self.folder.join("jars").join("*"));
        java.arg("-cp").arg(class_path);
        java
    }
}

impl Toolbox {
    /// Installs what is not there yet: cargo-lambda, Zig and moto with `pip`, and DynamoDB Local
    /// with Maven unless the developer has an endpoint (`with_dynamodb` is false).
    ///
    /// Several processes may call this at the same time; one installs and the others wait.
    ///
    /// # Errors
    /// If the machine lacks a prerequisite, or the installation fails. Half an installation is
    /// never used: the next call starts over.
    pub fn install(workspace: &Workspace, with_dynamodb: bool) -> Result<Self, ToolboxError> {
        let folder = workspace.local();
        let python = Part {
            folder: folder.join("python"),
            pinned: read(&workspace.package_file("requirements.txt"))?,
        };
        let dynamodb = Part {
            folder: folder.join("dynamodb"),
            pinned: read(&workspace.package_file(POM))? + &read(&workspace.package_file(LOOPBACK))?,
        };
        let java = |installed| match (with_dynamodb, installed) {
            (false, _) => Java::Unneeded,
            (true, true) => Java::Run,
            (true, false) => Java::InstallAndRun,
        };

        let mut prerequisites = None;
        if !(python.is_installed() && (!with_dynamodb || dynamodb.is_installed())) {
            let found = Prerequisites::check(java(dynamodb.is_installed()))?;
            let _lock = lock(&folder)?;
            // Another process may have installed them while we waited.
            if !python.is_installed() {
                install_python(&python, workspace, &found)?;
            }
            if with_dynamodb && !dynamodb.is_installed() {
                install_dynamodb(&dynamodb, workspace, &found)?;
            }
            prerequisites = Some(found);
        }
        let found = match prerequisites {
            Some(found) => found,
            None => Prerequisites::check(java(true))?,
        };

        Ok(Self {
            bin: python.folder.join("bin"),
            dynamodb: found
                .java
                .filter(|_| with_dynamodb)
                .map(|java| DynamoDbLocal { java, folder: dynamodb.folder }),
        })
    }

    /// The folder that holds `cargo-lambda` and `moto_server`.
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    pub(crate) fn dynamodb(&self) -> Option<&DynamoDbLocal> {
        self.dynamodb.as_ref()
    }

    /// `PATH` with the tools in front, for programs that look for `cargo-lambda` or Zig.
    #[must_use]
    pub fn path_variable(&self) -> OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.bin.clone()).chain(env::split_paths(&path));
        env::join_paths(folders).unwrap_or(path)
    }
}

/// A folder that is filled from a file of pinned versions.
struct Part {
    folder: PathBuf,
    pinned: String,
}

impl Part {
    /// The marker is a copy of the pinned versions, written when the installation was complete.
    fn marker(&self) -> PathBuf {
        self.folder.join("installed-from")
    }

    fn is_installed(&self) -> bool {
        fs::read_to_string(self.marker()).is_ok_and(|installed| installed == self.pinned)
    }

    fn begin(&self) -> Result<(), ToolboxError> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(files(&self.folder))?;
        }
        fs::create_dir_all(&self.folder).map_err(files(&self.folder))
    }

    fn finish(&self) -> Result<(), ToolboxError> {
        fs::write(self.marker(), &self.pinned).map_err(files(&self.marker()))
    }
}

fn install_python(
    part: &Part,
    workspace: &Workspace,
    found: &Prerequisites,
) -> Result<(), ToolboxError> {
    let what = "cargo-lambda, Zig and moto";
    tell(&format!("installing {what} into target/local/python (once) …"));
    part.begin()?;
    let failed = |output| ToolboxError::Install { tool: "pip", what, output };
    let mut venv = Command::new(&found.python);
    run(venv.args(["-m", "venv"]).arg(&part.folder), |_| ()).map_err(failed)?;
    let mut pip = Command::new(part.folder.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"])
        .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
        .arg(workspace.package_file("requirements.txt"));
    run(&mut pip, |line| {
        if let Some(package) = line.trim_start().strip_prefix("Downloading ") {
            tell(&format!("  {package}"));
        }
    })
    .map_err(failed)?;
    part.finish()
}

fn install_dynamodb(
    part: &Part,
    workspace: &Workspace,
    found: &Prerequisites,
) -> Result<(), ToolboxError> {
    let what = "DynamoDB Local";
    tell(&format!("installing {what} into target/local/dynamodb (once) …"));
    part.begin()?;
    let maven = found.maven.clone().unwrap_or_else(|| PathBuf::from("mvn"));
    let mut maven = Command::new(maven);
    // Only the jars: that of DynamoDB Local contains SQLite for every processor. The native files
    // that Maven would add lack ARM and would be found first.
    maven
        .args(["--batch-mode", "--no-transfer-progress", "--file"])
        .arg(workspace.package_file(POM))
        .arg(joined("-Dmaven.repo.local=", &part.folder.join("m2")))
        .arg("dependency:copy-dependencies")
        .arg("-DincludeTypes=jar")
        .arg(joined("-DoutputDirectory=", &part.folder.join("jars")));
    run(&mut maven, |_| ()).map_err(|output| ToolboxError::Install {
        tool: "mvn",
        what,
        output,
    })?;
    let java = found.java.clone().unwrap_or_else(|| PathBuf::from("java"));
    let installed = DynamoDbLocal { java, folder: part.folder.clone() };
    let mut compiler = installed.java();
    compiler
        .arg("org.eclipse.jdt.internal.compiler.batch.Main")
        // Not `--release`: it needs a file that only a development kit has.
        .args(["-source", "17", "-target", "17", "-proc:none", "-d"])
        .arg(part.folder.join("classes"))
        .arg(workspace.package_file(LOOPBACK));
    run(&mut compiler, |_| ()).map_err(ToolboxError::Compile)?;
    part.finish()
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}

/// Waits for other installations. The lock is released when the file is closed, at the latest with
/// the process.
fn lock(folder: &Path) -> Result<File, ToolboxError> {
    let path = folder.join("install.lock");
    fs::create_dir_all(folder).map_err(files(folder))?;
    let file = File::create(&path).map_err(files(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            tell("waiting for another process that installs the tools …");
            file.lock().map_err(files(&path))?;
        }
        Err(TryLockError::Error(cause)) => return Err(ToolboxError::Files { path, cause }),
    }
    Ok(file)
}

/// Runs a command and passes on its lines. Fails with the end of its output.
fn run(command: &mut Command, mut line_seen: impl FnMut(&str)) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;

    let errors = child.stderr.take().map(|mut stream| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // Keep the output read before a failure.
            drop(stream.read_to_end(&mut bytes));
            bytes
        })
    });
    let mut output = String::new();
    if let Some(stream) = child.stdout.take() {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            line_seen(&line);
            output.push_str(&line);
            output.push('\n');
        }
    }
    let errors = errors.and_then(|thread| thread.join().ok()).unwrap_or_default();
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        _ => {
            output.push_str(&String::from_utf8_lossy(&errors));
            let lines: Vec<&str> = output.lines().collect();
            Err(lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n"))
        }
    }
}

fn read(path: &Path) -> Result<String, ToolboxError> {
    fs::read_to_string(path).map_err(files(path))
}

fn files(path: &Path) -> impl FnOnce(io::Error) -> ToolboxError + use<> {
    let path = path.to_path_buf();
    move |cause| ToolboxError::Files { path, cause }
}
