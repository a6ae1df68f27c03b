//! A full /dev/shm is an error with numbers, never SIGBUS.
//!
//! The child gets a mount namespace of its own with 72 MiB of /dev/shm, which takes root.

use std::process::Command;

use mobula_shm::{Alignment, Arena, ArenaOptions, Error};

const MIB: u64 = 1 << 20;

#[test]
fn a_full_file_system_is_an_error() {
    // 77: not permitted here. The shell keeps the exit code of the test otherwise.
    let script = r#"mount -t tmpfs -o size=72m,mode=1777 tmpfs /dev/shm || exit 77
exec "$0" --exact role_fill --ignored --nocapture --test-threads=1"#;
    let child = Command::new("unshare")
        .args(["-m", "--", "sh", "-c", script])
        .arg(std::env::current_exe().expect("we run"))
        .env("MOBULA_SHM_TEST", "fill")
        .output();
    let child = match child {
        Ok(child) => child,
        Err(err) => return println!("skipped: no unshare: {err}"),
    };
    let (out, err) = (text(&child.stdout), text(&child.stderr));
    if child.status.code() == Some(77) || err.contains("unshare failed") {
        return println!("skipped: a mount namespace is not permitted here: {err}");
    }
    assert!(child.status.success(), "{:?}\n{out}\n{err}", child.status);
    assert!(out.contains("FILLED"), "the role did not run:\n{out}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
#[ignore = "a role of a_full_file_system_is_an_error"]
fn role_fill() {
    if std::env::var_os("MOBULA_SHM_TEST").is_none() {
        return;
    }
    let options = ArenaOptions { capacity: 1024 * MIB, numa_node: None };
    let arena = Arena::create_private(options).expect("sparse");
    let some = arena.alloc(MIB, Alignment::Chunk).expect("there is enough");
    some.view().copy_in(0, &[1; 1 << 20]).expect("has memory");
    // So much that several system calls allocate it, the first of which succeeds.
    let refused = arena.alloc(100 * MIB, Alignment::Chunk).expect_err("more than there is");
    let Error::NoSpace { need, free, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*need, 100 * MIB);
    assert!((70 * MIB..71 * MIB).contains(free), "{free}");
    let said = refused.to_string();
    assert!(said.contains("104857600 bytes needed") && said.contains("/dev/shm"), "{said}");
    // What was refused has taken nothing: all that is free can still be had, and touched.
    let stats = arena.stats();
    let rest = arena.alloc(*free, Alignment::Chunk).expect("exactly what is free");
    rest.view().copy_in(0, &vec![2; rest.view().len()]).expect("has memory");
    arena.alloc(1, Alignment::Chunk).expect_err("full to the last page");
    assert_eq!(arena.stats().allocated, stats.allocated + rest.len());
    let none = Arena::create_private(options).expect_err("no page for a header");
    assert!(matches!(none, Error::NoSpace { need: 4096, free: 0, .. }), "{none}");
    drop(some);
    arena.alloc(MIB, Alignment::Chunk).expect("free again");
    println!("FILLED");
}
