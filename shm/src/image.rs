//! Sealed images: memory contents that nobody can change any more.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

use crate::error::{Error, Result, sys};
use crate::sys::Mapping;
use crate::units::{PAGE_BYTES, PageBytes};
use crate::view::ByteView;

/// A sealed memory file and a read-only mapping of it, to be mapped copy-on-write by many.
#[derive(Debug)]
pub struct Image {
    fd: OwnedFd,
    len: PageBytes,
    map: Arc<Mapping>,
}

impl Image {
    /// Copies `bytes` into a new image of `len ≥ bytes.len()` bytes and seals it. Pages of zeros take
    /// no memory.
    ///
    /// # Errors
    /// [`Error::Sys`], or [`Error::OutOfRange`] when `bytes` is longer than `len`.
    pub fn create(name: &str, len: PageBytes, bytes: &ByteView) -> Result<Self> {
        if bytes.len() > len.get() {
            return Err(Error::OutOfRange { at: 0, len: bytes.len(), size: len.get() });
        }
        let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING);
        let fd = fd.map_err(sys("memfd_create", name))?;
        let size = i64::try_from(len.get()).unwrap_or(i64::MAX);
        ftruncate(&fd, size).map_err(sys("ftruncate", name))?;
        let mut page = [0; PAGE_BYTES];
        for at in (0..bytes.len()).step_by(PAGE_BYTES) {
            let n = PAGE_BYTES.min(bytes.len() - at);
            bytes.copy_out(at, &mut page[..n])?;
            if page[..n].iter().any(|&byte| byte != 0) {
                write_at(&fd, &page[..n], at).map_err(sys("pwrite", name))?;
            }
        }
        let seals = SealFlag::F_SEAL_WRITE
            | SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_SEAL;
        fcntl(&fd, FcntlArg::F_ADD_SEALS(seals)).map_err(sys("fcntl(F_ADD_SEALS)", name))?;
        let map = Arc::new(Mapping::of_file(fd.as_fd(), len, false)?);
        Ok(Self { fd, len, map })
    }

    /// Size in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "mapping an empty image is refused")]
    pub fn len(&self) -> PageBytes {
        self.len
    }

    /// The memory file.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The contents, read-only; writing through this view faults.
    #[must_use]
    pub fn view(&self) -> ByteView {
        ByteView::of_mapping(self.map.clone())
    }
}

fn write_at(fd: &OwnedFd, mut bytes: &[u8], mut at: usize) -> nix::Result<()> {
    while !bytes.is_empty() {
        let offset = i64::try_from(at).map_err(|_| nix::errno::Errno::EOVERFLOW)?;
        let n = nix::sys::uio::pwrite(fd, bytes, offset)?;
        (bytes, at) = (&bytes[n..], at + n);
    }
    Ok(())
}
