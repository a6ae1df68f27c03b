//! `mobula-bench`: measures Mobula beside what people use today, in the same run.

#![forbid(unsafe_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use mobula_bench::launch::{Launch, Launcher};
use mobula_bench::measure::Row;
use mobula_bench::programs::{Place, output};
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
    /// Run benchmarks, ours and the peer's in turns.
    Run {
        /// Which ones.
        #[arg(required_unless_present = "all")]
        names: Vec<String>,
        /// All of them.
        #[arg(long, conflicts_with = "names")]
        all: bool,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// How often each program is run.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
        rounds: u16,
        /// Measure another `mobula` in turns with this one, as the peer of every metric.
        #[arg(long, value_name = "MOBULA")]
        against: Option<PathBuf>,
        /// What starts programs of several ranks.
        #[arg(long, default_value = "mpirun")]
        launcher: Launcher,
        /// Run programs of several ranks on this many hosts of slurm/dev-cluster. Root only.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
        hosts: u16,
        /// Also append to a file below this directory, by kind of machine and date.
        #[arg(long, value_name = "DIR")]
        record: Option<PathBuf>,
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

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::List => list(),
        run @ Command::Run { .. } => measure(run),
        Command::Report { records, out } => report(&records, &out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("mobula-bench: error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn report(records: &[PathBuf], out: &Path) -> Result<()> {
    let page = mobula_bench::report::report(records, &Place::find()?.source(""), out)?;
    writeln!(std::io::stdout(), "{}", page.display())?;
    Ok(())
}

fn list() -> Result<()> {
    let mut out = std::io::stdout().lock();
    for bench in ALL {
        writeln!(out, "{:14} {}", bench.name, bench.about)?;
    }
    Ok(())
}

fn measure(command: Command) -> Result<()> {
    let Command::Run { names, json, rounds, against, launcher, hosts, record, .. } = command else {
        bail!("only runs are measured")
    };
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|bench| bench.name != **name)) {
        bail!("there is no benchmark {unknown:?}; mobula-bench list shows them");
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let place = Place::find()?;
    let launch = Rc::new(Launch::open(launcher, hosts.into(), &place)?);
    let setting = Setting { place, rounds: rounds.into(), threads, launch };
    let mut lines = Vec::new();
    for bench in ALL.iter().filter(|b| names.is_empty() || names.iter().any(|n| n == b.name)) {
        eprintln!("{}: {}", bench.name, bench.about);
        let rows = match &against {
            None => bench.run(&setting)?,
            Some(other) => bench.run_against(&setting, other)?,
        };
        for row in rows {
            let line = serde_json::to_string(&row)?;
            let mut out = std::io::stdout().lock();
            if json {
                writeln!(out, "{line}")?
            } else {
                writeln!(out, "{}", table(&row))?
            }
            lines.push(line);
        }
    }
    record.map_or(Ok(()), |dir| write_record(&dir, &lines))
}

fn table(row: &Row) -> String {
    let peer = match (&row.peer, row.peer_median, row.ratio) {
        (Some(peer), Some(median), Some(ratio)) => {
            format!("   {peer} {median:.4}   ratio {ratio:.3}")
        }
        _ => String::new(),
    };
    format!(
        "{:14} {:26} {:>14.4} {:5} (p10 {:.4}, p90 {:.4}, n {}){peer}",
        row.bench, row.metric, row.median, row.unit, row.p10, row.p90, row.n
    )
}

/// Appends the lines behind one that says where and when they were measured: earlier records stay.
fn write_record(dir: &Path, lines: &[String]) -> Result<()> {
    let ask = |program: &str, args: &[&str]| {
        let said = output(std::process::Command::new(program).args(args));
        said.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let head = serde_json::json!({
        "machine": format!("{}-{cpus}cpu", std::env::consts::ARCH),
        "cpu": cpu.map_or("unknown", |(_, name)| name),
        "cpus": cpus,
        "kernel": ask("uname", &["-sr"]),
        "compiler": ask("cc", &["--version"]).lines().next(),
        "commit": ask("git", &["describe", "--always", "--dirty", "--exclude=*"]),
        "date": ask("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
    });
    let dir = dir.join(format!("{}-{cpus}cpu", std::env::consts::ARCH));
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let file = dir.join(format!("{}.jsonl", ask("date", &["-u", "+%Y-%m-%d"])));
    let mut text = head.to_string() + "\n";
    for line in lines {
        text += line;
        text.push('\n');
    }
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(&file);
    opened
        .and_then(|mut record| record.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}", file.display()))?;
    eprintln!("recorded in {}", file.display());
    Ok(())
}
