//! One file of the store: written aside, sealed, then put in its place; read only if whole.
//!
//! ```text
//!  ├──────── content (zeros are holes) ────────┼ magic ┬ length ┬ records ┬ zeros ┬ BLAKE3 ┤
//!  0                                          len     +8       +16       +24     +32      +64
//! ```
//!
//! Invariant: under its name a file is always whole, the old one or the new one: it is complete and
//! on the disk before it is renamed, and the directory is written after that.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

const MAGIC: [u8; 8] = *b"MOBULAS1";
const FOOTER_BYTES: u64 = 64;
/// Zeros are looked for in blocks of this size.
const BLOCK: usize = 64 << 10;
/// How names of files begin that are being written.
pub const UNFINISHED: &str = ".mobula-unfinished-";

/// What a file holds, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    pub len: u64,
    /// Records in the content; 0 for other things.
    pub records: u64,
    pub sum: [u8; 32],
}

impl Seal {
    fn footer(&self) -> [u8; FOOTER_BYTES as usize] {
        let mut footer = [0; FOOTER_BYTES as usize];
        footer[..8].copy_from_slice(&MAGIC);
        footer[8..16].copy_from_slice(&self.len.to_le_bytes());
        footer[16..24].copy_from_slice(&self.records.to_le_bytes());
        footer[32..].copy_from_slice(&self.sum);
        footer
    }

    fn of_footer(footer: &[u8; FOOTER_BYTES as usize]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(footer[at..at + 8].try_into().ok()?));
        let sum = footer[32..].try_into().ok()?;
        let seal = Self { len: number(8)?, records: number(16)?, sum };
        (seal.footer() == *footer).then_some(seal)
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct Writer {
    file: NamedTempFile,
    hasher: blake3::Hasher,
    len: u64,
    records: u64,
}

impl Writer {
    /// Begins a file in `dir`, which must exist.
    pub fn new(dir: &Path) -> io::Result<Self> {
        // As readable as any new file: the umask takes away what it should.
        let readable = std::fs::Permissions::from_mode(0o666);
        let mut builder = tempfile::Builder::new();
        let file = builder.prefix(UNFINISHED).permissions(readable).tempfile_in(dir)?;
        Ok(Self { file, hasher: blake3::Hasher::new(), len: 0, records: 0 })
    }

    /// Adds bytes at the end.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        for block in bytes.chunks(BLOCK) {
            if block.iter().any(|&byte| byte != 0) {
                self.file.as_file().write_all_at(block, self.len)?;
            }
            self.len += block.len() as u64;
        }
        Ok(())
    }

    /// Adds a record at the end: its length, then its bytes.
    pub fn write_record(&mut self, record: &[u8]) -> io::Result<()> {
        self.records += 1;
        self.write(&(record.len() as u64).to_le_bytes())?;
        self.write(record)
    }

    /// Completes the file and waits until the disk has it. It has no name yet.
    pub fn seal(self) -> io::Result<Sealed> {
        let sum = *self.hasher.finalize().as_bytes();
        let seal = Seal { len: self.len, records: self.records, sum };
        self.file.as_file().write_all_at(&seal.footer(), self.len)?;
        self.file.as_file().sync_all()?;
        Ok(Sealed { file: self.file.into_temp_path(), seal })
    }
}

/// A whole file, closed, that waits for its name. Dropping it removes it.
#[derive(Debug)]
pub struct Sealed {
    file: TempPath,
    pub seal: Seal,
}

impl Sealed {
    /// Puts the file in its place, in the directory where it was begun.
    pub fn place(self, path: &Path) -> io::Result<()> {
        self.file.persist(path).map_err(|err| err.error)?;
        sync_dir(path.parent().unwrap_or(Path::new(".")))
    }
}

/// Waits until the disk has the names in a directory.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a directory and those above it, each one on the disk before what is in it.
pub fn make_dirs(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if parent != dir {
        make_dirs(parent)?;
    }
    match std::fs::create_dir(dir) {
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(err) => Err(err),
        Ok(()) => sync_dir(parent),
    }
}

/// A file whose end says that it is whole.
#[derive(Debug)]
pub struct Opened {
    file: File,
    pub seal: Seal,
}

/// Opens a file; `None` when there is none.
pub fn open(path: &Path) -> io::Result<Option<Opened>> {
    let file = match File::open(path) {
        Err(err)
            if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&err.kind()) =>
        {
            return Ok(None);
        }
        opened => opened?,
    };
    let size = file.metadata()?.len();
    let at = size.checked_sub(FOOTER_BYTES).ok_or_else(|| damaged("it is too short"))?;
    let mut footer = [0; FOOTER_BYTES as usize];
    file.read_exact_at(&mut footer, at)?;
    match Seal::of_footer(&footer) {
        Some(seal) if seal.len == at => Ok(Some(Opened { file, seal })),
        _ => Err(damaged("its end is not what Mobula wrote")),
    }
}

fn damaged(how: &str) -> io::Error {
    let text = format!("the file is damaged ({how}); remove it, or put it anew");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Opened {
    /// The content; `done` is called when it was read to its end and found whole.
    pub fn reader(self, done: impl FnOnce() + Send + 'static) -> Verified {
        let hasher = blake3::Hasher::new();
        Verified { file: self.file, seal: self.seal, at: 0, hasher, done: Some(Box::new(done)) }
    }

    /// All of the content.
    pub fn read(self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.seal.len).unwrap_or(0));
        self.reader(|| {}).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads the content; its end is an error when the sum is wrong.
pub struct Verified {
    file: File,
    seal: Seal,
    at: u64,
    hasher: blake3::Hasher,
    done: Option<Box<dyn FnOnce() + Send>>,
}

impl Read for Verified {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.seal.len - self.at;
        let most = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = if most == 0 { 0 } else { self.file.read_at(&mut out[..most], self.at)? };
        if n == 0 && left == 0 {
            if *self.hasher.finalize().as_bytes() != self.seal.sum {
                return Err(damaged("its sum is wrong"));
            }
            if let Some(done) = self.done.take() {
                done();
            }
        } else if n == 0 && most > 0 {
            return Err(damaged("it became shorter"));
        }
        self.hasher.update(&out[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn put(dir: &Path, name: &str, bytes: &[u8]) {
        let mut writer = Writer::new(dir).unwrap();
        bytes.chunks(1000).for_each(|piece| writer.write(piece).unwrap());
        writer.seal().unwrap().place(&dir.join(name)).unwrap();
    }

    fn get(dir: &Path, name: &str) -> io::Result<Vec<u8>> {
        open(&dir.join(name))?.expect("it exists").read()
    }

    #[test]
    fn what_was_put_comes_back_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [vec![], vec![7; 10], (0..200_000u32).map(|i| i as u8).collect()] {
            put(dir.path(), "f", &bytes);
            assert_eq!(get(dir.path(), "f").unwrap(), bytes);
            let path = dir.path().join("f");
            let good = std::fs::read(&path).unwrap();
            for at in [0, good.len() / 2, good.len() - 64, good.len() - 50, good.len() - 1] {
                let mut bad = good.clone();
                bad[at] ^= 4;
                std::fs::write(&path, bad).unwrap();
                assert!(get(dir.path(), "f").is_err(), "byte {at} of {}", good.len());
            }
            for cut in [0, 10, good.len() - 1] {
                std::fs::write(&path, &good[..cut]).unwrap();
                assert!(get(dir.path(), "f").is_err(), "cut to {cut}");
            }
        }
        assert!(open(&dir.path().join("none")).unwrap().is_none());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing unfinished is left");
    }

    #[test]
    fn zeros_take_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(dir.path()).unwrap();
        let piece = vec![0; 1 << 20];
        (0..64).for_each(|_| writer.write(&piece).unwrap());
        writer.seal().unwrap().place(&dir.path().join("f")).unwrap();
        let meta = std::fs::metadata(dir.path().join("f")).unwrap();
        assert!(meta.len() > 64 << 20 && meta.blocks() * 512 < 1 << 20, "{meta:?}");
        assert!(get(dir.path(), "f").unwrap().iter().all(|&byte| byte == 0));
    }
}
