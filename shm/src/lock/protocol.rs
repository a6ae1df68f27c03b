//! The steps of the lock, over std's atomics or loom's. See `README.md`.

#[cfg(loom)]
pub(super) use loom::sync::atomic::AtomicU32 as LoomWord;
use std::sync::atomic::Ordering::SeqCst;

/// A word of the lock in shared memory.
pub(super) type Word = std::sync::atomic::AtomicU32;

/// What the steps need of an atomic word; all are sequentially consistent.
pub(super) trait AtomicWord {
    fn get(&self) -> u32;
    fn add(&self);
    fn sub(&self);
    /// Stores `new` if the word is `old`.
    fn change(&self, old: u32, new: u32) -> bool;
}

macro_rules! atomic_word {
    ($word:ty) => {
        impl AtomicWord for $word {
            fn get(&self) -> u32 {
                self.load(SeqCst)
            }
            fn add(&self) {
                self.fetch_add(1, SeqCst);
            }
            fn sub(&self) {
                self.fetch_sub(1, SeqCst);
            }
            fn change(&self, old: u32, new: u32) -> bool {
                self.compare_exchange(old, new, SeqCst, SeqCst).is_ok()
            }
        }
    };
}

atomic_word!(Word);
#[cfg(loom)]
atomic_word!(LoomWord);

fn tag(slot: usize) -> u32 {
    u32::try_from(slot).expect("slots are few") + 1
}

pub(super) fn try_read<W: AtomicWord>(writer: &W, mine: &W) -> bool {
    if writer.get() != 0 {
        return false;
    }
    mine.add();
    if writer.get() == 0 {
        return true;
    }
    mine.sub();
    false
}

pub(super) fn try_write<'a, W: AtomicWord + 'a>(
    writer: &W,
    readers: impl Iterator<Item = &'a W>,
    slot: usize,
) -> bool {
    if !writer.change(0, tag(slot)) {
        return false;
    }
    let read = readers.into_iter().any(|readers| readers.get() > 0);
    if read {
        writer.change(tag(slot), 0);
    }
    !read
}

pub(super) fn unlock_read<W: AtomicWord>(mine: &W) -> bool {
    let mut held = mine.get();
    while held > 0 {
        if mine.change(held, held - 1) {
            return true;
        }
        held = mine.get();
    }
    false
}

pub(super) fn unlock_write<W: AtomicWord>(writer: &W, slot: usize) -> bool {
    writer.change(tag(slot), 0)
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    struct Model {
        writer: LoomWord,
        readers: [LoomWord; 2],
        /// Loom reports any access that a lock should have excluded.
        data: UnsafeCell<u32>,
    }

    fn check(reads: [bool; 2]) {
        loom::model(move || {
            let model = Arc::new(Model {
                writer: LoomWord::new(0),
                readers: [LoomWord::new(0), LoomWord::new(0)],
                data: UnsafeCell::new(0),
            });
            let threads: Vec<_> = (0..2)
                .map(|slot| {
                    let model = model.clone();
                    thread::spawn(move || {
                        if reads[slot] && try_read(&model.writer, &model.readers[slot]) {
                            model.data.with(|data| drop(data));
                            assert!(unlock_read(&model.readers[slot]));
                        }
                        if !reads[slot] && try_write(&model.writer, model.readers.iter(), slot) {
                            model.data.with_mut(|data| drop(data));
                            assert!(unlock_write(&model.writer, slot));
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|t| t.join().unwrap());
            assert_eq!(model.writer.get() + model.readers[0].get() + model.readers[1].get(), 0);
        });
    }

    #[test]
    fn a_writer_excludes_writers() {
        check([false, false]);
    }

    #[test]
    fn a_writer_excludes_readers() {
        check([true, false]);
    }
}
