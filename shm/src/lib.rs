//! Bytes shared between processes, safely.
//!
//! This crate knows address space, shared memory and locks in it. It knows nothing of WebAssembly,
//! MPI, ranks or keys.
//!
//! ```
//! use mobula_shm::{Alignment, Arena, ArenaOptions, PAGE_BYTES, PageBytes, Reservation};
//!
//! // Shared memory that vanishes with the last process that uses it, whatever kills it.
//! let arena = Arena::create_private(ArenaOptions { capacity: 16 << 20, numa_node: None })?;
//! let block = arena.alloc(100_000, Alignment::Chunk)?;
//! block.view().copy_in(5, b"shared")?;
//!
//! // The same bytes a second time, mapped where we want them.
//! let space = Reservation::new(PageBytes::new(64 * PAGE_BYTES).expect("whole pages"))?;
//! let window = PageBytes::new(8 * PAGE_BYTES).expect("whole pages");
//! space.map_shared(window, window, block.fd(), block.file_offset())?;
//! assert_eq!(block.view().read_vec(5, 6)?, b"shared");
//! # Ok::<(), mobula_shm::Error>(())
//! ```
//!
//! Reading order: [`units`](ChunkIndex), [`ByteView`], [`Arena`] and [`Block`], [`Reservation`],
//! [`Image`], [`PagemapScanner`], [`WriteTracker`], [`Bitmap`], [`RwLockWord`].
//!
//! Limits: Linux on a machine with 4 KiB pages; 64 processes per host share locks
//! ([`OWNER_SLOTS`]); they run in one PID namespace.

#![warn(unreachable_pub)]

/// Segments of shared memory and blocks in them.
mod arena;
/// One bit per chunk.
mod bitmap;
/// What can go wrong.
mod error;
/// Sealed snapshots.
mod image;
/// Locks that survive the death of their holder.
mod lock;
/// Which pages are private.
mod pagemap;
/// Address ranges with changing content.
mod reservation;
/// The atomics that the lock is built on, or loom's.
mod sync;
/// System calls.
#[allow(unsafe_code, reason = "mappings at fixed addresses and calls without a safe wrapper")]
mod sys;
/// Pages and chunks.
mod units;
/// Bytes that others write.
#[allow(unsafe_code, reason = "bytes that other processes write cannot be Rust references")]
mod view;
/// Which pages of a shared mapping were stored to.
mod writes;

pub use arena::{Alignment, Arena, ArenaOptions, ArenaStats, Block, Placement, WhyUnbound};
pub use bitmap::Bitmap;
pub use error::{Error, Result};
pub use image::Image;
#[cfg(not(all(test, loom)))]
pub use lock::{OWNER_SLOTS, OwnerSlot, OwnerTable, RW_LOCK_BYTES, Recovered, RwLockWord};
pub use nix::errno::Errno;
pub use pagemap::PagemapScanner;
pub use reservation::Reservation;
pub use sys::thread_faults;
pub use units::{
    CHUNK_BYTES, ChunkCount, ChunkIndex, HUGE_BYTES, PAGE_BYTES, PageBytes, chunk_range,
};
pub use view::{ByteView, ShmSafe};
pub use writes::{WriteTracker, WriteWatch};
