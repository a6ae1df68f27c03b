//! Locks of values as guards: held until the guard is dropped or the call ends, however it ends.
//!
//! Do not wait for a call that needs a lock you hold: it is told so and fails.

use core::fmt;

use alloc::ffi::CString;

use crate::sys;

macro_rules! guards {
    ($($(#[$doc:meta])* $guard:ident: $lock:ident, $unlock:ident;)*) => {$(
        $(#[$doc])*
        #[must_use = "the lock is given back when the guard is dropped"]
        pub struct $guard {
            name: CString,
        }

        impl $guard {
            pub(crate) fn lock(name: &CString) -> Self {
                sys::$lock(name);
                Self { name: name.clone() }
            }
        }

        impl Drop for $guard {
            fn drop(&mut self) {
                sys::$unlock(&self.name);
            }
        }

        impl fmt::Debug for $guard {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($guard)).field(&self.name).finish()
            }
        }
    )*};
}

guards! {
    /// Others of this host may read as well; made by [`State::lock_read`](crate::State::lock_read).
    ReadGuard: lock_read, unlock_read;
    /// Nobody else of this host; made by [`State::lock_write`](crate::State::lock_write).
    WriteGuard: lock_write, unlock_write;
    /// Nobody else in the whole job; made by [`State::lock_global`](crate::State::lock_global).
    GlobalGuard: lock_global, unlock_global;
}
