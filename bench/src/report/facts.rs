//! What is to be known before and behind the numbers: what this is, the machine, words, all rows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::data::when;
use super::html::{Cell, Section, Table, paragraph};
use crate::records::{Head, Records};

/// What this is, in three sentences; and a warning where numbers do not belong together.
pub(crate) fn about(records: &Records) -> Vec<String> {
    let days: BTreeSet<&str> = records.heads.iter().map(super::day).collect();
    let (first, last) = (days.first().copied().unwrap_or(""), days.last().copied().unwrap_or(""));
    let days = if first == last { first.to_owned() } else { format!("{first} to {last}") };
    let text = format!(
        "Mobula runs functions compiled to WebAssembly, isolated from each other and sharing state without copying \
         it, on all cores and hosts of a parallel computer. This page shows what that costs and gains beside what \
         people use today (OpenMP, MPI, rayon, numpy, joblib, Ray, Dask), on the same data and the same machine, \
         measured in turns in the same run. The numbers are medians of {days}, with the values between which eight \
         of ten samples lie (p10 and p90); compare ratios before times, and take a difference smaller than that \
         distance for none."
    );
    let mut about = vec![paragraph(&text)];
    let cpus: BTreeSet<&str> = records.heads.iter().map(|head| head.cpu.as_str()).collect();
    if cpus.len() > 1 {
        let cpus = cpus.into_iter().collect::<Vec<_>>().join(", ");
        about.push(format!(
            "<p class=\"warning\">These rows were measured on different processors ({}): times of different runs \
             cannot be compared with each other, ratios within a row can.</p>\n",
            super::svg::escape(&cpus)
        ));
    }
    if records.heads.iter().any(|head| head.commit.ends_with("-dirty")) {
        about.push(
            "<p class=\"warning\">Some rows were measured with changes that are in no commit (-dirty).</p>\n".to_owned(),
        );
    }
    about
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn versions(head: &Head) -> String {
    let versions = head.versions.iter().map(|(name, value)| format!("{name} {}", text(value)));
    versions.collect::<Vec<_>>().join("; ")
}

/// The runs: where, when, with what.
pub(crate) fn machine(records: &Records) -> Section {
    let head = [
        "Measured",
        "Commit",
        "Processor",
        "CPUs",
        "Bound to",
        "System",
        "Compiler",
        "MPI",
        "Versions",
        "Rows",
    ];
    let mut table = Table::new(&head);
    table.stacks = true;
    for (index, head) in records.heads.iter().enumerate() {
        let rows = records.entries.iter().filter(|entry| entry.head == index).count();
        if rows == 0 {
            continue;
        }
        table.rows.push(vec![
            head.date.replace('T', " ").into(),
            head.commit.clone().into(),
            head.cpu.clone().into(),
            head.cpus.to_string().into(),
            head.mask.as_ref().map(text).unwrap_or_default().into(),
            head.kernel.clone().into(),
            head.compiler.clone().unwrap_or_default().into(),
            head.mpi.as_ref().map(text).unwrap_or_default().into(),
            versions(head).into(),
            rows.to_string().into(),
        ]);
    }
    Section {
        id: "machine",
        title: "Machine and runs",
        how: "Where, when and with what the rows of this page were measured, one line for each run; of a value that \
              was measured more than once the last one counts."
            .to_owned(),
        before: table.html(),
        ..Section::default()
    }
}

/// Words of this page.
const WORDS: &[(&str, &str)] = &[
    (
        "Mobula",
        "This project: calls of WebAssembly functions, each isolated, on the threads of one or more ranks.",
    ),
    (
        "OpenMP",
        "Threads of one native C or C++ program with shared memory, compiled with -O3 -march=native.",
    ),
    (
        "C + MPI",
        "Native C, one process a worker, which exchange messages by MPI; started as ours is, by the same launcher.",
    ),
    ("rayon", "Native Rust with work stealing on the threads of one process."),
    ("native C, serial C", "The same loop in C, compiled by the system's compiler; one thread."),
    ("OpenBLAS", "A native library of linear algebra."),
    ("numpy", "Python with numpy's native loops, one process."),
    ("joblib", "Python: processes that share arrays through mapped files."),
    ("Ray, Dask", "Python: schedulers of tasks over processes and hosts."),
    ("mpi4py", "Python with numpy in each process and MPI between them."),
    (
        "worker",
        "A thread that runs calls, or a peer's thread or process: threads of a rank × ranks.",
    ),
    ("rank", "A process of a parallel program, started by mpirun or srun."),
    (
        "host",
        "A machine with memory of its own. In records of a small machine: network namespaces of one machine, which share its CPUs and nothing else.",
    ),
    (
        "ratio",
        "Our time over the peer's: 1 is as fast, less is faster. Blue up to 1.2, grey up to the limit in the legend, orange above.",
    ),
    ("p10, p90", "A tenth of the samples lies below, above. The bars in the plots."),
    (
        "efficiency",
        "Time of one worker over (workers × time with them); in weak scaling time of one over time with all.",
    ),
    (
        "METG(50%)",
        "Minimum effective task granularity: the smallest task at which half the peak rate is kept.",
    ),
    (
        "bound",
        "What limits a kernel natively: memory bandwidth, arithmetic (compute), or waiting for each other (latency).",
    ),
];

/// Engines and words.
pub(crate) fn glossary() -> Section {
    let words = WORDS.iter().fold(String::new(), |html, (word, meaning)| {
        html + &format!("<dt>{word}</dt><dd>{meaning}</dd>\n")
    });
    Section {
        id: "words",
        title: "Engines and words",
        how: "What the names on this page stand for.".to_owned(),
        before: format!("<dl>{words}</dl>\n"),
        ..Section::default()
    }
}

/// Every row of the records.
pub(crate) fn rows(records: &Records) -> Section {
    let head = [
        "Benchmark",
        "Metric",
        "Size",
        "N",
        "Where",
        "Unit",
        "n",
        "Median",
        "p10",
        "p90",
        "MiB",
        "Peer",
        "Median",
        "p10",
        "p90",
        "MiB",
        "Ratio",
        "Moved, KiB",
        "At most",
        "Launcher",
        "Measured",
    ];
    let mut table = Table::new(&head);
    for entry in &records.entries {
        let mib = |kib: Option<f64>| Cell::maybe(kib.map(|kib| kib / 1024.0));
        let kib = |bytes: Option<f64>| Cell::maybe(bytes.map(|bytes| bytes / 1024.0));
        table.rows.push(vec![
            entry.bench.clone().into(),
            entry.metric.clone().into(),
            entry.size.clone().unwrap_or_default().into(),
            Cell::of(
                entry.points.map(|n| super::svg::digits(n, 9)).unwrap_or_default(),
                super::html::Mood::Number,
            ),
            entry.place().into(),
            entry.unit.clone().into(),
            Cell::of(entry.n.to_string(), super::html::Mood::Number),
            Cell::number(entry.median),
            Cell::number(entry.p10),
            Cell::number(entry.p90),
            mib(entry.memory),
            entry.peer.clone().unwrap_or_default().into(),
            Cell::maybe(entry.peer_median),
            Cell::maybe(entry.peer_p10),
            Cell::maybe(entry.peer_p90),
            mib(entry.peer_memory),
            Cell::maybe(entry.ratio),
            kib(entry.moved),
            kib(entry.moved_bound),
            entry.launcher.clone().unwrap_or_default().into(),
            when(records, entry).into(),
        ]);
    }
    let count = table.rows.len();
    Section {
        id: "rows",
        title: "All rows",
        how: "Every row of the records, as it was written. Ratio is ours over the peer's value here: for rates (…/s) \
              more is better."
            .to_owned(),
        before: format!("<details><summary>{count} rows</summary>{}</details>\n", table.html()),
        ..Section::default()
    }
}
