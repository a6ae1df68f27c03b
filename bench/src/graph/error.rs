//! What can go wrong between WordNet's files and the graph.

use std::path::{Path, PathBuf};

/// A failure while reading WordNet or writing the graph.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
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
    /// A line is not what wndb(5WN) says.
    #[error("{file}, line {line}: {message}")]
    Line {
        /// File name.
        file: &'static str,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// Files without a single synset.
    #[error("no synset in any of WordNet's data files; are they whole?")]
    Empty,
    /// An edge from or to a vertex beyond the last.
    #[error("an edge from {from} to {to}, but there are {vertices} vertices")]
    NoSuchVertex {
        /// Where the edge begins.
        from: u32,
        /// Where it ends.
        to: u32,
        /// How many there are.
        vertices: usize,
    },
    /// More than 32 bits can number.
    #[error("{vertices} vertices and {edges} edges are too many for numbers of 32 bits")]
    TooLarge {
        /// How many vertices.
        vertices: usize,
        /// How many edges.
        edges: usize,
    },
}

impl GraphError {
    pub(crate) fn io(op: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { op, path: path.to_owned(), source }
    }
}
