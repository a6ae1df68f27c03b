//! Who has what of a key: pure functions of numbers that all ranks agree on.
//!
//! ```text
//!  owner of the key = hash mod ranks          chunks of a value, 4 ranks, owner 2, 80 chunks
//!  ┌─ 2 ─────────────┬─ 3 ─────────────┬─ 0 ─────────────┬─ 1 ─────────────┐
//!  │ 0 … 19          │ 20 … 39         │ 40 … 59         │ 60 … 79         │
//! ```
//!
//! Invariants: every chunk has one home; a rank's chunks of a value are one block; a value of fewer than
//! [`BLOCK`] chunks has its home at its owner.

use std::ops::Range;

use crate::fabric::{Job, RankId};

/// Fewest chunks of a block: 1 MiB.
pub(crate) const BLOCK: u32 = 16;

/// A number of the key that every rank computes alike.
pub(crate) fn hash(user: &str, key: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(user.len() as u64).to_le_bytes()).update(user.as_bytes()).update(key);
    let sum = *hasher.finalize().as_bytes();
    u64::from_le_bytes([sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], sum[7]])
}

/// The rank that alone decides about the key.
pub(crate) fn owner(hash: u64, ranks: u32) -> RankId {
    u32::try_from(hash % u64::from(ranks.max(1))).unwrap_or(0)
}

/// The rank of `host` that allocates the host's copy and serves its lock.
pub(crate) fn keeper(hash: u64, job: &Job, host: u32) -> RankId {
    let owner = owner(hash, job.size());
    if job.host_of(owner) == host {
        return owner;
    }
    let near = job.ranks_on(host);
    // Another part of the hash than the owner's, so that keepers spread also when hosts are alike.
    near[usize::try_from((hash >> 32) % near.len().max(1) as u64).unwrap_or(0)]
}

/// Chunks of each block but perhaps the last.
fn block(chunks: u32, ranks: u32) -> u32 {
    chunks.div_ceil(ranks.max(1)).max(BLOCK)
}

/// The home of a chunk.
pub(crate) fn home(owner: RankId, chunks: u32, chunk: u32, ranks: u32) -> RankId {
    let block = block(chunks, ranks);
    // Both are below the number of ranks; their sum may not fit for 2^31 ranks, which do not exist.
    (owner + chunk / block) % ranks.max(1)
}

/// The blocks of a value and their homes, in order.
pub(crate) fn blocks(owner: RankId, chunks: u32, ranks: u32) -> Vec<(Range<u32>, RankId)> {
    let size = block(chunks, ranks);
    let starts = (0..chunks).step_by(size as usize);
    let block = |start: u32| {
        (start..start.saturating_add(size).min(chunks), home(owner, chunks, start, ranks))
    };
    starts.map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_are_at_home_with_their_owner() {
        for (ranks, chunks) in [(1, 15), (2, 1), (3, 16), (64, 15), (64, 16)] {
            for chunk in 0..chunks {
                assert_eq!(home(ranks - 1, chunks, chunk, ranks), ranks - 1);
            }
        }
        assert_eq!(home(1, 17, 16, 3), 2, "the first chunk that a neighbour has");
    }

    #[test]
    fn every_chunk_has_one_home_and_blocks_are_even() {
        for ranks in [1, 2, 3, 4, 7, 64] {
            for chunks in [0, 1, 15, 16, 17, 31, 32, 33, 100, 1023, 1024, 5000] {
                let blocks = blocks(ranks / 2, chunks, ranks);
                assert!(blocks.len() <= ranks as usize, "a rank has one block at most");
                let mut next = 0;
                for (range, rank) in &blocks {
                    assert_eq!(range.start, next);
                    assert!(range.len() >= BLOCK as usize || range.end == chunks);
                    assert!(range.len() <= chunks.div_ceil(ranks).max(BLOCK) as usize);
                    next = range.end;
                    for chunk in range.clone() {
                        assert_eq!(home(ranks / 2, chunks, chunk, ranks), *rank);
                    }
                }
                assert_eq!(next, chunks);
            }
        }
    }

    #[test]
    fn owners_spread_and_names_do_not_run_together() {
        let mut counts = [0; 8];
        for key in 0..800 {
            counts[owner(hash("u", format!("k{key}").as_bytes()), 8) as usize] += 1;
        }
        assert!(counts.iter().all(|&n| n > 50), "{counts:?}");
        assert_ne!(hash("a", b"b_c"), hash("a_b", b"c"));
        assert_ne!(hash("ab", b"c"), hash("a", b"bc"));
    }

    #[test]
    fn keepers_are_on_their_host() {
        let hosts = vec![0, 0, 1, 1, 2];
        let names = vec!["a".into(), "b".into(), "c".into()];
        let job = Job { rank: 0, hosts, names, id: "x".into() };
        for key in 0..100 {
            let hash = hash("u", format!("k{key}").as_bytes());
            for host in 0..3 {
                assert_eq!(job.host_of(keeper(hash, &job, host)), host);
            }
            let owner = owner(hash, 5);
            assert_eq!(keeper(hash, &job, job.host_of(owner)), owner);
        }
    }
}
