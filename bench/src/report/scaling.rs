//! Scaling: the same work, or as much for each, on more workers; METG.

use std::collections::BTreeMap;

use super::data::{Run, definitions, groups, is_weak, runs, table, when};
use super::html::{Cell, Figure, Section, Table};
use super::lines::{Lines, Series};
use super::svg::{OURS, engine, style};
use crate::records::{Entry, Records, Spread};

/// How a line's workers are placed; the number is the order.
fn mode(run: &Run) -> (u8, String) {
    let Entry { ranks, hosts, .. } = run.entry;
    match (hosts.unwrap_or(1), ranks.unwrap_or(1)) {
        (hosts @ 2.., _) => (2, format!("{hosts} hosts")),
        (_, 2..) if run.engine == OURS => (1, "ranks".to_owned()),
        _ if run.engine == OURS => (0, "threads".to_owned()),
        _ => (0, String::new()),
    }
}

/// Times of one engine that are compared with each other, by workers.
struct Line<'a> {
    label: String,
    style: usize,
    /// Whether over several hosts.
    far: bool,
    runs: Vec<Run<'a>>,
    /// Time and workers of the smallest run on one host.
    base: (f64, f64),
}

/// Runs by whether a peer's, engine, and mode.
type Modes<'a> = BTreeMap<(bool, &'a str, (u8, String)), Vec<Run<'a>>>;

/// One rank with one thread is where the line of ranks begins too.
fn join_first(modes: &mut Modes) {
    let (threads, ranks) =
        ((false, OURS, (0, "threads".to_owned())), (false, OURS, (1, "ranks".to_owned())));
    let Some(first) = modes
        .get(&threads)
        .and_then(|runs| runs.iter().find(|run| run.entry.workers() == 1))
        .cloned()
    else {
        return;
    };
    let Some(line) = modes.get_mut(&ranks) else { return };
    line.insert(0, first);
    if modes.get(&threads).is_some_and(|runs| runs.len() == 1) {
        modes.remove(&threads);
    }
}

fn lines<'a>(entries: &[&'a Entry]) -> Vec<Line<'a>> {
    let all = runs(entries);
    let mut modes = Modes::new();
    for run in &all {
        modes.entry((run.engine != OURS, run.engine, mode(run))).or_default().push(run.clone());
    }
    join_first(&mut modes);
    let mut count = BTreeMap::new();
    let mut lines = Vec::new();
    for ((_, name, (_, words)), mut runs) in modes {
        let own = all.iter().filter(|run| run.engine == name && run.entry.hosts.unwrap_or(1) == 1);
        let first = own.min_by_key(|run| run.entry.workers()).unwrap_or(&runs[0]);
        let base = (first.value.median, f64::from(first.entry.workers()));
        // Of several placements of as many workers the one with more ranks.
        runs.sort_by_key(|run| (run.entry.workers(), run.entry.ranks));
        runs.dedup_by(|next, kept| {
            let same = next.entry.workers() == kept.entry.workers();
            if same {
                *kept = next.clone();
            }
            same
        });
        // An engine has one colour, and each of its lines a marker.
        let nth: &mut usize = count.entry(name).or_insert(0);
        let style = style(name) + 10 * *nth;
        *nth += 1;
        let far = runs.iter().any(|run| run.entry.hosts.unwrap_or(1) > 1);
        let label =
            if words.is_empty() { engine(name) } else { format!("{}, {words}", engine(name)) };
        lines.push(Line { label, style, far, runs, base });
    }
    lines
}

impl Line<'_> {
    fn series(&self, value: impl Fn(&Run) -> Spread) -> Series {
        let Self { label, style, far, runs, .. } = self;
        let points = runs.iter().map(|run| (f64::from(run.entry.workers()), value(run))).collect();
        Series { label: label.clone(), style: *style, line: if *far { "dot" } else { "" }, points }
    }

    /// The part of its workers' time that went into work, measured by the smallest run.
    fn efficiency(&self, run: &Run, weak: bool) -> Spread {
        let (time, workers) = self.base;
        let growth = if weak { 1.0 } else { f64::from(run.entry.workers()) / workers };
        let of = |value: f64| 100.0 * time / growth / value;
        Spread { median: of(run.value.median), p10: of(run.value.p90), p90: of(run.value.p10) }
    }
}

fn efficiencies(lines: &[Line], weak: bool) -> Table {
    let mut table = Table::new(&["Line", "Where", "Workers", "Efficiency, %", "from", "to"]);
    for line in lines {
        for run in &line.runs {
            let Spread { median, p10, p90 } = line.efficiency(run, weak);
            table.rows.push(vec![
                line.label.clone().into(),
                run.entry.place().into(),
                Cell::number(run.entry.workers().into()),
                Cell::number(median),
                Cell::number(p10),
                Cell::number(p90),
            ]);
        }
    }
    table
}

/// Time and efficiency over workers.
fn pair(records: &Records, name: &str, entries: &[&Entry], weak: bool) -> Vec<Figure> {
    let lines = lines(entries);
    let several = |line: &Line| line.runs.iter().any(|run| run.entry.workers() > 1);
    if !lines.iter().any(several) {
        return Vec::new();
    }
    let kind = if weak { "weak" } else { "strong" };
    let cpus = f64::from(records.cpus());
    let common = Lines {
        x: "workers (threads × ranks)".to_owned(),
        walls: vec![(cpus, format!("{cpus} CPUs"))],
        ..Lines::default()
    };
    let time = Lines {
        name: format!("scaling-{kind}-{name}"),
        title: format!("{name}, {kind} scaling: time"),
        about: format!("Time of an iteration of {name} over workers, {kind} scaling."),
        unit: entries[0].unit.clone(),
        log: true,
        series: lines.iter().map(|line| line.series(|run| run.value)).collect(),
        ..common.clone()
    };
    let efficiency = Lines {
        name: format!("efficiency-{kind}-{name}"),
        title: format!("{name}, {kind} scaling: efficiency"),
        about: format!("Efficiency of {name} over workers, {kind} scaling."),
        unit: "%".to_owned(),
        series: lines.iter().map(|line| line.series(|run| line.efficiency(run, weak))).collect(),
        guides: vec![(100.0, String::new())],
        ..common
    };
    let tables = [table(records, &runs(entries)), efficiencies(&lines, weak)];
    let plots = [time, efficiency].into_iter().zip(tables);
    plots
        .filter_map(|(lines, table)| Some(Figure { plot: lines.draw()?, table, note: None }))
        .collect()
}

/// Calls over threads and ranks: benchmarks that are no definitions, one plot for each and metric.
fn calls(records: &Records) -> Vec<Figure> {
    let mut plots: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in &records.entries {
        if ["scaling", "fanout-ranks", "fork-join"].contains(&entry.bench.as_str()) {
            plots.entry((&entry.bench, &entry.what)).or_default().push(entry);
        }
    }
    let draw = |((bench, what), entries): ((&str, &str), Vec<&Entry>)| {
        let lines = lines(&entries);
        let plot = Lines {
            name: format!("calls-{bench}-{what}"),
            title: format!("{bench}: {what}"),
            about: format!("{what} of the benchmark {bench} over workers."),
            x: "workers (threads × ranks)".to_owned(),
            unit: entries[0].unit.clone(),
            log: true,
            series: lines.iter().map(|line| line.series(|run| run.value)).collect(),
            ..Lines::default()
        };
        let note = entries[0].is_rate().then(|| "Calls a second: more is better.".to_owned());
        Some(Figure { plot: plot.draw()?, table: table(records, &runs(&entries)), note })
    };
    plots.into_iter().filter_map(draw).collect()
}

/// The section on scaling.
pub(crate) fn section(records: &Records) -> Section {
    let (weak, strong): (Vec<&Entry>, Vec<&Entry>) =
        definitions(records).into_iter().partition(|entry| is_weak(entry));
    let pairs = |entries: &[&Entry], weak: bool| {
        let groups = groups(entries).into_iter();
        groups.flat_map(|(name, entries)| pair(records, &name, &entries, weak)).collect()
    };
    Section {
        id: "scaling",
        title: "Scaling",
        how: format!(
            "How time changes with workers. Strong scaling: the same work on more workers; a line that falls as \
             fast as workers grow has an efficiency of 100 %. Weak scaling: as much work for each worker; a flat \
             line has 100 %. Efficiency compares with the same engine's smallest run on one host. Dotted lines are several hosts. An upright line marks the \
             {} CPUs of this machine: workers beyond them, and hosts that are namespaces on it, share CPUs, and \
             show what it costs and not what it gains. Bars go from p10 to p90.",
            records.cpus()
        ),
        groups: vec![
            ("Strong scaling".to_owned(), pairs(&strong, false)),
            ("Weak scaling".to_owned(), pairs(&weak, true)),
            ("Calls alone".to_owned(), calls(records)),
        ],
        ..Section::default()
    }
}

/// The section on METG.
pub(crate) fn metg(records: &Records) -> Section {
    let mut patterns: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &records.entries {
        if let Some(grid) = entry.grid() {
            patterns.entry(grid).or_default().push(entry);
        }
    }
    let draw = |(pattern, entries): (&str, Vec<&Entry>)| {
        let series: Vec<_> = lines(&entries)
            .iter()
            .map(|line| {
                let mut series = line.series(|run| run.value);
                let ranks = |run: &Run| f64::from(run.entry.ranks.unwrap_or(1));
                line.runs
                    .iter()
                    .zip(&mut series.points)
                    .for_each(|(run, point)| point.0 = ranks(run));
                series.label = series.label.replace(", threads", "").replace(", ranks", "");
                series
            })
            .fold(Vec::new(), join);
        let mut table =
            Table::new(&["Where", "Ours, µs", "p10", "p90", "Peer", "Peer, µs", "Measured"]);
        for entry in &entries {
            table.rows.push(vec![
                entry.place().into(),
                Cell::number(entry.median),
                Cell::number(entry.p10),
                Cell::number(entry.p90),
                entry.peer.as_deref().map(engine).unwrap_or_default().into(),
                Cell::maybe(entry.peer_median),
                when(records, entry).into(),
            ]);
        }
        let guides = if pattern == "all-to-all" {
            Vec::new()
        } else {
            vec![(10.0, "to reach: 10 µs".to_owned()), (3.0, "aim: 3 µs".to_owned())]
        };
        let plot = Lines {
            name: format!("metg-{pattern}"),
            title: format!("METG(50%): {pattern}"),
            about: format!(
                "Smallest task at which half the peak rate is kept, {pattern}, over ranks."
            ),
            x: "ranks".to_owned(),
            unit: entries[0].unit.clone(),
            log: true,
            series,
            guides,
            ..Lines::default()
        };
        Some(Figure { plot: plot.draw()?, table, note: None })
    };
    Section {
        id: "metg",
        title: "METG: how small may tasks be",
        how: "The smallest task, in µs of its own work, at which the machine still does half of what it does with \
              large tasks (Task Bench's METG(50%)): lower is better, and the runtime is fit for finer work. \
              Patterns say what a task needs of the step before: nothing, its neighbours, or all. 0.1 µs means \
              that or less."
            .to_owned(),
        groups: vec![(String::new(), patterns.into_iter().filter_map(draw).collect())],
        ..Section::default()
    }
}

/// Joins lines of the same name: one and several ranks are one line over ranks.
fn join(mut all: Vec<Series>, next: Series) -> Vec<Series> {
    match all.iter_mut().find(|series| series.label == next.label) {
        Some(series) => {
            series.points.extend(next.points);
            series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        None => all.push(next),
    }
    all
}
