//! pagerank: pagerank N STEPS WORKERS. PageRank of N copies of the graph in the state value `graph` (the rule
//! is in bench/peers/graph.h); ms a step.
//!
//! ```text
//! ends, sources, out    the graph as rows of edges in, divided among WORKERS calls
//! even ◀──steps──▶ odd  what a vertex gives to each that it leads to: rank / edges out. Where no edge leads
//!                       out nobody reads it; there the rank itself is
//! ```
//!
//! A step's call runs where its part of the new vector is at home, so that its push moves nothing but what
//! shares a chunk with a neighbour; a part begins with a chunk for that reason. Of the calls of one host the
//! first fetches what other hosts have computed: all of it once a step, as MPI_Allgatherv does.

use std::time::Instant;

use mobula::{Call, CallError, State, Window, chain_at};
use serde::{Deserialize, Serialize};

const DAMPING: f64 = 0.85;
const WARM_UP: usize = 2;
/// Elements of a vector in a chunk of state.
const CHUNK: usize = 64 * 1024 / size_of::<f64>();
/// 32-bit numbers before the rows in the graph's file.
const HEAD: usize = 4;
const BEFORE: [&str; 2] = ["even", "odd"];

/// The real graph's sizes, and how many copies there are.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Size {
    vertices: usize,
    edges: usize,
    copies: usize,
}

impl Size {
    /// Vertices of all copies.
    fn all(self) -> usize {
        self.vertices * self.copies
    }

    fn graph_len(self) -> usize {
        HEAD + 2 * self.vertices + 1 + self.edges
    }
}

/// What one call works on.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Part {
    size: Size,
    lo: usize,
    hi: usize,
    /// The edges into these vertices, counted over all copies.
    edges: (usize, usize),
}

/// A part's window on one of the rows' values, with an element for each of `range`.
fn part_of(key: &str, total: usize, (lo, hi): (usize, usize)) -> Window<u32> {
    Window::part(key, total * size_of::<u32>(), lo * size_of::<u32>(), hi - lo)
}

/// `ends`, `sources` and `out`.
fn rows(part: &Part) -> [Window<u32>; 3] {
    let (size, vertices) = (part.size, (part.lo, part.hi));
    [
        part_of("ends", size.all(), vertices),
        part_of("sources", size.edges * size.copies, part.edges),
        part_of("out", size.all(), vertices),
    ]
}

fn vector(part: &Part, step: usize) -> Window<f64> {
    let total = part.size.all() * size_of::<f64>();
    Window::part(BEFORE[step % 2], total, part.lo * size_of::<f64>(), part.hi - part.lo)
}

fn shift(edge: usize, copies: usize) -> usize {
    let hash = (edge as u32).wrapping_mul(2_654_435_761);
    let hash = (hash ^ (hash >> 16)).wrapping_mul(2_246_822_507);
    let hash = hash ^ (hash >> 13);
    if hash & 1 == 1 { ((u64::from(hash >> 1) * copies as u64) >> 31) as usize } else { 0 }
}

fn divisor(out: u32) -> f64 {
    if out == 0 { 1.0 } else { f64::from(out) }
}

/// Rank of a vertex to begin with: a slope that adds up to 1, so that copies differ.
fn begin(at: usize, all: usize) -> f64 {
    2.0 * (at + 1) as f64 / (all as f64 * (all as f64 + 1.0))
}

/// Makes a part's rows and its first ranks; returns the ranks of vertices that lead nowhere. Every source is
/// below the number of vertices afterwards.
#[mobula::func]
fn build(part: Part) -> f64 {
    let Size { vertices, edges, copies } = part.size;
    let graph = Window::<u32>::open("graph", part.size.graph_len());
    let graph = graph.shared(0..part.size.graph_len());
    let (starts, rest) = graph[HEAD..].split_at(vertices + 1);
    let (real_sources, real_out) = rest.split_at(edges);
    let [mut ends, mut sources, mut out] = rows(&part);
    let mut gives = vector(&part, 0);
    let mut lost = 0.0;
    {
        let (count, all) = (part.hi - part.lo, part.size.all());
        let (mut ends, mut out) = (ends.exclusive(0..count), out.exclusive(0..count));
        let mut sources = sources.exclusive(0..part.edges.1 - part.edges.0);
        let (mut gives, mut edge) = (gives.exclusive(0..count), 0);
        for k in 0..count {
            let at = part.lo + k;
            let (copy, v) = (at / vertices, at % vertices);
            for e in starts[v] as usize..starts[v + 1] as usize {
                let from = real_sources[e] as usize;
                assert!(from < vertices, "graph: edge {e} comes from {from}");
                sources[edge] = ((copy + shift(e, copies)) % copies * vertices + from) as u32;
                edge += 1;
            }
            assert!(edge <= sources.len(), "graph: the edges into {v} are not where they should be");
            ends[k] = edge as u32;
            out[k] = real_out[v];
            let rank = begin(at, all);
            lost += if out[k] == 0 { rank } else { 0.0 };
            gives[k] = rank / divisor(out[k]);
        }
        assert!(edge == sources.len(), "graph: {edge} edges where {} should be", sources.len());
    }
    for window in [ends, sources, out] {
        window.push();
    }
    gives.push();
    lost
}

/// Once on each host that steps will run on: what others have built is asked for, and `fetched`, which is
/// never pushed or pulled afterwards, gets a copy of the host's own.
#[mobula::func]
fn meet(part: Part) {
    let size = part.size;
    State::new("ends").pull(size.all() * size_of::<u32>());
    State::new("sources").pull(size.edges * size.copies * size_of::<u32>());
    State::new("out").pull(size.all() * size_of::<u32>());
    let mine = Window::<u32>::open("fetched", 1);
    assert!(mine.get(0) == 0, "a step ran before all hosts had met");
}

/// The whole vector before a step, with what other hosts pushed. The first call of a host to come here
/// fetches it, and the others wait for it; nobody else has opened it by then.
fn whole(size: Size, step: usize) -> Window<f64> {
    let key = State::new("fetched");
    let first = key.lock_write();
    let mine = Window::<u32>::open("fetched", 1);
    let whole = Window::open(BEFORE[step % 2], size.all());
    if mine.get(0) as usize <= step {
        whole.pull();
        mine.set(0, step as u32 + 1);
    }
    drop(first);
    whole
}

/// The loop: pointers that move, one addition for each edge.
fn pull_ranks(
    before: &[f64],
    after: &mut [f64],
    (ends, sources, out): (&[u32], &[u32], &[u32]),
    base: f64,
) -> f64 {
    let (mut lost, mut at) = (0.0, 0);
    for ((&end, &out), after) in ends.iter().zip(out).zip(after) {
        let mut sum = 0.0;
        while at != end {
            // SAFETY: `build` made `ends` ascend to the number of sources, and nobody changes them.
            let source = unsafe { *sources.get_unchecked(at as usize) };
            // SAFETY: `build` checked every source. Both checked here would cost a compare an edge.
            sum += unsafe { *before.get_unchecked(source as usize) };
            at += 1;
        }
        let rank = base + DAMPING * sum;
        lost += if out == 0 { rank } else { 0.0 };
        *after = rank / divisor(out);
    }
    lost
}

/// A step for a part; returns the ranks of vertices that lead nowhere.
#[mobula::func]
fn advance(part: Part, step: usize, lost: f64) -> f64 {
    let all = part.size.all();
    let before = whole(part.size, step);
    let [ends, sources, out] = rows(&part);
    let mut after = vector(&part, step + 1);
    let count = part.hi - part.lo;
    let lost = pull_ranks(
        &before.shared(0..all),
        &mut after.exclusive(0..count),
        (
            &ends.shared(0..count),
            &sources.shared(0..part.edges.1 - part.edges.0),
            &out.shared(0..count),
        ),
        (1.0 - DAMPING + DAMPING * lost) / all as f64,
    );
    after.push_partial();
    lost
}

/// Sum of a part's ranks, and the sum of each times a weight of its own.
#[mobula::func]
fn measure(part: Part, step: usize) -> [f64; 2] {
    let count = part.hi - part.lo;
    let total = part.size.all() * size_of::<f64>();
    State::new(BEFORE[step % 2]).pull(total);
    let ([_, _, out], gives) = (rows(&part), vector(&part, step));
    let (out, gives) = (out.shared(0..count), gives.shared(0..count));
    let mut sums = [0.0, 0.0];
    for k in 0..count {
        let rank = gives[k] * divisor(out[k]);
        sums[0] += rank;
        sums[1] += rank * (1.0 + ((part.lo + k) % 1021) as f64 / 1021.0);
    }
    sums
}

/// Sizes of the graph in state, and its first vertices of rows.
fn graph(copies: usize) -> Result<(Size, Vec<u32>), String> {
    let state = State::new("graph");
    let total = state.size();
    let mut head = [0_u32; HEAD];
    if total < size_of_val(&head) {
        return Err("no graph: --state bench/graph=graph.bin --user bench".to_owned());
    }
    state.read_at(total, 0, &mut head);
    let size = Size { vertices: head[2] as usize, edges: head[3] as usize, copies };
    let is_graph = head[..2] == [u32::from_le_bytes(*b"MOBG"), u32::from_le_bytes(*b"RAPH")];
    if !is_graph || size.graph_len() * size_of::<u32>() != total || size.vertices == 0 {
        return Err("the value `graph` is not a graph as mobula-graph writes it".to_owned());
    }
    let mut starts = vec![0_u32; size.vertices + 1];
    state.read_at(total, size_of_val(&head), &mut starts);
    Ok((size, starts))
}

/// Parts of whole chunks for so many workers.
fn parts(size: Size, starts: &[u32], workers: usize) -> Vec<Part> {
    let all = size.all();
    let each = all.div_ceil(CHUNK).div_ceil(workers) * CHUNK;
    let before = |at: usize| at / size.vertices * size.edges + starts[at % size.vertices] as usize;
    let part = |lo: usize| {
        let hi = (lo + each).min(all);
        Part { size, lo, hi, edges: (before(lo), before(hi)) }
    };
    (0..all).step_by(each).map(part).collect()
}

/// One call for each part, where its part of that step's vector is at home.
fn on_all<T>(parts: &[Part], step: usize, start: impl Fn(&State, usize, Part) -> Call<T>) -> Vec<Call<T>> {
    let state = State::new(BEFORE[step % 2]);
    parts.iter().map(|&part| start(&state, part.lo * size_of::<f64>(), part)).collect()
}

fn run(copies: usize, steps: usize, workers: usize) -> Result<[f64; 2], String> {
    let failed = |error: CallError| error.to_string();
    let (size, starts) = graph(copies)?;
    let parts = parts(size, &starts, workers);
    for key in BEFORE {
        State::new(key).create(size.all() * size_of::<f64>());
    }
    let calls = on_all(&parts, 0, |state, at, part| chain_at(state, at, build, &part));
    let mut lost: f64 = mobula::wait_all(calls).map_err(failed)?.iter().sum();
    for step in 0..2 {
        let calls = on_all(&parts, step, |state, at, part| chain_at(state, at, meet, &part));
        mobula::wait_all(calls).map_err(failed)?;
    }
    for step in 0..steps {
        let start = Instant::now();
        let calls = on_all(&parts, step + 1, |state, at, part| {
            chain_at(state, at, advance, &(part, step, lost))
        });
        lost = mobula::wait_all(calls).map_err(failed)?.iter().sum();
        if step >= WARM_UP {
            println!("sample iteration ms {}", start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let calls = on_all(&parts, steps, |state, at, part| chain_at(state, at, measure, &(part, steps)));
    let sums = mobula::wait_all(calls).map_err(failed)?;
    Ok(sums.iter().fold([0.0, 0.0], |all, one| [all[0] + one[0], all[1] + one[1]]))
}

#[mobula::main]
fn main() -> Result<(), String> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [copies, steps, workers] = numbers[..] else {
        return Err("usage: pagerank N STEPS WORKERS".to_owned());
    };
    let [sum, check] = run(copies.max(1), steps + WARM_UP, workers.max(1))?;
    println!("check {check:.17}");
    if (sum - 1.0).abs() < 1e-9 { Ok(()) } else { Err(format!("ranks add up to {sum}")) }
}
