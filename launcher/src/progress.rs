//! Signs of life during long work, for people at a terminal and nobody else.
//!
//! How far a compilation is comes from the compiler itself, which logs every function twice: when it is
//! translated, and when it is compiled, which takes longer. Nothing else of the log is looked at.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use wasmparser::{Parser, Payload};

/// Of five units of work on a function translating is one, about the share of its time for the interpreter.
const TRANSLATED: u64 = 1;
const COMPILED: u64 = 4;
const TICK: Duration = Duration::from_millis(100);

/// Units of work that are done; only one compilation runs at a time.
static DONE: AtomicU64 = AtomicU64::new(0);

/// Counts what the compiler says that it has done.
struct Counter;

impl log::Log for Counter {
    fn enabled(&self, of: &log::Metadata) -> bool {
        of.level() == log::Level::Debug && of.target().ends_with("cranelift::compiler")
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            DONE.fetch_add(units(&record.args().to_string()), Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// The work that a line of the compiler's log tells of.
fn units(line: &str) -> u64 {
    // Functions of the module only, without what goes between them and the host.
    let function = line.rsplit_once("` ").filter(|(symbol, _)| symbol.contains("]::function["));
    match function.map(|(_, what)| what) {
        Some(what) if what.starts_with("translated ") => TRANSLATED,
        Some(what) if what.starts_with("compiled ") => COMPILED,
        _ => 0,
    }
}

/// How many functions a module has; `None` when it is no module.
fn functions(wasm: &[u8]) -> Option<u64> {
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::CodeSectionStart { count, .. } => return Some(count.into()),
            Payload::End(_) => return None,
            _ => {}
        }
    }
    None
}

/// Runs `work`, which compiles a function or takes it from the cache. `module` reads what has to be
/// compiled for it; it is asked when the compiler has been busy for a moment.
pub fn compiling<R>(
    name: &str,
    module: impl Fn() -> Option<Vec<u8>> + Send,
    work: impl FnOnce() -> R,
) -> R {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    DONE.store(0, Ordering::Relaxed);
    // Fails when it was set before, by a function before this one.
    let _ = log::set_logger(&Counter);
    log::set_max_level(log::LevelFilter::Debug);
    let result = std::thread::scope(|scope| {
        let (end, ended) = channel::<()>();
        scope.spawn(move || show_until(&ended, name, module));
        // Also dropped when `work` panics.
        let _end = end;
        work()
    });
    log::set_max_level(log::LevelFilter::Off);
    result
}

/// Shows how far the compiler is, from when it has begun until the other end of the channel is gone.
fn show_until(ended: &Receiver<()>, name: &str, module: impl Fn() -> Option<Vec<u8>>) {
    let mut shown = None;
    while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let done = DONE.load(Ordering::Relaxed);
        if done > 0 {
            let bar = shown.get_or_insert_with(|| bar(name, &module().unwrap_or_default()));
            bar.set_position(done);
            bar.tick();
        }
    }
    if let Some(bar) = shown {
        bar.finish_and_clear();
    }
}

fn bar(name: &str, wasm: &[u8]) -> ProgressBar {
    let message = format!("compiling {name} ({} MiB)", wasm.len() >> 20);
    let (bar, template) = match functions(wasm) {
        Some(all) => {
            let bar = ProgressBar::new(all * (TRANSLATED + COMPILED));
            (bar, "{msg} {wide_bar} {percent} %, {elapsed}")
        }
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    bar.with_style(style).with_message(message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mobula_runtime::{Config, ProcessStdio, Runtime};

    use super::*;

    #[test]
    fn lines_of_the_compiler_are_work_and_others_are_none() {
        assert_eq!(units("`wasm[0]::function[7]::name` translated to CLIF in 1.2ms"), TRANSLATED);
        assert_eq!(units("`wasm[0]::function[7]_wasm_call` compiled in 1.2ms"), COMPILED);
        assert_eq!(units("`wasm[0]::array_to_wasm_trampoline[7]` compiled in 1.2ms"), 0);
        assert_eq!(units("something else"), 0);
    }

    #[test]
    fn functions_are_counted() {
        let wasm = wat::parse_str("(module (func) (func) (func))").unwrap();
        assert_eq!(functions(&wasm), Some(3));
        assert_eq!(functions(b"no module"), None);
        assert_eq!(functions(&wat::parse_str("(module)").unwrap()), None);
    }

    /// The compiler's log is no interface: this test sees when it changes.
    #[test]
    fn a_compilation_counts_all_of_its_functions() {
        let wasm = wat::parse_str(
            "(module (memory (export \"memory\") 1)
                (func (export \"_faasm_func_0\") (result i32) i32.const 0)
                (func (export \"_faasm_func_1\") (result i32) i32.const 1))",
        );
        let config = Config { threads: 1, ..Config::default() };
        let runtime = Runtime::new(config, Arc::new(ProcessStdio)).unwrap();
        log::set_logger(&Counter).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
        runtime.register("demo", "f", &wasm.unwrap()).unwrap();
        log::set_max_level(log::LevelFilter::Off);
        let done = DONE.load(Ordering::Relaxed);
        assert!(done >= 2 * (TRANSLATED + COMPILED), "{done}");
    }
}
