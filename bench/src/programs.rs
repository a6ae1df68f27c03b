//! Building and running the programs that are measured, each in its own process.

use std::ffi::OsStr;
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

    /// Compiles a native peer; `None`, which is said, where there is no compiler for it.
    ///
    /// # Errors
    /// When the compiler is there and refuses.
    pub fn peer(&self, source: &str) -> Result<Option<PathBuf>> {
        self.peer_with(source, &[])
    }

    /// The same with further options of the compiler.
    ///
    /// # Errors
    /// As [`peer`](Self::peer); a library that is not installed is no error, but said.
    pub fn peer_with(&self, source: &str, flags: &[String]) -> Result<Option<PathBuf>> {
        let cpp = Path::new(source).extension().is_some_and(|e| e == "cpp");
        self.native(if cpp { "c++" } else { "cc" }, source, flags)
    }

    /// Compiles a peer with MPI in the same way.
    ///
    /// # Errors
    /// As [`peer`](Self::peer).
    pub fn mpi_peer(&self, source: &str, flags: &[String]) -> Result<Option<PathBuf>> {
        let cpp = Path::new(source).extension().is_some_and(|e| e == "cpp");
        self.native(if cpp { "mpicxx" } else { "mpicc" }, source, flags)
    }

    fn native(&self, compiler: &str, source: &str, flags: &[String]) -> Result<Option<PathBuf>> {
        let source = self.source(source);
        let skipped = |why: &str| eprintln!("  skipped: peer {}, {why}", source.display());
        let there =
            |command: &mut Command| command.output().is_ok_and(|done| done.status.success());
        if !there(Command::new(compiler).arg("--version")) {
            skipped(&format!("there is no {compiler}"));
            return Ok(None);
        }
        let library = |flag: &&String| flag.starts_with("-l");
        for flag in flags.iter().filter(library) {
            let mut probe = Command::new("sh");
            probe.args([
                "-c",
                "echo 'int main(void){return 0;}' | \"$0\" -x c - -o /dev/null \"$1\"",
            ]);
            if !there(probe.args([compiler, flag])) {
                skipped(&format!("there is no library for {flag}; make bench-peers installs it"));
                return Ok(None);
            }
        }
        // A source with other flags is another program.
        let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
        let flags_name: String = flags.iter().flat_map(|flag| flag.chars()).filter(plain).collect();
        let stem = source.file_stem().unwrap_or_default().to_string_lossy();
        let program = self.out(&format!("{stem}{flags_name}"));
        let mut command = Command::new(compiler);
        if Path::new(&source).extension().is_some_and(|e| e == "cpp") {
            command.arg("-std=c++20");
        }
        command.args(["-O3", "-march=native", "-funroll-loops", "-fopenmp", "-o"]);
        output(command.arg(&program).arg(&source).args(flags).arg("-lm"))?;
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

/// `timeout …`, for a program that is added: what runs for ten minutes is taken to hang.
#[must_use]
pub fn limited() -> Command {
    let mut command = Command::new(LIMITED[0]);
    command.args(&LIMITED[1..]);
    command
}

const LIMITED: [&str; 4] = ["timeout", "-k", "5", "600"];
/// What `timeout` returns when it had to end a program.
const ENDED: i32 = 124;

/// A command as one would type it, without the limit.
fn title(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    let limited = words.len() > LIMITED.len() && words[..LIMITED.len()] == LIMITED;
    words[if limited { LIMITED.len() } else { 0 }..].join(" ")
}

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// When it cannot be started or fails; with what it said on stderr.
pub fn output(command: &mut Command) -> Result<String> {
    let what = title(command);
    let done = command.output().with_context(|| format!("starting `{what}`"))?;
    said(&what, &done)
}

fn said(what: &str, done: &std::process::Output) -> Result<String> {
    if done.status.code() == Some(ENDED) {
        bail!("`{what}` was ended after {} s", LIMITED[3]);
    }
    if !done.status.success() {
        bail!(
            "`{what}` failed ({}): {}",
            done.status,
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The prepared data set of this name, made if it is not there: the directory that holds it.
///
/// # Errors
/// When `bench/data/prepare-NAME` fails; with what it said.
pub fn data_set(place: &Place, name: &str) -> Result<PathBuf> {
    let root = std::env::var_os("MOBULA_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| place.out("../data"));
    let mut prepare = Command::new(place.source(&format!("bench/data/prepare-{name}")));
    Ok(output(prepare.arg(&place.bin).arg(root))?.trim().into())
}

/// Runs a command to its end as [`output`] does, and looks at the memory of its processes meanwhile: also
/// returns the most that they had at once, KiB, each page counted once.
///
/// # Errors
/// As [`output`].
pub fn observed(command: &mut Command) -> Result<(String, f64)> {
    let what = title(command);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.with_context(|| format!("starting `{what}`"))?;
    let root = child.id();
    let ended = std::sync::atomic::AtomicBool::new(false);
    let (done, most) = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut most = 0.0f64;
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                most = most.max(below(root).into_iter().map(shared_once_kib).sum());
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            most
        });
        let done = child.wait_with_output();
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        (done, looking.join().unwrap_or(0.0))
    });
    Ok((said(&what, &done?)?, most))
}

/// A process and all that descend from it and have not been left by a parent.
fn below(root: u32) -> Vec<u32> {
    let parent_of = |entry: std::fs::DirEntry| -> Option<(u32, u32)> {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name before it may hold anything: behind its parenthesis come the state and the parent.
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        Some((pid, parent))
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<_> = entries.filter_map(parent_of).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(pid, _)| pid));
        next += 1;
    }
    found
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
