//! What a process has used, as Linux tells it; other systems do not, and nothing is reported.

use std::{fs, time::Duration};

use crate::as_f64;

/// `utime` and `stime` are in hundredths of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// CPU time of all its threads, in user and kernel mode.
    pub cpu: Duration,
    /// The most memory that it had at any moment (`VmHWM`), in bytes.
    pub peak_memory: u64,
}

impl Resources {
    /// The peak memory in MiB.
    pub fn peak_mebibytes(&self) -> f64 {
        as_f64(self.peak_memory) / 1_048_576.0
    }
}

/// What a running process has used.
pub fn of(process: u32) -> Option<Resources> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    Some(Resources { cpu: cpu(&stat)?, peak_memory: peak_memory(&status)? })
}

/// Fields 14 and 15 of `proc_pid_stat(5)`; the second field, in parentheses, may hold spaces.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
}

fn peak_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_formats_are_understood() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 90 0 0 0 12 30 0 0 20 0 1 0 99 1000 200 18446";
        assert_eq!(cpu(stat), Some(Duration::from_millis(420)));
        assert_eq!(peak_memory("VmPeak:\t 9 kB\nVmHWM:\t   8224 kB\n"), Some(8_421_376));
        assert_eq!(peak_memory("VmPeak:\t 9 kB\n"), None);
    }
}
