//! Benchmarks of several ranks, each beside the same in C with MPI, started the same way in the same run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::measure::{Row, Samples, rows};
use crate::programs::output;
use crate::suite::Setting;

/// Ours and the peer's programs and samples.
struct Pair<'s> {
    setting: &'s Setting,
    name: &'static str,
    guest: PathBuf,
    peer: Option<PathBuf>,
    ours: Samples,
    theirs: Samples,
}

impl<'s> Pair<'s> {
    /// Builds both; `None`, which is said, where ranks cannot be started.
    fn build(setting: &'s Setting, name: &'static str, guest: &str) -> Result<Option<Self>> {
        if let Some(why) = setting.launch.missing() {
            eprintln!("  skipped: {name}: {why}");
            return Ok(None);
        }
        let guest = setting.place.guest(guest)?;
        let peer = setting.place.mpi_peer("bench/peers/mpi_peer.c", &[])?;
        let (ours, theirs) = (Samples::default(), Samples::default());
        Ok(Some(Self { setting, name, guest, peer, ours, theirs }))
    }

    fn mobula(&self, ranks: usize, args: &[&str]) -> Command {
        let Setting { place, threads, launch, .. } = self.setting;
        let mobula = place.binary("mobula");
        let mobula = Path::new(mobula.get_program());
        let each = (threads / ranks).max(1);
        let mut command = launch.mobula(mobula, ranks, each, *threads, &self.guest);
        command.arg("--").args(args);
        command
    }

    /// What the peer prints; nothing without one.
    fn mpi(&self, ranks: usize, args: &[&str]) -> Result<String> {
        let Some(peer) = &self.peer else { return Ok(String::new()) };
        let Setting { threads, launch, .. } = self.setting;
        let each = (threads / ranks).max(1);
        output(launch.ranks(ranks, each, *threads).arg(peer).args(args))
    }

    fn label(&self, metric: &str) -> String {
        self.setting.launch.label(metric)
    }

    /// Two ranks, or one a host.
    fn few(&self) -> usize {
        self.setting.launch.hosts().max(2)
    }

    fn rows(self) -> Vec<Row> {
        rows(self.name, &self.ours, self.peer.as_ref().map(|_| ("mpi", &self.theirs)))
    }
}

/// Whether a guest found state at home on another rank. What it measured otherwise is something else.
fn is_far(name: &str, said: &str) -> bool {
    let near = said.lines().any(|line| line == "nothing is far");
    if near {
        eprintln!("  skipped: {name}: no part of the state is at home on another rank");
    }
    !near
}

/// One call at a time from rank 0 to another rank.
///
/// # Errors
/// When a program cannot be built or run.
pub(crate) fn round_trip(s: &Setting) -> Result<Vec<Row>> {
    let Some(mut pair) = Pair::build(s, "rank-rtt", "bench/guests/rank_rtt.c")? else {
        return Ok(Vec::new());
    };
    let ranks = pair.few();
    for _ in 0..s.rounds {
        let said = output(&mut pair.mobula(ranks, &[&ranks.to_string(), "40"]))?;
        if !is_far(pair.name, &said) {
            return Ok(Vec::new());
        }
        pair.ours.add_output(&said, |metric| s.launch.label(metric));
        for bytes in ["0", "64", "4096"] {
            let said = pair.mpi(ranks, &["ping-pong", bytes, "40"])?;
            pair.theirs.add_output(&said, |metric| s.launch.label(metric));
        }
    }
    Ok(pair.rows())
}

/// Sizes that are moved, KiB, and how often in a process.
const SIZES: &[(u32, &str)] =
    &[(4, "100"), (64, "100"), (1024, "40"), (16 << 10, "10"), (64 << 10, "5"), (256 << 10, "3")];

/// Pulling from another rank or pushing to it.
///
/// # Errors
/// When a program cannot be built or run, or the bytes are not those that were sent.
pub(crate) fn bandwidth(s: &Setting, name: &'static str, way: &str) -> Result<Vec<Row>> {
    let Some(mut pair) = Pair::build(s, name, "bench/guests/bandwidth.c")? else {
        return Ok(Vec::new());
    };
    let ranks = pair.few();
    for _ in 0..s.rounds.min(3) {
        for (kib, repetitions) in SIZES {
            let args = [way, &ranks.to_string(), &kib.to_string(), repetitions];
            let said = output(&mut pair.mobula(ranks, &args))?;
            if !is_far(name, &said) {
                return Ok(Vec::new());
            }
            pair.ours.add_output(&said, |metric| s.launch.label(metric));
            let said =
                pair.mpi(ranks, &["bandwidth", &(u64::from(*kib) << 10).to_string(), repetitions])?;
            pair.theirs.add_output(&said, |metric| s.launch.label(metric));
        }
    }
    Ok(pair.rows())
}

/// Calls a second of fan-outs from rank 0, with more and more ranks.
///
/// # Errors
/// When a program cannot be built or run.
pub(crate) fn fan_out(s: &Setting) -> Result<Vec<Row>> {
    // Steps of the work loop that take about 10 µs.
    const WORK: [(&str, [&str; 3]); 2] =
        [("noop", ["1000", "0", "20"]), ("10us", ["1000", "7500", "10"])];
    let Some(mut pair) = Pair::build(s, "fanout-ranks", "bench/guests/spin.c")? else {
        return Ok(Vec::new());
    };
    for _ in 0..s.rounds {
        for ranks in [1, 2, 4] {
            for (what, args) in WORK {
                let metric = pair.label(&format!("{what}-{ranks}-ranks"));
                let said = output(&mut pair.mobula(ranks, &args))?;
                add_rates(&mut pair.ours, &metric, &said);
                let [calls, steps, repetitions] = args;
                let said = pair.mpi(ranks, &["fan-out", calls, steps, repetitions])?;
                add_rates(&mut pair.theirs, &metric, &said);
            }
        }
    }
    Ok(pair.rows())
}

/// Programs print µs a call; what is asked is calls a second.
fn add_rates(samples: &mut Samples, metric: &str, said: &str) {
    let mut times = Samples::default();
    times.add_output(said, str::to_owned);
    for us in times.0.into_values().flat_map(|(_, values)| values) {
        samples.add(metric, "1/s", 1e6 / us);
    }
}

/// The smallest tasks that pay, in three patterns.
///
/// # Errors
/// When a program cannot be built or run, or guest and peer do not compute the same.
pub(crate) fn metg(s: &Setting) -> Result<Vec<Row>> {
    let Some(mut pair) = Pair::build(s, "metg", "bench/guests/metg.c")? else {
        return Ok(Vec::new());
    };
    let of_ranks =
        |ranks: usize| move |metric: &str| s.launch.label(&format!("{metric}-{ranks}-ranks"));
    for _ in 0..s.rounds.min(3) {
        let patterns = ["trivial", "stencil", "all-to-all"];
        for (ranks, pattern) in [1, 2, 4].into_iter().flat_map(|n| patterns.map(|p| (n, p))) {
            let each = ranks.max(2);
            let points = (ranks * each).to_string();
            let said = output(&mut pair.mobula(ranks, &[pattern, &points]))?;
            pair.ours.add_output(&said, of_ranks(ranks));
            let theirs = pair.mpi(ranks, &["metg", pattern, &each.to_string()])?;
            pair.theirs.add_output(&theirs, of_ranks(ranks));
            let check =
                |text: &str| text.lines().find(|l| l.starts_with("check")).map(str::to_owned);
            ensure!(
                pair.peer.is_none() || check(&said) == check(&theirs),
                "guest and peer compute different values in pattern {pattern}"
            );
        }
    }
    Ok(pair.rows())
}

/// From the launcher's start to the first instruction, and what files the ranks look at.
///
/// # Errors
/// When a program cannot be built or run.
pub(crate) fn startup(s: &Setting) -> Result<Vec<Row>> {
    let Some(mut pair) = Pair::build(s, "startup", "bench/guests/startup.c")? else {
        return Ok(Vec::new());
    };
    for _ in 0..s.rounds {
        for ranks in [1, 2, 4] {
            let metric = pair.label(&format!("first-instruction-{ranks}-ranks"));
            let before = since_1970();
            let said = output(&mut pair.mobula(ranks, &[]))?;
            pair.ours.add(&metric, "ms", started(&said)? - before);
            let before = since_1970();
            let said = pair.mpi(ranks, &["startup"])?;
            if pair.peer.is_some() {
                pair.theirs.add(&metric, "ms", started(&said)? - before);
            }
        }
    }
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("  skipped: files opened by each rank, there is no strace");
        return Ok(pair.rows());
    }
    for ranks in [1, 2, 4] {
        let (guest, peer) = (pair.guest.clone(), pair.peer.clone());
        let mobula = s.place.binary("mobula");
        let ours = [mobula.get_program(), "run".as_ref(), guest.as_os_str()];
        let metric = format!("looked-at-by-a-rank-of-{ranks}");
        add_files(s, &mut pair.ours, ranks, &metric, &ours)?;
        if let Some(peer) = &peer {
            add_files(
                s,
                &mut pair.theirs,
                ranks,
                &metric,
                &[peer.as_os_str(), "startup".as_ref()],
            )?;
        }
    }
    Ok(pair.rows())
}

/// Milliseconds.
fn since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// The time that a program says it started at, in milliseconds.
fn started(said: &str) -> Result<f64> {
    let ns = said.lines().find_map(|line| line.strip_prefix("started ")?.parse::<f64>().ok());
    Ok(ns.context("the program does not say when it started")? / 1e6)
}

/// Adds how many files each rank opens, and opens or asks for in vain or not, one sample a rank.
fn add_files(
    s: &Setting,
    samples: &mut Samples,
    ranks: usize,
    metric: &str,
    program: &[&std::ffi::OsStr],
) -> Result<()> {
    let dir = s.place.out("traces");
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let trace = "exec strace -ff -qq -e trace=open,openat,stat,lstat,newfstatat,statx,access \
                 -e signal=none -o \"$0/$(hostname).$$\" \"$@\"";
    let mut command = s.launch.ranks(ranks, (s.threads / ranks).max(1), s.threads);
    output(command.args(["sh", "-c", trace]).arg(&dir).args(program))?;
    // One file a thread, named RANK.THREAD: in a common one, lines are torn.
    let mut counts = BTreeMap::<String, (f64, f64)>::new();
    for entry in std::fs::read_dir(&dir)? {
        let entry = entry?;
        let (opened, looked) = count_files(&std::fs::read_to_string(entry.path())?);
        let name = entry.file_name().to_string_lossy().into_owned();
        let (rank, _) = name.rsplit_once('.').unwrap_or((&name, ""));
        let count = counts.entry(rank.to_owned()).or_default();
        *count = (count.0 + opened, count.1 + looked);
    }
    ensure!(counts.len() == ranks, "{} of {ranks} ranks were traced", counts.len());
    for (opened, looked) in counts.into_values() {
        samples.add(&s.launch.label(&metric.replace("looked-at", "opened")), "files", opened);
        samples.add(&s.launch.label(metric), "files", looked);
    }
    std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))
}

/// In what strace wrote of a thread: successful opens, and calls that name a file at all.
fn count_files(trace: &str) -> (f64, f64) {
    let named = |line: &&str| line.contains('"') && !line.contains("\"\"");
    let lines: Vec<_> = trace.lines().filter(named).collect();
    let opens = |line: &&&str| line.starts_with("open") && !line.contains(" = -1 ");
    (lines.iter().filter(opens).count() as f64, lines.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_those_that_are_named_and_opened_those_that_were_there() {
        let trace = "openat(AT_FDCWD, \"/etc/a\", O_RDONLY|O_CLOEXEC) = 3\n\
                     openat(AT_FDCWD, \"/etc/b\", O_RDONLY) = -1 ENOENT (No such file)\n\
                     newfstatat(3, \"\", {st_mode=S_IFREG}, AT_EMPTY_PATH) = 0\n\
                     stat(\"/etc/open c\", {st_mode=S_IFREG}) = 0\n";
        assert_eq!(count_files(trace), (1.0, 3.0));
    }

    #[test]
    fn times_of_calls_become_calls_a_second() {
        let mut samples = Samples::default();
        add_rates(&mut samples, "m", "sample call us 4\nsample call us 0.5\n");
        assert_eq!(samples.0["m"], ("1/s".to_owned(), vec![250_000.0, 2_000_000.0]));
    }

    #[test]
    fn a_start_is_read_in_milliseconds() {
        assert!(
            (started("x\nstarted 1795780179090154974\n").unwrap() - 1_795_780_179_090.155).abs()
                < 1e-3
        );
        assert!(started("started").is_err());
    }

    #[test]
    fn a_guest_that_found_nothing_far_is_not_measured() {
        assert!(is_far("b", "sample round-trip-0-bytes ns 1\n"));
        assert!(!is_far("b", "nothing is far\nsample round-trip-0-bytes ns 1\n"));
    }
}
