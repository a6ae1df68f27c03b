//! What an iteration takes on more ranks than there are here.
//!
//! After LogGP (Alexandrov, Ionescu, Schauser, Scheiman: "LogGP: Incorporating Long Messages into the LogP
//! Model", SPAA 1995): time is work, plus what messages cost by number, by latency and by byte. The costs of
//! one call, one message and one byte are measured by benchmarks of their own; how many of each an iteration
//! makes is fitted for each kernel.
//!
//! ```text
//!  t(P) = work / P                                  each rank has cores of its own
//!       + serial                                    what main does alone
//!       + fan_outs × (call + remote × (P − 1))      rank 0 starts every call, one after the other
//!       + trips × round trip × log2 P               what waits for something from far, as in a tree
//!       + bytes × byte × (1 − 1/P)                  what a host sends and gets, all hosts at once
//! ```
//!
//! In weak scaling `work` is not divided. *Measured* runs had no cores of their own: there work is divided by
//! the cores that they shared. Cores of one machine also share its memory, so if that is what limits the kernel,
//! work is divided by how much faster as many threads made it; of other kernels, what they lose is `serial`.
//!
//! The five unknowns are found by least squares without negative values, rows weighed by their spread; an
//! iteration has one fan-out at least. A few runs on a small machine cannot tell all of them: noise would be
//! taken for thousands of calls. So the fit is pulled towards what every kernel does (one fan-out, one round trip,
//! nothing serial), weakly. It has to predict the largest measured runs from the smaller ones. Where it errs by
//! more than a tenth and a fit that is not pulled by less than half as much, that one is used; where both err by
//! more than [`MOST_ERROR`], nothing is said. The band spans fits without one of the points, of all p10 and of
//! all p90 (and the pulled fit, where it is not used), widened by the standard error of the pulled fit, which
//! knows how few runs there are, and by the error of the test.

use self::squares::{UNKNOWNS, least_squares, standard_error};
use crate::records::{Records, Spread};

mod squares;

/// Ranks that are predicted.
pub const RANKS: [u32; 7] = [64, 128, 256, 512, 1024, 2048, 4096];

/// Which of the unknowns is the number of fan-outs.
const FAN_OUTS: usize = 2;

/// A model that errs by more in its test predicts nothing.
pub const MOST_ERROR: f64 = 0.3;

/// Below this error the pulled fit is good enough.
const LITTLE_ERROR: f64 = 0.1;

/// Spreads below this are luck.
const LEAST_SPREAD: f64 = 0.02;

/// Measured costs in ms; where there are two, on one host and between hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    /// Starting, running and awaiting an empty call on the own rank.
    pub call: f64,
    /// Rank 0's time for an empty call that another rank runs, many under way.
    pub remote: [f64; 2],
    /// An empty call to another rank and back, alone.
    pub trip: [f64; 2],
    /// A byte between hosts.
    pub byte: f64,
    /// Where each comes from, in words.
    pub sources: Vec<(&'static str, String)>,
}

/// A measured run of a kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Worker threads of each rank.
    pub threads: u32,
    /// Ranks.
    pub ranks: u32,
    /// Hosts.
    pub hosts: u32,
    /// Time of an iteration, ms.
    pub time: Spread,
}

/// How many of each an iteration makes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Fit {
    /// ms on one worker (in weak scaling: of each worker).
    pub work: f64,
    /// ms that do not get less with workers.
    pub serial: f64,
    /// Fan-outs to all workers.
    pub fan_outs: f64,
    /// Round trips that wait for each other.
    pub trips: f64,
    /// Bytes that a host sends and gets.
    pub bytes: f64,
}

/// A run that was left out, and what the others say it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Check {
    /// What was measured.
    pub point: Point,
    /// ms.
    pub predicted: f64,
    /// Predicted over measured, less 1.
    pub error: f64,
}

/// What an iteration would take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Ranks, one a host.
    pub ranks: u32,
    /// ms.
    pub time: f64,
    /// Lower end of the band, ms.
    pub low: f64,
    /// Upper end of the band, ms.
    pub high: f64,
}

/// What is known of a kernel beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// CPUs that the measured runs had together.
    pub cpus: u32,
    /// Whether the work of a worker stays the same.
    pub weak: bool,
    /// Whether memory limits it.
    pub memory_bound: bool,
}

/// All of it for one kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// From all points.
    pub fit: Fit,
    /// Whether the pulled fit was the better one.
    pub pulled: bool,
    /// The largest runs, predicted from the smaller ones.
    pub checks: Vec<Check>,
    /// For [`RANKS`].
    pub predictions: Vec<Prediction>,
}

impl Study {
    /// The largest error of the test.
    #[must_use]
    pub fn error(&self) -> f64 {
        worst(&self.checks)
    }
}

impl Point {
    /// Workers of all ranks.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.threads * self.ranks
    }
}

/// Time in ms.
#[must_use]
pub fn milliseconds(value: f64, unit: &str) -> Option<f64> {
    let scale = match unit {
        "ns" => 1e-6,
        "us" | "µs" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        _ => return None,
    };
    Some(value * scale)
}

impl Costs {
    /// Takes the costs from a record.
    ///
    /// # Errors
    /// Which benchmark is missing, in words.
    pub fn measured(records: &Records) -> Result<Self, String> {
        let mut sources = Vec::new();
        let mut note = |what, (value, source): (f64, String)| {
            sources.push((what, source));
            value
        };
        let call = note("a call", find(records, "chain-noop", &["call"], 1, 1)?);
        let round = ["round-trip-0-bytes", "round-trip-64-bytes"];
        let trip = [
            note("a round trip on one host", find(records, "rank-rtt", &round, 0, 1)?),
            note("a round trip between hosts", find(records, "rank-rtt", &round, 0, 2)?),
        ];
        let mut remote = |hosts: u32, trip: f64, what: &'static str| {
            let found = find(records, "fanout-ranks", &["noop"], 2, hosts);
            note(what, found.unwrap_or_else(|_| (trip / 2.0, "half of a round trip".to_owned())))
        };
        let remote = [
            remote(1, trip[0], "one of many calls to a rank of the same host"),
            remote(2, trip[1], "one of many calls to a rank of another host"),
        ];
        let sizes = ["262144-KiB", "65536-KiB", "16384-KiB", "1024-KiB"];
        let byte = note("a byte between hosts", find(records, "pull-bandwidth", &sizes, 0, 2)?);
        Ok(Self { call, remote, trip, byte, sources })
    }
}

/// The first of some metrics, ms each; `count` threads or ranks, if not 0.
fn find(
    records: &Records,
    bench: &str,
    metrics: &[&str],
    count: u32,
    hosts: u32,
) -> Result<(f64, String), String> {
    let fits = |metric: &str| {
        records.entries.iter().rev().find(|entry| {
            entry.bench == bench
                && entry.what == metric
                && entry.hosts.unwrap_or(1) == hosts
                && (count == 0 || entry.workers() == count)
                && entry.launcher.as_deref() != Some("srun")
                && entry.median > 0.0
        })
    };
    let found = metrics.iter().find_map(|metric| fits(metric));
    let entry = found.ok_or_else(|| match hosts {
        1 => format!("the record has no {bench}"),
        _ => format!("the record has no {bench} over {hosts} hosts"),
    })?;
    let value = match entry.unit.as_str() {
        "1/s" => Some(1e3 / entry.median),
        "GB/s" => Some(1e-6 / entry.median),
        unit => milliseconds(entry.median, unit),
    };
    let value = value.ok_or_else(|| format!("{bench} is in {}", entry.unit))?;
    Ok((value, format!("{bench} {} of commit {}", entry.metric, records.head(entry).commit)))
}

/// What a kernel's points are judged with.
#[derive(Debug, Clone, Copy)]
struct Scene<'a> {
    costs: &'a Costs,
    kernel: Kernel,
}

impl Scene<'_> {
    /// How much of each unknown is in a run whose cores together are `speed` times as fast as one.
    fn terms(&self, (threads, ranks, hosts): (f64, f64, f64), speed: f64) -> [f64; UNKNOWNS] {
        let Costs { call, remote, trip, byte, .. } = self.costs;
        let workers = threads * ranks;
        let near = ranks / hosts;
        [
            if self.kernel.weak { workers / speed } else { 1.0 / speed },
            1.0,
            threads * (call + remote[0] * (near - 1.0) + remote[1] * (ranks - near)),
            trip[0] * near.log2() + trip[1] * hosts.log2(),
            byte * (1.0 - 1.0 / hosts),
        ]
    }

    fn measured(&self, point: &Point, speed: f64) -> [f64; UNKNOWNS] {
        let count = (point.threads.into(), point.ranks.into(), point.hosts.into());
        self.terms(count, speed)
    }

    /// How much faster as many threads as workers (and not more than CPUs) made the kernel.
    fn speed(&self, points: &[Point], workers: u32) -> f64 {
        let cores = workers.min(self.kernel.cpus).max(1);
        let threads = |n: u32| {
            points
                .iter()
                .find(|p| (p.ranks, p.hosts, p.threads) == (1, 1, n))
                .map(|p| p.time.median)
        };
        let most = f64::from(cores);
        if !self.kernel.memory_bound {
            return most;
        }
        let growth = if self.kernel.weak { most } else { 1.0 };
        let measured = threads(1).zip(threads(cores)).map(|(one, all)| growth * one / all);
        measured.unwrap_or(most).clamp(1.0, most)
    }

    fn fit(&self, points: &[Point], pulled: bool, value: fn(&Spread) -> f64) -> Fit {
        let (rows, right) = self.equations(points, pulled, value);
        let [work, serial, more, trips, bytes] = least_squares(&rows, &right);
        Fit { work, serial, fan_outs: 1.0 + more, trips, bytes }
    }

    /// Rows and right sides, each divided by how far off it may well be.
    fn equations(
        &self,
        points: &[Point],
        pulled: bool,
        value: fn(&Spread) -> f64,
    ) -> (Vec<[f64; UNKNOWNS]>, Vec<f64>) {
        let (mut rows, mut right) = (Vec::new(), Vec::new());
        let mut add = |terms: [f64; UNKNOWNS], value: f64, weight: f64| {
            rows.push(terms.map(|term| term * weight));
            right.push(value * weight);
        };
        for point in points {
            let time = value(&point.time);
            let spread = (point.time.p90 - point.time.p10) / 2.56 / point.time.median;
            let weight = 1.0 / (time * spread.max(LEAST_SPREAD));
            let terms = self.measured(point, self.speed(points, point.workers()));
            // One fan-out is certain: unknown is how many more.
            add(terms, (time - terms[FAN_OUTS]).max(0.0), weight);
        }
        if pulled {
            let scale = points.iter().map(|point| value(&point.time)).fold(0.0, f64::max) / 10.0;
            // What is expected, and how far from it is nothing strange.
            for (unknown, expected, far) in [
                (1, 0.0, scale),
                (FAN_OUTS, 0.0, 3.0),
                (3, 1.0, 10.0),
                (4, 0.0, scale / self.costs.byte),
            ] {
                let mut terms = [0.0; UNKNOWNS];
                terms[unknown] = 1.0;
                add(terms, expected, 1.0 / far);
            }
        }
        (rows, right)
    }

    /// Predicts each of `unseen` from `seen`.
    fn check(&self, seen: &[Point], unseen: &[Point], pulled: bool) -> Vec<Check> {
        let fit = self.fit(seen, pulled, |spread| spread.median);
        let check = |point: &Point| {
            let predicted = fit.of(self.measured(point, self.speed(seen, point.workers())));
            Check { point: *point, predicted, error: predicted / point.time.median - 1.0 }
        };
        unseen.iter().map(check).collect()
    }
}

impl Fit {
    fn of(&self, terms: [f64; UNKNOWNS]) -> f64 {
        let Self { work, serial, fan_outs, trips, bytes } = *self;
        let values = [work, serial, fan_outs, trips, bytes];
        terms.iter().zip(values).map(|(term, value)| term * value).sum()
    }
}

fn worst(checks: &[Check]) -> f64 {
    checks.iter().map(|check| check.error.abs()).fold(0.0, f64::max)
}

/// Fits, tests and predicts one kernel.
///
/// # Errors
/// Why nothing can be said, in words.
pub fn study(points: &[Point], costs: &Costs, kernel: Kernel) -> Result<Study, String> {
    let usable = |point: &&Point| point.time.median > 0.0 && point.time.median.is_finite();
    let points: Vec<Point> = points.iter().filter(usable).copied().collect();
    let most = points.iter().map(Point::workers).max().unwrap_or(0);
    let (unseen, seen): (Vec<Point>, Vec<Point>) =
        points.iter().copied().partition(|point| point.workers() == most);
    let far = |points: &[Point]| points.iter().filter(|point| point.ranks > 1).count();
    if seen.len() < 3 || far(&seen) == 0 || far(&unseen) == 0 {
        return Err(format!(
            "{} runs, {} of them smaller than the largest and {} of these of several ranks: too few to \
             test a model (3 and 1 at least)",
            points.len(),
            seen.len(),
            far(&seen)
        ));
    }
    let scene = Scene { costs, kernel };
    let (pulled, free) = (scene.check(&seen, &unseen, true), scene.check(&seen, &unseen, false));
    let is_pulled = worst(&pulled) <= LITTLE_ERROR.max(2.0 * worst(&free));
    let checks = if is_pulled { pulled } else { free };
    let error = worst(&checks);
    if error > MOST_ERROR {
        return Err(format!("the model is {:.0} % off where it was tested", 100.0 * error));
    }
    let fit = scene.fit(&points, is_pulled, |spread| spread.median);
    let mut others = vec![
        fit,
        scene.fit(&points, true, |spread| spread.median),
        scene.fit(&points, is_pulled, |spread| spread.p10),
        scene.fit(&points, is_pulled, |spread| spread.p90),
    ];
    for left_out in 0..points.len() {
        let mut rest = points.clone();
        rest.remove(left_out);
        others.push(scene.fit(&rest, is_pulled, |spread| spread.median));
    }
    let (equations, _) = scene.equations(&points, true, |spread| spread.median);
    let predict = |ranks: u32| {
        let count = f64::from(ranks);
        let terms = scene.terms((1.0, count, count), count);
        let times = || others.iter().map(|fit| fit.of(terms));
        let unknown = if is_pulled { standard_error(&equations, terms) } else { 0.0 };
        let low = (times().fold(f64::INFINITY, f64::min) - unknown) / (1.0 + error);
        let high = (times().fold(0.0, f64::max) + unknown) * (1.0 + error);
        let time = fit.of(terms);
        // Less than its work and one fan-out it cannot be.
        let work = others.iter().map(|fit| fit.work).fold(f64::INFINITY, f64::min);
        let least = work / (1.0 + error) * terms[0] + terms[FAN_OUTS];
        Prediction { ranks, time, low: low.max(least).min(time), high }
    };
    Ok(Study { fit, pulled: is_pulled, checks, predictions: RANKS.map(predict).to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: Kernel = Kernel { cpus: 2, weak: false, memory_bound: false };

    fn costs() -> Costs {
        let (remote, trip) = ([1e-3, 3e-3], [5e-3, 4e-2]);
        Costs { call: 5e-4, remote, trip, byte: 6e-7, sources: Vec::new() }
    }

    fn points(of: impl Fn([f64; UNKNOWNS]) -> f64) -> Vec<Point> {
        let costs = costs();
        let scene = Scene { costs: &costs, kernel: KERNEL };
        let places = [
            (1, 1, 1),
            (2, 1, 1),
            (1, 2, 1),
            (1, 4, 1),
            (1, 2, 2),
            (1, 4, 2),
            (1, 8, 1),
            (1, 8, 2),
        ];
        let point = |(threads, ranks, hosts): (u32, u32, u32)| {
            let speed = f64::from((threads * ranks).min(2));
            let median = of(scene.terms((threads.into(), ranks.into(), hosts.into()), speed));
            Point { threads, ranks, hosts, time: Spread { median, p10: median, p90: median } }
        };
        places.into_iter().map(point).collect()
    }

    #[test]
    fn a_kernel_that_is_as_the_model_says_is_predicted() {
        let one = Fit { work: 40.0, serial: 0.5, fan_outs: 3.0, trips: 4.0, bytes: 1e6 };
        let latency = Fit { work: 1.0, serial: 0.0, fan_outs: 200.0, trips: 20.0, bytes: 0.0 };
        for (truth, error) in [(one, 1.0), (latency, 0.3)] {
            let study = study(&points(|terms| truth.of(terms)), &costs(), KERNEL).unwrap();
            assert!(study.error() < 0.1, "{study:?}");
            for prediction in &study.predictions {
                let count = f64::from(prediction.ranks);
                let costs = costs();
                let scene = Scene { costs: &costs, kernel: KERNEL };
                let exact = truth.of(scene.terms((1.0, count, count), count));
                let Prediction { time, low, high, .. } = *prediction;
                assert!(low <= exact && exact <= high, "{prediction:?} {exact} {study:?}");
                assert!((time / exact - 1.0).abs() < error, "{prediction:?} {exact}");
            }
        }
    }

    #[test]
    fn noise_of_a_long_iteration_does_not_become_thousands_of_calls() {
        let mut points = points(|terms| 1000.0 * terms[0]);
        for (point, noise) in points.iter_mut().zip([1.0, 1.02, 1.0, 1.03, 0.99, 1.04, 1.01, 1.02])
        {
            let median = point.time.median * noise;
            point.time = Spread { median, p10: median * 0.97, p90: median * 1.03 };
        }
        let study = study(&points, &costs(), KERNEL).unwrap();
        assert!(study.pulled && study.fit.fan_outs < 3.0, "{study:?}");
    }

    #[test]
    fn what_memory_takes_from_threads_is_not_taken_for_serial() {
        let mut points = points(|terms| 100.0 * terms[0]);
        // Two cores are 1.25 times as fast as one.
        let slow = |point: &mut Point| {
            if point.workers() > 1 {
                let time = point.time.median * 1.6;
                point.time = Spread { median: time, p10: time, p90: time };
            }
        };
        points.iter_mut().for_each(slow);
        let memory = study(&points, &costs(), Kernel { memory_bound: true, ..KERNEL }).unwrap();
        let compute = study(&points, &costs(), KERNEL).unwrap();
        assert!(memory.fit.serial < 1.0 && compute.fit.serial > 50.0, "{memory:?} {compute:?}");
    }

    #[test]
    fn too_few_runs_are_no_model() {
        let all = points(|terms| terms[0]);
        assert!(study(&all[..4], &costs(), KERNEL).is_ok());
        assert!(study(&all[..3], &costs(), KERNEL).unwrap_err().contains("too few"));
        assert!(study(&[], &costs(), KERNEL).is_err());
    }

    #[test]
    fn a_model_that_fails_its_test_says_nothing() {
        let mut points = points(|terms| terms[0]);
        for point in points.iter_mut().filter(|point| point.workers() == 8) {
            point.time.median *= 3.0;
        }
        let said = study(&points, &costs(), KERNEL).unwrap_err();
        assert!(said.contains("66 % off"), "{said}");
    }
}
