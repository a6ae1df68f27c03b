//! The numbers to reach, and what was measured.

use super::data::{mean, medium};
use super::html::{Cell, Mood, Section, Table};
use super::svg::short;
use crate::records::{Entry, Records};

/// A goal: how many times (or µs) at most, and what is aimed at.
struct Goal {
    what: &'static str,
    unit: &'static str,
    reach: f64,
    aim: f64,
    /// Whether it says how much faster ours is: more is better.
    faster: bool,
    measured: Vec<(String, f64)>,
}

impl Goal {
    /// The one that is furthest from the goal.
    fn worst(&self) -> Option<&(String, f64)> {
        let worse = |a: &&(String, f64), b: &&(String, f64)| a.1.total_cmp(&b.1);
        if self.faster {
            self.measured.iter().min_by(worse)
        } else {
            self.measured.iter().max_by(worse)
        }
    }

    fn verdict(&self) -> Cell {
        let Some((_, worst)) = self.worst() else { return "not in this record".into() };
        let within = |limit: f64| if self.faster { *worst >= limit } else { *worst <= limit };
        match (within(self.aim), within(self.reach)) {
            (true, _) => Cell::of("✓ as aimed at", Mood::Good),
            (_, true) => Cell::of("✓ reached", Mood::Good),
            _ => Cell::of("✗ not reached", Mood::Poor),
        }
    }

    fn limit(&self, value: f64) -> String {
        let sign = if self.faster { "≥" } else { "≤" };
        format!("{sign}\u{a0}{}\u{a0}{}", short(value), self.unit)
    }

    fn row(&self) -> Vec<Cell> {
        let measured = self.worst().map_or_else(
            || "–".to_owned(),
            |(name, value)| {
                let one = format!("{} {} ({name})", short(*value), self.unit);
                let all = self.measured.iter().map(|(_, value)| *value);
                match self.measured.len() {
                    1 => one,
                    n => format!(
                        "worst of {n}: {one}; geometric mean {}",
                        short(mean(all).unwrap_or(f64::NAN))
                    ),
                }
            },
        );
        let (reach, aim) = (self.limit(self.reach).into(), self.limit(self.aim).into());
        vec![self.what.into(), reach, aim, measured.into(), self.verdict()]
    }
}

/// Ratios to a peer, of some benchmarks by the beginning of their names; of all if none of these is there.
fn ratios<'a>(entries: impl Iterator<Item = &'a Entry>, names: &[&str]) -> Vec<(String, f64)> {
    let ratios = entries.filter_map(|entry| {
        let peer = super::svg::engine(entry.peer.as_deref()?);
        Some((
            entry.bench.clone(),
            (format!("{}, {peer}, {}", entry.bench, entry.place()), entry.cost_ratio()?),
        ))
    });
    let all: Vec<_> = ratios.collect();
    let named = |bench: &str| names.iter().any(|name| bench.replace('-', "").starts_with(name));
    let some = all.iter().any(|(bench, _)| named(bench));
    all.into_iter().filter(|(bench, _)| !some || named(bench)).map(|(_, ratio)| ratio).collect()
}

fn is(field: Option<&String>, text: &str) -> bool {
    field.is_some_and(|field| field == text)
}

/// Ratios to OpenMP with all threads.
fn openmp(records: &Records, bound: &str, names: &[&str]) -> Vec<(String, f64)> {
    let all = medium(records).into_iter().filter(|entry| {
        is(entry.peer.as_ref(), "openmp")
            && is(entry.bound.as_ref(), bound)
            && !is(entry.kind.as_ref(), "polybench")
            && (entry.ranks.unwrap_or(1), entry.hosts.unwrap_or(1)) == (1, 1)
            && entry.workers() == records.cpus()
    });
    ratios(all, names)
}

fn metg(records: &Records) -> Vec<(String, f64)> {
    let all = records.entries.iter().filter(|entry| {
        entry.grid().is_some_and(|grid| ["trivial", "stencil"].contains(&grid))
            && entry.hosts.unwrap_or(1) == 1
            && entry.ranks.unwrap_or(1) <= records.cpus()
    });
    all.map(|entry| (format!("{}, {}", entry.what, entry.place()), entry.median)).collect()
}

/// Peak memory of eight workers over that of one.
fn memory(records: &Records) -> Vec<(String, f64)> {
    let of = |workers: &str| {
        let metric = format!("peak-memory-{workers}");
        records
            .entries
            .iter()
            .find(|entry| entry.bench == "sgd" && entry.metric.starts_with(&metric))
    };
    let ratio = of("8").zip(of("1")).map(|(eight, one)| eight.median / one.median);
    ratio.map(|ratio| ("sgd".to_owned(), ratio)).into_iter().collect()
}

fn goal(what: &'static str, (reach, aim): (f64, f64), measured: Vec<(String, f64)>) -> Goal {
    Goal { what, unit: "×", reach, aim, faster: false, measured }
}

/// Goals that compare definitions with their peers.
fn compared(records: &Records) -> Vec<Goal> {
    let medium = medium(records);
    let peers = |names: &'static [&str]| {
        let is = move |entry: &&Entry| entry.peer.as_deref().is_some_and(|p| names.contains(&p));
        medium.iter().copied().filter(is)
    };
    let room = |entry: &&Entry| entry.workers() <= records.cpus();
    let two_hosts = peers(&["mpi"]).filter(|entry| entry.hosts == Some(2)).filter(room);
    let tasks = ratios(peers(&["ray", "dask"]), &[]);
    vec![
        goal(
            "Memory-bound algorithms, time against native OpenMP",
            (1.2, 1.05),
            openmp(records, "memory", &["jacobi", "cg", "conjugate", "pagerank", "nstream"]),
        ),
        goal(
            "Compute-bound algorithms in plain guest code, time against native OpenMP",
            (1.6, 1.25),
            openmp(records, "compute", &["sgd", "kmeans", "matmul"]),
        ),
        goal(
            "Matrix multiplication with the host kernel, time against the same BLAS natively",
            (1.1, 1.02),
            ratios(peers(&["openblas"]), &["matmulblas", "matmulhost", "gemm", "blas"]),
        ),
        goal(
            "Jacobi and PageRank on two hosts, time against C + MPI there",
            (1.3, 1.1),
            ratios(two_hosts, &["jacobi", "pagerank"]),
        ),
        Goal {
            faster: true,
            ..goal(
                "Against Ray and Dask, same algorithm, times as fast an iteration",
                (5.0, 20.0),
                tasks.into_iter().map(|(name, ratio)| (name, 1.0 / ratio)).collect(),
            )
        },
    ]
}

/// Goals of the runtime itself.
fn own(records: &Records) -> Vec<Goal> {
    let of = |bench: &'static str, metric: &'static str| {
        records.entries.iter().filter(move |entry| {
            entry.bench.starts_with(bench) && entry.metric.contains(metric) && entry.peer.is_some()
        })
    };
    // Its medium size is the empty body.
    let join = medium(records).into_iter().filter(|entry| {
        entry.bench == "fork-join"
            && is(entry.peer.as_ref(), "openmp")
            && (entry.ranks.unwrap_or(1), entry.hosts.unwrap_or(1)) == (1, 1)
    });
    let join = ratios(join, &[]);
    vec![
        Goal {
            unit: "µs",
            ..goal("METG(50%) on one host, trivial and stencil", (10.0, 3.0), metg(records))
        },
        goal(
            "Fork/join with an empty body, time against an OpenMP parallel region",
            (10.0, 4.0),
            join,
        ),
        goal(
            "SGD over two hosts: bytes moved an epoch over weights that changed × 2 × hosts",
            (1.0, 1.0),
            ratios(of("sgd", "bytes"), &[]),
        ),
        goal(
            "Peak memory of 8 workers on shared data over that of one",
            (1.2, 1.2),
            memory(records),
        ),
    ]
}

/// The table of goals.
pub(crate) fn section(records: &Records) -> Section {
    let mut table = Table::new(&["What", "To reach", "Aim", "Measured", "Verdict"]);
    table.stacks = true;
    table.rows = compared(records).iter().chain(&own(records)).map(Goal::row).collect();
    Section {
        id: "summary",
        title: "Summary",
        how: "The goals of the project, set before these numbers were measured. The verdict is on the worst \
              measured value, not on the mean."
            .to_owned(),
        before: table.html(),
        ..Section::default()
    }
}
