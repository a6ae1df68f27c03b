//! What more ranks would take, as far as measured runs allow to say it. Never shown as if it were measured.

use super::data::{definitions, groups, is_weak, runs, when};
use super::html::{Cell, Figure, Section, Table, paragraph};
use super::lines::{Lines, Series};
use super::svg::{OURS, digits, short};
use crate::model::{Costs, Kernel, Point, Prediction, Study, milliseconds, study};
use crate::records::{Entry, Records, Spread};

/// Measured points of ours, ms.
fn points(entries: &[&Entry]) -> Vec<Point> {
    let ours = runs(entries).into_iter().filter(|run| run.engine == OURS);
    let point = |entry: &Entry, value: Spread| {
        let of = |value: f64| milliseconds(value, &entry.unit);
        let time = Spread { median: of(value.median)?, p10: of(value.p10)?, p90: of(value.p90)? };
        let (threads, ranks) = (entry.threads.unwrap_or(1), entry.ranks.unwrap_or(1));
        Some(Point { threads, ranks, hosts: entry.hosts.unwrap_or(1), time })
    };
    ours.filter_map(|run| point(run.entry, run.value)).collect()
}

fn place(point: &Point) -> String {
    let Point { threads, ranks, hosts, .. } = point;
    format!("{hosts} host(s), {ranks} rank(s), {threads} thread(s)")
}

fn flat(time: f64) -> Spread {
    Spread { median: time, p10: time, p90: time }
}

fn table(study: &Study, points: &[Point], weak: bool) -> Table {
    let mut table = Table::new(&["What", "Where", "ms", "from", "to", "Efficiency, %"]);
    for point in points {
        let Spread { median, p10, p90 } = point.time;
        let numbers = [median, p10, p90].map(Cell::number);
        let mut row = vec![Cell::from("measured"), place(point).into()];
        row.extend(numbers);
        row.push(Cell::default());
        table.rows.push(row);
    }
    for check in &study.checks {
        let error = format!("test: {} % off", digits(100.0 * check.error, 3));
        table.rows.push(vec![
            error.into(),
            place(&check.point).into(),
            Cell::number(check.predicted),
        ]);
    }
    for prediction in &study.predictions {
        let Prediction { ranks, time, low, high } = *prediction;
        let one = study.fit.work + study.fit.serial;
        let growth = if weak { 1.0 } else { f64::from(ranks) };
        let numbers = [time, low, high, 100.0 * one / growth / time].map(Cell::number);
        let mut row = vec![Cell::from("prediction"), format!("{ranks} ranks").into()];
        row.extend(numbers);
        table.rows.push(row);
    }
    table
}

/// What the fit found and how far it can be trusted, in words.
fn words(study: &Study, weak: bool) -> String {
    let fit = &study.fit;
    let best = study.predictions.iter().min_by(|a, b| a.time.total_cmp(&b.time));
    let best = best.filter(|_| !weak).map_or_else(String::new, |best| match best.ranks {
        4096 => " Within these numbers more ranks are always faster.".to_owned(),
        ranks => format!(" Of these numbers of ranks {ranks} are the fastest."),
    });
    format!(
        "Prediction, not measurement. The test: the {} largest run(s), left out, were predicted with {} % error at \
         most. Found: {} ms of work, {} ms that stay serial, {} fan-outs, {} waits for something from far and \
         {} KiB from each host in an iteration.{best}",
        study.checks.len(),
        digits(100.0 * study.error(), 2),
        short(fit.work),
        short(fit.serial),
        short(fit.fan_outs),
        short(fit.trips),
        short(fit.bytes / 1024.0),
    )
}

fn figure(name: &str, points: &[Point], study: &Study, weak: bool) -> Option<Figure> {
    let kind = if weak { "weak" } else { "strong" };
    let mut measured: Vec<_> =
        points.iter().map(|point| (f64::from(point.workers()), point.time)).collect();
    measured.sort_by(|a, b| a.0.total_cmp(&b.0));
    let predicted = study.predictions.iter().map(|p| (f64::from(p.ranks), flat(p.time))).collect();
    let band = study.predictions.iter().map(|p| (f64::from(p.ranks), p.low, p.high)).collect();
    let plot = Lines {
        name: format!("prediction-{kind}-{name}"),
        title: format!("{name}, {kind} scaling: prediction"),
        about: format!(
            "Measured times of {name}, and times predicted by a model at 64 to 4096 ranks with a band."
        ),
        x: "workers measured, ranks predicted".to_owned(),
        unit: "ms".to_owned(),
        log: true,
        series: vec![
            Series { label: "measured".to_owned(), style: 0, line: "none", points: measured },
            Series { label: "prediction".to_owned(), style: 1, line: "dash", points: predicted },
        ],
        band: Some((1, band)),
        ..Lines::default()
    };
    let note = Some(words(study, weak));
    Some(Figure { plot: plot.draw()?, table: table(study, points, weak), note })
}

/// The costs as a table.
fn costs(costs: &Costs) -> String {
    let Costs { call, remote, trip, byte, sources } = costs;
    let values = [*call, trip[0], trip[1], remote[0], remote[1], *byte];
    let mut table = Table::new(&["Cost of", "ns", "Measured by"]);
    for ((what, source), value) in sources.iter().zip(values) {
        table.rows.push(vec![(*what).into(), Cell::number(value * 1e6), source.clone().into()]);
    }
    format!("<details><summary>Costs that the model uses</summary>{}</details>\n", table.html())
}

const MODEL: &str = "The model, after LogGP (Alexandrov, Ionescu, Schauser, Scheiman, SPAA 1995): an iteration on \
    P ranks takes work / P + serial + fan-outs × (call + remote call × (P − 1)) + trips × round trip × log₂ P + \
    bytes × time of a byte × (1 − 1/P). The costs of one call, one round trip and one byte are measured by \
    benchmarks of their own; the five numbers of each kernel are fitted to its measured runs by least squares, none \
    of them negative, at least one fan-out, and pulled weakly towards one fan-out, one wait and nothing serial, \
    since a few runs on a small machine cannot tell noise from calls. Efficiency is against one rank by the same fit.";

const ASSUMED: &str = "What is assumed: one rank a host, with cores and memory of its own that are as fast as here; \
    a network as measured here between two hosts, which does not get slower with more of them; rank 0 starts every \
    call of an iteration itself. The band spans the fits without one of the points and those of all p10 and all \
    p90, widened by what so few runs leave open (a standard error) and by the error of the test; it knows nothing \
    of what a larger machine does differently.";

/// The section; says why where there is nothing to say.
pub(crate) fn section(records: &Records) -> Section {
    let how = "A model is fitted to the measured runs and says what 64 to 4096 ranks would take. Full marks are \
               measured; dashed lines with hollow marks and their band are predictions, which nobody has \
               measured. Each had to pass a test first: the largest measured runs are left out, and predicted \
               from the smaller ones; the error is said below each plot, and above 30 % there is no prediction. \
               Measured runs shared the CPUs of one machine, which predicted ones do not: in weak scaling they may \
               well be the slower ones.";
    let mut section = Section {
        id: "prediction",
        title: "Prediction for more ranks",
        how: how.to_owned(),
        before: paragraph(ASSUMED),
        after: paragraph(MODEL),
        ..Section::default()
    };
    let measured = match Costs::measured(records) {
        Ok(measured) => measured,
        Err(missing) => {
            section.before = format!(
                "<p class=\"warning\">No prediction: {}. The model needs <code>chain-noop</code>, \
                 <code>rank-rtt</code> on one host and on two, and <code>pull-bandwidth</code> on two.</p>\n",
                super::svg::escape(&missing)
            );
            return section;
        }
    };
    section.before += &costs(&measured);
    let mut silent = Table::new(&["Benchmark", "Why there is no prediction", "Measured"]);
    let mut figures = Vec::new();
    for (name, entries) in groups(&definitions(records)) {
        let (entry, points) = (entries[0], points(&entries));
        let weak = is_weak(entry);
        let kernel = Kernel {
            cpus: records.cpus(),
            weak,
            memory_bound: entry.bound.as_deref() == Some("memory"),
        };
        match study(&points, &measured, kernel) {
            Ok(study) => figures.extend(figure(&name, &points, &study, weak)),
            Err(why) => {
                let name = if weak { format!("{name}, weak") } else { name };
                silent.rows.push(vec![name.into(), why.into(), when(records, entry).into()]);
            }
        }
    }
    if figures.is_empty() {
        section.before += "<p class=\"warning\">No benchmark of this record has enough runs to test the model, so \
                           nothing is predicted.</p>\n";
    }
    section.groups = vec![(String::new(), figures)];
    if !silent.rows.is_empty() {
        section.after += &format!(
            "<details><summary>{} not predicted</summary>{}</details>\n",
            silent.rows.len(),
            silent.html()
        );
    }
    section
}
