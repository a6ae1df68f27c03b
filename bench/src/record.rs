//! Writing records: what was measured, behind a line that says where, when and with what.
//!
//! `DIR/<machine>/<date>.jsonl` holds one JSON object a line: a head for each run, its rows behind it. The
//! same rows are in `<date>.csv` for spreadsheets. Both are only ever appended to.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::measure::Row;
use crate::programs::output;

/// Columns of the CSV file behind date and commit: fields of rows, in this order.
const COLUMNS: &[&str] = &[
    "bench",
    "metric",
    "kind",
    "bound",
    "size",
    "points",
    "threads",
    "ranks",
    "hosts",
    "launcher",
    "unit",
    "n",
    "median",
    "p10",
    "p90",
    "memory",
    "peer",
    "peer_median",
    "peer_p10",
    "peer_p90",
    "peer_memory",
    "ratio",
    "moved",
    "moved_bound",
];

/// What programs say of themselves, the first line.
fn ask(program: &str, args: &[&str]) -> String {
    let said = output(Command::new(program).args(args));
    let first = said.ok().and_then(|text| Some(text.lines().next()?.trim().to_owned()));
    first.unwrap_or_else(|| "unknown".to_owned())
}

/// The version of Slurm, of which some programs say nothing where there is no cluster; `none` without it.
fn slurm() -> String {
    let asked =
        [("srun", "--version"), ("slurmctld", "-V"), ("slurmd", "-V")].map(|(name, how)| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            // Daemons are where only root looks.
            let dirs =
                std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
            let program = dirs.map(|dir| dir.join(name)).find(|program| program.is_file())?;
            Some(ask(&program.display().to_string(), &[how]))
        });
    let mut said = asked.into_iter().flatten();
    let first = said.next().unwrap_or_else(|| "none".to_owned());
    if first == "unknown" { said.find(|said| *said != first).unwrap_or(first) } else { first }
}

/// A line of a file in `/proc` that begins with `field`, behind its colon.
fn proc_field(file: &str, field: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.split_once(':'));
    line.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// What kind of machine this is.
#[must_use]
pub fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}-{cpus}cpu", std::env::consts::ARCH)
}

/// The head of a record.
#[must_use]
pub fn head(mobula: &Path) -> Value {
    json!({
        "machine": machine(),
        "cpu": proc_field("/proc/cpuinfo", "model name"),
        "cpus": std::thread::available_parallelism().map_or(1, usize::from),
        "mask": proc_field("/proc/self/status", "Cpus_allowed_list"),
        "kernel": ask("uname", &["-sr"]),
        "compiler": ask("cc", &["--version"]),
        "mpi": ask("mpirun", &["--version"]),
        "versions": {
            "mobula": ask(&mobula.display().to_string(), &["--version"]),
            "guest-compiler": ask("clang-19", &["--version"]),
            "rustc": ask("rustc", &["--version"]),
            "slurm": slurm(),
        },
        "commit": ask("git", &["describe", "--always", "--dirty", "--exclude=*"]),
        "date": ask("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
    })
}

/// Appends the rows to the records of this machine and day below `dir`; returns the file with the JSON.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path, head: &Value, rows: &[Row]) -> Result<PathBuf> {
    let dir = dir.join(machine());
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let date = head["date"].as_str().unwrap_or("unknown");
    let day = date.split('T').next().unwrap_or(date);
    let rows = rows.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;

    let mut lines = format!("{head}\n");
    rows.iter().for_each(|row| lines += &format!("{row}\n"));
    let file = dir.join(format!("{day}.jsonl"));
    append(&file, lines.as_bytes())?;

    let csv = dir.join(format!("{day}.csv"));
    let mut table = csv::Writer::from_writer(Vec::new());
    let columns: Vec<_> = ["date", "commit"].iter().chain(COLUMNS).copied().collect();
    // A file of another version gets a head line of its own for what follows.
    let before = std::fs::read_to_string(&csv).unwrap_or_default();
    let head_line = before.lines().rfind(|line| line.starts_with("date,commit,"));
    if head_line != Some(&columns.join(",")) {
        table.write_record(&columns)?;
    }
    let empty = Map::new();
    for row in rows.iter().map(|row| row.as_object().unwrap_or(&empty)) {
        let field = |name: &&str| match row.get(*name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let commit = head["commit"].as_str().unwrap_or("unknown");
        let line = [date.to_owned(), commit.to_owned()];
        table.write_record(line.into_iter().chain(COLUMNS.iter().map(field)))?;
    }
    append(&csv, &table.into_inner().context("finishing the table")?)?;
    Ok(file)
}

fn append(file: &Path, bytes: &[u8]) -> Result<()> {
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
    opened
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Samples, rows};

    #[test]
    fn a_record_holds_its_head_and_all_rows_twice_and_is_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let (mut ours, mut peer) = (Samples::default(), Samples::default());
        ours.add("call", "ns", 4.0);
        peer.add("call", "ns", 8.0);
        let rows = rows("b", &ours, Some(("p", &peer)));
        let head = json!({ "machine": "m", "commit": "c", "date": "2026-01-02T03:04:05Z" });
        let file = write(dir.path(), &head, &rows).unwrap();
        write(dir.path(), &head, &rows).unwrap();

        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!((lines.len(), &lines[2]), (4, &head));
        assert_eq!((&lines[1]["ratio"], &lines[3]["peer"]), (&json!(0.5), &json!("p")));

        let csv = std::fs::read_to_string(file.with_extension("csv")).unwrap();
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("date,commit,bench,metric,"));
        assert!(
            lines[2].starts_with("2026-01-02T03:04:05Z,c,b,call,") && lines[2].ends_with(",0.5,,")
        );
    }
}
