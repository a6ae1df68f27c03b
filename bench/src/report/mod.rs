//! `mobula-bench report`: one page and its plots from records, for readers who were not there.
//!
//! ```text
//!  records ──▶ data (what belongs together) ──▶ sections, scaling, prediction, reach ──▶ html ──▶ index.html
//!                                                   └──▶ lines, rows ──▶ svg ──▶ *.svg, and inline in the page
//! ```
//!
//! The page needs nothing but itself: no script, no font, no address. Every number that a plot shows stands in a
//! table below it, and every row of the records in the last table. What was predicted is never drawn as what was
//! measured.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::records::{Head, Records, newest};

mod data;
mod facts;
mod html;
mod lines;
mod prediction;
mod reach;
mod rows;
mod scaling;
mod sections;
mod svg;

/// A page and its drawings.
#[derive(Debug, Clone)]
pub struct Report {
    /// The page.
    pub html: String,
    /// Names of files and what is in them.
    pub plots: Vec<(String, String)>,
}

impl Report {
    /// Makes it from records.
    #[must_use]
    pub fn of(records: &Records) -> Self {
        let mut sections = vec![
            reach::section(records),
            facts::machine(records),
            sections::engines(records),
            scaling::section(records),
            scaling::metg(records),
            prediction::section(records),
            sections::sandbox(records),
            sections::memory(records),
            sections::parts(records),
            facts::glossary(),
            facts::rows(records),
        ];
        let mut plots = Vec::new();
        let mut names = BTreeSet::new();
        for section in &mut sections {
            let figures = section.groups.iter().map(|(_, figures)| figures.len()).sum::<usize>();
            if figures == 0 && section.before.is_empty() && section.after.is_empty() {
                section.before = html::paragraph("There is nothing of this in the record.");
            }
            for figure in section.groups.iter_mut().flat_map(|(_, figures)| figures) {
                // Names of benchmarks may differ in nothing but what a file's name cannot hold.
                while !names.insert(figure.plot.name.clone()) {
                    figure.plot.name.push('x');
                }
                plots.push((format!("{}.svg", figure.plot.name), figure.plot.file()));
            }
        }
        let head = records.heads.last().cloned().unwrap_or_default();
        let title = format!("Mobula on {}: measurements", head.machine);
        let html = html::page(&title, &facts::about(records), &sections, &footer(records));
        Self { html, plots }
    }

    /// Writes it into a directory, which is made; returns the page's path.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            Ok::<_, anyhow::Error>(path)
        };
        for (name, text) in &self.plots {
            write(name, text)?;
        }
        write("index.html", &self.html)
    }
}

fn footer(records: &Records) -> String {
    let runs: BTreeSet<&str> = records.heads.iter().map(|head| head.commit.as_str()).collect();
    let commits = runs.into_iter().collect::<Vec<_>>().join(", ");
    format!("Made by mobula-bench report from the records of commit {commits}.")
}

/// Reads records (by default the newest below `bench/record/` of the kind of machine that this is) and writes the
/// report into `dir`; returns the page's path.
///
/// # Errors
/// When there is no record, one cannot be read, or a file cannot be written.
pub fn report(files: &[PathBuf], source: &Path, dir: &Path) -> Result<PathBuf> {
    let files = if files.is_empty() {
        newest(&source.join("bench/record").join(crate::record::machine()))?
    } else {
        files.to_vec()
    };
    Report::of(&Records::read(&files)?).write(dir)
}

/// A head's day.
fn day(head: &Head) -> &str {
    head.date.split('T').next().unwrap_or("")
}
