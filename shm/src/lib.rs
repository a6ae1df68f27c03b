//! Bytes shared between processes, safely: arenas, views, images, chunk bitmaps, locks.
//!
//! ```
//! use mobula_shm::{Alignment, Arena, ArenaOptions};
//!
//! let options = ArenaOptions { capacity: Arena::default_capacity()?, numa_node: None };
//! let arena = Arena::create_private(options)?; // nothing is left in /dev/shm, whatever kills us
//! let block = arena.alloc(1 << 20, Alignment::Chunk)?; // 1 MiB of zeros, really there
//! block.view().copy_in(4096, b"hello")?;
//! assert_eq!(block.view().read_vec(4096, 5)?, b"hello");
//! # Ok::<(), mobula_shm::Error>(())
//! ```
//!
//! This crate knows nothing of WebAssembly, MPI, ranks or keys. Read in this order: [`units`] and
//! `alloc` (pure), `sys` and `view` (the only `unsafe`), [`Reservation`], [`Image`] and
//! [`PagemapScanner`] (guest memories), [`Arena`], [`Bitmap`] and [`RwLockWord`] (state).

pub mod units;

mod alloc;
mod arena;
mod bitmap;
mod error;
mod image;
mod lock;
mod pagemap;
mod reservation;
#[allow(unsafe_code, reason = "system calls on mappings; see the module's JUSTIFICATION")]
mod sys;
#[allow(unsafe_code, reason = "access to bytes that others write; see the module's JUSTIFICATION")]
mod view;

pub use arena::{Alignment, Arena, ArenaOptions, ArenaStats, Block, Placement};
pub use bitmap::Bitmap;
pub use error::{Error, Result};
pub use image::Image;
pub use lock::{OWNER_SLOTS, OwnerSlot, OwnerTable, RW_LOCK_BYTES, Recovered, RwLockWord};
pub use pagemap::{PagemapScanner, thread_faults};
pub use reservation::Reservation;
pub use units::{CHUNK_BYTES, ChunkCount, HUGE_BYTES, PAGE_BYTES, PageBytes, chunk_range};
pub use view::ByteView;
