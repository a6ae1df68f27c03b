//! PageRank by parallel loops: which packages of Debian do the others lean on?
//!
//! The input is a list of packages as dpkg and apt keep it; a package links to those it depends on.
//! Without an input it is a star, whose ranks can be written down: a hub that all others link to and
//! that links to all others.
//!
//! ```text
//! mobula run pagerank.wasm --input-file /var/lib/dpkg/status     # what is installed
//! apt-cache dumpavail >packages && mobula run pagerank.wasm --input-file packages
//! ```
//!
//! Links lie in state as compressed rows: the links to node i come from `sources[starts[i]..starts[i +
//! 1]]`. A step reads the ranks of one window and writes its part of another; what all calls add up
//! (ranks of nodes without links, change of the ranks) is merged.
// compile: mobula rustc -o pagerank.wasm pagerank.rs
// run: mobula run pagerank.wasm
// expect: 1001 nodes, 2000 links
// expect: ranks add up to 1.000000
// expect: the same ranks as one loop over all nodes: true
// expect: 0.459540 hub
// expect: 0.000540 node 1
// expect: 0.000540 node 2
// expect: 0.000540 node 3
// expect: 0.000540 node 4
// exit: 0

use std::collections::HashMap;
use std::ops::Range;

use mobula::{CallError, Op, State, Window, parallel_for};
use serde::{Deserialize, Serialize};

const DAMPING: f64 = 0.85;
const STEPS: usize = 200;
const ENOUGH: f64 = 1e-12;
const GRAIN: usize = 512;

/// Sizes of the graph in state.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Graph {
    nodes: usize,
    links: usize,
}

/// What the calls of a step add up: ranks of nodes without links, change of all ranks.
type Sums = [f64; 2];
const SUMS: usize = STEPS * size_of::<Sums>();

/// Ranks before and after a step; which is which changes from step to step.
fn ranks(graph: Graph, step: usize) -> Window<f64> {
    Window::open(if step % 2 == 0 { "even" } else { "odd" }, graph.nodes)
}

/// The new ranks of some nodes.
fn rank_part(
    nodes: Range<usize>,
    (starts, sources): (&[u32], &[u32]),
    (weights, before): (&[f64], &[f64]),
    lost: f64,
) -> impl Iterator<Item = f64> {
    let n = before.len() as f64;
    let base = (1.0 - DAMPING + DAMPING * lost) / n;
    nodes.map(move |node| {
        let from = &sources[starts[node] as usize..starts[node + 1] as usize];
        let given = from.iter().map(|&at| before[at as usize] * weights[at as usize]);
        base + DAMPING * given.sum::<f64>()
    })
}

#[mobula::func]
fn advance(graph: Graph, number: usize, lost: f64) {
    let part = mobula::range();
    let n = graph.nodes;
    let (starts, sources) =
        (Window::open("starts", n + 1), Window::open("sources", graph.links));
    let (weights, before) = (Window::open("weights", n), ranks(graph, number));
    before.pull();
    let mut after = ranks(graph, number + 1);

    let (weights, before) = (weights.shared(0..n), before.shared(0..n));
    let links = (&*starts.shared(0..n + 1), &*sources.shared(0..graph.links));
    let new = rank_part(part.clone(), links, (&weights, &before), lost);
    let mut sums = Sums::default();
    for ((to, new), at) in after.exclusive(part.clone()).iter_mut().zip(new).zip(part) {
        *to = new;
        // A weight of 0 is a node without links.
        sums[0] += if weights[at] == 0.0 { new } else { 0.0 };
        sums[1] += (new - before[at]).abs();
    }
    after.push_partial();
    let all = State::new("sums");
    all.merge(SUMS, number * size_of::<Sums>(), &sums, Op::Sum);
    all.push_merge::<f64>(Op::Sum);
}

/// Names of packages, and for each those it depends on.
fn packages(text: &str) -> (Vec<&str>, Vec<(u32, u32)>) {
    let field = |block: &'static str| move |line: &str| line.starts_with(block);
    let mut names = Vec::new();
    let mut known = HashMap::new();
    for name in text.lines().filter_map(|line| line.strip_prefix("Package: ")) {
        known.entry(name).or_insert_with(|| {
            names.push(name);
            names.len() as u32 - 1
        });
    }
    let mut links = Vec::new();
    let mut package = 0;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Package: ") {
            package = known[name];
        } else if field("Depends: ")(line) || field("Pre-Depends: ")(line) {
            let wanted = line.split_once(": ").map_or("", |(_, wanted)| wanted);
            // Of alternatives the first, without its version and architecture.
            let first = wanted.split(',').filter_map(|one| one.trim().split([' ', ':', '|']).next());
            links.extend(first.filter_map(|name| Some((package, *known.get(name)?))));
        }
    }
    links.sort_unstable();
    links.dedup();
    (names, links)
}

/// A hub and 1000 others.
fn star() -> (Vec<String>, Vec<(u32, u32)>) {
    let names = (0..=1000).map(|at| if at == 0 { "hub".into() } else { format!("node {at}") });
    (names.collect(), (1..=1000).flat_map(|node| [(node, 0), (0, node)]).collect())
}

/// Puts elements into state, where windows find them.
fn put<T: mobula::Pod>(key: &str, elements: &[T]) {
    let mut window = Window::open(key, elements.len());
    window.exclusive(0..elements.len()).copy_from_slice(elements);
    window.push();
}

/// The graph as compressed rows: `starts`, `sources`, and for each node 1 / number of its links.
fn rows(nodes: usize, links: &[(u32, u32)]) -> (Vec<u32>, Vec<u32>, Vec<f64>) {
    let (mut starts, mut out) = (vec![0; nodes + 1], vec![0_u32; nodes]);
    for &(from, to) in links {
        starts[to as usize + 1] += 1;
        out[from as usize] += 1;
    }
    for at in 0..nodes {
        starts[at + 1] += starts[at];
    }
    let (mut next, mut sources) = (starts.clone(), vec![0; links.len()]);
    for &(from, to) in links {
        sources[next[to as usize] as usize] = from;
        next[to as usize] += 1;
    }
    let weight = |&links: &u32| if links == 0 { 0.0 } else { 1.0 / f64::from(links) };
    (starts, sources, out.iter().map(weight).collect())
}

/// All steps in this call, for comparison.
fn one_loop(rows: &(Vec<u32>, Vec<u32>, Vec<f64>), steps: usize) -> Vec<f64> {
    let (starts, sources, weights) = rows;
    let n = weights.len();
    let mut ranks = vec![1.0 / n as f64; n];
    for _ in 0..steps {
        let lost = (0..n).filter(|&at| weights[at] == 0.0).map(|at| ranks[at]).sum();
        ranks = rank_part(0..n, (starts, sources), (weights, &ranks), lost).collect();
    }
    ranks
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let text = mobula::input_text();
    let (names, links) = if text.is_empty() {
        star()
    } else {
        let (names, links) = packages(&text);
        (names.into_iter().map(str::to_owned).collect(), links)
    };
    let graph = Graph { nodes: names.len(), links: links.len() };
    println!("{} nodes, {} links", graph.nodes, graph.links);

    let rows = rows(graph.nodes, &links);
    put("starts", &rows.0);
    put("sources", &rows.1);
    put("weights", &rows.2);
    let even = vec![1.0 / graph.nodes as f64; graph.nodes];
    put("even", &even);
    let mut lost = (0..graph.nodes).filter(|&at| rows.2[at] == 0.0).map(|at| even[at]).sum();
    let mut steps = 0;
    while steps < STEPS {
        parallel_for(advance, 0..graph.nodes, GRAIN, &(graph, steps, lost)).wait()?;
        let (all, mut sums) = (State::new("sums"), [Sums::default()]);
        all.pull(SUMS);
        all.read_at(SUMS, steps * size_of::<Sums>(), &mut sums);
        let [[without_links, change]] = sums;
        lost = without_links;
        steps += 1;
        if change < ENOUGH {
            break;
        }
    }

    let window = ranks(graph, steps);
    window.pull();
    let ranks = window.shared(0..graph.nodes);
    println!("ranks add up to {:.6}", ranks.iter().sum::<f64>());
    let same = ranks.iter().zip(one_loop(&rows, steps)).all(|(a, b)| (a - b).abs() < 1e-9);
    println!("the same ranks as one loop over all nodes: {same}");
    let mut order: Vec<_> = (0..graph.nodes).collect();
    order.sort_by(|&a, &b| ranks[b].total_cmp(&ranks[a]).then(a.cmp(&b)));
    for &at in order.iter().take(5) {
        println!("{:.6} {}", ranks[at], names[at]);
    }
    Ok(())
}
