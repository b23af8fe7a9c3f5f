//! The share of a processor that Lambda gives to a memory size.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A function of this size has a whole processor, and a smaller one a proportional share, according
/// to the Lambda developer guide
/// (`docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html`).
const ONE_PROCESSOR_MIB: u32 = 1769;

/// The period of the quota, in microseconds. Lambda does not document its own.
const PERIOD: u32 = 20_000;

/// The period in which a process is stopped and continued once, in microseconds. Starting `sleep`
/// takes about one millisecond, so a shorter cycle would be less accurate.
const CYCLE: u32 = 100_000;

const CYCLE_SCRIPT: &str =
    r#"while kill -CONT "$1" && sleep "$2" && kill -STOP "$1"; do sleep "$3"; done 2>/dev/null"#;

/// A limit on a process's use of the processors. Dropping it lifts the limit; drop it only after
/// the process has ended.
#[derive(Debug)]
pub enum Share {
    /// Enforced by the kernel's scheduler, with the cgroup in this folder.
    Quota(PathBuf),
    /// Enforced by stopping the process for a part of the time, whether it computes or waits.
    DutyCycle(Child),
}

impl Share {
    /// Limits a process to the share that Lambda gives to `memory_mib`: with a quota if the system
    /// allows it, otherwise with a duty cycle.
    ///
    /// # Errors
    /// If neither works.
    pub fn limit(process: u32, memory_mib: u32) -> io::Result<Self> {
        match quota(process, part(PERIOD, memory_mib)) {
            Ok(share) => Ok(share),
            Err(_) => duty_cycle(process, part(CYCLE, memory_mib)),
        }
    }

    /// How the limit is enforced.
    pub const fn means(&self) -> &'static str {
        match self {
            Self::Quota(_) => "a quota of the cgroup, 20 ms a period",
            Self::DutyCycle(_) => "SIGSTOP and SIGCONT, 100 ms a cycle",
        }
    }
}

/// The part of a whole processor's time.
const fn part(whole: u32, memory_mib: u32) -> u32 {
    let part = whole * memory_mib / ONE_PROCESSOR_MIB;
    if part < whole { part } else { whole }
}

fn quota(process: u32, quota: u32) -> io::Result<Share> {
    let root = Path::new("/sys/fs/cgroup");
    let name = format!("ratchet-bench-{process}");
    let version_2 = root.join("cgroup.controllers").exists();
    let (folder, limits) = if version_2 {
        fs::write(root.join("cgroup.subtree_control"), "+cpu")?;
        (root.join(name), vec![("cpu.max", format!("{quota} {PERIOD}"))])
    } else {
        let period = ("cpu.cfs_period_us", PERIOD.to_string());
        (root.join("cpu").join(name), vec![period, ("cpu.cfs_quota_us", quota.to_string())])
    };
    fs::create_dir(&folder)?;
    // Removes the folder if the limit cannot be set.
    let share = Share::Quota(folder.clone());
    for (file, value) in limits.into_iter().chain([("cgroup.procs", process.to_string())]) {
        // Does not create the file: in an ordinary folder, which is not a cgroup, this fails.
        File::options().write(true).open(folder.join(file))?.write_all(value.as_bytes())?;
    }
    Ok(share)
}

fn duty_cycle(process: u32, running: u32) -> io::Result<Share> {
    let seconds = |microseconds: u32| format!("{:.4}", f64::from(microseconds) / 1e6);
    Command::new("sh")
        .args(["-c", CYCLE_SCRIPT, "sh", &process.to_string()])
        .args([seconds(running), seconds(CYCLE - running)])
        .stdin(Stdio::null())
        .spawn()
        .map(Share::DutyCycle)
}

impl Drop for Share {
    fn drop(&mut self) {
        let lifted = match self {
            Self::Quota(folder) => fs::remove_dir(folder),
            Self::DutyCycle(cycle) => cycle.kill().and_then(|()| cycle.wait()).map(|_| ()),
        };
        if let Err(error) = lifted {
            eprintln!("bench: cannot lift a limit: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{thread::sleep, time::Duration};

    use super::*;
    use crate::resources;

    /// The part of a processor that a busy process gets under a limit.
    fn used(limit: impl FnOnce(u32) -> Share) -> f64 {
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let share = limit(busy.id());
        let before = resources::of(busy.id()).unwrap().cpu;
        sleep(Duration::from_secs(2));
        let after = resources::of(busy.id()).unwrap().cpu;
        busy.kill().unwrap();
        busy.wait().unwrap();
        drop(share);
        after.checked_sub(before).unwrap().as_secs_f64() / 2.0
    }

    #[test]
    fn a_small_function_gets_its_part_of_a_processor() {
        assert_eq!([128, 1769, 3008].map(|size| part(PERIOD, size)), [1447, 20_000, 20_000]);
        // A busy machine may give less.
        let limited = used(|process| Share::limit(process, 256).unwrap());
        assert!((0.0..0.22).contains(&limited), "{limited}");
    }

    #[test]
    fn a_duty_cycle_limits_as_well() {
        let limited = used(|process| duty_cycle(process, part(CYCLE, 256)).unwrap());
        assert!((0.0..0.3).contains(&limited), "{limited}");
    }
}
