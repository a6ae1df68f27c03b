//! Every example says at its top how it is compiled and run and what it prints; here that is tried,
//! in the sandbox and as a native program.

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
/// chained by name becomes a shared object.
fn native_compile(line: &str, chained: &[String]) -> String {
    let mut native = line.replace("mobula cc ", "mobula cc --native ");
    native = native.replace("mobula c++ ", "mobula c++ --native ");
    for module in chained {
        let name = module.trim_end_matches(".wasm");
        native = native.replace(&format!("-o {module}"), &format!("-shared -o {name}.so"));
    }
    native.replace(".wasm", "")
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

/// Copies the C and C++ sources of a directory, so that outputs lie beside them and not in the
/// tree.
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

/// Runs the compile lines, which have nothing to say, then the run lines, which print what they
/// should.
fn try_lines(source: &Path, dir: &Path, compile: &[String], run: &[String]) {
    let text = std::fs::read_to_string(source).unwrap();
    for line in compile {
        let done = shell(line, dir);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success() && said.is_empty(), "{}: {line}: {said}", source.display());
    }
    for line in run {
        let done = shell(line, dir);
        let said = String::from_utf8_lossy(&done.stderr);
        let code: i32 = lines(&text, "exit")[0].parse().unwrap();
        assert_eq!(done.status.code(), Some(code), "{}: {line}: {said}", source.display());
        let printed = String::from_utf8_lossy(&done.stdout);
        let expected = lines(&text, "expect");
        assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "{}: {line}", source.display());
    }
}

/// Tries one source in the sandbox; tells whether it had a run line.
fn try_example(source: &Path, dir: &Path) -> bool {
    let text = std::fs::read_to_string(source).unwrap();
    let of = |name| lines(&text, name).into_iter().map(str::to_owned).collect::<Vec<_>>();
    try_lines(source, dir, &of("compile"), &of("run"));
    !of("run").is_empty()
}

/// Tries one source as a native program.
fn try_native(source: &Path, dir: &Path) -> bool {
    let text = std::fs::read_to_string(source).unwrap();
    let run = lines(&text, "run");
    let all: Vec<_> = run.iter().flat_map(|line| words(line)).collect();
    let with = all.windows(2).filter(|pair| pair[0] == "--with");
    let chained: Vec<_> = with.map(|pair| pair[1].clone()).collect();
    let compile = lines(&text, "compile");
    let compile: Vec<_> = compile.iter().map(|line| native_compile(line, &chained)).collect();
    let run: Vec<_> = run.iter().map(|line| native_run(line)).collect();
    try_lines(source, dir, &compile, &run);
    !run.is_empty()
}

/// Tries every example of the tree in its own copy.
fn try_all(try_one: fn(&Path, &Path) -> bool) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/examples");
    for (folder, least) in [("", 11), ("chain_named", 1)] {
        let dir = tempfile::tempdir().unwrap();
        let sources = copy_sources(&examples.join(folder), dir.path());
        let tried = sources.iter().filter(|source| try_one(source, dir.path())).count();
        assert!(tried >= least, "{tried} examples in {folder:?} have a run line");
    }
}

#[test]
fn every_example_prints_what_it_says() {
    try_all(try_example);
}

#[test]
fn every_example_prints_the_same_as_a_native_program() {
    try_all(try_native);
}

/// A small data set of the layout in `sgd_core.h`: the label is whether the second number is
/// positive.
fn flights(rows: u32) -> Vec<u8> {
    let mut data = b"MOBSGD01".to_vec();
    for number in [rows, 64, 16, 31, 128, 65536, rows / 2] {
        data.extend(number.to_le_bytes());
    }
    data.resize(65536, 0);
    for row in 0..rows {
        let late = row % 2;
        let number = if late == 1 { 1.0_f32 } else { -1.0 };
        for at in 0..16 {
            let dense = [1.0, number].get(at).copied().unwrap_or(0.0_f32);
            data.extend(dense.to_le_bytes());
        }
        for slot in 0..31_u16 {
            data.extend(((16 + slot) * 4).to_le_bytes());
        }
        data.extend((late as u16).to_le_bytes());
    }
    data
}

/// The last objective in the result of the SGD example.
fn objective(done: &Output) -> f64 {
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let result: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    result["epochs"].as_array().unwrap().last().unwrap()["objective"].as_f64().unwrap()
}

#[test]
fn sgd_learns_the_same_in_the_sandbox_and_natively() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("data"), flights(2048)).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/examples/sgd/sgd.cpp");
    for compile in ["mobula c++ -o sgd.wasm", "mobula c++ --native -o sgd"] {
        let done = shell(&format!("{compile} {}", source.display()), dir.path());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let options = "--epochs 2 --quiet --workers 1 --blocks 4";
    let state = "--state demo/train=data --state demo/test=data --output -";
    let sandbox = shell(&format!("mobula run sgd.wasm {state} -- {options}"), dir.path());
    let state = "MOBULA_STATE=demo/train=data,demo/test=data MOBULA_OUTPUT=-";
    let native = shell(&format!("env {state} ./sgd {options}"), dir.path());
    let (sandbox, native) = (objective(&sandbox), objective(&native));
    // Fused and unfused sums round differently.
    assert!((sandbox - native).abs() < 1e-4 && native < 0.6, "{sandbox} {native}");
}
