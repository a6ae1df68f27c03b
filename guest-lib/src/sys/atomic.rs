//! Atomic operations on words of shared memory: in a module those of the object that `build.rs`
//! writes and says why, natively those of the compiler. Each orders everything before and after it.

use core::sync::atomic::{AtomicU32, AtomicU64};

/// An aligned word.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Word<'a> {
    Bits32(&'a AtomicU32),
    Bits64(&'a AtomicU64),
}

macro_rules! operations {
    ($($name:ident($($arg:ident),*): $narrow:ident, $wide:ident;)*) => {
        impl Word<'_> {$(
            /// Of a narrow word, takes and gives the lower bits.
            pub(crate) fn $name(self, $($arg: u64),*) -> u64 {
                match self {
                    Self::Bits32(word) => u64::from($narrow(word, $($arg as u32),*)),
                    Self::Bits64(word) => $wide(word, $($arg),*),
                }
            }
        )*}

        #[cfg(target_family = "wasm")]
        // Leaf functions on a word that lives: safe to call.
        unsafe extern "C" {$(
            safe fn $narrow(word: &AtomicU32, $($arg: u32),*) -> u32;
            safe fn $wide(word: &AtomicU64, $($arg: u64),*) -> u64;
        )*}
    };
}

operations! {
    load(): mobula_atomic_load_32, mobula_atomic_load_64;
    add(value): mobula_atomic_add_32, mobula_atomic_add_64;
    and(value): mobula_atomic_and_32, mobula_atomic_and_64;
    or(value): mobula_atomic_or_32, mobula_atomic_or_64;
    swap(value): mobula_atomic_swap_32, mobula_atomic_swap_64;
    compare_exchange(current, new):
        mobula_atomic_compare_exchange_32, mobula_atomic_compare_exchange_64;
}

#[cfg(not(target_family = "wasm"))]
use native::*;

/// The same functions by the compiler.
#[cfg(not(target_family = "wasm"))]
mod native {
    use core::sync::atomic::Ordering::SeqCst;
    use core::sync::atomic::{AtomicU32, AtomicU64};

    macro_rules! functions {
        ($($atomic:ty, $word:ty: $load:ident, $add:ident, $and:ident, $or:ident, $swap:ident,
           $compare_exchange:ident;)*) => {$(
            pub(super) fn $load(word: &$atomic) -> $word {
                word.load(SeqCst)
            }

            pub(super) fn $add(word: &$atomic, value: $word) -> $word {
                word.fetch_add(value, SeqCst)
            }

            pub(super) fn $and(word: &$atomic, value: $word) -> $word {
                word.fetch_and(value, SeqCst)
            }

            pub(super) fn $or(word: &$atomic, value: $word) -> $word {
                word.fetch_or(value, SeqCst)
            }

            pub(super) fn $swap(word: &$atomic, value: $word) -> $word {
                word.swap(value, SeqCst)
            }

            pub(super) fn $compare_exchange(word: &$atomic, current: $word, new: $word) -> $word {
                word.compare_exchange(current, new, SeqCst, SeqCst).unwrap_or_else(|found| found)
            }
        )*};
    }

    functions! {
        AtomicU32, u32: mobula_atomic_load_32, mobula_atomic_add_32, mobula_atomic_and_32,
            mobula_atomic_or_32, mobula_atomic_swap_32, mobula_atomic_compare_exchange_32;
        AtomicU64, u64: mobula_atomic_load_64, mobula_atomic_add_64, mobula_atomic_and_64,
            mobula_atomic_or_64, mobula_atomic_swap_64, mobula_atomic_compare_exchange_64;
    }
}
