//! Signs of life during long work, for people at a terminal and nobody else.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Modules from this size on take long enough to compile that one wonders.
const LARGE_BYTES: u64 = 1 << 20;

/// Runs `work`, which compiles a module of `bytes` bytes or takes it from the cache.
pub fn compiling<R>(name: &str, bytes: u64, work: impl FnOnce() -> R) -> R {
    if bytes < LARGE_BYTES || !std::io::stderr().is_terminal() {
        return work();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let spinner = ProgressBar::new_spinner().with_style(style.expect("the template is valid"));
    spinner.set_message(format!("compiling {name} ({} MiB)", bytes >> 20));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let result = work();
    spinner.finish_and_clear();
    result
}
