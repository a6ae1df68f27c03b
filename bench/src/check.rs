//! The verdict on a run of the SGD demo: its weights and its own report against the reference.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::{DataError, Dataset, Meta, hex};
use crate::reference::{Metrics, Optimum, Tolerance, evaluate, objective, optimum};

/// The reference is proven to be this close to the minimum: a thousandth of what is tolerated.
const GAP: f64 = 1e-7;

/// The result that the guest (and the native peer) leaves as JSON; other members are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct RunResult {
    /// Ridge of the run.
    pub lambda: f64,
    /// Training rows it saw.
    pub train_rows: usize,
    /// Held-out rows it saw.
    pub test_rows: usize,
    /// What it measured after each epoch.
    pub epochs: Vec<EpochResult>,
}

/// One epoch of a [`RunResult`].
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct EpochResult {
    /// Mean log loss over the training rows.
    pub train_loss: f64,
    /// The same with the ridge.
    pub objective: f64,
    /// Mean log loss over the held-out rows.
    pub test_loss: f64,
    /// Held-out accuracy.
    pub accuracy: f64,
    /// Held-out AUC.
    pub auc: f64,
}

/// A prepared directory, checked against its checksums.
#[derive(Debug)]
pub struct Prepared {
    directory: PathBuf,
    meta: Meta,
    train: Dataset,
    test: Dataset,
}

/// One comparison: what was found, what was wanted, and whether that is near enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was compared.
    pub what: String,
    /// The value of the run.
    pub found: f64,
    /// The value of the reference.
    pub wanted: f64,
    /// How far apart, as the tolerance counts it.
    pub distance: f64,
    /// How far apart they may be.
    pub allowed: f64,
}

impl Finding {
    /// Near enough; never for values that are not numbers.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.distance <= self.allowed
    }

    fn above(what: &str, found: f64, wanted: f64, allowed: f64) -> Self {
        let distance = (found - wanted) / wanted;
        Self { what: what.to_owned(), found, wanted, distance, allowed }
    }

    fn below(what: &str, found: f64, wanted: f64, allowed: f64) -> Self {
        Self { what: what.to_owned(), found, wanted, distance: wanted - found, allowed }
    }

    fn apart(what: &str, found: f64, wanted: f64, allowed: f64, relative: bool) -> Self {
        let scale = if relative { wanted } else { 1.0 };
        let distance = ((found - wanted) / scale).abs();
        Self { what: what.to_owned(), found, wanted, distance, allowed }
    }
}

impl Prepared {
    /// Reads what `mobula-flights prepare` wrote.
    ///
    /// # Errors
    /// When a file is missing, or is not the one that `meta.json` describes.
    pub fn open(directory: &Path) -> Result<Self, DataError> {
        let meta = Meta::read(&directory.join("meta.json"))?;
        for set in [&meta.train, &meta.test] {
            let path = directory.join(&set.file);
            let bytes = fs::read(&path).map_err(|e| DataError::io("read", &path, e))?;
            if hex(&Sha256::digest(&bytes)) != set.sha256 {
                return Err(DataError::layout(&path, "not the checksum that meta.json has"));
            }
        }
        let train = Dataset::read(&directory.join(&meta.train.file))?;
        let test = Dataset::read(&directory.join(&meta.test.file))?;
        Ok(Self { directory: directory.to_owned(), meta, train, test })
    }

    /// Reads weights that a run saved: one f32 per feature, little-endian.
    ///
    /// # Errors
    /// When the file cannot be read, has another size, or holds what is no number.
    pub fn weights(&self, path: &Path) -> Result<Vec<f64>, DataError> {
        let bytes = fs::read(path).map_err(|e| DataError::io("read", path, e))?;
        if bytes.len() != 4 * self.meta.features {
            let message = format!("{} bytes for {} weights", bytes.len(), self.meta.features);
            return Err(DataError::layout(path, message));
        }
        let value = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let weights: Vec<f64> = bytes.chunks_exact(4).map(value).collect();
        match weights.iter().position(|w| !w.is_finite()) {
            Some(i) => Err(DataError::layout(path, format!("weight {i} is {}", weights[i]))),
            None => Ok(weights),
        }
    }

    /// The optimum for a ridge, from the cache beside the data when it was computed before.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn optimum(
        &self,
        lambda: f64,
        progress: &dyn Fn(usize, f64),
    ) -> Result<Optimum, DataError> {
        let path = self.directory.join("optimum.json");
        let key = format!("{} lambda={lambda} gap={GAP}", self.meta.train.sha256);
        let cached = fs::read(&path).ok().and_then(|t| serde_json::from_slice::<Cached>(&t).ok());
        if let Some(cached) = cached.filter(|c| c.key == key) {
            return Ok(cached.optimum);
        }
        let optimum = optimum(&self.train.rows, self.meta.features, lambda, GAP, progress);
        let cached = Cached { key, optimum };
        let text = serde_json::to_string(&cached).expect("finite numbers always serialise");
        let partial = path.with_extension("json.partial");
        fs::write(&partial, text).map_err(|e| DataError::io("write", &partial, e))?;
        fs::rename(&partial, &path).map_err(|e| DataError::io("rename", &partial, e))?;
        Ok(cached.optimum)
    }

    /// Metrics of weights on the held-out rows.
    #[must_use]
    pub fn held_out(&self, weights: &[f64]) -> Metrics {
        evaluate(&self.test.rows, weights)
    }

    /// Compares saved weights with the optimum.
    #[must_use]
    pub fn judge_weights(&self, w: &[f64], best: &Optimum, lambda: f64) -> Vec<Finding> {
        let t = Tolerance::DEFAULT;
        let (found, wanted) = (self.held_out(w), self.held_out(&best.weights));
        let reached = objective(&self.train.rows, w, lambda);
        vec![
            Finding::above("objective above the optimum", reached, best.objective, t.loss),
            Finding::above("held-out loss above the optimum's", found.loss, wanted.loss, t.loss),
            Finding::below("held-out AUC below the optimum's", found.auc, wanted.auc, t.auc),
        ]
    }

    /// Compares what a run reports at its end with the optimum.
    #[must_use]
    pub fn judge_result(&self, end: &EpochResult, best: &Optimum) -> Vec<Finding> {
        let t = Tolerance::DEFAULT;
        let wanted = self.held_out(&best.weights);
        vec![
            Finding::above("reported objective", end.objective, best.objective, t.loss),
            Finding::above("reported held-out loss", end.test_loss, wanted.loss, t.loss),
            Finding::below("reported held-out AUC", end.auc, wanted.auc, t.auc),
        ]
    }

    /// Compares what a run reports at its end with the reference's evaluation of its weights.
    #[must_use]
    pub fn judge_report(&self, end: &EpochResult, w: &[f64], lambda: f64) -> Vec<Finding> {
        let t = Tolerance::DEFAULT;
        let held_out = self.held_out(w);
        let reached = objective(&self.train.rows, w, lambda);
        let apart = |what, found, wanted, allowed, relative| {
            Finding::apart(what, found, wanted, allowed, relative)
        };
        vec![
            apart("objective, reported", end.objective, reached, t.reported_loss, true),
            apart("held-out loss, reported", end.test_loss, held_out.loss, t.reported_loss, true),
            apart("AUC, reported", end.auc, held_out.auc, t.reported_auc, false),
            apart(
                "accuracy, reported",
                end.accuracy,
                held_out.accuracy,
                t.reported_accuracy,
                false,
            ),
        ]
    }

    /// Reads a run's result and checks that it is about these rows.
    ///
    /// # Errors
    /// When the file cannot be read, is no such result, or is about other rows.
    pub fn result(&self, path: &Path) -> Result<RunResult, DataError> {
        let text = fs::read(path).map_err(|e| DataError::io("read", path, e))?;
        let wrong = |e: String| DataError::layout(path, format!("not the result of a run: {e}"));
        let result: RunResult = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        let rows = (self.train.rows.len(), self.test.rows.len());
        if (result.train_rows, result.test_rows) != rows {
            return Err(wrong(format!(
                "it is about other rows than the {} and {}",
                rows.0, rows.1
            )));
        }
        if result.epochs.is_empty() {
            return Err(wrong("no epoch".to_owned()));
        }
        Ok(result)
    }
}

#[derive(Serialize, Deserialize)]
struct Cached {
    key: String,
    optimum: Optimum,
}
