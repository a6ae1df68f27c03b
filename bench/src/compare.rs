//! Two records beside each other, and whether what differs is more than noise.
//!
//! Where both have the same peer, its time says how fast the machine was on that day: then ratios to the peer
//! are compared, and a machine that was slower as a whole is no change. What is less than half the distance
//! from p10 to p90 of the noisiest value involved, or less than 2 %, is noise.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::records::{Entry, Records, Spread};

/// Differences below this are noise, however narrow the samples lie.
const LEAST: f64 = 0.02;

/// What became of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Less time, or a higher rate.
    Faster,
    /// More time, or a lower rate.
    Slower,
    /// No difference that is not noise.
    Same,
}

/// A metric in both records.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// The benchmark.
    pub bench: String,
    /// What of it.
    pub metric: String,
    /// Size and place, in words.
    pub place: String,
    /// Unit of both medians.
    pub unit: String,
    /// Median of the first record.
    pub before: f64,
    /// Median of the second one.
    pub after: f64,
    /// What both were measured beside, if that is what the cost is relative to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Cost of the second over the first one's; less is better, also for rates.
    pub cost: f64,
    /// Relative difference that is noise.
    pub noise: f64,
    /// What that means.
    pub verdict: Verdict,
}

/// Compares every metric that is in both, in the order of the second record.
#[must_use]
pub fn compare(before: &Records, after: &Records) -> Vec<Change> {
    let old: BTreeMap<_, _> = before.entries.iter().map(|entry| (entry.key(), entry)).collect();
    let pair = |new: &Entry| change(old.get(&new.key())?, new);
    after.entries.iter().filter_map(pair).collect()
}

fn change(old: &Entry, new: &Entry) -> Option<Change> {
    if old.unit != new.unit {
        return None;
    }
    let mut spreads = vec![old.ours(), new.ours()];
    let plain = || {
        let cost = new.median / old.median;
        if new.is_rate() { 1.0 / cost } else { cost }
    };
    let relative = old.cost_ratio().zip(new.cost_ratio()).map(|(old, new)| new / old);
    spreads.extend(old.theirs().into_iter().chain(new.theirs()).filter(|_| relative.is_some()));
    let cost = relative.unwrap_or_else(plain);
    if !(cost.is_finite() && cost > 0.0) {
        return None;
    }
    let noise = spreads.iter().map(half).fold(LEAST, f64::max);
    let verdict = match cost {
        cost if cost > 1.0 + noise => Verdict::Slower,
        cost if cost < 1.0 / (1.0 + noise) => Verdict::Faster,
        _ => Verdict::Same,
    };
    let place = [new.size.clone().unwrap_or_default(), new.place()].join(" ").trim().to_owned();
    Some(Change {
        bench: new.bench.clone(),
        metric: new.metric.clone(),
        place,
        unit: new.unit.clone(),
        before: old.median,
        after: new.median,
        peer: relative.and(new.peer.clone()),
        cost,
        noise,
        verdict,
    })
}

/// Half the distance from p10 to p90, relative to the median.
fn half(spread: &Spread) -> f64 {
    (spread.p90 - spread.p10).abs() / 2.0 / spread.median.abs().max(f64::MIN_POSITIVE)
}

/// One line for people.
impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bench, metric, place, unit, before, after, cost, noise, .. } = self;
        let verdict = match self.verdict {
            Verdict::Faster => "faster",
            Verdict::Slower => "SLOWER",
            Verdict::Same => "same",
        };
        let what = format!("{bench} {metric} {place}");
        write!(f, "{verdict:6} {what:48} {before:>12.4} -> {after:>12.4} {unit:5}")?;
        write!(f, " cost {cost:.3} (noise {:.0} %)", noise * 100.0)?;
        self.peer.as_ref().map_or(Ok(()), |peer| write!(f, ", beside {peer}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(rows: &[(&str, f64, f64, Option<f64>)]) -> Records {
        let mut text = r#"{"machine":"m","cpus":2}"#.to_owned();
        for (unit, median, spread, peer) in rows {
            let (p10, p90) = (median - spread, median + spread);
            let peer = peer.map_or_else(String::new, |peer| {
                let ratio = median / peer;
                format!(r#","peer":"p","peer_median":{peer},"ratio":{ratio}"#)
            });
            text += &format!(
                "\n{{\"bench\":\"b\",\"metric\":\"m-{unit}\",\"unit\":\"{unit}\",\"n\":3,\
                 \"median\":{median},\"p10\":{p10},\"p90\":{p90}{peer}}}"
            );
        }
        let mut records = Records::default();
        records.add(&text, "r").unwrap();
        records
    }

    fn verdict(
        before: (&str, f64, f64, Option<f64>),
        after: (&str, f64, f64, Option<f64>),
    ) -> Verdict {
        compare(&records(&[before]), &records(&[after]))[0].verdict
    }

    #[test]
    fn what_is_within_the_spread_is_the_same() {
        assert_eq!(verdict(("ms", 10.0, 2.0, None), ("ms", 11.5, 0.1, None)), Verdict::Same);
        assert_eq!(verdict(("ms", 10.0, 0.0, None), ("ms", 10.1, 0.0, None)), Verdict::Same);
        assert_eq!(verdict(("ms", 10.0, 0.1, None), ("ms", 11.5, 0.1, None)), Verdict::Slower);
        assert_eq!(verdict(("ms", 10.0, 0.1, None), ("ms", 8.0, 0.1, None)), Verdict::Faster);
    }

    #[test]
    fn a_higher_rate_is_faster() {
        assert_eq!(verdict(("GB/s", 10.0, 0.1, None), ("GB/s", 15.0, 0.1, None)), Verdict::Faster);
    }

    #[test]
    fn a_machine_that_is_slower_as_a_whole_is_no_change() {
        let slow = ("ms", 20.0, 0.1, Some(10.0));
        assert_eq!(verdict(("ms", 10.0, 0.1, Some(5.0)), slow), Verdict::Same);
        assert_eq!(verdict(("ms", 10.0, 0.1, Some(10.0)), slow), Verdict::Slower);
    }

    #[test]
    fn only_what_is_in_both_is_compared() {
        let one = records(&[("ms", 1.0, 0.0, None)]);
        assert!(compare(&one, &records(&[("us", 1.0, 0.0, None)])).is_empty());
        assert_eq!(compare(&one, &one).len(), 1);
    }
}
