//! Kernels and algorithms that are defined by data, measured beside their peers.
//!
//! ```text
//!  bench/kernels/NAME.toml ──▶ Definition ──▶ guest, peers ──▶ in turns: every placement × every engine
//!                                                              answers compared, samples to rows
//! ```
//!
//! The first round of every program warms up: it is not timed, and its memory is looked at. An answer that
//! is not the expected one, or not the peers', fails the benchmark.

mod definition;
mod engine;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};

pub use definition::{Bound, Definition, Engine, Kind, Size};
pub use engine::Placement;
use engine::{Inputs, Program, mobula_at};

use crate::launch::Launch;
use crate::measure::{Case, Row, Samples, rows};
use crate::programs::{Place, data_set, observed, output};

/// What of the definitions is run, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the size.
    pub size: String,
    /// As much work for each worker, instead of as much in all.
    pub weak: bool,
    /// Threads of a rank; empty: one, and all.
    pub threads: Vec<usize>,
    /// Ranks; empty: one, or one a host.
    pub ranks: Vec<usize>,
    /// Peers; empty: all.
    pub engines: Vec<String>,
    /// How often each program is run; 0: once, for its answer, and its times count although nothing is warm.
    pub rounds: usize,
}

impl Plan {
    /// Every number of threads and ranks that is asked for on so many hosts; never more workers than that
    /// by default.
    #[must_use]
    pub fn placements(&self, hosts: usize, cpus: usize) -> Vec<Placement> {
        let given = |list: &[usize], default: Vec<usize>| {
            if list.is_empty() { default } else { list.to_vec() }
        };
        let mut all = Vec::new();
        for ranks in given(&self.ranks, vec![hosts]) {
            let default = if ranks == 1 { vec![1, cpus] } else { vec![(cpus / ranks).max(1)] };
            for threads in given(&self.threads, default) {
                all.push(Placement { threads, ranks, hosts });
            }
        }
        all.retain(|at| at.ranks >= hosts);
        all.sort_unstable_by_key(|at| (at.workers(), *at));
        all.dedup();
        all
    }
}

/// One program at one placement.
#[derive(Debug, Default)]
struct Measured {
    samples: Samples,
    memory: Option<f64>,
    moved: Option<Moved>,
}

/// What ranks sent each other in an iteration, and what they may at most; bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moved {
    bytes: f64,
    most: Option<f64>,
}

/// Measures a kernel beside its peers, or beside another `mobula`.
///
/// # Errors
/// When a program cannot be built, fails, or gives another answer.
pub fn measure(
    definition: &Definition,
    plan: &Plan,
    place: &Place,
    launch: &Rc<Launch>,
    against: Option<&Path>,
) -> Result<Vec<Row>> {
    let name = &definition.name;
    run(definition, plan, place, launch, against).with_context(|| format!("benchmark {name}"))
}

fn run(
    definition: &Definition,
    plan: &Plan,
    place: &Place,
    launch: &Rc<Launch>,
    against: Option<&Path>,
) -> Result<Vec<Row>> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut placements = plan.placements(launch.hosts(), cpus);
    if let Some(why) = launch.missing()
        && placements.iter().any(|at| at.ranks > 1)
    {
        eprintln!("  skipped: {}, several ranks: {why}", definition.name);
        placements.retain(|at| at.ranks == 1);
    }
    let Some(programs) = programs(definition, plan, place, launch, against)? else {
        return Ok(Vec::new());
    };
    let base = definition.sized(&plan.size)?;
    let power = definition.weak.filter(|_| plan.weak);
    if plan.weak && power.is_none() {
        eprintln!("  skipped: {}, it does not say how it scales weakly", definition.name);
        return Ok(Vec::new());
    }
    let sizes: Vec<_> = placements
        .iter()
        .map(|at| power.map_or(base, |power| base.weak(at.workers(), power)))
        .collect();
    let data = definition.data.as_deref().map(|name| data_set(place, name)).transpose()?;
    let inputs = Inputs { definition, place, data, cpus, stats: None };

    let mut measured = BTreeMap::<(usize, usize), Measured>::new();
    let turns = (plan.rounds + 1) * placements.len() * programs.len();
    let bar = ProgressBar::new(turns as u64).with_style(
        ProgressStyle::with_template("  {bar:30} {pos}/{len} {elapsed} {msg}")
            .context("the bar's template")?,
    );
    for round in 0..=plan.rounds {
        for (p, (&at, &size)) in placements.iter().zip(&sizes).enumerate() {
            let mut answer = None;
            for (e, program) in programs.iter().enumerate() {
                bar.inc(1);
                if !program.runs_at(at) {
                    continue;
                }
                bar.set_message(format!("{} {at}: {}", definition.name, program.name));
                let mut command = program.command(&inputs, launch, at, size);
                let entry = measured.entry((p, e)).or_default();
                let said = if round == 0 {
                    // Processes of other hosts are not below this one.
                    let (said, memory) = observed(&mut command)?;
                    // Nothing was seen of one that is too short.
                    entry.memory = (at.hosts == 1 && memory > 0.0).then_some(memory);
                    if plan.rounds == 0 {
                        entry.samples.add_output(&said, str::to_owned);
                    }
                    said
                } else {
                    let said = output(&mut command)?;
                    entry.samples.add_output(&said, str::to_owned);
                    said
                };
                compare(definition, size, program, &said, &mut answer)?;
            }
        }
    }
    bar.finish_and_clear();
    for (p, (&at, &size)) in placements.iter().zip(&sizes).enumerate() {
        if at.ranks > 1 {
            let moved = moved(&programs[0], &inputs, launch, at, size)?;
            measured.entry((p, 0)).or_default().moved = moved;
        }
    }

    let mut all = Vec::new();
    for (p, (&at, &size)) in placements.iter().zip(&sizes).enumerate() {
        let case = Case {
            kind: definition.kind.name().to_owned(),
            bound: definition.bound.name().to_owned(),
            size: if plan.weak { "weak".to_owned() } else { plan.size.clone() },
            points: size.n,
            threads: at.threads,
            ranks: at.ranks,
            hosts: at.hosts,
            launcher: if at.ranks == 1 { "none" } else { launch.program() },
        };
        all.extend(rows_of(definition, &programs, p, &mut measured, &case));
    }
    Ok(all)
}

/// What an iteration of ours moves: the difference of two runs, so that what comes before and behind the
/// iterations does not count. `None` where there is one iteration. The bound is that of hosts of one rank each.
///
/// # Errors
/// When it fails, or moves more than it may.
fn moved(
    program: &Program,
    inputs: &Inputs,
    launch: &Launch,
    at: Placement,
    size: Size,
) -> Result<Option<Moved>> {
    let few = size.repetitions / 2;
    if few == 0 {
        return Ok(None);
    }
    let file = inputs.place.out("moved.json");
    let run = |repetitions| -> Result<(f64, Option<f64>)> {
        let inputs = Inputs { stats: Some(&file), data: inputs.data.clone(), ..*inputs };
        let said = output(&mut program.command(&inputs, launch, at, Size { repetitions, ..size }))?;
        Ok((sent_bytes(&file)?, line(&said, "changed")))
    };
    let ((before, _), (after, changed)) = (run(few)?, run(size.repetitions)?);
    let bytes = (after - before) / (size.repetitions - few) as f64;
    // Several ranks of a host may each be given what changed.
    let bound = at.hosts > 1 && at.ranks == at.hosts;
    let most = changed.map(|changed| changed * 2.0 * at.hosts as f64).filter(|_| bound);
    ensure!(
        most.is_none_or(|most| bytes <= most),
        "{}, {at}: an iteration moves {bytes} bytes, allowed are {}",
        inputs.definition.name,
        most.unwrap_or_default()
    );
    Ok(Some(Moved { bytes, most }))
}

/// What all ranks sent, from the statistics of a run.
fn sent_bytes(file: &Path) -> Result<f64> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let stats: serde_json::Value = serde_json::from_slice(&text)?;
    stats["sent_bytes"].as_f64().context("the statistics do not say what was sent")
}

/// Ours first; `None` where it cannot run.
fn programs(
    definition: &Definition,
    plan: &Plan,
    place: &Place,
    launch: &Launch,
    against: Option<&Path>,
) -> Result<Option<Vec<Program>>> {
    let Some(ours) = Program::ours(definition, place, "mobula")? else { return Ok(None) };
    let mut programs = vec![ours];
    if let Some(other) = against {
        let name = other.file_name().unwrap_or_default().to_string_lossy();
        programs.extend(Program::ours(definition, &place.with_mobula(other)?, &name)?);
        return Ok(Some(programs));
    }
    let wanted = |engine: &&Engine| plan.engines.is_empty() || plan.engines.contains(&engine.name);
    for engine in definition.engine.iter().filter(wanted) {
        let ranks = ["mpi", "mpi4py"].contains(&engine.name.as_str());
        if let Some(why) = launch.missing().filter(|_| ranks) {
            eprintln!("  skipped: peer {}: {why}", engine.name);
            continue;
        }
        programs.extend(Program::peer(engine, place)?);
    }
    Ok(Some(programs))
}

/// The number of a program's line `check NUMBER`.
///
/// # Errors
/// When there is none.
pub fn answer(said: &str) -> Result<f64> {
    line(said, "check").context("it prints no line `check NUMBER`")
}

/// The number of a program's line `WORD NUMBER`.
fn line(said: &str, word: &str) -> Option<f64> {
    said.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Fails unless a program's answer is what it has to be, and what the first one's was.
fn compare(
    definition: &Definition,
    size: Size,
    program: &Program,
    said: &str,
    first: &mut Option<f64>,
) -> Result<()> {
    let name = &program.name;
    let answer = answer(said).with_context(|| name.clone())?;
    if let Some(expected) = size.expected {
        ensure!(
            definition.agree(answer, expected),
            "{name} gives {answer}, expected is {expected}, allowed are {} of it",
            definition.tolerance
        );
    }
    let first = *first.get_or_insert(answer);
    ensure!(
        definition.agree(answer, first),
        "{name} gives {answer}, but the guest {first}; allowed are {} of it",
        definition.tolerance
    );
    Ok(())
}

fn rows_of(
    definition: &Definition,
    programs: &[Program],
    placement: usize,
    measured: &mut BTreeMap<(usize, usize), Measured>,
    case: &Case,
) -> Vec<Row> {
    let ours = measured.remove(&(placement, 0)).unwrap_or_default();
    let moved = (ours.moved.map(|moved| moved.bytes), ours.moved.and_then(|moved| moved.most));
    let mut all = Vec::new();
    for (e, program) in programs.iter().enumerate().skip(1) {
        let Some(theirs) = measured.remove(&(placement, e)) else { continue };
        let pair = rows(&definition.name, &ours.samples, Some((&program.name, &theirs.samples)));
        all.extend(pair.into_iter().filter(|row| row.peer.is_some()).map(|row| Row {
            memory: ours.memory,
            peer_memory: theirs.memory,
            moved: moved.0,
            moved_bound: moved.1,
            case: Some(case.clone()),
            ..row
        }));
    }
    if all.is_empty() {
        all.extend(rows(&definition.name, &ours.samples, None).into_iter().map(|row| Row {
            memory: ours.memory,
            moved: moved.0,
            moved_bound: moved.1,
            case: Some(case.clone()),
            ..row
        }));
    }
    all
}

/// A user's own program.
#[derive(Debug)]
pub struct App {
    /// Module, or source in Python.
    pub guest: PathBuf,
    /// Options of `mobula run`.
    pub options: Vec<String>,
    /// Arguments of the program.
    pub args: Vec<String>,
}

/// Runs a user's own program at every placement of the plan: seconds of the whole run, every sample that it
/// prints, and its peak memory.
///
/// # Errors
/// When it fails, or when there is nothing to start ranks with.
pub fn measure_app(app: &App, plan: &Plan, place: &Place, launch: &Rc<Launch>) -> Result<Vec<Row>> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let placements = plan.placements(launch.hosts(), cpus);
    if let Some(why) = launch.missing()
        && placements.iter().any(|at| at.ranks > 1)
    {
        bail!("several ranks: {why}");
    }
    let mobula = PathBuf::from(place.binary("mobula").get_program());
    output(place.binary("mobula").arg("compile").arg(&app.guest))?;
    let mut measured: Vec<_> = placements.iter().map(|_| Measured::default()).collect();
    for round in 0..=plan.rounds {
        for (&at, measured) in placements.iter().zip(&mut measured) {
            let mut command = mobula_at(launch, &mobula, at, cpus, &app.guest);
            command.args(&app.options);
            let file = place.out("moved.json");
            if round == 0 && at.ranks > 1 {
                command.arg("--stats").arg(&file);
            }
            command.arg("--").args(&app.args);
            let start = std::time::Instant::now();
            if round == 0 {
                measured.memory = Some(observed(&mut command)?.1).filter(|_| at.hosts == 1);
                if at.ranks > 1 {
                    measured.moved = Some(Moved { bytes: sent_bytes(&file)?, most: None });
                }
                continue;
            }
            let said = output(&mut command)?;
            measured.samples.add("run", "s", start.elapsed().as_secs_f64());
            measured.samples.add_output(&said, str::to_owned);
        }
    }
    let name = app.guest.file_stem().unwrap_or_default().to_string_lossy();
    let mut all = Vec::new();
    for (at, Measured { samples, memory, moved }) in placements.iter().zip(measured) {
        let case = Case {
            kind: "app".to_owned(),
            bound: "unknown".to_owned(),
            size: "app".to_owned(),
            points: 0,
            threads: at.threads,
            ranks: at.ranks,
            hosts: at.hosts,
            launcher: if at.ranks == 1 { "none" } else { launch.program() },
        };
        all.extend(rows(&name, &samples, None).into_iter().map(|row| Row {
            memory,
            moved: moved.map(|moved| moved.bytes),
            case: Some(case.clone()),
            ..row
        }));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(threads: &[usize], ranks: &[usize]) -> Plan {
        Plan {
            size: "medium".to_owned(),
            weak: false,
            threads: threads.to_vec(),
            ranks: ranks.to_vec(),
            engines: Vec::new(),
            rounds: 1,
        }
    }

    fn shown(plan: &Plan, hosts: usize, cpus: usize) -> Vec<(usize, usize)> {
        plan.placements(hosts, cpus).iter().map(|at| (at.threads, at.ranks)).collect()
    }

    #[test]
    fn one_thread_and_all_unless_asked_otherwise() {
        assert_eq!(shown(&plan(&[], &[]), 1, 4), [(1, 1), (4, 1)]);
        assert_eq!(shown(&plan(&[], &[]), 1, 1), [(1, 1)]);
        assert_eq!(shown(&plan(&[], &[1, 2, 8]), 1, 4), [(1, 1), (2, 2), (4, 1), (1, 8)]);
        assert_eq!(shown(&plan(&[3], &[1, 2]), 1, 4), [(3, 1), (3, 2)]);
    }

    #[test]
    fn every_host_has_a_rank() {
        assert_eq!(shown(&plan(&[], &[]), 2, 2), [(1, 2)]);
        assert_eq!(shown(&plan(&[1], &[1, 2, 4]), 2, 2), [(1, 2), (1, 4)]);
    }

    #[test]
    fn a_placement_is_said_in_words() {
        let said = |threads, ranks, hosts| Placement { threads, ranks, hosts }.to_string();
        assert_eq!(said(1, 1, 1), "1 thread");
        assert_eq!(said(2, 4, 2), "2 threads x 4 ranks on 2 hosts");
    }
}
