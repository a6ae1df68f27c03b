//! Building and running the programs that are measured, each in its own process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Place {
    /// Directory of the binaries `mobula` and `mobula-flights`.
    bin: PathBuf,
    /// The `mobula` that is measured.
    mobula: PathBuf,
    /// Top of the source tree.
    root: PathBuf,
    /// Where guests and peers are built.
    out: PathBuf,
}

impl Place {
    /// Binaries beside this one, or `$MOBULA` for `mobula`; sources where it was built.
    ///
    /// # Errors
    /// When `mobula` is not there or the output directory cannot be made.
    pub fn find() -> Result<Self> {
        let exe = std::env::current_exe()?;
        let bin = exe.parent().context("the executable has a directory")?.to_owned();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("bench/ has a parent")?;
        let out = bin.parent().unwrap_or(&bin).join("bench");
        std::fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
        let given = std::env::var_os("MOBULA").map(PathBuf::from);
        let mobula = given.unwrap_or_else(|| bin.join("mobula"));
        if !mobula.is_file() {
            bail!("there is no {}; run cargo build --release or set MOBULA", mobula.display());
        }
        Ok(Self { bin, mobula, root: root.to_owned(), out })
    }

    /// The same with another `mobula`, whose guests are kept apart.
    ///
    /// # Errors
    /// When it is not there or its directory cannot be made.
    pub fn with_mobula(&self, mobula: &Path) -> Result<Self> {
        let mobula = mobula.canonicalize().with_context(|| format!("{}", mobula.display()))?;
        let out = self.out.join("against");
        std::fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
        Ok(Self { mobula, out, ..self.clone() })
    }

    /// A file that benchmarks make.
    #[must_use]
    pub fn out(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// A file of the source tree.
    #[must_use]
    pub fn source(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A command for one of the project's binaries.
    #[must_use]
    pub fn binary(&self, name: &str) -> Command {
        let beside = self.bin.join(name);
        Command::new(if name == "mobula" { &self.mobula } else { &beside })
    }

    /// Compiles a guest from a path below the source tree.
    ///
    /// # Errors
    /// When there is no toolchain or the compiler refuses.
    pub fn guest(&self, source: &str) -> Result<PathBuf> {
        let source = self.source(source);
        let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let wasm = self.out(&format!("{name}.wasm"));
        let compiler: &[&str] = match source.extension().and_then(|ext| ext.to_str()) {
            Some("cpp") => &["c++", "-std=c++20"],
            Some("rs") => &["rustc"],
            _ => &["cc", "-std=gnu11"],
        };
        let mut command = self.binary("mobula");
        command.args(compiler);
        output(command.arg("-o").arg(&wasm).arg(&source))?;
        output(self.binary("mobula").arg("compile").arg(&wasm))?;
        Ok(wasm)
    }

    /// Compiles a native peer; `None` where there is no compiler for it.
    ///
    /// # Errors
    /// When the compiler is there and refuses.
    pub fn peer(&self, source: &str) -> Result<Option<PathBuf>> {
        let source = self.source(source);
        let compiler = if source.extension().is_some_and(|e| e == "cpp") { "c++" } else { "cc" };
        if Command::new(compiler).arg("--version").output().is_err() {
            eprintln!("  skipped: peer {}, there is no {compiler}", source.display());
            return Ok(None);
        }
        let program = self.out(&source.file_stem().unwrap_or_default().to_string_lossy());
        let mut command = Command::new(compiler);
        command.args(["-O3", "-march=native", "-funroll-loops", "-fopenmp", "-o"]);
        output(command.arg(&program).arg(&source))?;
        Ok(Some(program))
    }

    /// `mobula run --threads N …`.
    #[must_use]
    pub fn run(&self, threads: usize) -> Command {
        let mut command = self.binary("mobula");
        command.args(["run", "--threads", &threads.to_string()]);
        command
    }
}

/// Runs `f` with this process, and so all programs it starts, on the last CPU that it may use: one
/// thread on both sides then runs on the same one. (Interrupts prefer the first.)
///
/// # Errors
/// Those of `f`, or when the system refuses.
pub fn on_one_cpu<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    let me = nix::unistd::Pid::from_raw(0);
    let all = sched_getaffinity(me).context("asking for the CPUs")?;
    let last = (0..CpuSet::count()).rev().find(|&cpu| all.is_set(cpu) == Ok(true));
    let mut one = CpuSet::new();
    one.set(last.context("there is a CPU")?).context("choosing a CPU")?;
    sched_setaffinity(me, &one).context("moving to one CPU")?;
    let done = f();
    sched_setaffinity(me, &all).context("moving back to all CPUs")?;
    done
}

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// When it cannot be started or fails; with what it said on stderr.
pub fn output(command: &mut Command) -> Result<String> {
    let what = command.get_program().to_string_lossy().into_owned();
    let done = command.output().with_context(|| format!("starting {what}"))?;
    if !done.status.success() {
        bail!("{what} failed ({}): {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Runs a command and calls `at` with each line it prints and its process id, while it runs.
///
/// # Errors
/// When it cannot be started or fails.
pub fn watch(command: &mut Command, mut at: impl FnMut(&str, u32)) -> Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("starting mobula")?;
    let out = child.stdout.take().context("its output is a pipe")?;
    for line in BufReader::new(out).lines() {
        at(&line?, child.id());
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { bail!("mobula failed: {status}") }
}

/// A field of `/proc/PID/status`, in KiB; 0 when it is not there.
#[must_use]
pub fn status_kib(pid: u32, field: &str) -> f64 {
    field_kib(&format!("/proc/{pid}/status"), field)
}

/// Memory of a process in KiB with every page counted once, however often the process maps it. What
/// the kernel calls resident counts a page once for each window on it.
#[must_use]
pub fn shared_once_kib(pid: u32) -> f64 {
    field_kib(&format!("/proc/{pid}/smaps_rollup"), "Pss")
}

fn field_kib(file: &str, field: &str) -> f64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}
