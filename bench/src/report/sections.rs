//! The sections that compare: times by engine, the cost of the sandbox, memory, everything else.

use std::collections::BTreeMap;

use super::data::{
    Run, definitions, groups, is_weak, mean, medium, runs, spread_of_ratio, table, when,
};
use super::html::{Cell, Figure, Section, Table};
use super::rows::{About, Bar, Ratio, bars, dots, ratios};
use super::svg::{OURS, engine};
use crate::records::{Entry, Records};

/// Above this a ratio of an algorithm is more than the project allows itself.
const LIMIT: f64 = 1.6;

/// Above this the sandbox costs more than it should.
const SANDBOX_LIMIT: f64 = 1.5;

/// Peers that few benchmarks have: they share plots.
const PYTHON: [&str; 5] = ["numpy", "joblib", "ray", "dask", "mpi4py"];

fn ratio_table(records: &Records, entries: &[&Entry]) -> Table {
    let head = [
        "What",
        "Ours / peer, time",
        "Ours",
        "p10",
        "p90",
        "Peer's",
        "Unit",
        "Peer",
        "Where",
        "Measured",
    ];
    let mut table = Table::new(&head);
    for entry in entries {
        let what = if entry.is_definition() { &entry.bench } else { &entry.metric };
        table.rows.push(vec![
            what.clone().into(),
            entry.cost_ratio().map_or_else(Cell::default, Cell::ratio),
            Cell::number(entry.median),
            Cell::number(entry.p10),
            Cell::number(entry.p90),
            Cell::maybe(entry.peer_median),
            entry.unit.clone().into(),
            entry.peer.as_deref().map(engine).unwrap_or_default().into(),
            entry.place().into(),
            when(records, entry).into(),
        ]);
    }
    table
}

/// The placements that are shown where there are many: the largest that has a CPU for each worker, of threads,
/// of ranks and of hosts.
fn shown(records: &Records, entry: &Entry, among: &[&Entry]) -> bool {
    let mode = |e: &Entry| (e.hosts.unwrap_or(1), e.ranks.unwrap_or(1) > 1);
    let size = |e: &Entry| {
        (
            e.workers() <= records.cpus(),
            if e.workers() <= records.cpus() { e.workers() } else { u32::MAX - e.workers() },
        )
    };
    let same = among.iter().filter(|other| mode(other) == mode(entry));
    same.map(|other| size(other)).max() == Some(size(entry))
}

/// Our time over that of each peer, a plot for each peer and placement.
fn against(records: &Records) -> Vec<Figure> {
    let all = medium(records);
    let mut plots: BTreeMap<(String, String), Vec<&Entry>> = BTreeMap::new();
    for (_, entries) in groups(&all) {
        for entry in entries.iter().copied().filter(|entry| shown(records, entry, &entries)) {
            if let Some(peer) = &entry.peer {
                let peer = if PYTHON.contains(&peer.as_str()) { "Python" } else { peer };
                plots.entry((peer.to_owned(), entry.place())).or_default().push(entry);
            }
        }
    }
    let label = |entry: &Entry| match entry.peer.as_deref() {
        Some(peer) if PYTHON.contains(&peer) => format!("{}, {}", entry.bench, engine(peer)),
        _ => entry.bench.clone(),
    };
    let draw = |((peer, place), mut entries): ((String, String), Vec<&Entry>)| {
        let value = |entry: &Entry| entry.cost_ratio().unwrap_or(f64::MAX);
        entries.sort_by(|a, b| value(a).total_cmp(&value(b)));
        let title = format!("Against {}, {place}", engine(&peer));
        let about = About {
            name: format!("against-{peer}-{place}").replace(" × ", "-"),
            about: format!(
                "Our time over that of {} with {place}, for each benchmark.",
                engine(&peer)
            ),
            title,
        };
        let rows: Vec<_> = entries
            .iter()
            .filter_map(|e| Some(Ratio { label: label(e), value: spread_of_ratio(e)? }))
            .collect();
        let mean = mean(rows.iter().map(|row| row.value.median)).filter(|_| rows.len() > 1);
        let plot = ratios(&about, &rows, mean, LIMIT)?;
        Some(Figure { plot, table: ratio_table(records, &entries), note: None })
    };
    let mut plots: Vec<_> = plots.into_iter().collect();
    plots.sort_by_key(|(_, entries)| std::cmp::Reverse(entries.len()));
    plots.into_iter().filter_map(draw).collect()
}

/// Time of an iteration of each engine, a plot for each benchmark.
fn times(records: &Records) -> Vec<Figure> {
    let all = definitions(records).into_iter().filter(|entry| !is_weak(entry)).collect::<Vec<_>>();
    let draw = |(name, entries): (String, Vec<&Entry>)| {
        let shown: Vec<_> =
            entries.iter().copied().filter(|entry| shown(records, entry, &entries)).collect();
        let bar = |run: &Run| Bar {
            place: run.entry.place(),
            engine: run.engine.to_owned(),
            value: run.value,
        };
        let list: Vec<Bar> = runs(&shown).iter().map(bar).collect();
        let about = About {
            name: format!("time-{name}"),
            title: name.clone(),
            about: format!("Time of an iteration of {name} by engine and placement."),
        };
        let bound = entries[0].bound.as_ref().map(|bound| format!("Natively limited by {bound}."));
        let points = entries[0].points.map(|n| format!("N = {}.", super::svg::digits(n, 9)));
        let note = [bound, points].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let plot = bars(&about, &entries[0].unit, &list)?;
        let note = Some(note).filter(|note| !note.is_empty());
        Some(Figure { plot, table: table(records, &runs(&entries)), note })
    };
    groups(&all).into_iter().filter_map(draw).collect()
}

/// The section on times.
pub(crate) fn engines(records: &Records) -> Section {
    Section {
        id: "engines",
        title: "Time of an iteration, by engine",
        how: format!(
            "Each algorithm and kernel beside what people use today: the same data, workers and iterations, \
             measured in turns in the same run. First our time over each peer's: left of 1 we are faster, right \
             of it slower; then the times themselves, less is better. Bars go from p10 to p90. Shown is the \
             largest placement with a CPU for each worker (of {}); the others are in the numbers below each plot.",
            records.cpus()
        ),
        groups: vec![
            ("Ours over the peer's".to_owned(), against(records)),
            ("Times".to_owned(), times(records)),
        ],
        ..Section::default()
    }
}

/// The section on the sandbox: WebAssembly against native code.
pub(crate) fn sandbox(records: &Records) -> Section {
    let mut entries: Vec<_> = records.entries.iter().filter(|e| e.bench == "sandbox").collect();
    let value = |entry: &Entry| entry.cost_ratio().unwrap_or(f64::MAX);
    entries.sort_by(|a, b| value(b).total_cmp(&value(a)));
    let rows: Vec<_> = entries
        .iter()
        .filter_map(|e| Some(Ratio { label: e.metric.clone(), value: spread_of_ratio(e)? }))
        .collect();
    let mean = mean(rows.iter().map(|row| row.value.median));
    let over = rows.iter().filter(|row| row.value.median > SANDBOX_LIMIT).count();
    let about = About {
        name: "sandbox".to_owned(),
        title: "WebAssembly over native, one thread".to_owned(),
        about: "Time of each kernel as WebAssembly over its time as native code.".to_owned(),
    };
    let plot = ratios(&about, &rows, mean, SANDBOX_LIMIT);
    let figure = plot.map(|plot| Figure {
        plot,
        table: ratio_table(records, &entries),
        note: Some(format!(
            "{} kernels, {over} of them above {SANDBOX_LIMIT} ×; geometric mean {} ×.",
            rows.len(),
            super::svg::digits(mean.unwrap_or(f64::NAN), 3)
        )),
    });
    Section {
        id: "sandbox",
        title: "What the sandbox costs",
        how: "The same source compiled to WebAssembly and to native code (-O3 -march=native), one thread, measured in \
              turns: the ratio is the price of the sandbox alone. Left of 1 WebAssembly is the faster one; the \
              worst stand first."
            .to_owned(),
        groups: vec![(String::new(), figure.into_iter().collect())],
        ..Section::default()
    }
}

/// The section on memory.
pub(crate) fn memory(records: &Records) -> Section {
    const MIB: f64 = 1024.0;
    let all = medium(records);
    let mut places: BTreeMap<String, Vec<(String, Vec<Run>)>> = BTreeMap::new();
    for (name, entries) in groups(&all) {
        for run in runs(&entries).into_iter().filter(|run| run.memory.is_some()) {
            if !shown(records, run.entry, &entries) {
                continue;
            }
            let rows = places.entry(run.entry.place()).or_default();
            match rows.last_mut().filter(|(last, _)| *last == name) {
                Some((_, runs)) => runs.push(run),
                None => rows.push((name.clone(), vec![run])),
            }
        }
    }
    let draw = |(place, rows): (String, Vec<(String, Vec<Run>)>)| {
        let mut table = Table::new(&["Benchmark", "Engine", "Peak, MiB", "Ours / it", "Measured"]);
        for (name, runs) in &rows {
            let ours = runs.iter().find(|run| run.engine == OURS).and_then(|run| run.memory);
            for run in runs {
                let ratio = ours.zip(run.memory).filter(|_| run.engine != OURS);
                table.rows.push(vec![
                    name.clone().into(),
                    engine(run.engine).into(),
                    Cell::maybe(run.memory.map(|kib| kib / MIB)),
                    ratio.map_or_else(Cell::default, |(ours, its)| Cell::ratio(ours / its)),
                    when(records, run.entry).into(),
                ]);
            }
        }
        let dot = |run: &Run| Some((run.engine.to_owned(), run.memory? / MIB));
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, runs)| (name.clone(), runs.iter().filter_map(dot).collect()))
            .collect();
        let about = About {
            name: format!("memory-{place}").replace(" × ", "-"),
            title: format!("Peak memory, {place}"),
            about: format!("Peak memory of all processes with {place}, by engine."),
        };
        Some(Figure { plot: dots(&about, "MiB", &rows)?, table, note: None })
    };
    Section {
        id: "memory",
        title: "Memory",
        how: "Peak memory of all processes of a run together, a shared page counted once. A line for each benchmark, \
              a mark for each engine: left is better. The number at the right is ours."
            .to_owned(),
        groups: vec![(String::new(), places.into_iter().filter_map(draw).collect())],
        ..Section::default()
    }
}

/// The section on all other benchmarks that have a peer.
pub(crate) fn parts(records: &Records) -> Section {
    let mut benches: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &records.entries {
        let elsewhere =
            entry.is_definition() || ["sandbox", "metg"].contains(&entry.bench.as_str());
        if entry.peer.is_some() && !elsewhere {
            benches.entry(&entry.bench).or_default().push(entry);
        }
    }
    let draw = |(bench, entries): (&str, Vec<&Entry>)| {
        let several = entries.iter().any(|entry| entry.peer != entries[0].peer);
        let label = |entry: &Entry| {
            let mut words = vec![entry.metric.clone()];
            // Where it ran, if the metric's name does not say it.
            words.extend(
                Some(entry.place()).filter(|place| !place.is_empty() && entry.what == entry.metric),
            );
            words.extend(entry.peer.as_deref().filter(|_| several).map(engine));
            words.join(", ")
        };
        let rows: Vec<_> = entries
            .iter()
            .filter_map(|e| Some(Ratio { label: label(e), value: spread_of_ratio(e)? }))
            .collect();
        let peer =
            if several { "its peers".to_owned() } else { engine(entries[0].peer.as_deref()?) };
        let about = About {
            name: format!("part-{bench}"),
            title: format!("{bench}, against {peer}"),
            about: format!("Our time over that of {peer} in the benchmark {bench}."),
        };
        let plot = ratios(&about, &rows, None, LIMIT)?;
        Some(Figure { plot, table: ratio_table(records, &entries), note: None })
    };
    Section {
        id: "parts",
        title: "Single operations",
        how: "Calls, messages, windows and starts, each alone beside the nearest thing that its peer has \
              (bench/README.md says what exactly). Left of 1 ours is better; of rates the inverse is shown, so \
              that this holds for them too."
            .to_owned(),
        groups: vec![(String::new(), benches.into_iter().filter_map(draw).collect())],
        ..Section::default()
    }
}
