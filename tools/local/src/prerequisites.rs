//! Programs that must be installed already, and how to get them.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// The programs that were found.
#[derive(Clone, Debug)]
pub struct Prerequisites {
    pub(crate) python: PathBuf,
    pub(crate) java: Option<PathBuf>,
    pub(crate) maven: Option<PathBuf>,
}

/// What Java is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Java {
    /// To install DynamoDB Local with Maven, and to run it.
    InstallAndRun,
    /// To run what is installed already.
    Run,
    /// Nothing: the developer has a DynamoDB endpoint.
    Unneeded,
}

/// A program that is missing or too old. `Display` has two lines: the program, and how to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    needed: &'static str,
    found: Option<String>,
    remedy: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            None => writeln!(f, "{} is needed, but there is none.", self.needed)?,
            Some(found) => writeln!(f, "{} is needed, but this is {found}.", self.needed)?,
        }
        f.write_str(self.remedy)
    }
}

/// Everything that is missing or too old.
#[derive(Debug, thiserror::Error)]
pub struct MissingPrerequisites(Vec<Missing>);

impl fmt::Display for MissingPrerequisites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, missing) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{missing}")?;
        }
        Ok(())
    }
}

const RUST: (&str, &str) = (
    "Rust 1.95 or newer",
    "Get it with `rustup update stable` (rustup itself: https://rustup.rs).",
);
const PYTHON: (&str, &str) = (
    "Python 3.9 or newer",
    "Get it with `sudo apt install python3 python3-venv`, `sudo dnf install python3` or `brew install python`; \
     or set PYTHON to the path of one.",
);
const VENV: (&str, &str) = (
    "Python's venv module",
    "Get it with `sudo apt install python3-venv`; or set PYTHON to the path of a complete Python.",
);
const JAVA: (&str, &str) = (
    "Java 17 or newer",
    "Get it with `sudo apt install openjdk-17-jre-headless`, `sudo dnf install java-17-openjdk-headless` or \
     `brew install openjdk@17`; or set JAVA_HOME, or AWS_ENDPOINT_URL_DYNAMODB to a DynamoDB of your own.",
);
const MAVEN: (&str, &str) = (
    "Maven",
    "Get it with `sudo apt install maven`, `sudo dnf install maven` or `brew install maven`; \
     or set AWS_ENDPOINT_URL_DYNAMODB to a DynamoDB of your own.",
);

impl Prerequisites {
    /// Looks for all programs that the local stack needs.
    ///
    /// `PYTHON` and `JAVA_HOME` are respected.
    ///
    /// # Errors
    /// Lists all that is missing or too old, not only the first.
    pub fn check(java: Java) -> Result<Self, MissingPrerequisites> {
        let mut missing = Vec::new();
        let mut note = |(needed, remedy), found| missing.push(Missing { needed, found, remedy });

        match version_of(Path::new("rustc"), &["--version"]) {
            Some(version) if version >= Version(1, 95) => {}
            found => note(RUST, found.map(|version| format!("rustc {version}"))),
        }

        let mut python = None;
        match find_python() {
            Ok(found) if has_venv(&found) => python = Some(found),
            Ok(_) => note(VENV, None),
            Err(found) => note(PYTHON, found),
        }

        let mut java_program = None;
        let mut maven = None;
        if java != Java::Unneeded {
            let program = env::var_os("JAVA_HOME").filter(|home| !home.is_empty()).map_or_else(
                || PathBuf::from("java"),
                |home| PathBuf::from(home).join("bin").join("java"),
            );
            match version_of(&program, &["-version"]) {
                Some(version) if version >= Version(17, 0) => java_program = Some(program),
                found => note(JAVA, found.map(|version| format!("Java {version}"))),
            }
        }
        if java == Java::InstallAndRun {
            let program = PathBuf::from("mvn");
            match Command::new(&program).arg("--version").output() {
                Ok(output) if output.status.success() || java_program.is_none() => {
                    maven = Some(program);
                }
                _ => note(MAVEN, None),
            }
        }

        match python {
            Some(python) if missing.is_empty() => Ok(Self { python, java: java_program, maven }),
            _ => Err(MissingPrerequisites(missing)),
        }
    }
}

/// The first Python that is new enough, or else the version of the newest one found.
fn find_python() -> Result<PathBuf, Option<String>> {
    let candidates = match env::var_os("PYTHON").filter(|python| !python.is_empty()) {
        Some(python) => vec![PathBuf::from(python)],
        None => vec![PathBuf::from("python3"), PathBuf::from("python")],
    };
    let mut found = None;
    for candidate in candidates {
        match version_of(&candidate, &["--version"]) {
            Some(version) if version >= Version(3, 9) => return Ok(candidate),
            Some(version) => found = Some(format!("Python {version}")),
            None => {}
        }
    }
    Err(found)
}

/// Debian packages the module apart from Python.
fn has_venv(python: &Path) -> bool {
    let check = Command::new(python).args(["-c", "import venv, ensurepip"]).output();
    check.is_ok_and(|output| output.status.success())
}

/// Major and minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

fn version_of(program: &Path, arguments: &[&str]) -> Option<Version> {
    let output = Command::new(program).args(arguments).output().ok()?;
    // macOS has stubs that only say where to get the program.
    if !output.status.success() {
        return None;
    }
    // Java prints its version on standard error.
    let text = [output.stdout, output.stderr].concat();
    parse_version(&String::from_utf8_lossy(&text))
}

/// The first `major.minor` in a text; a version like Java's `17` or `21-ea` has minor 0.
fn parse_version(text: &str) -> Option<Version> {
    let number = text
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = number.split('.').map(str::parse::<u32>);
    let major = parts.next()?.ok()?;
    let minor = parts.next().and_then(Result::ok).unwrap_or(0);
    Some(Version(major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        for (text, version) in [
            ("rustc 1.95.0 (f2d3ce0bd 2026-03-21)", Version(1, 95)),
            ("Python 3.9.18", Version(3, 9)),
            ("openjdk version \"17.0.15\" 2025-04-15", Version(17, 0)),
            ("openjdk version \"21\" 2023-09-19", Version(21, 0)),
            ("openjdk version \"22-ea\" 2024-03-19", Version(22, 0)),
            ("java version \"1.8.0_292\"", Version(1, 8)),
        ] {
            assert_eq!(parse_version(text), Some(version), "{text}");
        }
        assert_eq!(parse_version("Unable to locate a Java Runtime."), None);
    }

    #[test]
    fn the_first_line_says_what_is_missing_and_the_second_how_to_get_it() {
        let (needed, remedy) = JAVA;
        let missing = Missing { needed, found: Some("Java 1.8".to_owned()), remedy };
        let text = MissingPrerequisites(vec![missing]).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "Java 17 or newer is needed, but this is Java 1.8.");
        assert!(lines[1].starts_with("Get it with `sudo apt install"), "{}", lines[1]);
    }
}
