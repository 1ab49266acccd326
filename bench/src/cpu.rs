//! CPU: time that a process with all its threads has run. In: its number. Out: microseconds. Never: its children.

use crate::error::BenchError;
use std::{fs, process::Command};

/// User and system time of process `pid` so far, ended threads included, in microseconds. The kernel counts in ticks,
/// mostly 10 ms.
pub(crate) fn used_us(pid: u32) -> Result<u64, BenchError> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(BenchError::io("cannot read", &path))?;
    Ok(ticks(&stat).unwrap_or(0) * 1_000_000 / ticks_per_second())
}

/// Fields 14 and 15 of `/proc/<pid>/stat` (proc(5)). The name in field 2 may hold blanks and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn ticks_per_second() -> u64 {
    let told = Command::new("getconf").arg("CLK_TCK").output();
    told.ok().and_then(|told| String::from_utf8(told.stdout).ok()?.trim().parse().ok()).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_found_behind_any_name() {
        let stat = "4711 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 7 8 20 0 1 0 99";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("4711 (short) S 1"), None);
    }

    #[test]
    fn work_costs_time() {
        let own = std::process::id();
        let before = used_us(own).unwrap();
        let mut sum = 0_u64;
        while used_us(own).unwrap() < before + 20_000 {
            sum = (0..100_000).fold(sum, |sum: u64, i| sum.wrapping_mul(31).wrapping_add(i));
        }
        assert!(used_us(own).unwrap() >= before + 20_000, "{sum}");
    }
}
