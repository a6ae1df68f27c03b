//! From records to rows: split, vocabulary, standardisation, order.
//!
//! A row goes to the held-out set when its hash says so (one in five), whatever the order of the
//! file; vocabulary, means and deviations come from training rows alone. Training rows are
//! ordered by hash: shuffled once, the same way everywhere. A label with fewer than
//! [`MIN_COUNT`] training rows, or known only from held-out ones, becomes its group's `other`.

use std::collections::HashMap;

use super::features::{DENSE_NAMES, GROUP_NAMES, Labels, numbers};
use super::layout::{DENSE, LATE_MINUTES, MAX_FEATURES, Row, SPARSE};
use super::tables::{Flight, Tables};
use super::{DataError, Progress};

/// Fewer training rows than this do not make a feature of its own.
const MIN_COUNT: u32 = 50;
/// One row in so many is held out.
const HELD_OUT: u64 = 5;
/// Standardised numbers are cut here, so that one storm does not throw the weights.
const CLIP: f64 = 4.0;

/// Rows ready to be written.
#[derive(Debug)]
pub struct Encoded {
    /// What each weight stands for; padded to a multiple of 16 with empty names.
    pub names: Vec<String>,
    /// Training rows, shuffled.
    pub train: Vec<Row>,
    /// Held-out rows.
    pub test: Vec<Row>,
}

impl Encoded {
    /// Number of weights.
    #[must_use]
    pub fn features(&self) -> usize {
        self.names.len()
    }
}

struct Raw {
    hash: u64,
    numbers: [Option<f64>; DENSE],
    labels: [u32; SPARSE],
    late: bool,
}

impl Raw {
    fn held_out(&self) -> bool {
        self.hash.is_multiple_of(HELD_OUT)
    }
}

/// The labels of a group seen so far, numbered as they come.
#[derive(Default)]
struct Group {
    ids: HashMap<String, u32>,
    counts: Vec<u32>,
}

impl Group {
    fn intern(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = u32::try_from(self.counts.len()).expect("fewer labels than rows");
        self.ids.insert(text.to_owned(), id);
        self.counts.push(0);
        id
    }
}

/// Encodes all flights that have an arrival delay.
///
/// # Errors
/// When a set would be empty, or there are more features than an index can name.
pub fn encode(tables: &Tables, progress: Progress<'_>) -> Result<Encoded, DataError> {
    let mut groups: Vec<Group> = (0..SPARSE).map(|_| Group::default()).collect();
    let mut raw = collect(tables, &mut groups, progress);
    raw.sort_unstable_by_key(|r| r.hash);
    let held_out = raw.iter().filter(|r| r.held_out()).count();
    if held_out == 0 || held_out == raw.len() {
        let (rows, train) = (raw.len(), raw.len() - held_out);
        return Err(DataError::TooFewRows { rows, train, test: held_out });
    }
    let (names, index) = vocabulary(&groups);
    if names.len() > MAX_FEATURES {
        return Err(DataError::TooManyFeatures { features: names.len(), limit: MAX_FEATURES });
    }
    let scale = Scale::of(&raw);
    let (mut train, mut test) = (Vec::with_capacity(raw.len()), Vec::with_capacity(held_out));
    for r in &raw {
        let row = Row {
            dense: scale.apply(&r.numbers),
            index: std::array::from_fn(|g| index[g][r.labels[g] as usize]),
            late: r.late,
        };
        if r.held_out() { test.push(row) } else { train.push(row) }
    }
    Ok(Encoded { names, train, test })
}

fn collect(tables: &Tables, groups: &mut [Group], progress: Progress<'_>) -> Vec<Raw> {
    let total = tables.flights.len() as u64;
    let mut labels = Labels::new();
    let mut raw = Vec::with_capacity(tables.flights.len());
    for (i, flight) in tables.flights.iter().enumerate() {
        if i % 16_384 == 0 {
            progress("features", i as u64, total);
        }
        let Some(delay) = flight.arr_delay else { continue };
        labels.fill(tables, flight);
        let hash = hash(flight);
        let row = Raw {
            hash,
            numbers: numbers(tables, flight),
            labels: std::array::from_fn(|g| groups[g].intern(&labels.texts[g])),
            late: delay > LATE_MINUTES,
        };
        if !row.held_out() {
            row.labels.iter().zip(groups.iter_mut()).for_each(|(l, g)| g.counts[*l as usize] += 1);
        }
        raw.push(row);
    }
    progress("features", total, total);
    raw
}

/// FNV-1a, then the finaliser of splitmix64, because FNV's low bits are weak.
fn hash(flight: &Flight) -> u64 {
    let fnv = flight
        .identity()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let z = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Names of all weights, and for each group the feature of each label.
fn vocabulary(groups: &[Group]) -> (Vec<String>, Vec<Vec<u16>>) {
    let mut names: Vec<String> = DENSE_NAMES.iter().map(|n| (*n).to_owned()).collect();
    let mut index = Vec::with_capacity(groups.len());
    for (group, title) in groups.iter().zip(GROUP_NAMES) {
        let mut common: Vec<(&String, u32)> = group.ids.iter().map(|(t, id)| (t, *id)).collect();
        common.retain(|(_, id)| group.counts[*id as usize] >= MIN_COUNT);
        common.sort_unstable();
        // Saturated indices are refused by the caller, which sees the number of names.
        let feature = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let other = feature(names.len());
        names.push(format!("{title}=other"));
        let mut features = vec![other; group.counts.len()];
        for (text, id) in common {
            features[id as usize] = feature(names.len());
            names.push(format!("{title}={text}"));
        }
        index.push(features);
    }
    names.resize(names.len().next_multiple_of(16), String::new());
    (names, index)
}

/// Mean and deviation of the numbers over the training rows.
struct Scale {
    mean: [f64; DENSE],
    per_deviation: [f64; DENSE],
}

impl Scale {
    fn of(raw: &[Raw]) -> Self {
        let mut scale = Self { mean: [0.0; DENSE], per_deviation: [0.0; DENSE] };
        for j in 1..DENSE {
            let known = || raw.iter().filter(|r| !r.held_out()).filter_map(|r| r.numbers[j]);
            let n = known().count().max(1) as f64;
            let mean = known().sum::<f64>() / n;
            let variance = known().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            scale.mean[j] = mean;
            scale.per_deviation[j] = if variance > 0.0 { variance.sqrt().recip() } else { 0.0 };
        }
        scale
    }

    fn apply(&self, numbers: &[Option<f64>; DENSE]) -> [f32; DENSE] {
        std::array::from_fn(|j| match (j, numbers[j]) {
            (0, _) => 1.0,
            (_, None) => 0.0,
            (_, Some(v)) => ((v - self.mean[j]) * self.per_deviation[j]).clamp(-CLIP, CLIP) as f32,
        })
    }
}
