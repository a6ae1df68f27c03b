//! Who a process is, and whether it still runs.
//!
//! ```text
//!  63                       22 21            0
//!  │ start time (ticks, 42)   │ pid (22)     │     0 is nobody
//! ```
//!
//! A pid alone is reused; pid and start time together are not, until the machine restarts. Both fit
//! in one word, so that a slot of the owner table changes hands in one atomic step.
//!
//! Invariants: a living process is never called dead; where the kernel does not answer, it is
//! alive.

use std::fs;
use std::io::ErrorKind;

use crate::error::{Error, Result};

/// Bits of a pid: Linux's largest is 2^22.
const PID_BITS: u32 = 22;

/// A process, for as long as this machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(pub(super) u64);

impl Identity {
    /// Nobody.
    pub(super) const NONE: Self = Self(0);

    /// The calling process.
    pub(super) fn own() -> Result<Self> {
        const PATH: &str = "/proc/self/stat";
        let stat = fs::read(PATH).map_err(Error::io("read", PATH))?;
        let fields = Fields::parse(&stat).ok_or_else(|| Error::Foreign {
            what: PATH.into(),
            reason: format!("it reads {:?}", String::from_utf8_lossy(&stat)),
        })?;
        Ok(Self::new(std::process::id(), fields.start))
    }

    fn new(pid: u32, start: u64) -> Self {
        Self(start << PID_BITS | u64::from(pid))
    }

    pub(super) fn pid(self) -> u32 {
        (self.0 & ((1 << PID_BITS) - 1)) as u32
    }

    /// Whether the process still runs. A zombie does not: its memory is gone.
    pub(super) fn is_alive(self) -> bool {
        if self == Self::NONE {
            return false;
        }
        match fs::read(format!("/proc/{}/stat", self.pid())) {
            Ok(stat) => Fields::parse(&stat)
                .is_none_or(|now| now.runs && Self::new(self.pid(), now.start) == self),
            // ESRCH is what a process that ends between opening and reading leaves.
            Err(err) => {
                err.kind() != ErrorKind::NotFound && err.raw_os_error() != Some(libc::ESRCH)
            }
        }
    }
}

/// Inode of our PID namespace: pids mean something only within it.
pub(super) fn pid_namespace() -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    const PATH: &str = "/proc/self/ns/pid";
    Ok(fs::metadata(PATH).map_err(Error::io("stat", PATH))?.ino())
}

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Debug, PartialEq, Eq)]
struct Fields {
    runs: bool,
    start: u64,
}

impl Fields {
    fn parse(stat: &[u8]) -> Option<Self> {
        let stat = std::str::from_utf8(&stat[stat.iter().rposition(|&b| b == b')')? + 1..]).ok()?;
        let mut fields = stat.split_ascii_whitespace();
        // proc(5): after the name come field 3 (state), … 20 (threads), … 22 (start time).
        let state = fields.next()?;
        let threads: u32 = fields.nth(16)?.parse().ok()?;
        let start = fields.nth(1)?.parse().ok()?;
        // The first thread may have ended while others run: only the last one makes a zombie dead.
        let ended = matches!(state, "Z" | "X" | "x") && threads <= 1;
        Some(Self { runs: !ended, start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let stat = |state, threads| {
            let between = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
            format!("7 (a ) R 3 (x) {state} {between} {threads} 0 4711 9 9\n")
        };
        let parse = |state, threads| Fields::parse(stat(state, threads).as_bytes());
        assert_eq!(parse("S", 3), Some(Fields { runs: true, start: 4711 }));
        assert_eq!(parse("Z", 1), Some(Fields { runs: false, start: 4711 }));
        assert_eq!(parse("Z", 2), Some(Fields { runs: true, start: 4711 }));
        assert_eq!(Fields::parse(b"7 (short) S 1"), None);
    }

    #[test]
    fn we_are_alive_and_others_with_our_pid_are_not() {
        let own = Identity::own().expect("/proc is there");
        assert_eq!(own.pid(), std::process::id());
        assert!(own.is_alive());
        assert!(!Identity(own.0 + (1 << PID_BITS)).is_alive(), "same pid, later start");
        assert!(!Identity::NONE.is_alive());
    }

    #[test]
    fn a_killed_child_is_dead_before_it_is_reaped() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("sleep runs");
        let stat = fs::read(format!("/proc/{}/stat", child.id())).expect("it runs");
        let start = Fields::parse(&stat).expect("well formed").start;
        let identity = Identity::new(child.id(), start);
        assert!(identity.is_alive());
        child.kill().expect("it is ours");
        // Not reaped, so that the pid cannot be reused; it becomes a zombie in its own time.
        let dead = (0..60_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            !identity.is_alive()
        });
        assert!(dead, "a minute after SIGKILL");
        let stat = fs::read(format!("/proc/{}/stat", child.id())).expect("still a zombie");
        assert!(!Fields::parse(&stat).expect("well formed").runs);
        child.wait().expect("it is ours");
        assert!(!identity.is_alive());
    }
}
