//! Nothing left behind after `kill -9`: a small process that outlives this one and tidies up.
//!
//! ```text
//!  mobula run ──starts, when the first call needs a /tmp──▶ mobula reap DIR
//!      │ holds the writing end of a pipe                        │ reads it: no byte ever comes
//!      └── ends, in whatever way ──▶ the kernel closes it ──────┴▶ end of file: remove DIR, end
//! ```
//!
//! It leads a session of its own, so that what is sent to the group of the run (Ctrl-C, `kill -- -PGID`)
//! does not end it too, and has no terminal and no output, so that nobody waits for it.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// The hidden command that this process is started with.
pub const COMMAND: &str = "reap";

/// Reapers of this process. They hold the pipes' ends, which must stay open as long as we live.
static REAPERS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Starts a reaper for `dir`. Without one, only `kill -9` leaves the directory behind, and
/// `mobula clean` finds it.
pub fn watch(dir: &Path) {
    let Ok(program) = std::env::current_exe() else { return };
    let reaper = Command::new(program)
        .arg(COMMAND)
        .arg(dir)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let (Ok(child), Ok(mut reapers)) = (reaper, REAPERS.lock()) {
        reapers.push(child);
    }
}

/// The reaper itself: waits for the end of its parent, then removes `dir`.
///
/// Only a directory named as ours is ever removed.
pub fn reap(dir: &Path) -> u8 {
    // Fails only for the leader of a group, which a child just started is not.
    let _ = nix::unistd::setsid();
    let mut end = Vec::new();
    let _ = std::io::stdin().lock().read_to_end(&mut end);
    let ours = dir.file_name().is_some_and(|name| crate::clean::pid_of(name).is_some());
    if ours && dir.is_absolute() {
        // Usually it is gone already: its owner ended well.
        let _ = std::fs::remove_dir_all(dir);
    }
    0
}
