//! The files that become state values: `train.bin` and `test.bin`, little-endian.
//!
//! ```text
//!  0                64 KiB          64 KiB + 128 * rows
//!  ├─ header, zeros ─┼─ row 0 ─ row 1 ─ … ─┤
//!
//!  header  magic "MOBSGD01" · u32 rows · u32 features · u32 dense · u32 sparse · u32 row bytes ·
//!          u32 data offset · u32 positives · zeros up to the data
//!  row     f32 dense[16] · u16 slot[31] · u16 label            = 128 bytes, two cache lines
//! ```
//!
//! 512 rows are one chunk of state (64 KiB), so ranges of whole chunks make windows that share no
//! page. `dense[j]` multiplies weight `j`; `dense[0]` is 1. A slot is the *byte offset* of a weight
//! in the array of f32 weights (feature index times four) and stands for a value of 1: this saves
//! the guest a shift per feature, and holds 16,384 features. The label is 1 for late, else 0.
//!
//! `guest-lib/examples/sgd/sgd_core.h` has the same layout as C++ structs.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::DataError;

/// First eight bytes of a set.
pub const MAGIC: &[u8; 8] = b"MOBSGD01";
/// Numbers per row.
pub const DENSE: usize = 16;
/// One-hot features per row.
pub const SPARSE: usize = 31;
/// Size of a row.
pub const ROW_BYTES: usize = 128;
/// Where the rows begin: one chunk of state in, so that windows on rows are aligned.
pub const DATA_OFFSET: usize = 64 * 1024;
/// A flight is late when it arrives more than this many minutes after schedule.
pub const LATE_MINUTES: f64 = 15.0;
/// A slot is a 16-bit byte offset of a 4-byte weight.
pub(crate) const MAX_FEATURES: usize = 1 << 14;

const _: () = assert!(DENSE * 4 + SPARSE * 2 + 2 == ROW_BYTES);

/// One flight as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Standardised numbers, the first being 1.
    pub dense: [f32; DENSE],
    /// Indices (not byte offsets) of the features that are 1.
    pub index: [u16; SPARSE],
    /// Arrived more than [`LATE_MINUTES`] late.
    pub late: bool,
}

/// A prepared file, read back.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Number of weights, padded to a multiple of 16.
    pub features: usize,
    /// The rows.
    pub rows: Vec<Row>,
}

/// What `meta.json` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Meta {
    /// Version of the layout, as in the files.
    pub magic: String,
    /// SHA-256 of the archive that the files were made from.
    pub source_sha256: String,
    /// Number of weights, padded to a multiple of 16.
    pub features: usize,
    /// Numbers per row.
    pub dense: usize,
    /// One-hot features per row.
    pub sparse: usize,
    /// Non-zeros per row.
    pub nonzeros: usize,
    /// Size of a row.
    pub row_bytes: usize,
    /// Where the rows begin.
    pub data_offset: usize,
    /// Training rows.
    pub train: SetMeta,
    /// Held-out rows.
    pub test: SetMeta,
    /// What each weight stands for.
    pub names: Vec<String>,
}

/// One file of [`Meta`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetMeta {
    /// File name.
    pub file: String,
    /// Number of rows.
    pub rows: usize,
    /// Rows labelled late.
    pub late: usize,
    /// Size.
    pub bytes: usize,
    /// Checksum.
    pub sha256: String,
}

impl Meta {
    pub(crate) fn new(source: &str, names: Vec<String>, train: SetMeta, test: SetMeta) -> Self {
        Self {
            magic: String::from_utf8_lossy(MAGIC).into_owned(),
            source_sha256: source.to_owned(),
            features: names.len(),
            dense: DENSE,
            sparse: SPARSE,
            nonzeros: DENSE + SPARSE,
            row_bytes: ROW_BYTES,
            data_offset: DATA_OFFSET,
            train,
            test,
            names,
        }
    }

    /// Reads `meta.json`.
    ///
    /// # Errors
    /// When the file cannot be read or is not of this layout.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let text = std::fs::read(path).map_err(|e| DataError::io("read", path, e))?;
        let meta: Self = serde_json::from_slice(&text)
            .map_err(|e| DataError::layout(path, format!("not the expected JSON: {e}")))?;
        if meta.magic.as_bytes() != MAGIC {
            return Err(DataError::layout(path, format!("layout {} is another one", meta.magic)));
        }
        Ok(meta)
    }
}

pub(crate) fn to_bytes(rows: &[Row], features: usize) -> Vec<u8> {
    let word = |n: usize| u32::try_from(n).expect("counts are far below 2^32").to_le_bytes();
    let late = rows.iter().filter(|r| r.late).count();
    let mut out = Vec::with_capacity(DATA_OFFSET + rows.len() * ROW_BYTES);
    out.extend_from_slice(MAGIC);
    for n in [rows.len(), features, DENSE, SPARSE, ROW_BYTES, DATA_OFFSET, late] {
        out.extend_from_slice(&word(n));
    }
    out.resize(DATA_OFFSET, 0);
    for row in rows {
        row.dense.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
        row.index.iter().for_each(|i| out.extend_from_slice(&(i * 4).to_le_bytes()));
        out.extend_from_slice(&u16::from(row.late).to_le_bytes());
    }
    out
}

impl Dataset {
    /// Reads a prepared file and checks every index in it.
    ///
    /// # Errors
    /// When the file cannot be read, is of another layout or shorter than its header says, or
    /// holds an index or label out of range.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = std::fs::read(path).map_err(|e| DataError::io("read", path, e))?;
        Self::parse(&bytes).map_err(|message| DataError::layout(path, message))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < DATA_OFFSET || !bytes.starts_with(MAGIC) {
            return Err("no header of this layout".to_owned());
        }
        let word = |i: usize| {
            let at = MAGIC.len() + 4 * i;
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
        };
        let (rows, features) = (word(0), word(1));
        if [word(2), word(3), word(4), word(5)] != [DENSE, SPARSE, ROW_BYTES, DATA_OFFSET] {
            return Err("rows of another shape".to_owned());
        }
        if bytes.len() != DATA_OFFSET + rows * ROW_BYTES {
            return Err(format!("{} bytes do not fit {rows} rows", bytes.len()));
        }
        if features > MAX_FEATURES || !features.is_multiple_of(16) {
            return Err(format!("{features} features are not possible"));
        }
        let rows = bytes[DATA_OFFSET..].chunks_exact(ROW_BYTES).enumerate();
        let rows = rows.map(|(i, b)| row(b, features).map_err(|e| format!("row {i}: {e}")));
        Ok(Self { features, rows: rows.collect::<Result<_, _>>()? })
    }
}

fn row(bytes: &[u8], features: usize) -> Result<Row, String> {
    let (dense, rest) = bytes.split_at(4 * DENSE);
    let short = |i: usize| u16::from_le_bytes([rest[2 * i], rest[2 * i + 1]]);
    let mut out = Row { dense: [0.0; DENSE], index: [0; SPARSE], late: false };
    for (value, b) in out.dense.iter_mut().zip(dense.chunks_exact(4)) {
        *value = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    }
    for (i, index) in out.index.iter_mut().enumerate() {
        let slot = short(i);
        if slot % 4 != 0 || usize::from(slot) >= 4 * features {
            return Err(format!("slot {slot} is outside {features} weights"));
        }
        *index = slot / 4;
    }
    out.late = match short(SPARSE) {
        0 => false,
        1 => true,
        other => return Err(format!("label {other}")),
    };
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let mut row = Row { dense: [0.5; DENSE], index: [17; SPARSE], late: true };
        row.index[30] = 31;
        vec![row, Row { late: false, ..row }]
    }

    #[test]
    fn what_is_written_is_read() {
        let set = Dataset::parse(&to_bytes(&rows(), 32)).expect("a good file");
        assert_eq!((set.features, set.rows), (32, rows()));
    }

    #[test]
    fn damage_is_named() {
        let good = to_bytes(&rows(), 32);
        let cut = &good[..good.len() - 1];
        assert!(Dataset::parse(cut).is_err_and(|e| e.contains("do not fit 2 rows")));
        assert!(Dataset::parse(&[]).is_err_and(|e| e.contains("no header")));
        let narrow = to_bytes(&rows(), 16);
        assert!(Dataset::parse(&narrow).is_err_and(|e| e.contains("row 0: slot 68")));
    }
}
