//! Guests that say at their top how they are compiled and run and what comes of it, and the trying
//! of that. The lines are `// NAME: VALUE`:
//!
//! ```text
//! compile   a command; must succeed and say nothing on stderr    run     a command, at most one
//! expect    a line of stdout, all of them in order;              exit    its exit code
//!           a `*` at the end stands for any rest                 stderr  occurs on stderr
//! ```

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The values of the lines with this name.
fn lines<'a>(source: &'a str, name: &str) -> Vec<&'a str> {
    let prefix = format!("// {name}:");
    source
        .lines()
        .filter_map(|line| line.strip_prefix(&prefix))
        .map(|text| text.strip_prefix(' ').unwrap_or(text))
        .collect()
}

/// Runs a line of shell with `mobula` on the path; one that does not end in time is killed. Its
/// output goes to files, so that no pipe fills up meanwhile.
fn shell(line: &str, dir: &Path) -> Output {
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
        if start.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("no end after two minutes: {line}");
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
        let source = file.extension().is_some_and(|ext| ext == "c" || ext == "cpp");
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

/// Tries one source; tells whether it had a run line.
pub fn try_source(source: &Path, dir: &Path) -> bool {
    let text = std::fs::read_to_string(source).unwrap();
    let name = source.file_name().unwrap().display();
    for line in lines(&text, "compile") {
        let done = shell(line, dir);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success() && said.is_empty(), "{name}: {line}: {said}");
    }
    let run = lines(&text, "run");
    for line in &run {
        let done = shell(line, dir);
        let said = String::from_utf8_lossy(&done.stderr);
        let printed = String::from_utf8_lossy(&done.stdout);
        let code: i32 = lines(&text, "exit")[0].parse().unwrap();
        assert_eq!(done.status.code(), Some(code), "{name}: {line}: {printed}{said}");
        let printed: Vec<_> = printed.lines().collect();
        let expected = lines(&text, "expect");
        let good = printed.len() == expected.len()
            && printed.iter().zip(&expected).all(|(line, expected)| fits(line, expected));
        assert!(good, "{name}: printed {printed:#?}, expected {expected:#?}");
        for expected in lines(&text, "stderr") {
            assert!(said.contains(expected), "{name}: not on stderr: {expected}\n{said}");
        }
    }
    !run.is_empty()
}
