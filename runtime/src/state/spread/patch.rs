//! What changed in a chunk, as bytes on their way: pure, knows bytes and no ranks.
//!
//! ```text
//!  copy  ..AB....C...      runs of bytes that differ        ┌ chunk │ kind │ 2 (u32) ┐ start,len-1 (u16) × 2 │ A B C
//!  base  ............  ─▶  [2..4] [8..9]               ─▶   └ many runs: kind 1, n bytes: a bit for each byte ┘
//! ```
//!
//! A byte that did not change is never in a patch: another host may have pushed it meanwhile.
//!
//! Invariants: what [`Patch`] writes [`read`] reads; anything else is refused, never a panic.

use std::ops::Range;

use mobula_shm::CHUNK_BYTES;

const RUNS: u32 = 0;
const BITS: u32 = 1;
const HEAD: usize = 12;
/// Bytes that say where a run is.
const RUN: usize = 4;
/// Runs beyond which a bit for each byte of a chunk takes less room.
const MOST_RUNS: usize = CHUNK_BYTES / 8 / RUN;

/// The ranges where `now` and `before`, of one length, differ. `unit` is the granularity: one byte, or
/// the 4 or 8 bytes of an element.
pub(crate) fn changed(now: &[u8], before: &[u8], unit: usize) -> Vec<Range<usize>> {
    runs(now.len().min(before.len()), unit, |at| word(now, at) ^ word(before, at))
}

/// The ranges where they differ or where `flags`, a bit for each byte of a chunk, has ones.
pub(crate) fn changed_or_flagged(now: &[u8], before: &[u8], flags: &[u8]) -> Vec<Range<usize>> {
    let flagged = |at: usize| flags.get(at / 8).map_or(0, |&bits| spread(bits));
    runs(now.len().min(before.len()), 1, |at| word(now, at) ^ word(before, at) | flagged(at))
}

/// Whether the first `count` bytes are all flagged.
pub(crate) fn has_all(flags: &[u8], count: usize) -> bool {
    let (full, rest) = (count / 8, (1u16 << (count % 8)) as u8 - 1);
    flags.get(..full).is_some_and(|flags| flags.iter().all(|&bits| bits == 0xff))
        && (rest == 0 || flags.get(full).is_some_and(|&bits| bits & rest == rest))
}

/// A byte for each bit, the lowest first: one where it is set.
fn spread(bits: u8) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bits >> i & 1))
}

/// The ranges where `mask` is not zero.
pub(crate) fn masked(mask: &[u8]) -> Vec<Range<usize>> {
    runs(mask.len(), 1, |at| word(mask, at))
}

/// The eight bytes at `at`, with zeros behind the end.
fn word(bytes: &[u8], at: usize) -> u64 {
    if let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        return u64::from_le_bytes(*word);
    }
    let mut word = [0; 8];
    let rest = &bytes[at.min(bytes.len())..];
    word[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(word)
}

/// The ranges of units in which some byte of `marks`, eight bytes at a time, is not zero.
fn runs(len: usize, unit: usize, marks: impl Fn(usize) -> u64) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut add = |start: usize, end: usize| match runs.last_mut() {
        Some(run) if run.end == start => run.end = end,
        _ => runs.push(start..end),
    };
    for at in (0..len).step_by(8) {
        let marks = marks(at);
        if marks == 0 {
            continue;
        }
        // No byte of it is zero (Mycroft's test); or the element is the word.
        let full = marks.wrapping_sub(ONES) & !marks & (ONES << 7) == 0;
        if full || unit == 8 {
            add(at, (at + 8).min(len));
            continue;
        }
        for (part, bytes) in marks.to_le_bytes().chunks(unit).enumerate() {
            if bytes.iter().any(|&byte| byte != 0) {
                let start = at + part * unit;
                add(start, (start + unit).min(len));
            }
        }
    }
    runs
}

/// A one in each byte.
const ONES: u64 = u64::MAX / 255;

/// Patches of several chunks of one value, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Patch {
    pub(crate) bytes: Vec<u8>,
}

impl Patch {
    /// Adds the `runs` of `now`, the bytes of `chunk`.
    pub(crate) fn add(&mut self, chunk: u32, now: &[u8], runs: &[Range<usize>]) {
        let out = &mut self.bytes;
        // A bit for each byte up to the last that is sent, or 4 bytes for each run: whichever takes less.
        let bits = runs.last().map_or(0, |run| run.end.div_ceil(8));
        let (kind, count) = if runs.len() * RUN > bits { (BITS, bits) } else { (RUNS, runs.len()) };
        for word in [chunk, kind, count as u32] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        if kind == RUNS {
            for run in runs {
                // A chunk's offsets and lengths less one fit in 16 bits.
                out.extend_from_slice(&(run.start as u16).to_le_bytes());
                out.extend_from_slice(&((run.len() - 1) as u16).to_le_bytes());
            }
        } else {
            let at = out.len();
            out.resize(at + bits, 0);
            for byte in runs.iter().flat_map(Clone::clone) {
                out[at + byte / 8] |= 1 << (byte % 8);
            }
        }
        runs.iter().for_each(|run| out.extend_from_slice(&now[run.clone()]));
    }
}

/// A body that no rank of this version sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a patch of state is malformed")]
pub(crate) struct Malformed;

/// Calls `see` with the offset in the value and the bytes of each run.
pub(crate) fn read<E: From<Malformed>>(
    mut body: &[u8],
    mut see: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    while !body.is_empty() {
        let head = take(&mut body, HEAD)?;
        let word = |i: usize| u32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
        let (chunk, kind, count) = (word(0), word(4), word(8) as usize);
        let runs = match kind {
            RUNS if count <= MOST_RUNS => {
                let (words, _) = take(&mut body, count * RUN)?.as_chunks::<4>();
                let run = |w: &[u8; 4]| {
                    let start = usize::from(u16::from_le_bytes([w[0], w[1]]));
                    start..start + usize::from(u16::from_le_bytes([w[2], w[3]])) + 1
                };
                words.iter().map(run).collect()
            }
            BITS if count <= CHUNK_BYTES / 8 => {
                let bits = take(&mut body, count)?;
                runs(count * 8, 1, |at| spread(bits[at / 8]))
            }
            _ => return Err(Malformed.into()),
        };
        for run in runs {
            let bytes = take(&mut body, run.len())?;
            see(u64::from(chunk) * CHUNK_BYTES as u64 + run.start as u64, bytes)?;
        }
    }
    Ok(())
}

fn take<'a>(body: &mut &'a [u8], len: usize) -> Result<&'a [u8], Malformed> {
    let (head, rest) = body.split_at_checked(len).ok_or(Malformed)?;
    *body = rest;
    Ok(head)
}

/// Takes `new` for a word of a copy, but keeps a word to which something was stored here since
/// `base`, or of which a byte is flagged: the copy's next word and the base's.
///
/// A word is kept whole. Bytes of ours and of others' put together would be a number that nobody wrote.
pub(crate) fn merge_word(copy: u64, base: u64, new: u64, flagged: bool) -> (u64, u64) {
    if copy == base && !flagged { (new, new) } else { (copy, base) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(body: &[u8]) -> Result<Vec<(u64, Vec<u8>)>, Malformed> {
        let mut all = Vec::new();
        read(body, |at, bytes| {
            all.push((at, bytes.to_vec()));
            Ok::<_, Malformed>(())
        })?;
        Ok(all)
    }

    #[test]
    fn runs_are_what_differs_and_no_byte_more() {
        let (mut now, before) = (vec![0u8; 300], vec![0u8; 300]);
        assert!(changed(&now, &before, 1).is_empty());
        for at in [0, 5, 6, 63, 64, 128, 299] {
            now[at] = 1;
        }
        assert_eq!(changed(&now, &before, 1), [0..1, 5..7, 63..65, 128..129, 299..300]);
        assert_eq!(changed(&now, &before, 4), [0..8, 60..68, 128..132, 296..300]);
        assert_eq!(changed(&now, &before, 8), [0..8, 56..72, 128..136, 296..300]);
        assert_eq!(masked(&now), changed(&now, &before, 1));
        let (mut flags, mut flagged) = (vec![0u8; CHUNK_BYTES / 8], vec![4..7, 63..65, 128..129]);
        flags[0] = 0b11_0000;
        flags[299 / 8] = 0xff;
        flagged.insert(0, 0..1);
        flagged.push(296..300);
        assert_eq!(changed_or_flagged(&now, &before, &flags), flagged);
        assert!(!has_all(&flags, 9));
        flags[..3].fill(0xff);
        assert!(has_all(&flags, 24) && has_all(&flags, 17) && !has_all(&flags, 25));
        now[8..24].fill(0x80);
        assert_eq!(masked(&now), [0..1, 5..7, 8..24, 63..65, 128..129, 299..300]);
        assert_eq!(masked(&[1; 13]).as_slice(), std::slice::from_ref(&(0..13)));
    }

    #[test]
    fn patches_come_back_as_they_were_sent() {
        let before = vec![0u8; CHUNK_BYTES];
        for step in [1, 2, 3, 31, 33, 5000, CHUNK_BYTES] {
            let mut now = before.clone();
            (0..CHUNK_BYTES).step_by(step).for_each(|at| now[at] = (at % 255) as u8 + 1);
            let runs = changed(&now, &before, 1);
            let mut patch = Patch::default();
            patch.add(3, &now, &runs);
            patch.add(9, &now[..100], std::slice::from_ref(&(7..9)));
            let mut rebuilt = [before.clone(), before.clone()];
            for (at, bytes) in back(&patch.bytes).expect("well formed") {
                let (chunk, at) = (at as usize / CHUNK_BYTES, at as usize % CHUNK_BYTES);
                rebuilt[usize::from(chunk == 9)][at..at + bytes.len()].copy_from_slice(&bytes);
            }
            assert!(rebuilt[0] == now, "step {step}");
            assert_eq!(rebuilt[1][7..9], now[7..9]);
            for cut in [1, 11, 13, patch.bytes.len() - 1] {
                assert_eq!(back(&patch.bytes[..cut]), Err(Malformed), "cut at {cut}");
            }
        }
        assert_eq!(back(&[0xff; 40]), Err(Malformed));
    }

    #[test]
    fn a_merge_keeps_words_that_are_ours_and_takes_the_rest() {
        assert_eq!(merge_word(5, 5, 9, false), (9, 9), "nothing was stored here");
        assert_eq!(merge_word(7, 5, 9, false), (7, 5), "it was, and is still to be pushed");
        assert_eq!(merge_word(9, 5, 9, false), (9, 5), "also when both stored the same");
        assert_eq!(merge_word(5, 5, 9, true), (5, 5), "also when it was what was there");
    }
}
