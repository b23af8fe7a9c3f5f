use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::*;
use crate::{run::Run, workspace::Workspace};

fn log() -> PathBuf {
    Run::begin(&Workspace::locate()).unwrap().log("program")
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Whether a process runs, and is not a zombie.
fn runs(id: u32) -> bool {
    let state = match fs::read_to_string(format!("/proc/{id}/stat")) {
        Ok(stat) => stat.rsplit(") ").next().map(str::to_owned),
        Err(_) if Path::new("/proc/self/stat").exists() => None,
        Err(_) => {
            let output = Command::new("ps").args(["-o", "stat=", "-p", &id.to_string()]).output();
            String::from_utf8(output.unwrap().stdout).ok()
        }
    };
    state.is_some_and(|state| !state.trim().is_empty() && !state.starts_with('Z'))
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("not within a minute: {what}");
}

#[test]
fn output_goes_to_the_log() {
    let log = log();
    let process =
        Process::spawn("echo", shell("echo out; echo \"$WORD\" >&2").env("WORD", "err"), &log)
            .unwrap();
    eventually("the program ends", || process.exit_status().unwrap().is_some());
    assert_eq!(process.log_tail(10), "out\nerr");
}

#[test]
fn the_exit_status_is_the_programs_own() {
    let process = Process::spawn("seven", &shell("exit 7"), &log()).unwrap();
    eventually("the program ends", || process.exit_status().unwrap().is_some());
    assert_eq!(process.exit_status().unwrap().unwrap().code(), Some(7));
}

#[test]
fn a_missing_program_shows_in_status_and_log() {
    let command = Command::new("no-such-program-here");
    let process = Process::spawn("missing", &command, &log()).unwrap();
    eventually("the program ends", || process.exit_status().unwrap().is_some());
    assert_eq!(process.exit_status().unwrap().unwrap().code(), Some(127));
    assert!(process.log_tail(5).contains("no-such-program-here"), "{}", process.log_tail(5));
}

/// This test binary again, running one of the parts below as a process of its own.
fn part(name: &str, file: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", &format!("process::tests::{name}")]);
    command.env("PART_FILE", file);
    command
}

fn part_file() -> PathBuf {
    PathBuf::from(std::env::var_os("PART_FILE").unwrap())
}

/// Starts a child in a process group of its own, as `cargo lambda watch` does, and tells its id.
#[test]
#[ignore = "runs only as a process of another test"]
fn part_with_a_child_in_another_group() {
    let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
    fs::write(part_file(), format!("{}\n", child.id())).unwrap();
    child.wait().unwrap();
}

#[test]
fn dropping_ends_grandchildren_in_process_groups_of_their_own() {
    let log = log();
    let file = log.with_extension("id");
    let command = part("part_with_a_child_in_another_group", &file);
    let process = Process::spawn("part", &command, &log).unwrap();
    eventually("the grandchild starts", || tail(&file, 1).parse::<u32>().is_ok());
    let (child, grandchild) = (process.id(), tail(&file, 1).parse().unwrap());
    assert!(runs(child) && runs(grandchild));
    drop(process);
    assert!(!runs(child) && !runs(grandchild));
}

/// Supervises a program that ignores hang-ups, with a child, until it is killed.
#[test]
#[ignore = "runs only as a process of another test"]
fn part_that_supervises() {
    let script = "trap '' HUP; sleep 600 & echo $!; wait";
    let _process = Process::spawn("tree", &shell(script), &part_file()).unwrap();
    sleep(Duration::from_mins(10));
}

#[test]
fn a_killed_parent_takes_its_programs_along() {
    // The kernel's hang-up to orphaned process groups made this fail one time in fifteen.
    for _ in 0..20 {
        let log = log();
        let mut parent = part("part_that_supervises", &log).stdout(Stdio::null()).spawn().unwrap();
        eventually("the grandchild starts", || tail(&log, 1).parse::<u32>().is_ok());
        let grandchild = tail(&log, 1).parse().unwrap();
        assert!(runs(grandchild));
        parent.kill().unwrap();
        parent.wait().unwrap();
        eventually("the grandchild ends", || !runs(grandchild));
    }
}

#[test]
fn a_killed_program_is_gone_when_kill_returns() {
    let process = Process::spawn("sleep", &shell("exec sleep 600"), &log()).unwrap();
    let id = process.id();
    process.kill().unwrap();
    assert!(!runs(id));
}
