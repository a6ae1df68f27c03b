//! What the launcher's tests share: the binary as people use it, guests, a watchdog.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub const MOBULA: &str = env!("CARGO_BIN_EXE_mobula");
/// How long any child may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a child did.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Done {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

/// Waits for a child; kills it and fails when it takes too long.
pub fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("no end of {child:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn run(command: &mut Command) -> Done {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let code = wait(&mut child).code();
    Done { code, stdout: out.join().unwrap(), stderr: err.join().unwrap() }
}

/// A directory with guests in it and a cache of its own.
pub struct Place {
    pub dir: tempfile::TempDir,
}

/// One cache for the headers and modules of all tests but those about the cache.
pub static CACHE: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// `mobula` in this directory.
    pub fn mobula(&self, args: &[&str]) -> Command {
        let mut command = Command::new(MOBULA);
        command.args(args).current_dir(self.dir.path()).env("MOBULA_CACHE", CACHE.path());
        // Nothing of the person who runs the tests is read or changed.
        command.env_remove("MOBULA_STORE").env("XDG_DATA_HOME", self.path("data-home"));
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        run(&mut self.mobula(args))
    }

    /// Runs what must end with 0; its output.
    pub fn good(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, Some(0), "{args:?}: {done:?}");
        done.text().to_owned()
    }

    /// Compiles C to `NAME.wasm`.
    pub fn cc(&self, name: &str, source: &str) -> &Self {
        self.compile("cc", &format!("{name}.c"), name, source)
    }

    /// Compiles C++ to `NAME.wasm`.
    pub fn cxx(&self, name: &str, source: &str) -> &Self {
        self.compile("c++", &format!("{name}.cpp"), name, source)
    }

    pub fn compile(&self, command: &str, file: &str, name: &str, source: &str) -> &Self {
        self.write(file, source);
        let done = self.run(&[
            command,
            "-Wall",
            "-Wextra",
            "-Werror",
            "-o",
            &format!("{name}.wasm"),
            file,
        ]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        self
    }
}
