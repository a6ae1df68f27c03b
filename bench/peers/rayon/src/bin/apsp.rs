//! Peer of apsp: apsp N REPETITIONS WORKERS. Blocked Floyd-Warshall with rayon; `bench/guests/apsp.h` has the
//! algorithm and the graphs. Row and column k are taken out of the matrix for a step, so that all threads may read
//! them while others write to blocks.

#![forbid(unsafe_code)]

use std::time::Instant;

use mobula_bench_rayon::{WARM_UP, argument, check, refuse, sample};
use rayon::prelude::*;

const BLOCK: usize = 64;
/// Distances that fit into registers, of one row.
const STRIP: usize = 64;
const FAR: i32 = 1 << 29;
const DEGREE: u64 = 8;
const SOURCES: usize = 4;

type Cells = [[i32; BLOCK]; BLOCK];

/// A block, or nothing while it is taken out.
type Place = Option<Box<Cells>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Graph {
    Ring,
    Random,
}

fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn edge(graph: Graph, n: usize, i: usize, j: usize) -> i32 {
    if i == j {
        return 0;
    }
    let ahead = if j > i { j - i } else { j + n - i };
    if graph == Graph::Ring {
        return if ahead == 1 || ahead == n - 1 { 1 } else { FAR };
    }
    let x = mix((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(j as u64));
    if ahead == 1 || x % (n as u64) < DEGREE { 1 + ((x >> 40) % 100) as i32 } else { FAR }
}

/// c = min(c, a + b) as a matrix product, two rows at once.
fn relax(c: &mut Cells, a: &Cells, b: &Cells) {
    for (c, a) in c.as_chunks_mut::<2>().0.iter_mut().zip(a.as_chunks::<2>().0) {
        let [mut upper, mut lower]: [[i32; STRIP]; 2] = *c;
        for (k, b) in b.iter().enumerate() {
            let (x, y) = (a[0][k], a[1][k]);
            for j in 0..STRIP {
                upper[j] = upper[j].min(x + b[j]);
                lower[j] = lower[j].min(y + b[j]);
            }
        }
        *c = [upper, lower];
    }
}

fn close(c: &mut Cells) {
    for k in 0..BLOCK {
        let by = c[k];
        for row in c.iter_mut() {
            let x = row[k];
            for (to, by) in row.iter_mut().zip(&by) {
                *to = (*to).min(x + by);
            }
        }
    }
}

struct Matrix {
    n: usize,
    blocks: usize,
    places: Vec<Place>,
}

impl Matrix {
    fn new(graph: Graph, n: usize) -> Self {
        let blocks = n.div_ceil(BLOCK);
        let cell = |i: usize, j: usize| match (i < n && j < n, i == j) {
            (true, _) => edge(graph, n, i, j),
            (false, true) => 0,
            (false, false) => FAR,
        };
        let place = |index: usize| -> Place {
            let (row, column) = (index / blocks * BLOCK, index % blocks * BLOCK);
            let line = |i| std::array::from_fn(|j| cell(row + i, column + j));
            Some(Box::new(std::array::from_fn(line)))
        };
        let places = (0..blocks * blocks).into_par_iter().map(place).collect();
        Self { n, blocks, places }
    }

    fn take(&mut self, row: usize, column: usize) -> Box<Cells> {
        self.places[row * self.blocks + column].take().expect("a block is taken out once a step")
    }

    fn step(&mut self, k: usize) {
        let blocks = self.blocks;
        let others = || (0..blocks).filter(move |i| *i != k);
        let mut middle = self.take(k, k);
        close(&mut middle);
        let mut row: Vec<_> = others().map(|j| self.take(k, j)).collect();
        let mut column: Vec<_> = others().map(|i| self.take(i, k)).collect();
        rayon::join(
            || row.par_iter_mut().for_each(|c| relax_by_left(c, &middle)),
            || column.par_iter_mut().for_each(|c| relax_by_right(c, &middle)),
        );
        let skip = |i: usize| if i > k { i - 1 } else { i };
        self.places.par_iter_mut().enumerate().for_each(|(index, place)| {
            if let Some(c) = place {
                relax(c, &column[skip(index / blocks)], &row[skip(index % blocks)]);
            }
        });
        for (i, (row, column)) in others().zip(row.into_iter().zip(column)) {
            self.places[k * blocks + i] = Some(row);
            self.places[i * blocks + k] = Some(column);
        }
        self.places[k * blocks + k] = Some(middle);
    }

    fn found(&self, i: usize, j: usize) -> i32 {
        let place = &self.places[i / BLOCK * self.blocks + j / BLOCK];
        place.as_ref().expect("all blocks are in their places between steps")[i % BLOCK][j % BLOCK]
    }
}

/// Both operands may not be borrowed at once, so the old block is copied: 16 KiB, of 2 in `blocks`.
fn relax_by_left(c: &mut Cells, middle: &Cells) {
    let old = *c;
    relax(c, middle, &old);
}

fn relax_by_right(c: &mut Cells, middle: &Cells) {
    let old = *c;
    relax(c, &old, middle);
}

fn dijkstra(graph: Graph, n: usize, from: usize) -> Vec<i32> {
    let mut distance = vec![FAR; n];
    let mut done = vec![false; n];
    distance[from] = 0;
    for _ in 0..n {
        let Some(next) = (0..n).filter(|i| !done[*i]).min_by_key(|i| distance[*i]) else { break };
        done[next] = true;
        for j in 0..n {
            distance[j] = distance[j].min(distance[next] + edge(graph, n, next, j));
        }
    }
    distance
}

fn right(matrix: &Matrix, graph: Graph) -> bool {
    let n = matrix.n;
    if graph == Graph::Ring {
        let way = |i: usize, j: usize| i.abs_diff(j).min(n - i.abs_diff(j)) as i32;
        return (0..n * n).all(|k| matrix.found(k / n, k % n) == way(k / n, k % n));
    }
    (0..SOURCES).map(|s| n * s / SOURCES).all(|from| {
        dijkstra(graph, n, from)
            .into_iter()
            .enumerate()
            .all(|(j, way)| matrix.found(from, j) == way)
    })
}

fn main() {
    let n = argument(1, 512).max(2);
    let repetitions = argument(2, 5);
    for iteration in 0..repetitions + WARM_UP {
        let graph = if iteration == 0 { Graph::Ring } else { Graph::Random };
        let mut matrix = Matrix::new(graph, n);
        let start = Instant::now();
        for k in 0..matrix.blocks {
            matrix.step(k);
        }
        if iteration >= WARM_UP {
            sample("iteration", "ms", start.elapsed().as_secs_f64() * 1e3);
        }
        let last = iteration + 1 == repetitions + WARM_UP;
        if (iteration == 0 || last) && !right(&matrix, graph) {
            refuse("apsp: distances are wrong");
        }
        if last {
            check((0..n * n).map(|k| f64::from(matrix.found(k / n, k % n))).sum::<f64>());
        }
    }
}
