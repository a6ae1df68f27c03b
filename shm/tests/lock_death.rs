//! Locks between processes, and what happens to those of a process that is killed.

#[allow(dead_code, reason = "each test file uses its part")]
mod common;

use common::{Role, Watchdog, argument, listen, say};
use mobula_shm::{
    Alignment, Arena, ArenaOptions, Block, ByteView, Error, OWNER_SLOTS, OwnerSlot, OwnerTable,
    RW_LOCK_BYTES, Recovered, RwLockWord,
};

const LOCK_AT: usize = 8192;
const DATA_AT: usize = LOCK_AT + RW_LOCK_BYTES;
const BYTES: u64 = 16384;

const NONE: Recovered = Recovered { writer: false, readers: 0 };

struct Parent {
    arena: Arena,
    block: Block,
    table: OwnerTable,
    slot: OwnerSlot,
    lock: RwLockWord,
    _watchdog: Watchdog,
}

impl Parent {
    fn new(test: &str) -> Self {
        let name = format!("mobula-test-{}-{test}", std::process::id());
        let options = ArenaOptions { capacity: 1 << 20, numa_node: None };
        let arena = Arena::create(&name, options).expect("a fresh name");
        let block = arena.alloc(BYTES, Alignment::Chunk).expect("room");
        let table = OwnerTable::create(block.view()).expect("it fits");
        let slot = table.register().expect("free slots");
        let lock = lock(&block.view());
        Self { arena, block, table, slot, lock, _watchdog: Watchdog::new() }
    }

    fn start(&self, role: &str) -> Role {
        Role::start(role, &format!("{} {}", self.arena.name(), self.block.file_offset()))
    }
}

fn lock(view: &ByteView) -> RwLockWord {
    RwLockWord::new(view.sub(LOCK_AT, RW_LOCK_BYTES).expect("inside")).expect("aligned")
}

/// In a child: the parent's bytes, and a slot of its table.
fn attach() -> Option<(ByteView, OwnerTable, OwnerSlot, RwLockWord)> {
    let argument = argument()?;
    let (name, offset) = argument.split_once(' ').expect("name and offset");
    let arena = Arena::attach(name).expect("the parent created it");
    let view = arena.at(offset.parse().expect("a number"), BYTES).expect("inside");
    let table = OwnerTable::attach(view.clone()).expect("the parent made it");
    let slot = table.register().expect("free slots");
    let lock = lock(&view);
    Some((view, table, slot, lock))
}

/// Takes the lock although others may have just tried: `try_write` may say no for a while.
fn write_soon(lock: &RwLockWord, slot: &OwnerSlot) {
    while !lock.try_write(slot) {
        std::thread::yield_now();
    }
}

fn read_soon(lock: &RwLockWord, slot: &OwnerSlot) {
    while !lock.try_read(slot) {
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_writers_lock_is_recovered() {
    let p = Parent::new("writer");
    let mut child = p.start("role_writer");
    assert_eq!(child.hear(), "held");
    assert!(!p.lock.try_write(&p.slot) && !p.lock.try_read(&p.slot));
    assert_eq!(p.lock.recover(&p.table), NONE, "the living keep theirs");
    assert!(!p.lock.try_write(&p.slot));
    child.kill();
    assert!(!p.lock.try_write(&p.slot), "nobody recovers by accident");
    assert_eq!(p.lock.recover(&p.table), Recovered { writer: true, readers: 0 });
    assert_eq!(p.lock.recover(&p.table), NONE, "once");
    assert!(p.lock.try_write(&p.slot));
    p.lock.unlock_write(&p.slot).expect("ours");
}

#[test]
#[ignore = "a role of a_killed_writers_lock_is_recovered"]
fn role_writer() {
    let Some((_, _, slot, lock)) = attach() else { return };
    assert!(lock.try_write(&slot));
    say("held");
    listen();
}

#[test]
fn a_killed_readers_lock_is_recovered() {
    let p = Parent::new("reader");
    let mut child = p.start("role_reader");
    assert_eq!(child.hear(), "held twice");
    assert!(p.lock.try_read(&p.slot), "readers share");
    assert!(!p.lock.try_write(&p.slot));
    assert_eq!(p.lock.recover(&p.table), NONE, "the living keep theirs");
    child.kill();
    assert_eq!(p.lock.recover(&p.table), Recovered { writer: false, readers: 2 });
    assert!(!p.lock.try_write(&p.slot), "our own read hold is left");
    p.lock.unlock_read(&p.slot).expect("ours");
    assert!(p.lock.try_write(&p.slot));
}

#[test]
#[ignore = "a role of a_killed_readers_lock_is_recovered"]
fn role_reader() {
    let Some((_, _, slot, lock)) = attach() else { return };
    assert!(lock.try_read(&slot) && lock.try_read(&slot));
    say("held twice");
    listen();
}

#[test]
fn a_dead_processs_slot_is_taken_again_without_its_locks() {
    let p = Parent::new("reuse");
    // All slots but the child's are ours: the only one to be had is the dead child's.
    let mut child = p.start("role_reader");
    assert_eq!(child.hear(), "held twice");
    let ours: Vec<_> =
        (2..OWNER_SLOTS).map(|_| p.table.register().expect("62 free slots")).collect();
    let full = p.table.register().expect_err("the child lives");
    assert_eq!(full, Error::OwnersFull { limit: OWNER_SLOTS });
    let taken: Vec<_> = ours.iter().chain([&p.slot]).map(OwnerSlot::index).collect();
    child.kill();
    let reborn = p.table.register().expect("the dead child's slot");
    assert!(!taken.contains(&reborn.index()));
    let not_held = Error::NotHeld { kind: "read", slot: reborn.index() };
    assert_eq!(p.lock.unlock_read(&reborn), Err(not_held), "the holds were not inherited");
    assert!(!p.lock.try_write(&reborn), "but they last until they are recovered");
    assert_eq!(p.lock.recover(&p.table), Recovered { writer: false, readers: 2 });
    assert!(p.lock.try_write(&reborn));
    assert_eq!(p.lock.recover(&p.table), NONE);
    drop(reborn);
    assert_eq!(p.lock.recover(&p.table), Recovered { writer: true, readers: 0 }, "slot given back");
}

#[test]
fn a_dead_waiting_writer_holds_readers_up_for_a_moment_only() {
    let p = Parent::new("waiter");
    assert!(p.lock.try_read(&p.slot));
    let mut child = p.start("role_waiter");
    assert_eq!(child.hear(), "waits");
    child.kill();
    let other = p.table.register().expect("free slots");
    read_soon(&p.lock, &other);
    p.lock.unlock_read(&other).expect("held");
    p.lock.unlock_read(&p.slot).expect("held");
    assert_eq!(p.lock.recover(&p.table), NONE, "a waiter holds nothing");
}

#[test]
#[ignore = "a role of a_dead_waiting_writer_holds_readers_up_for_a_moment_only"]
fn role_waiter() {
    let Some((_, _, slot, lock)) = attach() else { return };
    assert!(!lock.try_write(&slot), "the parent reads");
    say("waits");
    listen();
}

/// Three processes add to two counters that only the lock keeps equal; two of them are killed while
/// they do, at whatever instruction that hits.
#[test]
fn processes_exclude_each_other_and_may_be_killed_anywhere() {
    const ROUNDS: u32 = 25;
    let p = Parent::new("storm");
    let view = p.block.view();
    let mut written = 0;
    for round in 0..ROUNDS {
        let mut children = [p.start("role_storm"), p.start("role_storm")];
        children.iter_mut().for_each(|child| assert_eq!(child.hear(), "go"));
        for _ in 0..2000 {
            if p.lock.try_write(&p.slot) {
                add(&view);
                written += 1;
                p.lock.unlock_write(&p.slot).expect("ours");
            }
            if p.lock.try_read(&p.slot) {
                check(&view);
                p.lock.unlock_read(&p.slot).expect("ours");
            }
        }
        children.iter_mut().for_each(Role::kill);
        let recovered = p.lock.recover(&p.table);
        assert!(recovered.readers <= 2, "{recovered:?}");
        write_soon(&p.lock, &p.slot);
        if recovered.writer {
            // It may have died between the two counters.
            let left: u64 = view.get(DATA_AT).expect("inside");
            view.put(DATA_AT + 8, left).expect("inside");
        }
        check(&view);
        p.lock.unlock_write(&p.slot).expect("ours");
        println!("round {round}: {recovered:?}");
    }
    assert!(written > 0, "the parent never got in: nothing was tested");
    let all: u64 = view.get(DATA_AT).expect("inside");
    assert!(all > written, "the children never got in: nothing was tested");
}

#[test]
#[ignore = "a role of processes_exclude_each_other_and_may_be_killed_anywhere"]
fn role_storm() {
    let Some((view, _, slot, lock)) = attach() else { return };
    say("go");
    loop {
        if lock.try_write(&slot) {
            add(&view);
            lock.unlock_write(&slot).expect("ours");
        }
        if lock.try_read(&slot) {
            check(&view);
            lock.unlock_read(&slot).expect("ours");
        }
    }
}

fn add(view: &ByteView) {
    for at in [DATA_AT, DATA_AT + 8] {
        let count: u64 = view.get(at).expect("inside");
        view.put(at, count + 1).expect("inside");
    }
}

fn check(view: &ByteView) {
    let [left, right] = [DATA_AT, DATA_AT + 8].map(|at| view.get::<u64>(at).expect("inside"));
    assert_eq!(left, right, "somebody wrote meanwhile");
}

#[test]
fn a_table_of_another_kind_is_refused() {
    let p = Parent::new("attach");
    OwnerTable::attach(p.block.view()).expect("a table");
    let elsewhere = OwnerTable::attach(p.block.view().sub(8, 8192).expect("inside"));
    assert!(matches!(elsewhere, Err(Error::Foreign { .. })));
    p.block.view().put(8, 1u64).expect("inside");
    let namespace = OwnerTable::attach(p.block.view()).expect_err("another namespace");
    assert!(namespace.to_string().contains("PID namespace 1,"), "{namespace}");
    let short = p.block.view().sub(0, OwnerTable::bytes() - 1).expect("inside");
    assert!(OwnerTable::create(short).is_err());
    assert!(RwLockWord::new(p.block.view().sub(4, RW_LOCK_BYTES).expect("inside")).is_err());
}
