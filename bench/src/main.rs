//! `mobula-bench`: measures Mobula beside what people use today, in the same run.

#![forbid(unsafe_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use mobula_bench::compare::{Verdict, compare};
use mobula_bench::kernels::{App, Definition, Placement, Plan, measure, measure_app};
use mobula_bench::launch::{Launch, Launcher};
use mobula_bench::measure::Row;
use mobula_bench::programs::Place;
use mobula_bench::record;
use mobula_bench::records::Records;
use mobula_bench::suite::{ALL, Setting};

/// Measures Mobula beside what people use today, in the same run.
#[derive(Debug, Parser)]
#[command(name = "mobula-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the benchmarks.
    List,
    /// Run benchmarks, ours and the peers in turns.
    Run(Run),
    /// Run a program of your own with more and more threads and ranks.
    App(RunApp),
    /// Compare two records: what became faster or slower, and what is noise.
    Compare {
        /// The earlier one: a .jsonl file below bench/record.
        before: PathBuf,
        /// The later one.
        after: PathBuf,
        /// Fail when something became slower.
        #[arg(long)]
        strict: bool,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Make a page and plots of records.
    Report {
        /// Which ones [default: the newest of this kind of machine in bench/record].
        records: Vec<PathBuf>,
        /// Where to put index.html and the plots.
        #[arg(long, value_name = "DIR", default_value = "target/report")]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// Which ones: names of `mobula-bench list`.
    #[arg(required_unless_present_any = ["all", "kernels"])]
    names: Vec<String>,
    /// All of them.
    #[arg(long, conflicts_with_all = ["names", "kernels"])]
    all: bool,
    /// All that are defined in bench/kernels.
    #[arg(long, conflicts_with = "names")]
    kernels: bool,
    /// Measure another `mobula` in turns with this one, as the peer of every metric.
    #[arg(long, value_name = "MOBULA")]
    against: Option<PathBuf>,
    /// Size of kernels: small, medium, or another that its definition has.
    #[arg(long, default_value = "medium")]
    size: String,
    /// Kernels: as much work for each worker, instead of as much in all.
    #[arg(long)]
    weak: bool,
    /// Kernels: only these peers (openmp,mpi,…); "none" measures ours alone.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct RunApp {
    /// Module (.wasm) or Python file.
    guest: PathBuf,
    /// An option of `mobula run`, as --with=--state=demo/x=FILE; as often as needed.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    with: Vec<String>,
    #[command(flatten)]
    how: How,
    /// Arguments of the program.
    #[arg(last = true)]
    args: Vec<String>,
}

/// Where and how often.
#[derive(Debug, Args)]
struct How {
    /// Threads of a rank, for kernels and programs [default: one, and all of the machine].
    #[arg(long, value_delimiter = ',', value_parser = positive)]
    threads: Vec<usize>,
    /// Ranks, for kernels and programs [default: one, or one a host].
    #[arg(long, value_delimiter = ',', value_parser = positive)]
    ranks: Vec<usize>,
    /// Run programs of several ranks on so many hosts of slurm/dev-cluster, one after the other. More than
    /// one: root only.
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = positive)]
    hosts: Vec<usize>,
    /// What starts programs of several ranks.
    #[arg(long, default_value = "mpirun")]
    launcher: Launcher,
    /// How often each program is run, after once to warm up. 0 is for kernels: once, to see their answers.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=100))]
    rounds: u16,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Also append to files below this directory, by kind of machine and date.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
}

/// A small number that is not 0.
fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=4096) => Ok(n),
        _ => Err("a number from 1 to 4096".to_owned()),
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::List => list(),
        Command::Run(run) => run_benchmarks(&run),
        Command::App(app) => run_app(&app),
        Command::Compare { before, after, strict, json } => {
            compare_records(before, after, strict, json)
        }
        Command::Report { records, out } => report(&records, &out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough: `mobula-bench list | head`.
        Err(err) if is_broken_pipe(&err) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("mobula-bench: error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(err: &anyhow::Error) -> bool {
    let broken = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    err.downcast_ref().is_some_and(broken)
}

fn definitions(place: &Place) -> Result<Vec<Definition>> {
    Definition::all(&place.source("bench/kernels"))
}

fn report(records: &[PathBuf], out: &Path) -> Result<()> {
    let page = mobula_bench::report::report(records, &Place::find()?.source(""), out)?;
    writeln!(std::io::stdout(), "{}", page.display())?;
    Ok(())
}

fn list() -> Result<()> {
    let mut out = std::io::stdout().lock();
    for bench in ALL {
        writeln!(out, "{:16} {}", bench.name, bench.about)?;
    }
    for definition in definitions(&Place::find()?)? {
        let peers: Vec<_> = definition.engine.iter().map(|e| e.name.as_str()).collect();
        let Definition { name, about, kind, .. } = &definition;
        writeln!(out, "{name:16} {}: {about} (peers: {})", kind.name(), peers.join(", "))?;
    }
    Ok(())
}

/// Prints rows as they come, and keeps them for the record.
struct Rows<'a> {
    how: &'a How,
    all: Vec<Row>,
}

impl Rows<'_> {
    fn add(&mut self, rows: Vec<Row>) -> Result<()> {
        for row in rows {
            let mut out = std::io::stdout().lock();
            if self.how.json {
                writeln!(out, "{}", serde_json::to_string(&row)?)?;
            } else {
                writeln!(out, "{row}")?;
            }
            self.all.push(row);
        }
        Ok(())
    }

    fn record(&self, place: &Place) -> Result<()> {
        let Some(dir) = &self.how.record else { return Ok(()) };
        let head = record::head(Path::new(place.binary("mobula").get_program()));
        let file = record::write(dir, &head, &self.all)?;
        eprintln!("recorded in {}", file.display());
        Ok(())
    }
}

fn plan(how: &How) -> Plan {
    Plan {
        size: "medium".to_owned(),
        weak: false,
        threads: how.threads.clone(),
        ranks: how.ranks.clone(),
        engines: Vec::new(),
        rounds: how.rounds.into(),
    }
}

fn run_benchmarks(run: &Run) -> Result<()> {
    let how = &run.how;
    let place = Place::find()?;
    let definitions = definitions(&place)?;
    let known = |name: &String| {
        ALL.iter().any(|bench| bench.name == *name) || definitions.iter().any(|d| d.name == *name)
    };
    if let Some(unknown) = run.names.iter().find(|name| !known(name)) {
        bail!("there is no benchmark {unknown:?}; mobula-bench list shows them");
    }
    let offered =
        |name: &String| definitions.iter().any(|d| d.engine.iter().any(|e| e.name == *name));
    if let Some(unknown) = run.engines.iter().find(|name| *name != "none" && !offered(name)) {
        bail!("no kernel has a peer {unknown:?}; mobula-bench list shows them");
    }
    let wanted = |name: &str| run.all || run.names.iter().any(|n| n == name);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let plan =
        Plan { size: run.size.clone(), weak: run.weak, engines: run.engines.clone(), ..plan(how) };
    let mut rows = Rows { how, all: Vec::new() };
    let mut failed = Vec::new();
    for (turn, &hosts) in how.hosts.iter().enumerate() {
        let launch = Rc::new(Launch::open(how.launcher, hosts, &place)?);
        let setting = Setting {
            place: place.clone(),
            rounds: how.rounds.into(),
            threads,
            launch: Rc::clone(&launch),
        };
        // What runs on one host only need not run again on more.
        for bench in ALL.iter().filter(|b| wanted(b.name) && (turn == 0 || b.ranks)) {
            eprintln!("{}: {}", bench.name, bench.about);
            let done = match &run.against {
                None => bench.run(&setting),
                Some(other) => bench.run_against(&setting, other),
            };
            keep(&mut rows, &mut failed, bench.name, done)?;
        }
        for definition in definitions.iter().filter(|d| run.kernels || wanted(&d.name)) {
            eprintln!("{}: {}", definition.name, definition.about);
            let done = measure(definition, &plan, &place, &launch, run.against.as_deref());
            keep(&mut rows, &mut failed, &definition.name, done)?;
        }
    }
    rows.record(&place)?;
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// A benchmark that fails does not take with it what others have measured.
fn keep(
    rows: &mut Rows,
    failed: &mut Vec<String>,
    name: &str,
    done: Result<Vec<Row>>,
) -> Result<()> {
    match done {
        Ok(done) => rows.add(done),
        Err(err) => {
            eprintln!("mobula-bench: error: {err:#}");
            failed.push(name.to_owned());
            Ok(())
        }
    }
}

fn run_app(run: &RunApp) -> Result<()> {
    let place = Place::find()?;
    ensure!(run.guest.is_file(), "there is no file {}", run.guest.display());
    let app = App { guest: run.guest.clone(), options: run.with.clone(), args: run.args.clone() };
    let mut rows = Rows { how: &run.how, all: Vec::new() };
    for &hosts in &run.how.hosts {
        let launch = Rc::new(Launch::open(run.how.launcher, hosts, &place)?);
        let done = measure_app(&app, &plan(&run.how), &place, &launch)?;
        let first = done.iter().find(|row| row.metric == "run").cloned();
        rows.add(done)?;
        let runs = rows.all.iter().filter(|row| row.metric == "run" && !run.how.json);
        for (row, case, first) in runs.filter_map(|r| Some((r, r.case.as_ref()?, first.as_ref()?)))
        {
            let workers = |row: &Row| row.case.as_ref().map_or(1, |c| c.threads * c.ranks) as f64;
            let faster = first.median / row.median;
            let efficiency = faster * workers(first) / workers(row);
            let at = Placement { threads: case.threads, ranks: case.ranks, hosts: case.hosts };
            let mut out = std::io::stdout().lock();
            writeln!(out, "{at}: {faster:.2} times as fast, efficiency {efficiency:.2}")?;
        }
    }
    rows.record(&place)
}

fn compare_records(before: PathBuf, after: PathBuf, strict: bool, json: bool) -> Result<()> {
    let (before, after) = (Records::read(&[before])?, Records::read(&[after])?);
    let changes = compare(&before, &after);
    ensure!(!changes.is_empty(), "the two records have no metric in common");
    if let (Some(was), Some(is)) = (before.heads.last(), after.heads.last())
        && was.place() != is.place()
    {
        let (was, is) = (was.place(), is.place());
        eprintln!(
            "mobula-bench: warning: not the same machine, {was} and {is}: only ratios compare"
        );
    }
    let count = |verdict| changes.iter().filter(|change| change.verdict == verdict).count();
    for change in &changes {
        let mut out = std::io::stdout().lock();
        if json {
            writeln!(out, "{}", serde_json::to_string(change)?)?;
        } else {
            writeln!(out, "{change}")?;
        }
    }
    let slower = count(Verdict::Slower);
    eprintln!(
        "{} compared: {} faster, {slower} slower, {} the same",
        changes.len(),
        count(Verdict::Faster),
        count(Verdict::Same)
    );
    ensure!(!strict || slower == 0, "{slower} became slower");
    Ok(())
}
