//! Stamps: that a large artifact was hashed whole since this machine started, so that it need not be again.
//!
//! ```text
//!  <cache>/modules/<key>.mobula              the artifact
//!  <cache>/modules/<key>.<boot>.verified     BLAKE3 of (boot id, identity of the file, its tail)
//!  identity   device, inode, length, owner, mode, times of the last change of content and of anything
//!  tail       info and footer: what the artifact says of itself, its sum included
//! ```
//!
//! A stamp is no proof against somebody who can write to the cache: that is the user, who could as well
//! write an artifact whose sum agrees. It tells damage, as the sum does: whatever changes the file, also in
//! place and with its time set back, changes the time of its last change, which nobody can set; what a
//! crash leaves half written is found because the next boot has another id. What the disk itself loses
//! later is found at the next boot, not before; pages that are read again were never checked.
//!
//! Invariants: a stamp is written only when the whole file was verified, its identity was the same before
//! and after, and its last change is longer ago than a clock's tick; it counts only when it belongs to
//! this user and nobody else may write it. Hosts that share a cache have a stamp each.

use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A change within one tick of the clock after another leaves the same time. File systems have ticks of
/// up to two seconds, and those of servers a clock of their own.
const SETTLES: Duration = Duration::from_secs(10);
/// Other boots' stamps are removed after this time.
const OLD: Duration = Duration::from_hours(30 * 24);
const SUFFIX: &str = ".verified";
const SUM_BYTES: usize = blake3::OUT_LEN;

/// What a file does not have in common with what it was before a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    text: String,
    changed: Duration,
}

impl Identity {
    pub(super) fn of(meta: &Metadata) -> Self {
        let of = (meta.dev(), meta.ino(), meta.len(), meta.uid(), meta.mode());
        let modified = (meta.mtime(), meta.mtime_nsec());
        let changed = (meta.ctime(), meta.ctime_nsec());
        let text = format!("{of:?} {modified:?} {changed:?}");
        // Before 1970: as if it were now, so never settled.
        let since = |_| Duration::MAX;
        let seconds = u64::try_from(changed.0).map(Duration::from_secs).unwrap_or_else(since);
        Self {
            text,
            changed: seconds.saturating_add(Duration::from_nanos(changed.1.unsigned_abs())),
        }
    }

    fn settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.changed.saturating_add(SETTLES) < now
    }
}

/// Whether a file is this user's, and nobody else may write to it.
pub(super) fn is_ours(meta: &Metadata) -> bool {
    let mine = meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o022 == 0;
    mine && meta.is_file()
}

/// The stamp of an artifact, of this boot.
#[derive(Debug)]
pub(super) struct Stamp {
    artifact: PathBuf,
    boot: String,
}

impl Stamp {
    /// `None` where the kernel does not say which boot this is.
    pub(super) fn of(artifact: &Path) -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Self { artifact: artifact.into(), boot: boot.trim().to_owned() })
    }

    fn path(&self) -> PathBuf {
        self.artifact.with_extension(format!("{}{SUFFIX}", self.boot))
    }

    fn sum(&self, identity: &Identity, tail: &[u8]) -> blake3::Hash {
        let mut sum = blake3::Hasher::new();
        for part in [self.boot.as_bytes(), identity.text.as_bytes(), tail] {
            sum.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        sum.finalize()
    }

    /// Whether the artifact was verified as it is now.
    pub(super) fn holds(&self, identity: &Identity, tail: &[u8]) -> bool {
        let read = || {
            let file = File::open(self.path()).ok()?;
            let mut sum = Vec::with_capacity(SUM_BYTES + 1);
            is_ours(&file.metadata().ok()?).then_some(())?;
            file.take(SUM_BYTES as u64 + 1).read_to_end(&mut sum).ok()?;
            Some(sum)
        };
        read().is_some_and(|sum| sum == self.sum(identity, tail).as_bytes())
    }

    /// Notes that the artifact was verified, if a later change would be seen. A stamp that cannot be
    /// written costs the next start a verification.
    pub(super) fn note(&self, before: &Identity, after: &Identity, tail: &[u8]) {
        if before == after && before.settled() {
            let _ = self.write(before, tail);
        }
    }

    pub(super) fn write(&self, identity: &Identity, tail: &[u8]) -> std::io::Result<()> {
        let path = self.path();
        let dir = path.parent().unwrap_or(Path::new("."));
        // As artifacts are written: `mobula clean` removes what a killed run leaves.
        let mut file = tempfile::Builder::new().prefix(".artifact-").tempfile_in(dir)?;
        let _ = file.as_file().lock();
        file.write_all(self.sum(identity, tail).as_bytes())?;
        file.persist(&path)?;
        self.remove_old(dir)
    }

    /// Removes this artifact's stamps of boots long ago.
    fn remove_old(&self, dir: &Path) -> std::io::Result<()> {
        let key = self.artifact.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
            if name.starts_with(&key)
                && name.ends_with(SUFFIX)
                && age().is_some_and(|age| age > OLD)
            {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TAIL: &[u8] = b"tail";

    struct Case {
        _dir: tempfile::TempDir,
        artifact: PathBuf,
    }

    impl Case {
        /// A file with a stamp.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let artifact = dir.path().join("key.mobula");
            std::fs::write(&artifact, b"code").unwrap();
            let case = Self { _dir: dir, artifact };
            case.stamp().write(&case.identity(), TAIL).unwrap();
            assert!(case.holds());
            // Longer than a tick of the clock.
            std::thread::sleep(Duration::from_millis(30));
            case
        }

        fn stamp(&self) -> Stamp {
            Stamp { artifact: self.artifact.clone(), boot: "boot".into() }
        }

        fn identity(&self) -> Identity {
            Identity::of(&std::fs::metadata(&self.artifact).unwrap())
        }

        fn holds(&self) -> bool {
            self.stamp().holds(&self.identity(), TAIL)
        }
    }

    #[test]
    fn a_change_in_place_is_seen_also_when_its_time_is_set_back() {
        let case = Case::new();
        let modified = std::fs::metadata(&case.artifact).unwrap().modified().unwrap();
        let file = File::options().write(true).open(&case.artifact).unwrap();
        std::os::unix::fs::FileExt::write_at(&file, b"C", 0).unwrap();
        file.set_modified(modified).unwrap();
        assert!(!case.holds());
    }

    #[test]
    fn another_file_of_the_same_bytes_is_not_the_one_that_was_verified() {
        let case = Case::new();
        let copy = case.artifact.with_extension("copy");
        std::fs::copy(&case.artifact, &copy).unwrap();
        std::fs::rename(&copy, &case.artifact).unwrap();
        assert!(!case.holds());
    }

    #[test]
    fn other_boots_other_tails_and_damaged_stamps_do_not_count() {
        let case = Case::new();
        let other = Stamp { boot: "other".into(), ..case.stamp() };
        std::fs::copy(case.stamp().path(), other.path()).unwrap();
        assert!(!other.holds(&case.identity(), TAIL));
        assert!(!case.stamp().holds(&case.identity(), b"tali"));
        let good = std::fs::read(case.stamp().path()).unwrap();
        for bad in [&good[..31], &[0; 32], b""] {
            std::fs::write(case.stamp().path(), bad).unwrap();
            assert!(!case.holds(), "{bad:?}");
        }
        std::fs::write(case.stamp().path(), [&good[..], b"x"].concat()).unwrap();
        assert!(!case.holds(), "longer");
        std::fs::write(case.stamp().path(), good).unwrap();
        assert!(case.holds());
    }

    #[test]
    fn a_stamp_that_others_may_write_does_not_count() {
        let case = Case::new();
        let others = std::fs::Permissions::from_mode(0o622);
        std::fs::set_permissions(case.stamp().path(), others).unwrap();
        assert!(!case.holds());
    }

    #[test]
    fn what_just_changed_or_changed_meanwhile_gets_no_stamp() {
        let case = Case::new();
        let other = Stamp { boot: "other".into(), ..case.stamp() };
        let now = case.identity();
        other.note(&now, &now, TAIL);
        assert!(!other.holds(&now, TAIL), "it has just been written");
        let old = Identity { changed: now.changed.saturating_sub(2 * SETTLES), ..now.clone() };
        other.note(&old, &now, TAIL);
        assert!(!other.path().exists(), "it changed while it was read");
        other.note(&old, &old, TAIL);
        assert!(other.holds(&old, TAIL));
    }

    #[test]
    fn stamps_of_boots_long_ago_are_removed() {
        let case = Case::new();
        let stamp = |boot: &str| Stamp { boot: boot.into(), ..case.stamp() };
        for boot in ["recent", "old"] {
            stamp(boot).write(&case.identity(), TAIL).unwrap();
        }
        let old = File::options().write(true).open(stamp("old").path()).unwrap();
        old.set_modified(SystemTime::now() - 2 * OLD).unwrap();
        case.stamp().write(&case.identity(), TAIL).unwrap();
        assert!(case.holds() && stamp("recent").path().exists() && !stamp("old").path().exists());
    }
}
