//! Definitions: what a kernel is, as data.
//!
//! ```toml
//! about = "heat on a square plate, 5-point Jacobi, ms an iteration"
//! kind = "algorithm"                  # or "kernel"
//! bound = "memory"                    # or "compute", "latency"
//! unit = "ms"
//! tolerance = 1e-9                    # relative, of the number that all engines print as `check`
//! guest = "bench/guests/jacobi.c"
//! weak = 0.5                          # weak scaling: n grows with workers^weak
//! [size.medium]
//! n = 4096                            # the one parameter that scales it
//! repetitions = 30
//! expected = 0.25                     # what `check` has to be, where that is known
//! [[engine]]
//! name = "openmp"
//! source = "bench/peers/jacobi_openmp.c"
//! ```
//!
//! [`bench/README.md`](../../../README.md) says what guests and peers are given and print.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A kernel: what runs, at which sizes, beside what, and what must come out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name: the file's, without `.toml`.
    #[serde(skip)]
    pub name: String,
    /// One line.
    pub about: String,
    /// Whole algorithm or a kernel of one.
    pub kind: Kind,
    /// What limits it natively.
    pub bound: Bound,
    /// Unit of the samples, a time.
    pub unit: String,
    /// Relative difference that is allowed between the answers of engines, and to the expected one.
    pub tolerance: f64,
    /// Source of the guest, below the source tree.
    pub guest: String,
    /// Weak scaling: n grows with the number of workers to this power.
    pub weak: Option<f64>,
    /// Data set that `bench/data/prepare-NAME` makes.
    pub data: Option<String>,
    /// State values that the guest finds, by key: files of the data set.
    #[serde(default)]
    pub state: BTreeMap<String, String>,
    /// Whether the data set is mounted for the guest as `/data`.
    #[serde(default)]
    pub dir: bool,
    /// Sizes by name; `small` is for tests, `medium` is what is measured unless asked otherwise.
    pub size: BTreeMap<String, Size>,
    /// What it is measured beside.
    #[serde(default)]
    pub engine: Vec<Engine>,
}

/// How large a kernel is.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// The one parameter that scales it.
    pub n: u64,
    /// Iterations that are measured.
    pub repetitions: u64,
    /// What `check` has to be.
    pub expected: Option<f64>,
}

/// A peer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// `openmp`, `mpi`, `rayon`, `numpy`, …: what its users call it.
    pub name: String,
    /// Its source, below the source tree.
    pub source: String,
    /// What the compiler is told besides.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Modules that a peer in Python imports.
    pub needs: Option<String>,
}

/// What a definition is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What somebody wants computed.
    Algorithm,
    /// One step of such, in the spirit of the Parallel Research Kernels.
    Kernel,
}

/// What limits a kernel natively.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Bandwidth of memory.
    Memory,
    /// Arithmetic.
    Compute,
    /// Tasks and messages.
    Latency,
}

impl Kind {
    /// As in a definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Algorithm => "algorithm",
            Self::Kernel => "kernel",
        }
    }
}

impl Bound {
    /// As in a definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Compute => "compute",
            Self::Latency => "latency",
        }
    }
}

impl Definition {
    /// Reads all definitions of a directory, by name.
    ///
    /// # Errors
    /// When one cannot be read, or is not a definition; with its path.
    pub fn all(dir: &Path) -> Result<Vec<Self>> {
        let entries =
            std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
        let mut files = entries.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
        files.retain(|path| path.extension().is_some_and(|ext| ext == "toml"));
        files.sort();
        files.iter().map(|path| Self::read(path)).collect()
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it cannot be read, or is not a definition; with its path.
    pub fn read(path: &Path) -> Result<Self> {
        let at = || format!("{}", path.display());
        let text = std::fs::read_to_string(path).with_context(at)?;
        let mut definition: Self = toml::from_str(&text).with_context(at)?;
        definition.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        definition.validate().with_context(at)?;
        Ok(definition)
    }

    fn validate(&self) -> Result<()> {
        ensure!(self.size.contains_key("small"), "there is no [size.small], which tests run");
        ensure!(self.size.contains_key("medium"), "there is no [size.medium], the default");
        ensure!(self.size.values().all(|size| size.repetitions > 0), "a size has no repetitions");
        ensure!(
            self.tolerance.is_finite() && self.tolerance >= 0.0,
            "tolerance {} is not a difference",
            self.tolerance
        );
        ensure!(
            ["s", "ms", "us", "ns"].contains(&self.unit.as_str()),
            "unit {:?} is none of s, ms, us, ns",
            self.unit
        );
        ensure!(
            self.data.is_some() || (self.state.is_empty() && !self.dir),
            "state or dir without a data set"
        );
        Ok(())
    }

    /// A size by name.
    ///
    /// # Errors
    /// When there is none; with the names that there are.
    pub fn sized(&self, name: &str) -> Result<Size> {
        let sizes = || self.size.keys().cloned().collect::<Vec<_>>().join(", ");
        let size = self.size.get(name).copied();
        size.with_context(|| format!("{} has no size {name:?}, but {}", self.name, sizes()))
    }

    /// Whether an answer is the one that another is, within the tolerance.
    #[must_use]
    pub fn agree(&self, one: f64, other: f64) -> bool {
        (one - other).abs() <= self.tolerance * one.abs().max(other.abs())
    }
}

impl Size {
    /// The size at which each of `workers` has as much work as one has here; nothing is expected of it.
    #[must_use]
    pub fn weak(self, workers: usize, power: f64) -> Self {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sizes are far below 2^52"
        )]
        let n = (self.n as f64 * (workers as f64).powf(power)).round() as u64;
        Self { n, expected: if n == self.n { self.expected } else { None }, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        about = "a"
        kind = "kernel"
        bound = "memory"
        unit = "ms"
        tolerance = 1e-6
        guest = "g.c"
        size.small = { n = 4, repetitions = 1 }
        size.medium = { n = 100, repetitions = 2, expected = 3.0 }
    "#;

    fn read(text: &str) -> Result<Definition> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("one.toml");
        std::fs::write(&file, text)?;
        Definition::read(&file)
    }

    #[test]
    fn a_definition_is_named_by_its_file() {
        let one = read(TEXT).unwrap();
        assert_eq!((one.name.as_str(), one.kind, one.engine.len()), ("one", Kind::Kernel, 0));
        assert_eq!(one.sized("medium").unwrap().expected, Some(3.0));
        let error = format!("{:#}", one.sized("huge").unwrap_err());
        assert!(error.contains("huge") && error.contains("medium, small"), "{error}");
    }

    #[test]
    fn what_is_no_definition_is_refused_with_its_path_and_the_reason() {
        for (wrong, reason) in [
            (TEXT.replace("unit = \"ms\"", "unit = \"MB/s\""), "MB/s"),
            (TEXT.replace("bound", "bond"), "bond"),
            (TEXT.replace("size.small", "size.tiny"), "size.small"),
            (TEXT.replace("repetitions = 1", "repetitions = 0"), "no repetitions"),
            (format!("dir = true\n{TEXT}"), "data set"),
            (TEXT.replace("1e-6", "-1"), "tolerance"),
            ("[[".to_owned(), "one.toml"),
        ] {
            let error = format!("{:#}", read(&wrong).unwrap_err());
            assert!(error.contains(reason) && error.contains("one.toml"), "{error}");
        }
    }

    #[test]
    fn answers_agree_within_the_tolerance_and_nan_with_nothing() {
        let one = read(TEXT).unwrap();
        assert!(one.agree(1e6, 1e6 + 0.5) && one.agree(0.0, 0.0));
        assert!(!one.agree(1e6, 1e6 + 2.0) && !one.agree(f64::NAN, f64::NAN));
    }

    #[test]
    fn weak_sizes_grow_and_expect_nothing() {
        let size = Size { n: 1000, repetitions: 3, expected: Some(1.0) };
        assert_eq!(size.weak(4, 0.5), Size { n: 2000, repetitions: 3, expected: None });
        assert_eq!(size.weak(1, 0.5), size);
    }
}
