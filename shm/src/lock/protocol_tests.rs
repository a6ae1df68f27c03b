//! Tests of the protocol: step by step with real atomics, through all interleavings with loom's.
//!
//! ```text
//!  cargo test -p mobula-shm lock                                                   (steps)
//!  RUSTFLAGS="--cfg loom" cargo test -p mobula-shm --release --target-dir target/loom lock
//! ```

use super::*;

/// A lock outside shared memory, and data that it guards.
struct Model {
    writer: AtomicU64,
    hint: AtomicU32,
    readers: Vec<AtomicU64>,
    /// Equal whenever the lock protects them: written relaxed, one after the other.
    left: AtomicU32,
    right: AtomicU32,
    /// Readers that are inside, counted relaxed: 0 whenever a writer is.
    inside: AtomicU32,
}

impl Model {
    fn new(slots: usize) -> Self {
        let readers = (0..slots).map(|_| AtomicU64::new(0)).collect();
        Self {
            writer: AtomicU64::new(0),
            hint: AtomicU32::new(0),
            readers,
            left: AtomicU32::new(0),
            right: AtomicU32::new(0),
            inside: AtomicU32::new(0),
        }
    }

    fn assert_free(&self) {
        assert_eq!(self.writer.load(Ordering::Relaxed), 0, "writer");
        for readers in &self.readers {
            assert_eq!(low(readers.load(Ordering::Relaxed)), 0, "readers");
        }
    }

    fn write(&self) {
        assert_eq!(self.inside.load(Ordering::Relaxed), 0, "a reader is inside");
        let next = self.left.load(Ordering::Relaxed) + 1;
        self.left.store(next, Ordering::Relaxed);
        self.right.store(next, Ordering::Relaxed);
    }

    fn read(&self) {
        self.inside.fetch_add(1, Ordering::Relaxed);
        let left = self.left.load(Ordering::Relaxed);
        assert_eq!(left, self.right.load(Ordering::Relaxed), "torn");
        self.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Words for Model {
    fn writer(&self) -> &AtomicU64 {
        &self.writer
    }
    fn hint(&self) -> &AtomicU32 {
        &self.hint
    }
    fn readers(&self, slot: u32) -> &AtomicU64 {
        &self.readers[slot as usize]
    }
    fn slots(&self) -> u32 {
        self.readers.len() as u32
    }
}

fn owner(slot: u32, incarnation: u32) -> Owner {
    Owner { slot, incarnation }
}

#[cfg(not(loom))]
mod steps {
    use super::*;

    const A: Owner = Owner { slot: 0, incarnation: 1 };
    const B: Owner = Owner { slot: 1, incarnation: 7 };

    #[test]
    fn readers_share_and_writers_do_not() {
        let lock = Model::new(2);
        assert!(try_read(&lock, A, || 0) && try_read(&lock, A, || 0) && try_read(&lock, B, || 0));
        assert!(!try_write(&lock, B, || 0));
        assert!(unlock_read(&lock, A) && unlock_read(&lock, A) && unlock_read(&lock, B));
        assert!(!unlock_read(&lock, A), "one unlock too many");
        assert!(try_write(&lock, B, || 0));
        assert!(!try_write(&lock, A, || 0) && !try_read(&lock, A, || 1000));
        assert!(!unlock_write(&lock, A), "not the holder");
        assert!(unlock_write(&lock, B));
        lock.assert_free();
    }

    #[test]
    fn a_writer_in_wait_keeps_new_readers_away_for_its_time_only() {
        let lock = Model::new(2);
        for start in [0, 5000, u32::MAX - 10, u32::MAX - HOLD_OFF_MS, u32::MAX] {
            let after = |ms: u32| move || start.wrapping_add(ms);
            assert!(try_read(&lock, A, || panic!("no hint, no clock")));
            assert!(!try_write(&lock, B, after(0)));
            assert!(!try_read(&lock, B, after(1)), "held off at {start}");
            assert!(try_read(&lock, A, after(1)), "who holds already is let in");
            assert!(try_read(&lock, B, after(HOLD_OFF_MS + 1)), "time is up at {start}");
            assert!(unlock_read(&lock, A) && unlock_read(&lock, A) && unlock_read(&lock, B));
            assert!(try_write(&lock, B, after(2)));
            assert!(unlock_write(&lock, B), "and success clears the hint");
        }
    }

    #[test]
    fn a_wrong_hint_holds_nobody_off() {
        let lock = Model::new(1);
        lock.hint.store(500_000, Ordering::Relaxed);
        assert!(try_read(&lock, A, || 1000));
    }

    #[test]
    fn recovery_takes_from_the_dead_only() {
        let lock = Model::new(3);
        assert!(try_read(&lock, A, || 0) && try_read(&lock, B, || 0) && try_read(&lock, B, || 0));
        assert_eq!(recover(&lock, |_| true), (false, 0));
        assert_eq!(recover(&lock, |owner| owner != B), (false, 2));
        assert!(!unlock_read(&lock, B));
        assert!(unlock_read(&lock, A));
        assert!(try_write(&lock, A, || 0));
        assert_eq!(recover(&lock, |owner| owner == A), (false, 0));
        assert_eq!(recover(&lock, |_| false), (true, 0));
        assert!(!unlock_write(&lock, A));
        lock.assert_free();
    }

    #[test]
    fn a_new_incarnation_inherits_nothing() {
        let lock = Model::new(2);
        let reborn = Owner { incarnation: 2, ..A };
        assert!(try_read(&lock, A, || 0));
        assert!(!unlock_read(&lock, reborn), "the read hold was the dead one's");
        assert!(!try_write(&lock, reborn, || 0), "and it counts until it is recovered");
        assert!(try_read(&lock, reborn, || 1000), "or replaced");
        assert!(unlock_read(&lock, reborn));
        assert!(try_write(&lock, A, || 0));
        assert!(!unlock_write(&lock, reborn));
        assert_eq!(recover(&lock, |owner| owner == reborn), (true, 0));
        lock.assert_free();
    }

    #[test]
    fn threads_exclude_each_other() {
        const ROUNDS: u32 = 20_000;
        let lock = Model::new(3);
        let written: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|slot| {
                    let lock = &lock;
                    scope.spawn(move || rounds(lock, owner(slot, 1), ROUNDS))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert!(written > 0, "no writer ever got in: nothing was tested");
        assert_eq!(lock.left.load(Ordering::Relaxed), written, "a write was lost");
        lock.assert_free();
    }

    /// Reads and writes in turn; returns how often it wrote.
    fn rounds(lock: &Model, me: Owner, rounds: u32) -> u32 {
        let mut written = 0;
        for _ in 0..rounds {
            if try_read(lock, me, || 1000) {
                lock.read();
                assert!(unlock_read(lock, me));
            }
            if try_write(lock, me, || 0) {
                lock.write();
                written += 1;
                assert!(unlock_write(lock, me));
            }
        }
        written
    }

    #[test]
    fn counts_do_not_wrap() {
        let lock = Model::new(1);
        lock.readers[0].store(pack(A.incarnation, u32::MAX), Ordering::Relaxed);
        assert!(!try_read(&lock, A, || 0));
        assert_eq!(low(lock.readers[0].load(Ordering::Relaxed)), u32::MAX);
    }
}

#[cfg(loom)]
mod interleavings {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// A time at which no hint holds: the hint is about fairness, not about exclusion.
    fn now() -> u32 {
        HOLD_OFF_MS * 1000
    }

    fn far() -> u32 {
        0
    }

    fn check(slots: usize, model: impl Fn(&Arc<Model>) + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || model(&Arc::new(Model::new(slots))));
    }

    fn reader(lock: &Arc<Model>, me: Owner) -> thread::JoinHandle<()> {
        let lock = lock.clone();
        thread::spawn(move || {
            if try_read(&*lock, me, now) {
                lock.read();
                assert!(unlock_read(&*lock, me));
            }
        })
    }

    fn writer(lock: &Arc<Model>, me: Owner) -> thread::JoinHandle<()> {
        let lock = lock.clone();
        thread::spawn(move || {
            if try_write(&*lock, me, far) {
                lock.write();
                assert!(unlock_write(&*lock, me));
            }
        })
    }

    /// Everything is given back, and whoever comes last sees all writes.
    fn finish(lock: &Arc<Model>, threads: Vec<thread::JoinHandle<()>>) {
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        lock.assert_free();
        assert!(try_write(&**lock, owner(0, 1), far));
        lock.read();
    }

    #[test]
    fn lock_excludes_reader_and_writer() {
        check(2, |lock| {
            let threads = vec![reader(lock, owner(0, 1)), writer(lock, owner(1, 1))];
            finish(lock, threads);
        });
    }

    #[test]
    fn lock_excludes_two_writers_and_a_reader() {
        check(2, |lock| {
            let threads = vec![writer(lock, owner(0, 1)), writer(lock, owner(1, 1))];
            if try_read(&**lock, owner(0, 1), now) {
                lock.read();
                assert!(unlock_read(&**lock, owner(0, 1)));
            }
            finish(lock, threads);
        });
    }

    /// Two threads of one process share a word; the hold of one must not vouch for the other.
    #[test]
    fn lock_excludes_two_readers_of_one_process() {
        check(2, |lock| {
            let threads = vec![reader(lock, owner(0, 1)), writer(lock, owner(1, 1))];
            if try_read(&**lock, owner(0, 1), now) {
                lock.read();
                assert!(unlock_read(&**lock, owner(0, 1)));
            }
            finish(lock, threads);
        });
    }

    /// A writer steps back after another wrote: who reads the 0 of the one that stepped back must
    /// still see what the other wrote.
    #[test]
    fn lock_passes_writes_on_through_one_that_steps_back() {
        check(3, |lock| {
            let threads = vec![writer(lock, owner(0, 1)), writer(lock, owner(1, 1))];
            for _ in 0..2 {
                if try_read(&**lock, owner(2, 1), now) {
                    lock.read();
                    assert!(unlock_read(&**lock, owner(2, 1)));
                }
            }
            finish(lock, threads);
        });
    }

    /// Both recover what a dead writer and a dead reader left; each hold is counted once, and
    /// nobody gets in before.
    #[test]
    fn lock_is_recovered_once() {
        let dead = |owner: Owner| owner.incarnation != 9;
        check(2, move |lock| {
            lock.writer.store(owner(1, 9).token(), Ordering::Relaxed);
            lock.readers[1].store(pack(9, 2), Ordering::Relaxed);
            let other = {
                let lock = lock.clone();
                thread::spawn(move || recover(&*lock, dead))
            };
            let (writer, readers) = recover(&**lock, dead);
            let (other_writer, other_readers) = other.join().expect("no panic");
            assert!(writer ^ other_writer);
            assert_eq!(readers + other_readers, 2);
            lock.assert_free();
        });
    }

    /// The slot of a dead reader is taken again while somebody recovers it and a writer tries.
    #[test]
    fn lock_of_a_reused_slot_still_excludes() {
        check(2, |lock| {
            lock.readers[0].store(pack(9, 1), Ordering::Relaxed);
            let threads = vec![reader(lock, owner(0, 10)), writer(lock, owner(1, 1))];
            recover(&**lock, |owner| owner.incarnation != 9);
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
            lock.assert_free();
        });
    }

    /// A dead writer is recovered while a reader and a writer try.
    #[test]
    fn lock_of_a_dead_writer_passes_to_one() {
        check(3, |lock| {
            lock.writer.store(owner(2, 9).token(), Ordering::Relaxed);
            let threads = vec![reader(lock, owner(0, 1)), writer(lock, owner(1, 1))];
            recover(&**lock, |owner| owner.incarnation != 9);
            finish(lock, threads);
        });
    }
}
