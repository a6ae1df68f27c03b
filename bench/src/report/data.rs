//! Rows as plots need them: which of them belong together, and what of each engine was measured.

use std::collections::BTreeMap;

use super::html::{Cell, Table};
use super::svg::{OURS, engine};
use crate::records::{Entry, Records, Spread};

/// What one engine did in one place.
#[derive(Debug, Clone)]
pub(crate) struct Run<'a> {
    /// `mobula`, or the peer's name.
    pub(crate) engine: &'a str,
    /// Its values.
    pub(crate) value: Spread,
    /// Its peak memory, KiB.
    pub(crate) memory: Option<f64>,
    /// The row it comes from.
    pub(crate) entry: &'a Entry,
}

/// Rows of definitions, but those that `srun` started where `mpirun` did too.
pub(crate) fn definitions(records: &Records) -> Vec<&Entry> {
    let all = || records.entries.iter().filter(|entry| entry.is_definition());
    let srun = |entry: &Entry| entry.launcher.as_deref() == Some("srun");
    let twin = |a: &Entry, b: &Entry| {
        let of = |e: &Entry| (e.threads, e.ranks, e.hosts);
        !srun(b) && a.bench == b.bench && a.size == b.size && of(a) == of(b)
    };
    all().filter(|entry| !srun(entry) || !all().any(|other| twin(entry, other))).collect()
}

/// Those of the size that is compared: medium, or what there is.
pub(crate) fn medium(records: &Records) -> Vec<&Entry> {
    let all = definitions(records);
    let is = |entry: &&Entry| entry.size.as_deref().is_none_or(|size| size == "medium");
    let with: Vec<&str> = all.iter().filter(|e| is(e)).map(|entry| entry.bench.as_str()).collect();
    let chosen =
        |entry: &&Entry| is(entry) || !is_weak(entry) && !with.contains(&entry.bench.as_str());
    all.iter().copied().filter(chosen).collect()
}

/// Whether work grows with workers.
pub(crate) fn is_weak(entry: &Entry) -> bool {
    entry.size.as_deref() == Some("weak")
}

/// By benchmark and size.
pub(crate) fn groups<'a>(entries: &[&'a Entry]) -> Vec<(String, Vec<&'a Entry>)> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let size = entry.size.as_deref().unwrap_or("");
        groups.entry((&entry.bench, size)).or_default().push(entry);
    }
    let name = |(bench, size): (&str, &str)| match size {
        "" | "medium" | "weak" => bench.to_owned(),
        _ => format!("{bench}, {size}"),
    };
    groups.into_iter().map(|(key, entries)| (name(key), entries)).collect()
}

/// What each engine did in each place; ours, which stands in the row of every peer, once.
pub(crate) fn runs<'a>(entries: &[&'a Entry]) -> Vec<Run<'a>> {
    let mut runs: Vec<Run> = Vec::new();
    let mut add = |run: Run<'a>| {
        let place = |run: &Run| (run.entry.hosts, run.entry.ranks, run.entry.threads);
        let same = |other: &Run| other.engine == run.engine && place(other) == place(&run);
        match runs.iter().position(same) {
            Some(index) => runs[index] = run,
            None => runs.push(run),
        }
    };
    for entry in entries.iter().copied() {
        add(Run { engine: OURS, value: entry.ours(), memory: entry.memory, entry });
        if let (Some(peer), Some(value)) = (&entry.peer, entry.theirs()) {
            add(Run { engine: peer, value, memory: entry.peer_memory, entry });
        }
    }
    runs.sort_by_key(|run| {
        let Entry { hosts, ranks, threads, .. } = run.entry;
        (*hosts, *ranks, *threads, run.engine != OURS)
    });
    runs
}

/// The numbers of runs.
pub(crate) fn table(records: &Records, runs: &[Run]) -> Table {
    let head =
        ["Engine", "Where", "Unit", "Median", "p10", "p90", "Ours / it", "Moved, KiB", "Measured"];
    let mut table = Table::new(&head);
    for run in runs {
        let ratio = if run.engine == OURS { None } else { run.entry.cost_ratio() };
        let Spread { median, p10, p90 } = run.value;
        table.rows.push(vec![
            engine(run.engine).into(),
            run.entry.place().into(),
            run.entry.unit.clone().into(),
            Cell::number(median),
            Cell::number(p10),
            Cell::number(p90),
            ratio.map_or_else(Cell::default, Cell::ratio),
            Cell::maybe(run.entry.moved.filter(|_| run.engine == OURS).map(|bytes| bytes / 1024.0)),
            when(records, run.entry).into(),
        ]);
    }
    table
}

/// Day and commit of a row.
pub(crate) fn when(records: &Records, entry: &Entry) -> String {
    let head = records.head(entry);
    let day = head.date.split('T').next().unwrap_or("");
    format!("{day} {}", head.commit)
}

/// A ratio and how far it spreads: ours from p10 to p90, over the peer's median.
pub(crate) fn spread_of_ratio(entry: &Entry) -> Option<Spread> {
    let median = entry.cost_ratio()?;
    let (low, high) = (entry.p10 / entry.median, entry.p90 / entry.median);
    let (p10, p90) =
        if entry.is_rate() { (median / high, median / low) } else { (median * low, median * high) };
    let fine = [p10, p90].iter().all(|value| value.is_finite() && *value > 0.0);
    Some(if fine {
        Spread { median, p10, p90 }
    } else {
        Spread { median, p10: median, p90: median }
    })
}

/// The geometric mean.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}
