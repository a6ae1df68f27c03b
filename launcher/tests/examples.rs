//! Every example says at its top how it is compiled and run and what it prints; here that is tried.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The `// NAME: VALUE` lines of a source.
fn lines<'a>(source: &'a str, name: &str) -> Vec<&'a str> {
    let prefix = format!("// {name}:");
    source
        .lines()
        .filter_map(|line| line.strip_prefix(&prefix))
        .map(|text| text.strip_prefix(' ').unwrap_or(text))
        .collect()
}

/// Runs a line of shell with `mobula` on the path; one that does not end within a minute is killed.
fn shell(line: &str, dir: &Path) -> Output {
    let bin = Path::new(env!("CARGO_BIN_EXE_mobula")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec {line}")])
        .current_dir(dir)
        .env("PATH", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("no end after a minute: {line}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// Copies the C and C++ sources of a directory, so that outputs lie beside them and not in the tree.
fn copy_sources(from: &Path, to: &Path) -> Vec<PathBuf> {
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(from).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|ext| ext == "c" || ext == "cpp") {
            let copy = to.join(file.file_name().unwrap());
            std::fs::copy(&file, &copy).unwrap();
            copies.push(copy);
        }
    }
    copies
}

/// Tries one source; tells whether it had a run line.
fn try_example(source: &Path, dir: &Path) -> bool {
    let text = std::fs::read_to_string(source).unwrap();
    let run = lines(&text, "run");
    for line in lines(&text, "compile") {
        let done = shell(line, dir);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success() && said.is_empty(), "{}: {line}: {said}", source.display());
    }
    for line in &run {
        let done = shell(line, dir);
        let said = String::from_utf8_lossy(&done.stderr);
        let code: i32 = lines(&text, "exit")[0].parse().unwrap();
        assert_eq!(done.status.code(), Some(code), "{}: {line}: {said}", source.display());
        let printed = String::from_utf8_lossy(&done.stdout);
        let expected = lines(&text, "expect");
        assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "{}", source.display());
    }
    !run.is_empty()
}

#[test]
fn every_example_prints_what_it_says() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/examples");
    for (folder, least) in [("", 11), ("chain_named", 1)] {
        let dir = tempfile::tempdir().unwrap();
        let sources = copy_sources(&examples.join(folder), dir.path());
        let tried = sources.iter().filter(|source| try_example(source, dir.path())).count();
        assert!(tried >= least, "{tried} examples in {folder:?} have a run line");
    }
}
