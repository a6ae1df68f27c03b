//! Guests that say at their top how they are compiled and run and what comes of it, and the trying
//! of that. The lines are `// NAME: VALUE`, or `# NAME: VALUE` in Python:
//!
//! ```text
//! compile   a command; must succeed and say nothing on stderr    run     a command, at most one
//! expect    a line of stdout, all of them in order;              exit    its exit code
//!           a `*` at the end stands for any rest                 stderr  occurs on stderr
//! ```
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The values of the lines with this name.
fn lines<'a>(source: &'a str, name: &str) -> Vec<&'a str> {
    let mark = format!(" {name}:");
    source
        .lines()
        .filter_map(|line| line.strip_prefix("//").or_else(|| line.strip_prefix('#')))
        .filter_map(|line| line.strip_prefix(mark.as_str()))
        .map(|text| text.strip_prefix(' ').unwrap_or(text))
        .collect()
}

/// The words of a line of shell, without the quotes around them.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// The native form of a compile line: the same command with `--native` and without `.wasm`; what is
/// chained by name becomes a shared object. Without warnings: GCC 12 has wrong ones for Eigen with
/// AVX-512.
fn native_compile(line: &str, chained: &[String]) -> String {
    let mut native = line.to_owned();
    for compiler in ["mobula cc ", "mobula c++ ", "mobula rustc "] {
        native = native.replace(compiler, &format!("{compiler}--native "));
    }
    // In Rust what is chained by name is a program.
    for module in chained.iter().filter(|_| !line.contains(" rustc ")) {
        let name = module.trim_end_matches(".wasm");
        native = native.replace(&format!("-o {module}"), &format!("-shared -o {name}.so"));
    }
    native.replace(".wasm", "").replace(" -Wall -Wextra -Werror", "")
}

/// The native form of a run line: what are options of `mobula run` are settings in the environment.
fn native_run(line: &str) -> String {
    let mut settings = String::new();
    let mut program = String::new();
    let mut words = words(line).into_iter().skip(2);
    while let Some(word) = words.next() {
        let name = match word.as_str() {
            "--input" => "MOBULA_INPUT",
            "--output" => "MOBULA_OUTPUT",
            "--threads" => "MOBULA_THREADS",
            "--input-file" => "MOBULA_INPUT_FILE",
            "--with" => {
                words.next();
                continue;
            }
            other => {
                assert!(other.ends_with(".wasm"), "no native form of {other} in: {line}");
                program = format!("./{}", other.trim_end_matches(".wasm"));
                continue;
            }
        };
        settings += &format!("{name}='{}' ", words.next().expect("an option has a value"));
    }
    format!("env {settings}{program}")
}

/// Runs a line of shell with `mobula` on the path; one that does not end in time is killed. Its
/// output goes to files, so that no pipe fills up meanwhile.
pub fn shell(line: &str, dir: &Path) -> Output {
    let bin = Path::new(env!("CARGO_BIN_EXE_mobula")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let said = |name| dir.join(format!(".said-{name}"));
    let file = |name| Stdio::from(std::fs::File::create(said(name)).unwrap());
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec {line}")])
        .current_dir(dir)
        .env("PATH", path)
        .stdout(file("out"))
        .stderr(file("err"))
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(300) {
            child.kill().unwrap();
            panic!("no end after five minutes: {line}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |name| std::fs::read(said(name)).unwrap();
    Output { status, stdout: read("out"), stderr: read("err") }
}

/// Copies the sources of a directory, so that outputs lie beside them and not in the tree. Returns
/// the copies of what can be compiled.
pub fn copy_sources(from: &Path, to: &Path) -> Vec<PathBuf> {
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(from).unwrap() {
        let file = entry.unwrap().path();
        let source = ["c", "cpp", "py", "rs"];
        let source = file.extension().is_some_and(|ext| source.iter().any(|known| ext == *known));
        if source || file.extension().is_some_and(|ext| ext == "h") {
            let copy = to.join(file.file_name().unwrap());
            std::fs::copy(&file, &copy).unwrap();
            copies.extend(source.then_some(copy));
        }
    }
    copies
}

fn fits(printed: &str, expected: &str) -> bool {
    match expected.strip_suffix('*') {
        Some(start) => printed.starts_with(start),
        None => printed == expected,
    }
}

/// Runs the compile lines, which have nothing to say, then the run lines, which print what they
/// should. Returns what came on stderr.
fn try_lines(text: &str, dir: &Path, compile: &[String], run: &[String]) -> String {
    for line in compile {
        let done = shell(line, dir);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success() && said.is_empty(), "{line}: {said}");
    }
    let mut all = String::new();
    for line in run {
        let done = shell(line, dir);
        let said = String::from_utf8_lossy(&done.stderr);
        let printed = String::from_utf8_lossy(&done.stdout);
        let code: i32 = lines(text, "exit")[0].parse().unwrap();
        assert_eq!(done.status.code(), Some(code), "{line}: {printed}{said}");
        let printed: Vec<_> = printed.lines().collect();
        let expected = lines(text, "expect");
        let good = printed.len() == expected.len()
            && printed.iter().zip(&expected).all(|(line, expected)| fits(line, expected));
        assert!(good, "{line}: printed {printed:#?}, expected {expected:#?}");
        all += &said;
    }
    all
}

fn values(text: &str, name: &str) -> Vec<String> {
    lines(text, name).into_iter().map(str::to_owned).collect()
}

/// Tries one source in the sandbox; tells whether it had a run line.
pub fn try_source(source: &Path, dir: &Path) -> bool {
    let text = std::fs::read_to_string(source).unwrap();
    let run = values(&text, "run");
    let said = try_lines(&text, dir, &values(&text, "compile"), &run);
    for expected in lines(&text, "stderr") {
        assert!(said.contains(expected), "not on stderr: {expected}\n{said}");
    }
    !run.is_empty()
}

/// Tries one source with `mobula run` started by each of `launches`, commands that start ranks; what
/// comes on stderr is not looked at, since the launcher speaks there too.
pub fn try_ranks(source: &Path, dir: &Path, launches: &[String]) {
    let text = std::fs::read_to_string(source).unwrap();
    let run = values(&text, "run").into_iter().flat_map(|line| {
        let with = move |launch| line.replace("mobula run ", &format!("{launch} mobula run "));
        launches.iter().map(with)
    });
    let run: Vec<_> = run.collect();
    try_lines(&text, dir, &values(&text, "compile"), &run);
}

/// Tries one source as a native program, where a call that is refused may end it: what comes on
/// stderr is not looked at.
pub fn try_native(source: &Path, dir: &Path) -> bool {
    let text = std::fs::read_to_string(source).unwrap();
    let run = lines(&text, "run");
    let all: Vec<_> = run.iter().flat_map(|line| words(line)).collect();
    let with = all.windows(2).filter(|pair| pair[0] == "--with");
    let chained: Vec<_> = with.map(|pair| pair[1].clone()).collect();
    let compile = lines(&text, "compile");
    let compile: Vec<_> = compile.iter().map(|line| native_compile(line, &chained)).collect();
    let run: Vec<_> = run.iter().map(|line| native_run(line)).collect();
    try_lines(&text, dir, &compile, &run);
    !run.is_empty()
}
