//! The first page of an arena: what it is and how large.
//!
//! ```text
//!  0      8         12        16         24        28        32
//!  │magic │ version │ header  │ capacity │ creator │ reserved│
//!  │      │         │ bytes   │          │ pid     │ (0)     │
//! ```
//!
//! Invariant: written whole before any other process is told the arena's name; never changed.

use bytemuck::{Pod, Zeroable};

use crate::error::{Error, Result};
use crate::view::ByteView;

/// "MOBULAAR", read as a little-endian number.
const MAGIC: u64 = u64::from_le_bytes(*b"MOBULAAR");

/// Changes with every change of what lies where in an arena.
const VERSION: u32 = 1;

const BYTES: usize = size_of::<Header>();

#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Header {
    magic: u64,
    version: u32,
    header_bytes: u32,
    capacity: u64,
    creator: u32,
    reserved: u32,
}

const _: () = assert!(BYTES == 32);
const _: () = assert!(align_of::<Header>() == 8);

impl Header {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            magic: MAGIC,
            version: VERSION,
            header_bytes: BYTES as u32,
            capacity,
            creator: std::process::id(),
            reserved: 0,
        }
    }

    pub(super) fn write(&self, arena: &ByteView) -> Result<()> {
        arena.copy_in(0, bytemuck::bytes_of(self))
    }

    /// The process that made the arena.
    pub(super) fn creator(arena: &ByteView) -> Result<u32> {
        Ok(bytemuck::pod_read_unaligned::<Self>(&arena.read_vec(0, BYTES)?).creator)
    }

    /// Reads the header of a file of `size` bytes and refuses what is not such an arena.
    pub(super) fn verify(arena: &ByteView, name: &str, size: u64) -> Result<()> {
        let header: Self = bytemuck::pod_read_unaligned(&arena.read_vec(0, BYTES)?);
        let reason = if header.magic == 0 {
            "its header is not written yet: attach after its creator has announced it".into()
        } else if header.magic != MAGIC {
            format!("its magic number is {:#x}, not {MAGIC:#x}", header.magic)
        } else if (header.version, header.header_bytes) != (VERSION, BYTES as u32) {
            format!("its layout version is {}, this program has {VERSION}", header.version)
        } else if header.capacity != size {
            format!("its header says {} bytes, its file has {size}", header.capacity)
        } else {
            return Ok(());
        };
        Err(Error::Foreign { what: format!("arena {name:?}"), reason })
    }
}
