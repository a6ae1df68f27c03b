//! The archive: finds the four tables inside the source distribution, unpacked in memory.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::{DataError, hex};

const MEMBERS: [&str; 4] = ["flights.csv.zip", "weather.csv", "planes.csv", "airports.csv"];

/// The tables of the package as CSV text.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    sha256: String,
    tables: HashMap<&'static str, Vec<u8>>,
}

impl Source {
    /// Reads the archive and unpacks its tables.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or lacks a table.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = std::fs::read(path).map_err(|e| DataError::io("read", path, e))?;
        let mut tables = members(&bytes).map_err(|e| damaged(path, &e))?;
        for member in MEMBERS {
            if !tables.contains_key(member) {
                return Err(DataError::MissingMember { path: path.to_owned(), member });
            }
        }
        let zipped = tables.remove("flights.csv.zip").unwrap_or_default();
        let flights = unzip(zipped).map_err(|e| damaged(path, &e))?;
        tables.insert("flights.csv", flights);
        Ok(Self { path: path.to_owned(), sha256: hex(&Sha256::digest(&bytes)), tables })
    }

    /// Tables given as text, for tests and for other years of the same shape.
    #[must_use]
    pub fn from_text(tables: &[(&'static str, &str)]) -> Self {
        let tables = tables.iter().map(|(n, t)| (*n, t.as_bytes().to_vec())).collect();
        Self { path: PathBuf::from("(text)"), sha256: String::new(), tables }
    }

    /// One table's CSV text.
    ///
    /// # Errors
    /// When the archive has no such table.
    pub fn table(&self, name: &'static str) -> Result<&[u8], DataError> {
        let missing = || DataError::MissingMember { path: self.path.clone(), member: name };
        self.tables.get(name).map(Vec::as_slice).ok_or_else(missing)
    }

    /// SHA-256 of the archive, empty for tables given as text.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

fn members(bytes: &[u8]) -> std::io::Result<HashMap<&'static str, Vec<u8>>> {
    let mut found = HashMap::new();
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if let Some(member) = MEMBERS.into_iter().find(|m| *m == name) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            found.insert(member, content);
        }
    }
    Ok(found)
}

/// The decoder checks the member's CRC as it reads to the end.
fn unzip(bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))?;
    let mut content = Vec::new();
    archive.by_name("flights.csv")?.read_to_end(&mut content)?;
    Ok(content)
}

fn damaged(path: &Path, error: &std::io::Error) -> DataError {
    DataError::Damaged { path: path.to_owned(), message: error.to_string() }
}
