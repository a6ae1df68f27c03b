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
    /// Ours over the peer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
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
            ratio: peer_median.map(|peer| median / peer),
        }
    };
    ours.0.iter().map(row).collect()
}

/// The nearest-rank quantile; NaN of nothing.
fn quantile(values: &[f64], q: f64) -> f64 {
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
