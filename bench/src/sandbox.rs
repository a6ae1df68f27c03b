//! What the sandbox costs: every kernel on one thread beside the same source, natively compiled.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::kernels::{self, Bound, Definition, Plan};
use crate::measure::{Row, Samples, rows};
use crate::programs::{on_one_cpu, output};
use crate::suite::Setting;

/// Relative difference that a sum over all of an answer may have: natively multiplications and additions
/// are fused.
const TOLERANCE: f64 = 1e-9;

/// The set in `bench/polybench`, then the kernels of `bench/kernels` that have a peer in C, C++ or Rust; each
/// kind with its geometric mean.
///
/// # Errors
/// When a program cannot be built or run, or guest and native program give different answers.
pub(crate) fn sandbox(s: &Setting) -> Result<Vec<Row>> {
    on_one_cpu(|| {
        let mut all = polybench(s)?;
        all.extend(mean("geometric-mean-polybench", &all));
        let mut defined = kernels(s)?;
        defined.extend(mean("geometric-mean-kernels", &defined));
        all.extend(defined);
        Ok(all)
    })
}

fn polybench(s: &Setting) -> Result<Vec<Row>> {
    let dir = s.place.source("bench/polybench");
    let entries = std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))?;
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ext| ext == "c"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    let (mut ours, mut native) = (Samples::default(), Samples::default());
    for name in &names {
        let source = format!("bench/polybench/{name}.c");
        let guest = s.place.guest(&source)?;
        let Some(peer) = s.place.peer(&source)? else { return Ok(Vec::new()) };
        for _ in 0..s.rounds.min(3) {
            let mine = output(s.place.run(1).arg(&guest)).context(name.clone())?;
            let theirs = output(&mut Command::new(&peer))?;
            ours.add_output(&mine, |_| name.clone());
            native.add_output(&theirs, |_| name.clone());
            let (a, b) = (kernels::answer(&mine)?, kernels::answer(&theirs)?);
            ensure!(
                (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
                "{name} gives {a}, natively {b}"
            );
        }
    }
    Ok(rows("sandbox", &ours, Some(("native", &native))))
}

fn kernels(s: &Setting) -> Result<Vec<Row>> {
    let plan = Plan {
        size: "medium".to_owned(),
        weak: false,
        threads: vec![1],
        ranks: vec![1],
        engines: vec!["openmp".to_owned()],
        rounds: s.rounds.min(3),
    };
    let mut all = Vec::new();
    let plain = |d: &&Definition| {
        d.bound != Bound::Latency
            && Path::new(&d.guest).extension().is_some_and(|ext| ext != "py")
            && d.engine.iter().any(|engine| engine.name == "openmp")
    };
    for definition in Definition::all(&s.place.source("bench/kernels"))?.iter().filter(plain) {
        let measured = kernels::measure(definition, &plan, &s.place, &s.launch, None)?;
        all.extend(measured.into_iter().map(|row| Row {
            bench: "sandbox".to_owned(),
            metric: row.bench,
            peer: Some("native".to_owned()),
            ..row
        }));
    }
    Ok(all)
}

/// The geometric mean of the ratios, as a row.
fn mean(metric: &str, rows: &[Row]) -> Option<Row> {
    let ratios: Vec<_> = rows.iter().filter_map(|row| row.ratio).collect();
    let log = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64;
    let mut one = Samples::default();
    one.add(metric, "x", log.exp());
    crate::measure::rows("sandbox", &one, None).pop().filter(|_| !ratios.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_geometric() {
        let (mut ours, mut native) = (Samples::default(), Samples::default());
        for (name, time) in [("a", 2.0), ("b", 8.0)] {
            ours.add(name, "ms", time);
            native.add(name, "ms", 1.0);
        }
        let row = mean("m", &rows("sandbox", &ours, Some(("native", &native)))).unwrap();
        assert!((row.median - 4.0).abs() < 1e-12);
        assert!(mean("m", &[]).is_none());
    }
}
