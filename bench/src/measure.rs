//! Samples and what is said of them.

use std::collections::BTreeMap;

use serde::Serialize;

/// Values of each metric: (unit, values), by the metric's name.
#[derive(Debug, Default, Clone)]
pub struct Samples(pub BTreeMap<String, (String, Vec<f64>)>);

impl Samples {
    /// Adds one value.
    pub fn add(&mut self, metric: &str, unit: &str, value: f64) {
        let entry = self.0.entry(metric.to_owned());
        entry.or_insert_with(|| (unit.to_owned(), Vec::new())).1.push(value);
    }

    /// Adds the `sample METRIC UNIT VALUE` lines of a program's output; `rename` gives the name.
    pub fn add_output(&mut self, output: &str, rename: impl Fn(&str) -> String) {
        for line in output.lines() {
            let words: Vec<_> = line.split(' ').collect();
            if let ["sample", metric, unit, value] = words[..]
                && let Ok(value) = value.parse()
            {
                self.add(&rename(metric), unit, value);
            }
        }
    }
}

/// Where and how large a kernel ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    /// `algorithm`, `kernel`, or `polybench`.
    pub kind: String,
    /// What limits it natively: `memory`, `compute` or `latency`.
    pub bound: String,
    /// Name of the size in its definition, or `weak`: as much work for each worker.
    pub size: String,
    /// The one parameter that scales it.
    pub points: u64,
    /// Worker threads of a rank.
    pub threads: usize,
    /// Ranks.
    pub ranks: usize,
    /// Hosts that share no memory.
    pub hosts: usize,
    /// What started the ranks: `none`, `mpirun`, `srun`.
    pub launcher: &'static str,
}

/// One metric of one benchmark, as `--json` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The benchmark.
    pub bench: String,
    /// What of it.
    pub metric: String,
    /// Unit of the values.
    pub unit: String,
    /// Number of samples.
    pub n: usize,
    /// Middle value.
    pub median: f64,
    /// Value below which a tenth of the samples lies.
    pub p10: f64,
    /// Value above which a tenth of the samples lies.
    pub p90: f64,
    /// What it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The peer's median, measured in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_median: Option<f64>,
    /// The peer's value below which a tenth of its samples lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_p10: Option<f64>,
    /// The peer's value above which a tenth of its samples lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_p90: Option<f64>,
    /// Ours over the peer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Peak memory of all processes of ours, KiB, each page once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<f64>,
    /// The same of the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_memory: Option<f64>,
    /// Bytes that our ranks sent each other in an iteration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<f64>,
    /// Most bytes that they may send, where the guest says what changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_bound: Option<f64>,
    /// Where it ran, when it is one of the kernels that are defined by data.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
}

/// One line for people.
impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bench, metric, unit, n, median, p10, p90, .. } = self;
        let place = self.case.as_ref().map_or_else(String::new, |case| {
            let Case { size, threads, ranks, hosts, .. } = case;
            let hosts = if *hosts > 1 { format!("/{hosts}h") } else { String::new() };
            format!(" {size} {threads}t x {ranks}r{hosts}")
        });
        let what = format!("{metric}{place}");
        write!(
            f,
            "{bench:14} {what:26} {median:>14.4} {unit:5} (p10 {p10:.4}, p90 {p90:.4}, n {n})"
        )?;
        if let (Some(peer), Some(median), Some(ratio)) = (&self.peer, self.peer_median, self.ratio)
        {
            write!(f, "   {peer} {median:.4}   ratio {ratio:.3}")?;
        }
        match (self.memory, self.peer_memory) {
            (Some(ours), Some(peer)) => {
                write!(f, "   MiB {:.0}, {:.0}", ours / 1024.0, peer / 1024.0)?;
            }
            (Some(ours), None) => write!(f, "   MiB {:.0}", ours / 1024.0)?,
            _ => {}
        }
        match (self.moved, self.moved_bound) {
            (Some(moved), Some(most)) => {
                write!(f, "   moved KiB {:.1} of {:.1}", moved / 1024.0, most / 1024.0)
            }
            (Some(moved), None) => write!(f, "   moved KiB {:.1}", moved / 1024.0),
            _ => Ok(()),
        }
    }
}

/// Makes a row for every metric, with the peer's where it has the same metric.
#[must_use]
pub fn rows(bench: &str, ours: &Samples, peer: Option<(&str, &Samples)>) -> Vec<Row> {
    let row = |(metric, (unit, values)): (&String, &(String, Vec<f64>))| {
        let peer = peer.and_then(|(name, samples)| Some((name, &samples.0.get(metric)?.1)));
        let median = quantile(values, 0.5);
        let peer_median = peer.map(|(_, values)| quantile(values, 0.5));
        Row {
            bench: bench.to_owned(),
            metric: metric.clone(),
            unit: unit.clone(),
            n: values.len(),
            median,
            p10: quantile(values, 0.1),
            p90: quantile(values, 0.9),
            peer: peer.map(|(name, _)| name.to_owned()),
            peer_median,
            peer_p10: peer.map(|(_, values)| quantile(values, 0.1)),
            peer_p90: peer.map(|(_, values)| quantile(values, 0.9)),
            ratio: peer_median.map(|peer| median / peer),
            memory: None,
            peer_memory: None,
            moved: None,
            moved_bound: None,
            case: None,
        }
    };
    ours.0.iter().map(row).collect()
}

/// The nearest-rank quantile; NaN of nothing.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small index")]
    let rank = ((sorted.len() as f64 * q).ceil() as usize).max(1) - 1;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_lines_become_rows_with_ratios() {
        let (mut ours, mut peer) = (Samples::default(), Samples::default());
        ours.add_output(
            "noise\nsample call ns 4\nsample call ns 8\nsample call ns 6\n",
            str::to_owned,
        );
        peer.add("call", "ns", 3.0);
        let rows = rows("b", &ours, Some(("p", &peer)));
        assert_eq!((rows.len(), rows[0].n, rows[0].median), (1, 3, 6.0));
        assert_eq!((rows[0].p10, rows[0].p90, rows[0].ratio), (4.0, 8.0, Some(2.0)));
    }
}
