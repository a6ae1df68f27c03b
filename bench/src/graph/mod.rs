//! The graph of PageRank: WordNet, from its data files to one file that guests and peers map.
//!
//! ```text
//! data.noun, data.verb, data.adj, data.adv ──wordnet──▶ pointers ──Graph──▶ rows ──▶ graph.bin
//! ```
//!
//! A vertex is a synset; its number is its place in these four files, one after the other. An edge is a
//! pointer, whatever its kind; several pointers from one synset to another are several edges.
//!
//! ```text
//! graph.bin    offset            32-bit numbers, little-endian
//!              0                 "MOBGRAPH", vertices V, edges E
//!              16                starts[V + 1]  the edges into v are starts[v] .. starts[v + 1]
//!              16 + 4(V+1)       sources[E]     where they come from, ascending for each v
//!              … + 4E            out[V]         edges out of v
//! ```

mod error;
mod wordnet;

use std::fs;
use std::path::Path;

pub use error::GraphError;
pub use wordnet::{FILES, pointers};

/// The first bytes of a graph's file.
pub const MAGIC: &[u8; 8] = b"MOBGRAPH";

/// A directed graph as compressed rows of edges in.
#[derive(Debug, PartialEq, Eq)]
pub struct Graph {
    /// The edges into v are numbers `starts[v]` to below `starts[v + 1]`.
    pub starts: Vec<u32>,
    /// Where each edge comes from.
    pub sources: Vec<u32>,
    /// How many edges leave each vertex.
    pub out: Vec<u32>,
}

impl Graph {
    /// Rows of edges given as (from, to).
    ///
    /// # Errors
    /// When an edge names a vertex that is not there, or numbers of 32 bits do not reach.
    pub fn from_edges(vertices: usize, edges: &[(u32, u32)]) -> Result<Self, GraphError> {
        let too_large = || GraphError::TooLarge { vertices, edges: edges.len() };
        u32::try_from(vertices.max(edges.len())).map_err(|_| too_large())?;
        let mut sorted: Vec<(u32, u32)> = edges.iter().map(|&(from, to)| (to, from)).collect();
        sorted.sort_unstable();
        let (mut starts, mut out) = (vec![0_u32; vertices + 1], vec![0_u32; vertices]);
        for &(to, from) in &sorted {
            let missing = || GraphError::NoSuchVertex { from, to, vertices };
            *out.get_mut(from as usize).ok_or_else(missing)? += 1;
            *starts[1..].get_mut(to as usize).ok_or_else(missing)? += 1;
        }
        for v in 0..vertices {
            starts[v + 1] += starts[v];
        }
        Ok(Self { starts, sources: sorted.into_iter().map(|(_, from)| from).collect(), out })
    }

    /// How many vertices there are.
    #[must_use]
    pub fn vertices(&self) -> usize {
        self.out.len()
    }

    /// How many vertices no edge leaves.
    #[must_use]
    pub fn dangling(&self) -> usize {
        self.out.iter().filter(|&&out| out == 0).count()
    }

    /// The file: see this module's head.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let sizes = [self.out.len() as u32, self.sources.len() as u32];
        let numbers = sizes.iter().chain(&self.starts).chain(&self.sources).chain(&self.out);
        MAGIC.iter().copied().chain(numbers.flat_map(|n| n.to_le_bytes())).collect()
    }
}

/// Reads WordNet's data files in `files` and writes `graph.bin` into `out`.
///
/// # Errors
/// When a file cannot be read, a line is not as wndb(5WN) says, a pointer leads nowhere, or the graph
/// cannot be written.
pub fn prepare(files: &Path, out: &Path) -> Result<Graph, GraphError> {
    let mut texts = Vec::with_capacity(FILES.len());
    for (name, _) in FILES {
        let path = files.join(name);
        // Glosses of old versions are Latin-1; what counts is ASCII.
        let bytes = fs::read(&path).map_err(|e| GraphError::io("read", &path, e))?;
        texts.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    let (vertices, edges) = pointers([&texts[0], &texts[1], &texts[2], &texts[3]])?;
    let graph = Graph::from_edges(vertices, &edges)?;
    fs::create_dir_all(out).map_err(|e| GraphError::io("create the directory", out, e))?;
    // Under its name only when it is whole: a run that was broken off is not taken for a graph.
    let (part, path) = (out.join("graph.bin.part"), out.join("graph.bin"));
    fs::write(&part, graph.to_bytes()).map_err(|e| GraphError::io("write", &part, e))?;
    fs::rename(&part, &path).map_err(|e| GraphError::io("rename", &part, e))?;
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_edges_in_and_count_those_out() {
        let graph = Graph::from_edges(4, &[(2, 0), (0, 1), (1, 0), (2, 0), (0, 3)]).expect("good");
        assert_eq!(graph.starts, [0, 3, 4, 4, 5]);
        assert_eq!(graph.sources, [1, 2, 2, 0, 0]);
        assert_eq!(graph.out, [2, 1, 2, 0]);
        assert_eq!((graph.vertices(), graph.dangling()), (4, 1));
    }

    #[test]
    fn edges_between_vertices_that_are_not_there_are_named() {
        for edge in [(0, 2), (2, 0)] {
            let text = Graph::from_edges(2, &[edge]).expect_err("no vertex 2").to_string();
            assert!(text.contains("2 vertices"), "{text}");
        }
    }

    #[test]
    fn no_edges_are_a_graph() {
        let graph = Graph::from_edges(1, &[]).expect("good");
        assert_eq!(graph.to_bytes().len(), 16 + 4 * 3);
    }

    #[test]
    fn the_file_is_as_the_head_says() {
        let bytes = Graph::from_edges(2, &[(1, 0)]).expect("good").to_bytes();
        assert_eq!(&bytes[..8], MAGIC);
        let numbers = bytes[8..].chunks(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        assert_eq!(numbers.collect::<Vec<_>>(), [2, 1, 0, 1, 1, 1, 0, 1]);
    }

    #[test]
    fn a_missing_file_is_named_and_nothing_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = prepare(dir.path(), dir.path()).expect_err("no files").to_string();
        assert!(text.contains("data.noun"), "{text}");
        assert!(!dir.path().join("graph.bin").exists());
    }
}
