//! Reading records: JSON lines of `bench/record/`, of today and of long ago.
//!
//! ```text
//!  {"machine": …, "cpu": …, "commit": …, "date": …}      a head: where and when the rows after it were measured
//!  {"bench": …, "metric": …, "median": …, …}              a row, see README.md
//!  {"bench": …, "metric": …, "median": …, …}
//!  {"machine": …}                                         the next run of that day
//! ```
//!
//! Fields that are not known here are ignored, and those that early records do not have are empty. Of
//! several rows of the same thing the last one counts. Early rows say in the metric's name how they were
//! placed (`trivial-2-ranks-2-hosts`): an [`Entry`] says it in numbers, whichever way it was recorded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Where and when rows were measured.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Head {
    /// Kind of machine: the directory's name below `bench/record/`.
    pub machine: String,
    /// The processor's name.
    #[serde(default)]
    pub cpu: String,
    /// CPUs that the run could use.
    #[serde(default)]
    pub cpus: u32,
    /// The system.
    #[serde(default)]
    pub kernel: String,
    /// Compiler of the native peers.
    #[serde(default)]
    pub compiler: Option<String>,
    /// Commit that was measured; ends in `-dirty` where there were changes.
    #[serde(default)]
    pub commit: String,
    /// Start of the run, UTC.
    #[serde(default)]
    pub date: String,
    /// The MPI.
    #[serde(default)]
    pub mpi: Option<Value>,
    /// CPUs that the run was bound to.
    #[serde(default)]
    pub mask: Option<Value>,
    /// What else was used, and in which version.
    #[serde(default)]
    pub versions: BTreeMap<String, Value>,
}

impl Head {
    /// The machine in words: what has to be the same for numbers to be comparable.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{} ({}, {} CPUs)", self.machine, self.cpu, self.cpus)
    }
}

/// Three quantiles of one measured quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Middle value.
    pub median: f64,
    /// A tenth of the samples is below; the median where it was not recorded.
    pub p10: f64,
    /// A tenth of the samples is above; the median where it was not recorded.
    pub p90: f64,
}

/// One row of a record.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// Index of its head in [`Records::heads`].
    #[serde(skip)]
    pub head: usize,
    /// The metric without what it says of the placement.
    #[serde(skip)]
    pub what: String,
    /// The benchmark.
    pub bench: String,
    /// What of it, as recorded.
    pub metric: String,
    /// Unit of the values.
    pub unit: String,
    /// Number of samples.
    #[serde(default)]
    pub n: u64,
    /// Middle value; NaN where nothing was measured.
    #[serde(deserialize_with = "number")]
    pub median: f64,
    /// A tenth of the samples is below.
    #[serde(deserialize_with = "number")]
    pub p10: f64,
    /// A tenth of the samples is above.
    #[serde(deserialize_with = "number")]
    pub p90: f64,
    /// What it is compared with.
    pub peer: Option<String>,
    /// The peer's middle value.
    pub peer_median: Option<f64>,
    /// The peer's, a tenth is below.
    pub peer_p10: Option<f64>,
    /// The peer's, a tenth is above.
    pub peer_p90: Option<f64>,
    /// Ours over the peer's.
    pub ratio: Option<f64>,
    /// `algorithm`, `kernel` or `polybench`.
    pub kind: Option<String>,
    /// What limits it natively: `memory`, `compute` or `latency`.
    pub bound: Option<String>,
    /// `small`, `medium`, `large` or `weak`.
    pub size: Option<String>,
    /// The program's N.
    pub points: Option<f64>,
    /// Worker threads of each rank.
    pub threads: Option<u32>,
    /// Ranks.
    pub ranks: Option<u32>,
    /// Hosts that share no memory.
    pub hosts: Option<u32>,
    /// What started the ranks.
    pub launcher: Option<String>,
    /// Our peak memory, KiB.
    pub memory: Option<f64>,
    /// The peer's peak memory, KiB.
    pub peer_memory: Option<f64>,
    /// Bytes that our ranks sent each other in an iteration.
    pub moved: Option<f64>,
    /// Most bytes that they may.
    pub moved_bound: Option<f64>,
}

/// What some files hold.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// Heads in the order in which they were read.
    pub heads: Vec<Head>,
    /// Rows, the last of each.
    pub entries: Vec<Entry>,
}

impl Entry {
    /// Our values.
    #[must_use]
    pub fn ours(&self) -> Spread {
        Spread { median: self.median, p10: self.p10, p90: self.p90 }
    }

    /// The peer's values.
    #[must_use]
    pub fn theirs(&self) -> Option<Spread> {
        let median = self.peer_median?;
        let (p10, p90) = (self.peer_p10.unwrap_or(median), self.peer_p90.unwrap_or(median));
        Some(Spread { median, p10, p90 })
    }

    /// Worker threads of all ranks.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.threads.unwrap_or(1).saturating_mul(self.ranks.unwrap_or(1))
    }

    /// Whether it comes from a definition in `bench/kernels/` or an application like one.
    #[must_use]
    pub fn is_definition(&self) -> bool {
        self.metric == "iteration"
    }

    /// The grid whose smallest task that pays this is.
    #[must_use]
    pub fn grid(&self) -> Option<&str> {
        self.what.strip_suffix("-smallest-task").filter(|_| self.bench == "metg")
    }

    /// Whether more is better.
    #[must_use]
    pub fn is_rate(&self) -> bool {
        self.unit.ends_with("/s")
    }

    /// Our time over the peer's: less than 1 is better, also where the values are rates.
    #[must_use]
    pub fn cost_ratio(&self) -> Option<f64> {
        let ratio = self.ratio.or_else(|| Some(self.median / self.peer_median?))?;
        let ratio = if self.is_rate() { 1.0 / ratio } else { ratio };
        (ratio.is_finite() && ratio > 0.0).then_some(ratio)
    }

    /// Where it ran, in words.
    #[must_use]
    pub fn place(&self) -> String {
        let count = |n: Option<u32>, one: &str| match n {
            None => String::new(),
            Some(1) => format!("1 {one}"),
            Some(n) => format!("{n} {one}s"),
        };
        let (ranks, hosts) = (self.ranks.unwrap_or(1), self.hosts.unwrap_or(1));
        let mut words = Vec::new();
        if hosts > 1 {
            words.push(count(self.hosts, "host"));
        }
        if ranks > 1 || hosts > 1 {
            words.push(count(self.ranks, "rank"));
        }
        if ranks == 1 || self.threads.unwrap_or(1) > 1 {
            words.push(count(self.threads, "thread"));
        }
        words.retain(|word| !word.is_empty());
        words.join(" × ")
    }

    /// A value that no measurement gives.
    fn below_zero(&self) -> Option<f64> {
        let theirs = [self.peer_median, self.peer_p10, self.peer_p90].into_iter().flatten();
        [self.median, self.p10, self.p90].into_iter().chain(theirs).find(|value| *value < 0.0)
    }

    /// Takes the placement out of the metric's name, unless fields say it.
    fn settle(&mut self, cpus: u32) {
        let mut what = self.metric.as_str();
        if let Some(rest) = what.strip_suffix("-srun") {
            what = rest;
            self.launcher.get_or_insert_with(|| "srun".to_owned());
        }
        while let Some((rest, number, unit)) = counted(what) {
            let field = match unit {
                "host" => &mut self.hosts,
                "rank" => &mut self.ranks,
                _ => &mut self.threads,
            };
            field.get_or_insert(number.unwrap_or(cpus));
            what = rest;
        }
        self.what = what.to_owned();
    }

    /// What it is a row of: the same in every record.
    pub(crate) fn key(&self) -> impl Ord + use<> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let name = (self.bench.clone(), self.metric.clone(), text(&self.peer));
        (name, text(&self.size), self.threads, self.ranks, self.hosts, text(&self.launcher))
    }
}

/// `trivial-2-ranks` is `trivial`, 2 and `rank`; of `all` there is no number.
fn counted(metric: &str) -> Option<(&str, Option<u32>, &'static str)> {
    let (rest, unit) = metric.rsplit_once('-')?;
    let unit = match unit {
        "host" | "hosts" => "host",
        "rank" | "ranks" => "rank",
        "thread" | "threads" => "thread",
        _ => return None,
    };
    let (rest, number) = rest.rsplit_once('-')?;
    let number = if number == "all" { None } else { Some(number.parse().ok()?) };
    Some((rest, number, unit))
}

/// A number; the writer makes `null` of one that is none.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

impl Records {
    /// Reads files in the order in which they were measured.
    ///
    /// # Errors
    /// When a file cannot be read, or a line of it is not what a record has; file and line are named.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let mut records = Self::default();
        for file in files {
            let name = file.display();
            let text = std::fs::read_to_string(file).with_context(|| format!("reading {name}"))?;
            records.add(&text, &name.to_string())?;
        }
        if records.entries.is_empty() {
            bail!("there is no row in {} file(s)", files.len());
        }
        Ok(records)
    }

    /// Adds the lines of a file called `name`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn add(&mut self, text: &str, name: &str) -> Result<()> {
        let before = self.heads.len();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let at = || format!("{name}:{}", number + 1);
            let line: Value = serde_json::from_str(line).with_context(at)?;
            if line.get("machine").is_some() {
                self.heads.push(serde_json::from_value(line).with_context(at)?);
                continue;
            }
            let mut entry: Entry = serde_json::from_value(line).with_context(at)?;
            if self.heads.len() == before {
                bail!("{}: a row, and no line before it says on which machine", at());
            }
            if let Some(value) = entry.below_zero() {
                bail!("{}: {} {} is {value} {}", at(), entry.bench, entry.metric, entry.unit);
            }
            entry.head = self.heads.len() - 1;
            entry.settle(self.heads[entry.head].cpus);
            self.entries.push(entry);
        }
        self.keep_last();
        Ok(())
    }

    /// Of several rows of the same thing the last one stays.
    fn keep_last(&mut self) {
        let last: BTreeMap<_, _> =
            self.entries.iter().enumerate().map(|(i, entry)| (entry.key(), i)).collect();
        let mut keep = vec![false; self.entries.len()];
        last.into_values().for_each(|index| keep[index] = true);
        let mut keep = keep.into_iter();
        self.entries.retain(|_| keep.next().unwrap_or(true));
    }

    /// Where and when a row was measured.
    #[must_use]
    pub fn head(&self, entry: &Entry) -> &Head {
        &self.heads[entry.head]
    }

    /// CPUs of the machine: of the last run, if they differ.
    #[must_use]
    pub fn cpus(&self) -> u32 {
        self.heads.last().map_or(1, |head| head.cpus.max(1))
    }
}

/// The newest records in a directory of one machine: all files of the last day.
///
/// # Errors
/// When there is no directory or no record in it.
pub fn newest(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = std::fs::read_dir(dir).with_context(|| format!("looking into {}", dir.display()))?;
    let mut files: Vec<PathBuf> = list.filter_map(|file| Some(file.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    // Names begin with the date: 2026-11-27.jsonl, 2026-11-27-hosts.jsonl.
    let day = |file: &PathBuf| -> Option<String> {
        Some(file.file_stem()?.to_string_lossy().chars().take(10).collect())
    };
    let last = files.last().and_then(day);
    files.retain(|file| day(file) == last);
    if files.is_empty() {
        bail!("there is no record in {}", dir.display());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"machine":"m","cpus":2,"new":{"a":1}}"#;

    fn read(lines: &[&str]) -> Result<Records> {
        let mut records = Records::default();
        records.add(&lines.join("\n"), "r.jsonl")?;
        Ok(records)
    }

    fn row(metric: &str, median: f64, more: &str) -> String {
        format!(
            r#"{{"bench":"b","metric":"{metric}","unit":"ns","n":1,"median":{median},"p10":1,"p90":3{more}}}"#
        )
    }

    #[test]
    fn the_last_row_of_the_same_thing_counts() {
        let (old, new) = (row("m", 1.0, ""), row("m", 2.0, ""));
        let other = row("m", 3.0, r#","threads":2"#);
        let records = read(&[HEAD, &old, &other, HEAD, &new]).unwrap();
        let medians: Vec<_> = records.entries.iter().map(|e| (e.median, e.head)).collect();
        assert_eq!(medians, [(3.0, 0), (2.0, 1)]);
    }

    #[test]
    fn a_name_says_the_placement_unless_fields_do() {
        let (named, fields) =
            (row("trivial-4-ranks-2-hosts-srun", 1.0, ""), row("x-3-ranks", 1.0, r#","ranks":7"#));
        let all = row("call-all-threads", 1.0, "");
        let records = read(&[HEAD, &named, &fields, &all]).unwrap();
        let [named, fields, all] = &records.entries[..] else { panic!("three rows") };
        assert_eq!((named.what.as_str(), named.ranks, named.hosts), ("trivial", Some(4), Some(2)));
        assert_eq!(named.launcher.as_deref(), Some("srun"));
        assert_eq!((fields.what.as_str(), fields.ranks), ("x", Some(7)));
        assert_eq!((all.what.as_str(), all.threads, all.workers()), ("call", Some(2), 2));
        assert_eq!((named.place(), all.place()), ("2 hosts × 4 ranks".into(), "2 threads".into()));
    }

    #[test]
    fn what_is_wrong_is_named_with_file_and_line() {
        for bad in ["{", "[1]", r#"{"bench":"b"}"#, r#"{"machine":3}"#] {
            let said = format!("{:#}", read(&[HEAD, bad]).unwrap_err());
            assert!(said.starts_with("r.jsonl:2: "), "{said}");
        }
        for (median, more) in [(-2.0, ""), (2.0, r#","peer_median":-2"#)] {
            let said = read(&[HEAD, &row("m", median, more)]).unwrap_err().to_string();
            assert_eq!(said, "r.jsonl:2: b m is -2 ns");
        }
        let said = read(&[&row("m", 1.0, "")]).unwrap_err().to_string();
        assert!(said.starts_with("r.jsonl:1: a row, and no line before it"), "{said}");
    }

    #[test]
    fn rates_cost_the_inverse_and_nothing_is_no_number() {
        let rate = row("m", 4.0, r#","peer":"p","peer_median":2,"ratio":2"#).replace("ns", "GB/s");
        let none = row("none", 0.0, "").replace(r#""median":0"#, r#""median":null"#);
        let records = read(&[HEAD, &rate, &none]).unwrap();
        assert_eq!(records.entries[0].cost_ratio(), Some(0.5));
        assert!(records.entries[1].median.is_nan());
    }

    #[test]
    fn every_record_in_git_can_be_read() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("record");
        for machine in std::fs::read_dir(dir).unwrap() {
            let machine = machine.unwrap().path();
            assert!(!Records::read(&newest(&machine).unwrap()).unwrap().entries.is_empty());
            for file in std::fs::read_dir(&machine).unwrap().map(|file| file.unwrap().path()) {
                if file.extension().is_some_and(|extension| extension == "jsonl") {
                    Records::read(&[file]).unwrap();
                }
            }
        }
    }
}
