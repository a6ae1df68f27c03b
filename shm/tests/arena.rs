//! Arenas: allocation, what a block keeps, who may attach, and that nothing stays in /dev/shm.

#[allow(dead_code, reason = "each test file uses its part")]
mod common;

use std::fs;
use std::os::fd::AsFd;
use std::slice::from_ref;

use common::{Role, Watchdog, argument, listen, say};
use mobula_shm::{Alignment, Arena, ArenaOptions, Errno, Error, HUGE_BYTES, Placement, WhyUnbound};
use nix::sys::stat::fstat;

fn options(capacity: u64) -> ArenaOptions {
    ArenaOptions { capacity, numa_node: None }
}

fn private() -> Arena {
    Arena::create_private(options(64 << 20)).expect("an arena")
}

fn unique(what: &str) -> String {
    format!("mobula-test-{}-{what}", std::process::id())
}

/// Names in /dev/shm that contain `part`.
fn names(part: &str) -> Vec<String> {
    let names = fs::read_dir("/dev/shm").expect("it is there").filter_map(Result::ok);
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(part)).collect()
}

/// Memory that the arena's file has, in bytes.
fn memory(arena: &Arena) -> i64 {
    fstat(arena.fd()).expect("an open file").st_blocks * 512
}

#[test]
fn blocks_are_aligned_zero_and_have_memory() {
    let arena = private();
    let before = memory(&arena);
    let small = arena.alloc(1, Alignment::Chunk).expect("room");
    let large = arena.alloc(HUGE_BYTES as u64 + 1, Alignment::Huge).expect("room");
    assert_eq!((small.len(), large.len()), (4096, HUGE_BYTES as u64 + 4096));
    assert_eq!(small.file_offset() % 65536, 0);
    assert_eq!(large.file_offset() % HUGE_BYTES as u64, 0);
    assert_ne!(small.file_offset(), 0, "the header is there");
    assert_eq!(memory(&arena) - before, (small.len() + large.len()) as i64, "before any touch");
    let bytes = large.view().read_vec(0, large.view().len()).expect("all of it");
    assert!(bytes.iter().all(|&byte| byte == 0));
    let stats = arena.stats();
    assert_eq!(
        (stats.allocated, stats.high_water),
        (2 * 4096 + HUGE_BYTES as u64, stats.allocated)
    );
}

#[test]
fn a_freed_block_gives_memory_and_range_back_and_comes_back_zero() {
    let arena = private();
    let before = memory(&arena);
    let block = arena.alloc(300_000, Alignment::Chunk).expect("room");
    let (offset, len) = (block.file_offset(), block.len());
    block.view().copy_in(0, &[0xff; 300_000]).expect("inside");
    let (view, clone) = (block.view().sub(5, 10).expect("inside"), block.clone());
    drop(block);
    drop(clone);
    let other = arena.alloc(300_000, Alignment::Chunk).expect("room");
    assert_ne!(other.file_offset(), offset, "a view still keeps the first block");
    assert_eq!(view.get::<u8>(0), Ok(0xff));
    drop(other);
    drop(view);
    assert_eq!(memory(&arena), before);
    assert_eq!((arena.stats().allocated, arena.stats().high_water), (0, 2 * len));
    let again = arena.alloc(300_000, Alignment::Chunk).expect("room");
    assert_eq!(again.file_offset(), offset, "first fit");
    assert!(again.view().read_vec(0, 300_000).expect("inside").iter().all(|&byte| byte == 0));
}

#[test]
fn a_block_outlives_its_arena() {
    let arena = private();
    let block = arena.alloc(4096, Alignment::Chunk).expect("room");
    drop(arena);
    block.view().put(0, 7u64).expect("inside");
    assert_eq!(block.view().get::<u64>(0), Ok(7));
}

#[test]
fn address_range_runs_out_with_numbers() {
    let arena = Arena::create_private(options(4 * 65536)).expect("an arena");
    let blocks: Vec<_> =
        (0..3).map(|_| arena.alloc(1, Alignment::Chunk).expect("three chunks fit")).collect();
    let full = arena.alloc(1, Alignment::Chunk).expect_err("no fourth chunk");
    assert_eq!(full, Error::ArenaFull { need: 65536, longest: 0, capacity: 4 * 65536 });
    drop(blocks);
    arena.alloc(3 * 65536, Alignment::Chunk).expect("the three have joined");
    assert!(matches!(arena.alloc(u64::MAX, Alignment::Chunk), Err(Error::BadSize { .. })));
    assert!(matches!(Arena::create_private(options(65536)), Err(Error::BadSize { .. })));
    assert!(matches!(Arena::create_private(options(u64::MAX)), Err(Error::BadSize { .. })));
}

#[test]
fn threads_allocate_and_free_without_sharing_a_byte() {
    let arena = private();
    std::thread::scope(|scope| {
        for thread in 1..=4u8 {
            let arena = &arena;
            scope.spawn(move || {
                for round in 0..100u64 {
                    let len = 1 + (round * 7919 + u64::from(thread) * 104_729) % 200_000;
                    let block = arena.alloc(len, Alignment::Chunk).expect("room for four");
                    let view = block.view();
                    let fresh = view.read_vec(0, view.len()).expect("all of it");
                    assert!(fresh.iter().all(|&byte| byte == 0), "old bytes in a fresh block");
                    view.copy_in(0, &vec![thread; view.len()]).expect("all of it");
                    std::thread::yield_now();
                    let bytes = view.read_vec(0, view.len()).expect("all of it");
                    assert!(bytes.iter().all(|&byte| byte == thread), "somebody else's bytes");
                }
            });
        }
    });
    assert_eq!(arena.stats().allocated, 0);
}

#[test]
fn memory_is_placed_on_a_node_that_exists_only() {
    let on =
        |node| Arena::create_private(ArenaOptions { capacity: 1 << 20, numa_node: Some(node) });
    match on(0).expect("node 0 exists").placement() {
        Placement::Bound(node) => assert_eq!(node, 0),
        Placement::Unbound(why) => {
            assert!(matches!(why, WhyUnbound::Refused(Errno::EPERM | Errno::ENOSYS)));
            println!("skipped: this machine refuses mbind");
            return;
        }
    }
    for node in [1023, 1024, u32::MAX] {
        let refused = on(node).expect_err("no machine here has it");
        assert!(
            matches!(refused, Error::Sys { op: "mbind", errno: Errno::EINVAL, .. }),
            "{refused}"
        );
    }
}

#[test]
fn the_default_capacity_can_be_mapped() {
    let capacity = Arena::default_capacity().expect("there is a /dev/shm");
    let arena = Arena::create_private(options(capacity)).expect("sparse");
    assert_eq!(arena.capacity(), capacity);
    let fs = nix::sys::statvfs::statvfs("/dev/shm").expect("it is there");
    assert!(capacity >= fs.blocks() * fs.fragment_size(), "memory runs out first");
}

#[test]
fn a_name_lasts_until_it_is_unlinked_or_dropped() {
    let name = unique("name");
    let mut arena = Arena::create(&name, options(1 << 20)).expect("a fresh name");
    assert_eq!(names(&name), from_ref(&name));
    let taken = Arena::create(&name, options(1 << 20)).expect_err("taken");
    assert!(matches!(taken, Error::Sys { op: "shm_open", errno: Errno::EEXIST, .. }), "{taken}");
    assert_eq!(names(&name), from_ref(&name), "a refused creator removes nothing");
    let attached = Arena::attach(&name).expect("it is there");
    drop(attached);
    assert_eq!(names(&name), from_ref(&name), "who attached removes nothing");
    arena.unlink().expect("ours");
    assert!(names(&name).is_empty());
    arena.unlink().expect("nothing left to do");
    drop(Arena::create(&name, options(1 << 20)).expect("free again"));
    assert!(names(&name).is_empty(), "dropped");
    let gone = Arena::attach(&name).expect_err("gone");
    assert!(matches!(gone, Error::Sys { errno: Errno::ENOENT, .. }), "{gone}");
}

#[test]
fn a_failed_create_leaves_no_name() {
    let name = unique("failed");
    let options = ArenaOptions { capacity: 1 << 20, numa_node: Some(5000) };
    Arena::create(&name, options).expect_err("there is no such node");
    assert!(names(&name).is_empty());
}

#[test]
fn bad_names_are_refused() {
    for name in ["", "a/b", "../x", ".", "..", "a\0b", &"x".repeat(201)] {
        let bad = Arena::create(name, options(1 << 20)).expect_err("a bad name");
        assert_eq!(bad, Error::BadName { name: name.into() });
    }
}

#[test]
fn only_arenas_are_attached() {
    let name = unique("foreign");
    let path = format!("/dev/shm/{name}");
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("we may");
        let refused = Arena::attach(&name).expect_err("no arena").to_string();
        fs::remove_file(&path).expect("it is there");
        refused
    };
    assert!(refused(&[]).contains("0 bytes"));
    assert!(refused(&[0; 1 << 17]).contains("not written yet"));
    assert!(refused(&[7; 1 << 17]).contains("magic"));
    let mut arena = Arena::create(&name, options(1 << 17)).expect("a fresh name");
    let whole = fs::read(&path).expect("we may");
    arena.unlink().expect("ours");
    let mut version = whole.clone();
    version[8] = 99;
    assert!(refused(&version).contains("version is 99"));
    assert!(refused(&whole[..1 << 16]).contains("its file has 65536"));
}

#[test]
fn an_attached_arena_gives_views_and_allocates_nothing() {
    let name = unique("attach");
    let arena = Arena::create(&name, options(1 << 20)).expect("a fresh name");
    let block = arena.alloc(100, Alignment::Chunk).expect("room");
    let attached = Arena::attach(&name).expect("it is there");
    let refused = attached.alloc(1, Alignment::Chunk).expect_err("not the creator");
    assert_eq!(refused, Error::NotCreator { name: name.clone() });
    block.view().copy_in(10, b"there").expect("inside");
    let view = attached.at(block.file_offset(), 100).expect("inside");
    assert_eq!(view.read_vec(10, 5), Ok(b"there".to_vec()));
    let size = attached.capacity();
    for (offset, len) in [(size, 1), (size - 1, 2), (u64::MAX, 2), (1, u64::MAX), (0, 8)] {
        assert!(attached.at(offset, len).is_err(), "{len} at {offset}");
    }
    attached.at(size - 1, 1).expect("the last byte");
}

#[test]
fn another_process_sees_the_bytes() {
    let _watchdog = Watchdog::new();
    let name = unique("other");
    let mut arena = Arena::create(&name, options(1 << 20)).expect("a fresh name");
    let block = arena.alloc(4096, Alignment::Chunk).expect("room");
    block.view().copy_in(0, b"from the parent").expect("inside");
    let mut child = Role::start("role_attach", &format!("{name} {}", block.file_offset()));
    assert_eq!(child.hear(), "from the parent");
    arena.unlink().expect("ours");
    child.tell("unlinked");
    assert_eq!(child.hear(), "written");
    assert_eq!(block.view().read_vec(100, 14), Ok(b"from the child".to_vec()));
    assert!(child.process.wait().expect("our child").success());
}

#[test]
#[ignore = "a role of another_process_sees_the_bytes"]
fn role_attach() {
    let Some(argument) = argument() else { return };
    let (name, offset) = argument.split_once(' ').expect("name and offset");
    let arena = Arena::attach(name).expect("the parent created it");
    let view = arena.at(offset.parse().expect("a number"), 4096).expect("inside");
    say(&String::from_utf8(view.read_vec(0, 15).expect("inside")).expect("text"));
    listen();
    view.copy_in(100, b"from the child").expect("inside");
    say("written");
}

#[test]
fn a_private_arena_never_has_a_name() {
    let arena = private();
    assert_eq!(fstat(arena.fd().as_fd()).expect("an open file").st_nlink, 0);
    assert!(names(&format!("mobula-{}-", std::process::id())).is_empty());
}

#[test]
fn nothing_is_left_by_a_killed_process() {
    let _watchdog = Watchdog::new();
    let mut child = Role::start("role_private", "");
    let pid = child.hear();
    assert_eq!(pid, child.process.id().to_string());
    assert!(names(&pid).is_empty(), "while it runs");
    child.kill();
    assert!(names(&pid).is_empty(), "after kill -9");
}

#[test]
#[ignore = "a role of nothing_is_left_by_a_killed_process"]
fn role_private() {
    if argument().is_none() {
        return;
    }
    let arena = private();
    let block = arena.alloc(1 << 20, Alignment::Chunk).expect("room");
    block.view().copy_in(0, &[1; 1 << 20]).expect("inside");
    say(&std::process::id().to_string());
    listen();
}

#[test]
fn a_sparse_block_has_memory_only_where_it_was_given_some() {
    let arena = private();
    let before = memory(&arena);
    let block = arena.alloc_sparse(10 << 20).expect("address space");
    assert_eq!((memory(&arena), block.len()), (before, 10 << 20));
    block.allocate(65536..3 * 65536).expect("room");
    assert_eq!(memory(&arena) - before, 2 * 65536);
    block.view().copy_in(65536, b"kept").expect("inside");
    // A part that has memory keeps it, with its content.
    block.allocate(0..4 * 65536).expect("room");
    assert_eq!(memory(&arena) - before, 4 * 65536);
    assert_eq!(arena.memory(), memory(&arena) as u64);
    assert_eq!(block.view().read_vec(65536, 4).expect("inside"), b"kept");
    assert!(block.allocate(0..(10 << 20) + 1).is_err());
    drop(block);
    assert_eq!(memory(&arena), before, "dropping it frees all");
    assert_eq!(arena.alloc(65536, Alignment::Chunk).expect("room").view().get::<u32>(0), Ok(0));
}

#[test]
fn an_arena_without_a_name_is_attached_by_its_descriptor() {
    use std::os::fd::AsRawFd;
    use std::sync::Arc;
    let arena = private();
    let block = arena.alloc(65536, Alignment::Chunk).expect("room");
    block.view().copy_in(0, b"mine").expect("inside");
    let before = memory(&arena);
    let same = Arena::attach_open(std::process::id(), arena.fd().as_raw_fd()).expect("our own");
    let keep = Arc::new(());
    let seen = same.block_at(block.file_offset(), 65536, keep.clone()).expect("inside");
    assert_eq!(seen.view().read_vec(0, 4).expect("inside"), b"mine");
    assert_eq!(Arc::strong_count(&keep), 2);
    drop(seen);
    assert_eq!((Arc::strong_count(&keep), memory(&arena)), (1, before), "it frees nothing");
    // What is open but no arena is refused.
    let file = fs::File::open("/proc/self/exe").expect("it runs");
    assert!(Arena::attach_open(std::process::id(), file.as_raw_fd()).is_err());
    assert!(Arena::attach_open(std::process::id(), -1).is_err());
}

#[test]
fn another_process_attaches_an_arena_without_a_name() {
    use std::os::fd::AsRawFd;
    use std::sync::Arc;
    let _watchdog = Watchdog::new();
    let arena = private();
    let block = arena.alloc_sparse(1 << 20).expect("room");
    block.allocate(0..65536).expect("room");
    block.view().copy_in(0, b"from the parent").expect("inside");
    let (pid, fd) = (std::process::id(), arena.fd().as_raw_fd());
    let argument = format!("{pid} {fd} {}", block.file_offset());
    let mut child = Role::start("role_attach_open", &argument);
    assert_eq!(child.hear(), "from the parent");
    assert_eq!(block.view().read_vec(65536, 5).expect("inside"), b"child");
    assert_eq!(arena.memory(), memory(&arena) as u64, "memory that the child gave counts");
    // What is no arena of that process is refused.
    let other = Arena::attach_open(child.process.id(), fd);
    assert!(other.is_err(), "{other:?}");
    let keep: Arc<()> = Arc::default();
    assert!(arena.block_at(block.file_offset(), u64::MAX / 2, keep).is_err());
    child.process.kill().expect("it runs");
    child.process.wait().expect("it ends");
}

#[test]
#[ignore = "a role of another_process_attaches_an_arena_without_a_name"]
fn role_attach_open() {
    let Some(argument) = argument() else { return };
    let numbers: Vec<u64> = argument.split(' ').map(|n| n.parse().expect("a number")).collect();
    let arena = Arena::attach_open(numbers[0] as u32, numbers[1] as i32).expect("it is there");
    let keep = std::sync::Arc::new(());
    let block = arena.block_at(numbers[2], 1 << 20, keep).expect("inside");
    block.allocate(65536..2 * 65536).expect("room");
    block.view().copy_in(65536, b"child").expect("inside");
    say(&String::from_utf8(block.view().read_vec(0, 15).expect("inside")).expect("text"));
    listen();
}
