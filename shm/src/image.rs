//! A snapshot of bytes that nobody can change any more.
//!
//! ```text
//!  memfd, sealed ──┬── map_private in many reservations (copy on write)
//!                  └── one read-only mapping here, the source for putting single pages back
//! ```
//!
//! Invariants: once created, neither content nor length can change, in this or any other process
//! that gets the descriptor: the file carries the seals WRITE, SHRINK, GROW and SEAL. Pages of
//! zeros are holes of the file and cost no memory until touched.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::error::{Error, Result};
use crate::sys::ReadOnlyFile;
use crate::units::{PAGE_BYTES, PageBytes};
use crate::view::ByteView;

/// Bytes copied at a time.
const STEP: usize = 1 << 18;

/// A sealed copy of bytes, kept in memory. See the module head.
#[derive(Debug)]
pub struct Image {
    file: File,
    len: PageBytes,
    /// `None` when there are no bytes to map.
    mapping: Option<ReadOnlyFile>,
}

impl Image {
    /// Copies all of `bytes` into a new image of `len`; what `bytes` does not reach is zero.
    ///
    /// `name` is what `/proc/PID/maps` shows. The bytes must not change during the call, or the
    /// image has some old and some new ones.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when `bytes` is longer than `len`, [`Error::Sys`] when the
    /// kernel refuses (descriptors, memory).
    pub fn create(name: &str, len: PageBytes, bytes: &ByteView) -> Result<Self> {
        if bytes.len() > len.get() {
            return Err(Error::range("image", 0, bytes.len(), len.get()));
        }
        let file = create_file(name)?;
        file.set_len(len.get() as u64).map_err(Error::io("ftruncate", name))?;
        let mut buf = vec![0; STEP.min(len.get())];
        for at in (0..bytes.len()).step_by(STEP) {
            let part = &mut buf[..STEP.min(bytes.len() - at)];
            bytes.copy_out(at, part)?;
            write_sparse(&file, at as u64, part).map_err(Error::io("pwrite", name))?;
        }
        let seals = SealFlag::F_SEAL_WRITE
            | SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))
            .map_err(Error::sys("fcntl(F_ADD_SEALS)", name))?;
        let mapping = match len {
            PageBytes::ZERO => None,
            _ => Some(ReadOnlyFile::map(file.as_fd(), len)?),
        };
        Ok(Self { file, len, mapping })
    }

    /// Address of the first byte, readable for as long as the image lives and never writable.
    /// Dangling when there are no bytes.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.mapping.as_ref().map_or(NonNull::dangling(), ReadOnlyFile::base).as_ptr()
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> PageBytes {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == PageBytes::ZERO
    }

    /// The file, for [`Reservation::map_private`](crate::Reservation::map_private).
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn create_file(name: &str) -> Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Hardened kernels refuse a memfd that could be executed; old ones (before 6.3) do not know the
    // flag.
    let hardened = flags | MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let created = match memfd_create(name, hardened) {
        Err(Errno::EINVAL) => memfd_create(name, flags),
        other => other,
    };
    created.map(File::from).map_err(Error::sys("memfd_create", name))
}

/// Writes the pages of `part` that are not all zeros, neighbours together.
fn write_sparse(file: &File, at: u64, part: &[u8]) -> std::io::Result<()> {
    let is_zero = |page: &[u8]| page.iter().all(|&byte| byte == 0);
    let mut done = 0;
    while done < part.len() {
        let rest = &part[done..];
        let zeros: usize =
            rest.chunks(PAGE_BYTES).take_while(|page| is_zero(page)).map(<[u8]>::len).sum();
        let rest = &rest[zeros..];
        let run: usize =
            rest.chunks(PAGE_BYTES).take_while(|page| !is_zero(page)).map(<[u8]>::len).sum();
        file.write_all_at(&rest[..run], at + (done + zeros) as u64)?;
        done += zeros + run;
    }
    Ok(())
}
