//! The guest API for C and C++, by guests that check one header each (`guest-lib/tests`). They say
//! at their top how they are compiled and run and what comes of it.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/tests")
}

/// Compiles and runs `NAME.cpp`.
fn guest(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    common::copy_sources(&tests(), dir.path());
    assert!(common::try_source(&dir.path().join(format!("{name}.cpp")), dir.path()), "no run line");
}

/// A test for every file, so that one which nobody runs does not go unnoticed.
macro_rules! guests {
    ($($name:ident: $what:ident),* $(,)?) => {
        $(#[test] fn $what() { guest(stringify!($name)); })*

        #[test]
        fn every_guest_has_a_test() {
            let mut files: Vec<_> = std::fs::read_dir(tests())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".cpp"))
                .collect();
            files.sort();
            assert_eq!(files, [$(concat!(stringify!($name), ".cpp")),*]);
        }
    };
}

guests! {
    blas: linear_algebra_by_the_host,
    counter: no_increment_of_a_counter_is_lost,
    locals: thread_local_variables_and_errno,
    matrix: dense_matrices_in_state,
    pointers: entries_by_their_address,
    pool: pools_await_every_call,
    random: random_numbers_are_seeded_and_kept_in_range,
    sgd: gradient_descent_lowers_the_loss,
    sparse: sparse_matrices_in_state,
    state: masks_arrays_and_all_generations,
    text: input_files_printing_and_time,
}

/// Those that ask for nothing which native programs do without: directories of the guest, the module
/// itself under another name.
#[test]
fn guests_as_native_programs() {
    for name in ["blas", "counter", "matrix", "pointers", "random", "sgd", "sparse", "state"] {
        let dir = tempfile::tempdir().unwrap();
        common::copy_sources(&tests(), dir.path());
        let source = dir.path().join(format!("{name}.cpp"));
        assert!(common::try_native(&source, dir.path()), "no run line");
    }
}

#[test]
fn every_header_in_two_translation_units() {
    let dir = tempfile::tempdir().unwrap();
    common::copy_sources(&tests().join("units"), dir.path());
    assert!(common::try_source(&dir.path().join("main.cpp"), dir.path()), "no run line");
}

/// Compiles a program that includes matrix.h, with MOBULA_EIGEN set to this; what stderr says.
fn with_eigen(path: &Path, options: &[&str]) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("m.cpp"), "#include <faasm/matrix.h>\n").unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_mobula"))
        .args(["c++", "-c", "m.cpp"])
        .args(options)
        .current_dir(&dir)
        .env("MOBULA_EIGEN", path)
        .output()
        .unwrap();
    (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
}

#[test]
fn eigen_is_where_mobula_eigen_says() {
    let (good, said) = with_eigen(Path::new("/usr/include/eigen3"), &[]);
    assert!(good && said.is_empty(), "{said}");
    let dir = tempfile::tempdir().unwrap();
    let (good, said) = with_eigen(dir.path(), &[]);
    assert!(!good && said.contains("which has no Eigen/Core"), "{said}");
}

/// A directory that passes for Eigen and lacks what matrix.h needs; the system's is out of sight.
#[test]
fn a_missing_eigen_says_what_to_install() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("Eigen")).unwrap();
    std::fs::write(dir.path().join("Eigen/Core"), "").unwrap();
    let (good, said) = with_eigen(dir.path(), &["-nostdinc"]);
    assert!(!good && said.contains("apt-get install libeigen3-dev"), "{said}");
}
