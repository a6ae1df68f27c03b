//! Scratch directories: a private `/tmp` for every call that may open files.
//!
//! ```text
//!  <parent>/mobula-<pid>-<random>/   made when the first call needs one, removed with the rank
//!                      ├── 17/       /tmp of one call, removed when it ends
//!                      └── 18/
//! ```
//!
//! Nobody else may enter (mode 0700). A process that is killed cannot remove anything; whoever starts a
//! rank can be told of the directory (`Config::on_scratch`) and see to it.
//!
//! Invariant: a number is used once, so no call sees what another one left.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tempfile::TempDir;

/// Called with the path of a rank's scratch directory right after it was made.
pub type OnScratch = fn(&Path);

/// Where a rank's scratch directories are.
#[derive(Debug)]
pub(crate) struct Scratch {
    parent: PathBuf,
    root: OnceLock<TempDir>,
    making: Mutex<()>,
    next: AtomicU64,
    on_made: Option<OnScratch>,
}

/// The scratch directory of one call; dropping it removes it with everything in it.
#[derive(Debug)]
pub(crate) struct ScratchDir(PathBuf);

impl Scratch {
    /// Scratch directories below `parent`; nothing is made yet.
    pub(crate) fn new(parent: &Path, on_made: Option<OnScratch>) -> Self {
        let (parent, root, making) = (parent.to_owned(), OnceLock::new(), Mutex::default());
        Self { parent, root, making, next: AtomicU64::new(0), on_made }
    }

    /// A new empty directory.
    ///
    /// # Errors
    /// What the system says: a full or read-only file system, missing rights.
    pub(crate) fn dir(&self) -> io::Result<ScratchDir> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.root()?.join(number.to_string());
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(ScratchDir(path))
    }

    fn root(&self) -> io::Result<&Path> {
        if let Some(root) = self.root.get() {
            return Ok(root.path());
        }
        let _making = self.making.lock();
        if self.root.get().is_none() {
            let prefix = format!("mobula-{}-", std::process::id());
            let private = std::fs::Permissions::from_mode(0o700);
            let mut builder = tempfile::Builder::new();
            let root = builder.prefix(&prefix).permissions(private).tempdir_in(&self.parent)?;
            if let Some(tell) = self.on_made {
                tell(root.path());
            }
            return Ok(self.root.get_or_init(|| root).path());
        }
        Ok(self.root.get().expect("just seen").path())
    }
}

impl ScratchDir {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // What cannot be removed now goes with the root. Nobody else is ever given this directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_empty_private_and_gone_with_their_owner() {
        let scratch = Scratch::new(&std::env::temp_dir(), None);
        let (a, b) = (scratch.dir().unwrap(), scratch.dir().unwrap());
        assert_ne!(a.path(), b.path());
        let mode = std::fs::metadata(a.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(a.path()).unwrap().count(), 0);
        std::fs::write(a.path().join("file"), "x").unwrap();
        let path = a.path().to_owned();
        drop(a);
        assert!(!path.exists() && b.path().exists());
        let root = scratch.root().unwrap().to_owned();
        drop(scratch);
        assert!(!root.exists());
    }
}
