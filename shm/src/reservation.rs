//! One range of addresses whose parts get, change and lose content while its base stays.
//!
//! ```text
//!  base                                                                             base + len
//!  ├── image (private) ──┬── zero ──┬── window (shared) ──┬── zero ──┬┄┄┄ hidden ┄┄┄┄┄┄┄┄┄┤
//! ```
//!
//! All methods take `&self`: the kernel serialises changes of a process's mappings, and each call
//! replaces its own part in one step. Who changes a part that another thread uses gives that thread
//! other bytes (or SIGSEGV where hidden), but never memory of something else: the whole range
//! belongs to the reservation until it is dropped.
//!
//! Invariants: offsets are relative to the base; every part lies within the range; empty parts are
//! accepted and change nothing.

use std::os::fd::BorrowedFd;

use crate::error::Result;
use crate::sys::{Content, Reserved};
use crate::units::PageBytes;

/// Address space of a fixed length at a fixed base; unmapped when dropped.
#[derive(Debug)]
pub struct Reservation {
    range: Reserved,
    len: PageBytes,
}

impl Reservation {
    /// Reserves `len` of address space without memory and without access.
    ///
    /// # Errors
    /// [`Error::Sys`](crate::Error::Sys) when the kernel refuses (`ulimit -v`, strict overcommit),
    /// [`Error::BadSize`](crate::Error::BadSize) for no bytes.
    pub fn new(len: PageBytes) -> Result<Self> {
        Ok(Self { range: Reserved::new(len)?, len })
    }

    /// Address of the first byte. Using it is `unsafe`: only parts with content may be touched, and
    /// only while the reservation lives.
    #[must_use]
    pub fn base(&self) -> *mut u8 {
        self.range.base().as_ptr()
    }

    /// Length of the whole range.
    #[must_use]
    pub fn len(&self) -> PageBytes {
        self.len
    }

    /// Never true: a reservation has at least one page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == PageBytes::ZERO
    }

    /// Makes `len` at `at` readable and writable; hidden pages become zeros, others keep content.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange), [`Error::Sys`](crate::Error::Sys).
    pub fn make_accessible(&self, at: PageBytes, len: PageBytes) -> Result<()> {
        self.range.make_accessible(at, len)
    }

    /// Maps the bytes of `file` from `offset` on over `len` at `at`, copy on write.
    ///
    /// `offset` is a multiple of the page size. Pages past the end of the file cannot be touched
    /// (SIGBUS).
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange), [`Error::Sys`](crate::Error::Sys).
    pub fn map_private(
        &self,
        at: PageBytes,
        len: PageBytes,
        file: BorrowedFd<'_>,
        offset: u64,
    ) -> Result<()> {
        self.range.replace(at, len, Content::Private(file, offset))
    }

    /// Maps the bytes of `file` from `offset` on over `len` at `at`, shared with all that map them.
    ///
    /// As [`map_private`](Self::map_private) otherwise.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange), [`Error::Sys`](crate::Error::Sys).
    pub fn map_shared(
        &self,
        at: PageBytes,
        len: PageBytes,
        file: BorrowedFd<'_>,
        offset: u64,
    ) -> Result<()> {
        self.range.replace(at, len, Content::Shared(file, offset))
    }

    /// Has stores into the shared mapping at `at` noted; see `writes`.
    pub(crate) fn note_writes(
        &self,
        notes: BorrowedFd<'_>,
        at: PageBytes,
        len: PageBytes,
    ) -> Result<()> {
        self.range.note_writes(notes, at, len)
    }

    /// Puts fresh private zero pages at `at`, whatever was there.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange), [`Error::Sys`](crate::Error::Sys).
    pub fn make_zero(&self, at: PageBytes, len: PageBytes) -> Result<()> {
        self.range.replace(at, len, Content::Zero)
    }

    /// Gives the private pages of `len` at `at` back: the next touch finds zeros, or the file's
    /// bytes where a file is mapped. Bytes mapped shared are not changed.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange), [`Error::Sys`](crate::Error::Sys).
    pub fn discard(&self, at: PageBytes, len: PageBytes) -> Result<()> {
        self.range.discard(at, len)
    }

    /// Takes content and access away from `len` at `at`; the address space stays ours.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange), [`Error::Sys`](crate::Error::Sys).
    pub fn hide(&self, at: PageBytes, len: PageBytes) -> Result<()> {
        self.range.replace(at, len, Content::Hidden)
    }

    /// Asks for huge pages in `len` at `at`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange), [`Error::Sys`](crate::Error::Sys) where the
    /// kernel has no huge pages.
    pub fn advise_huge(&self, at: PageBytes, len: PageBytes) -> Result<()> {
        self.range.advise_huge(at, len)
    }
}
