//! POSIX for guests: what they can do behaves, what they cannot says so in errno.

use std::path::Path;
use std::process::{Command, Output, Stdio};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// Compiles `guest-lib/tests/posix/SOURCE` without a warning.
    fn with(source: &str, options: &[&str]) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/tests/posix");
        let compiler = if source.ends_with(".cpp") { "c++" } else { "cc" };
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobula"));
        command.args([compiler, "-Wall", "-Wextra", "-Wno-deprecated-declarations"]).args(options);
        command.arg(source).current_dir(sources);
        command.arg("-o").arg(place.dir.path().join("guest.wasm"));
        let done = command.output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.is_empty(), "{source}: {said}");
        place
    }

    fn run(&self, options: &[&str], args: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobula"));
        command.arg("run").args(options).arg("guest.wasm").arg("--").args(args);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    /// Runs a guest that checks itself and says so at the end.
    fn succeeds(&self, options: &[&str], args: &[&str], says: &str) -> String {
        let (code, printed, said) = self.run(options, args);
        assert_eq!((code, printed.as_str()), (Some(0), says), "{said}");
        said
    }
}

#[test]
fn files_and_directories_in_preopened_places() {
    let place = Place::with("files.c", &[]);
    for dir in ["data", "tmp"] {
        std::fs::create_dir(place.dir.path().join(dir)).unwrap();
    }
    let options = ["--dir", "data:/data", "--dir", "tmp:/tmp"];
    place.succeeds(&options, &[], "files ok\n");
    let text = std::fs::read_to_string(place.dir.path().join("data/text")).unwrap();
    assert_eq!(text, "one 1\ntwo\nthree\n");
    assert_eq!(std::fs::read_dir(place.dir.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn mappings_as_lax_as_on_linux_and_the_program_break() {
    let limit = ["--max-memory", "256M"];
    Place::with("memory.c", &[]).succeeds(&limit, &[], "memory ok\n");
}

#[test]
fn processes_users_signals_limits_threads() {
    Place::with("process.c", &[]).succeeds(&[], &[], "process ok\n");
}

#[test]
fn sockets_and_look_ups() {
    Place::with("sockets.c", &[]).succeeds(&[], &[], "sockets ok\n");
}

#[test]
fn environment_arguments_time_host() {
    let place = Place::with("system.c", &[]);
    let args = ["-a", "-b", "value", "--long=7", "rest"];
    let said = place.succeeds(&["--env", "COLOUR=blue"], &args, "system ok\n");
    assert_eq!(said, "guest: to the log\n");
}

#[test]
fn headers_of_c_and_cpp_together() {
    Place::with("headers.cpp", &[]).succeeds(&[], &[], "headers ok\n");
}

#[test]
fn a_programs_own_functions_take_the_place_of_ours() {
    Place::with("own.c", &[]).succeeds(&[], &[], "own ok\n");
}

#[test]
fn a_program_ends_as_it_says() {
    let place = Place::with("ends.c", &[]);
    let end = |how| {
        let (code, printed, said) = place.run(&[], &[how]);
        (code.unwrap(), printed, said)
    };
    assert_eq!(end("").0, 3);
    assert_eq!(end("exit"), (7, "begin\nat exit\n".to_owned(), String::new()));
    assert_eq!(end("_exit"), (8, "begin\n".to_owned(), String::new()));
    for how in ["abort", "raise"] {
        let (code, printed, _) = end(how);
        assert_eq!((code, printed.as_str()), (101, "begin\n"), "{how}");
    }
    let (code, printed, said) = end("assert");
    assert_eq!((code, printed.as_str()), (101, "begin\n"));
    assert!(said.contains("Assertion failed: argc == 0"), "{said}");
}

#[test]
fn the_stack_is_as_large_as_asked() {
    assert_eq!(Place::with("ends.c", &["-O0"]).run(&[], &["stack"]).0, Some(101));
    for size in [["--stack-size", "4M"], ["-Wl,-z,stack-size=4194304", "-O0"]] {
        let (code, _, said) =
            Place::with("ends.c", &[size[0], size[1], "-O0"]).run(&[], &["stack"]);
        assert_eq!(code, Some(0), "{size:?}: {said}");
    }
}

#[test]
fn what_is_not_used_is_not_in_the_module() {
    let place = Place { dir: tempfile::tempdir().unwrap() };
    let source = "int main(void) { return 0; }\n";
    std::fs::write(place.dir.path().join("small.c"), source).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobula"));
    command.args(["cc", "-o", "guest.wasm", "small.c", "-Wl,--strip-all"]);
    let done = command.current_dir(place.dir.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let size = std::fs::metadata(place.dir.path().join("guest.wasm")).unwrap().len();
    assert!(size < 4096, "an empty program has {size} bytes");
    assert_eq!(place.run(&[], &[]).0, Some(0));
}
