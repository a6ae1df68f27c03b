//! pagerank: pagerank N STEPS WORKERS. PageRank of N copies of the graph in the state value `graph` (the rule
//! is in bench/peers/graph.h); ms a step.
//!
//! ```text
//! ends, sources          the graph as rows of edges in, divided among WORKERS calls
//! shares                 of each vertex 1 / edges out; 1 where no edge leads out
//! dangling               those vertices, from which all get alike
//! even ◀──steps──▶ odd   what a vertex gives to each that it leads to: rank × share. Where no edge leads out
//!                        nobody reads it; there the rank itself is
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
    dangling: usize,
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
    /// The edges into these vertices, and those of them that lead nowhere, counted over all copies.
    edges: (usize, usize),
    dangling: (usize, usize),
}

/// Elements lo to below hi of a value of so many.
fn open<T: mobula::Pod>(key: &str, total: usize, (lo, hi): (usize, usize)) -> Window<T> {
    Window::part(key, total * size_of::<T>(), lo * size_of::<T>(), hi - lo)
}

impl Part {
    fn count(&self) -> usize {
        self.hi - self.lo
    }

    fn ends(&self) -> Window<u32> {
        open("ends", self.size.all(), (self.lo, self.hi))
    }

    fn sources(&self) -> Window<u32> {
        open("sources", self.size.edges * self.size.copies, self.edges)
    }

    fn shares(&self) -> Window<f64> {
        open("shares", self.size.all(), (self.lo, self.hi))
    }

    fn dangling(&self) -> Window<u32> {
        open("dangling", self.size.dangling * self.size.copies, self.dangling)
    }

    fn gives(&self, step: usize) -> Window<f64> {
        open(BEFORE[step % 2], self.size.all(), (self.lo, self.hi))
    }
}

fn shift(edge: usize, copies: usize) -> usize {
    let hash = (edge as u32).wrapping_mul(2_654_435_761);
    let hash = (hash ^ (hash >> 16)).wrapping_mul(2_246_822_507);
    let hash = hash ^ (hash >> 13);
    if hash & 1 == 1 { ((u64::from(hash >> 1) * copies as u64) >> 31) as usize } else { 0 }
}

fn share(out: u32) -> f64 {
    1.0 / f64::from(out.max(1))
}

/// Rank of a vertex to begin with: a slope that adds up to 1, so that copies differ.
fn begin(at: usize, all: usize) -> f64 {
    2.0 * (at + 1) as f64 / (all as f64 * (all as f64 + 1.0))
}

/// Makes a part's rows and its first ranks; returns the ranks of vertices that lead nowhere. Afterwards every
/// source is a vertex, and ends ascend to the number of sources.
#[mobula::func]
fn build(part: Part) -> f64 {
    let Size { vertices, edges, copies, .. } = part.size;
    let graph = Window::<u32>::open("graph", part.size.graph_len());
    let graph = graph.shared(0..part.size.graph_len());
    let (starts, rest) = graph[HEAD..].split_at(vertices + 1);
    let (real_sources, real_out) = rest.split_at(edges);
    let mut rows = (part.ends(), part.sources(), part.shares(), part.dangling(), part.gives(0));
    let mut lost = 0.0;
    {
        let (count, all) = (part.count(), part.size.all());
        let (mut ends, mut shares) = (rows.0.exclusive(0..count), rows.2.exclusive(0..count));
        let mut sources = rows.1.exclusive(0..part.edges.1 - part.edges.0);
        let mut dangling = rows.3.exclusive(0..part.dangling.1 - part.dangling.0);
        let (mut gives, mut edge, mut lonely) = (rows.4.exclusive(0..count), 0, 0);
        for k in 0..count {
            let at = part.lo + k;
            let (copy, v) = (at / vertices, at % vertices);
            for e in starts[v] as usize..starts[v + 1] as usize {
                let from = real_sources[e] as usize;
                assert!(from < vertices, "graph: edge {e} comes from {from}");
                sources[edge] = ((copy + shift(e, copies)) % copies * vertices + from) as u32;
                edge += 1;
            }
            ends[k] = edge as u32;
            shares[k] = share(real_out[v]);
            gives[k] = begin(at, all) * shares[k];
            if real_out[v] == 0 {
                dangling[lonely] = k as u32;
                lonely += 1;
                lost += gives[k];
            }
        }
        assert!(edge == sources.len(), "graph: {edge} edges where {} should be", sources.len());
    }
    rows.0.push();
    rows.1.push();
    rows.2.push();
    rows.3.push();
    rows.4.push();
    lost
}

/// Once on each host that steps will run on: what others have built is asked for, and `fetched`, which is
/// never pushed or pulled afterwards, gets a copy of the host's own.
#[mobula::func]
fn meet(part: Part) {
    let size = part.size;
    State::new("ends").pull(size.all() * size_of::<u32>());
    State::new("sources").pull(size.edges * size.copies * size_of::<u32>());
    State::new("shares").pull(size.all() * size_of::<f64>());
    State::new("dangling").pull(size.dangling * size.copies * size_of::<u32>());
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

/// The loop; false when a source is no vertex. `build` has made sure that none is: what is asked here again is
/// the second way out that keeps the compiler from unrolling a loop of three rounds, and costs less than that.
/// Not inlined, as it wants all registers for itself.
#[inline(never)]
fn pull_ranks(
    before: &[f64],
    after: &mut [f64],
    (ends, sources): (&[u32], &[u32]),
    shares: &[f64],
    base: f64,
) -> bool {
    // Checked once, since ends ascend.
    if ends.last().is_some_and(|&end| end as usize > sources.len()) {
        return false;
    }
    let first = sources.as_ptr();
    let mut source = first;
    for ((&end, &share), after) in ends.iter().zip(shares).zip(after) {
        let mut sum = 0.0;
        // SAFETY: no end is beyond the last, which is not beyond the sources.
        let stop = unsafe { first.add(end as usize) };
        while source != stop {
            // SAFETY: `build` made ends ascend, so `source` is before `stop` and within the sources.
            let from = unsafe { *source } as usize;
            let Some(gives) = before.get(from) else { return false };
            sum += gives;
            // SAFETY: as above.
            source = unsafe { source.add(1) };
        }
        *after = (base + DAMPING * sum) * share;
    }
    true
}

/// A step for a part; returns the ranks of vertices that lead nowhere.
#[mobula::func]
fn advance(part: Part, step: usize, lost: f64) -> f64 {
    let (all, count) = (part.size.all(), part.count());
    let before = whole(part.size, step);
    let (ends, sources, shares, dangling) =
        (part.ends(), part.sources(), part.shares(), part.dangling());
    let mut gives = part.gives(step + 1);
    let mut after = gives.exclusive(0..count);
    let whole = pull_ranks(
        &before.shared(0..all),
        &mut after,
        (&ends.shared(0..count), &sources.shared(0..sources.len())),
        &shares.shared(0..count),
        (1.0 - DAMPING + DAMPING * lost) / all as f64,
    );
    assert!(whole, "an edge comes from a vertex that is not there");
    let lost = dangling.shared(0..dangling.len()).iter().map(|&k| after[k as usize]).sum();
    drop(after);
    gives.push_partial();
    lost
}

/// Sum of a part's ranks, and the sum of each times a weight of its own.
#[mobula::func]
fn measure(part: Part, step: usize) -> [f64; 2] {
    let count = part.count();
    State::new(BEFORE[step % 2]).pull(part.size.all() * size_of::<f64>());
    let (shares, gives) = (part.shares(), part.gives(step));
    let (shares, gives) = (shares.shared(0..count), gives.shared(0..count));
    let mut sums = [0.0, 0.0];
    for k in 0..count {
        let rank = gives[k] / shares[k];
        sums[0] += rank;
        sums[1] += rank * (1.0 + ((part.lo + k) % 1021) as f64 / 1021.0);
    }
    sums
}

/// What main has to know of the real graph to divide it.
struct Graph {
    size: Size,
    starts: Vec<u32>,
    /// Of each vertex how many before it lead nowhere.
    dangling: Vec<u32>,
}

impl Graph {
    fn read(copies: usize) -> Result<Self, String> {
        let state = State::new("graph");
        let total = state.size();
        if total == 0 {
            return Err("no graph: --user bench --state bench/graph=graph.bin".to_owned());
        }
        let mut graph = vec![0_u32; total / size_of::<u32>()];
        state.read_at(total, 0, &mut graph);
        let magic = [u32::from_le_bytes(*b"MOBG"), u32::from_le_bytes(*b"RAPH")];
        if graph.len() < HEAD || graph[..2] != magic {
            return Err("the value `graph` is not a graph as mobula-graph writes it".to_owned());
        }
        let [vertices, edges] = [graph[2] as usize, graph[3] as usize];
        let mut size = Size { vertices, edges, dangling: 0, copies };
        if size.graph_len() * size_of::<u32>() != total || vertices == 0 {
            return Err(format!(
                "the graph has {total} bytes, but {vertices} vertices, {edges} edges"
            ));
        }
        let mut dangling = Vec::with_capacity(vertices);
        for &out in &graph[HEAD + vertices + 1 + edges..] {
            dangling.push(size.dangling as u32);
            size.dangling += usize::from(out == 0);
        }
        Ok(Self { size, starts: graph[HEAD..=HEAD + vertices].to_vec(), dangling })
    }

    /// Parts of whole chunks for so many workers.
    fn parts(&self, workers: usize) -> Vec<Part> {
        let size = self.size;
        let (all, vertices) = (size.all(), size.vertices);
        let each = all.div_ceil(CHUNK).div_ceil(workers) * CHUNK;
        let edges = |at: usize| at / vertices * size.edges + self.starts[at % vertices] as usize;
        let dangling =
            |at: usize| at / vertices * size.dangling + self.dangling[at % vertices] as usize;
        let part = |lo: usize| {
            let hi = (lo + each).min(all);
            let (edges, dangling) = ((edges(lo), edges(hi)), (dangling(lo), dangling(hi)));
            Part { size, lo, hi, edges, dangling }
        };
        (0..all).step_by(each).map(part).collect()
    }
}

/// One call for each part, where its part of that step's vector is at home.
fn on_all<T>(
    parts: &[Part],
    step: usize,
    start: impl Fn(&State, usize, Part) -> Call<T>,
) -> Vec<Call<T>> {
    let state = State::new(BEFORE[step % 2]);
    parts.iter().map(|&part| start(&state, part.lo * size_of::<f64>(), part)).collect()
}

fn run(copies: usize, steps: usize, workers: usize) -> Result<[f64; 2], String> {
    let failed = |error: CallError| error.to_string();
    let graph = Graph::read(copies)?;
    let (size, parts) = (graph.size, graph.parts(workers));
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
    let calls =
        on_all(&parts, steps, |state, at, part| chain_at(state, at, measure, &(part, steps)));
    let sums = mobula::wait_all(calls).map_err(failed)?;
    Ok(sums.iter().fold([0.0, 0.0], |all, one| [all[0] + one[0], all[1] + one[1]]))
}

#[mobula::main]
fn main() -> Result<(), String> {
    let numbers: Vec<usize> =
        std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [copies, steps, workers] = numbers[..] else {
        return Err("usage: pagerank N STEPS WORKERS".to_owned());
    };
    let [sum, check] = run(copies.max(1), steps + WARM_UP, workers.max(1))?;
    println!("check {check:.17}");
    if (sum - 1.0).abs() < 1e-9 { Ok(()) } else { Err(format!("ranks add up to {sum}")) }
}
