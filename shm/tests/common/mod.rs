//! What the tests with several processes share: children that are this very test binary, and a
//! watchdog.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Ends the process if it is not dropped in time: a test that hangs must not hang the suite.
#[derive(Debug)]
pub struct Watchdog(#[allow(dead_code, reason = "dropping it is its use")] mpsc::Sender<()>);

impl Watchdog {
    pub fn new() -> Self {
        let (alive, watched) = mpsc::channel();
        std::thread::spawn(move || {
            if watched.recv_timeout(Duration::from_secs(120))
                == Err(mpsc::RecvTimeoutError::Timeout)
            {
                eprintln!("watchdog: a test hangs");
                std::process::abort();
            }
        });
        Self(alive)
    }
}

/// Another process that runs the ignored test `role` of this binary, and answers line by line.
#[derive(Debug)]
pub struct Role {
    pub process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Role {
    pub fn start(role: &str, argument: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("we run"))
            .args(["--exact", role, "--ignored", "--nocapture", "--test-threads=1"])
            .env("MOBULA_SHM_TEST", argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("our own binary starts");
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        Self { process, input, output }
    }

    /// The next line that the child says with [`say`]; the harness's own lines are skipped.
    pub fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("the pipe works");
            assert!(read > 0, "the child ended without an answer");
            // The harness prints "test NAME ... " in front of what the first test says.
            if let Some((_, said)) = line.split_once("SAY ") {
                return said.trim_end().to_owned();
            }
        }
    }

    pub fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the child listens");
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        self.process.kill().expect("it is our child");
        self.process.wait().expect("it is our child");
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // Already gone after `kill`; else the test failed and the child must not stay.
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// In a child: what the parent passed to [`Role::start`]. `None` if a person runs `--ignored`.
pub fn argument() -> Option<String> {
    std::env::var("MOBULA_SHM_TEST").ok()
}

/// In a child: a line for [`Role::hear`].
pub fn say(line: &str) {
    println!("SAY {line}");
}

/// In a child: waits for a line from [`Role::tell`].
pub fn listen() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("the pipe works");
    line.trim_end().to_owned()
}
