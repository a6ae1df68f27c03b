//! `mobula doctor`: looks at everything a run depends on, and says what to do.
//!
//! Each check tries the thing itself where that is possible (a reservation, a file in a directory)
//! and reads a setting only to name the remedy. A *problem* makes runs fail; a *warning* makes them
//! slower or takes something away.

mod machine;
mod memory;
mod tools;

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use crate::cli::node::DoctorArgs;
use crate::say;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    Warning,
    Problem,
}

/// One check: what was looked at, what was found, what to do.
#[derive(Debug, Serialize)]
pub struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: found.into(), remedy: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { name, verdict: Verdict::Warning, found: found.into(), remedy }
    }

    fn problem(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, ..Self::warning(name, found, remedy) }
    }
}

pub fn run(args: &DoctorArgs) -> Result<u8> {
    let mut checks = machine::checks();
    checks.extend(memory::checks());
    checks.extend(tools::checks(args.store.as_deref()));
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let (problems, warnings) = (count(Verdict::Problem), count(Verdict::Warning));
    if args.json {
        let all = json!({ "checks": checks, "problems": problems, "warnings": warnings });
        say(serde_json::to_string_pretty(&all)?)?;
    } else {
        say(format_args!("{}{problems} problems, {warnings} warnings", text(&checks)))?;
    }
    Ok(u8::from(problems > 0))
}

fn text(checks: &[Check]) -> String {
    let mut out = String::new();
    for check in checks {
        let mark = match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Problem => "PROBLEM",
        };
        let _ = writeln!(out, "{mark:<8} {:<22} {}", check.name, check.found);
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(out, "{:<31} → {remedy}", "");
        }
    }
    out
}

/// A setting of the kernel, without white space around it.
fn setting(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// Bytes as people read them.
fn human(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let fits = units.iter().find(|(_, shift)| bytes >> shift > 0);
    fits.map_or_else(
        || format!("{bytes} bytes"),
        |(unit, shift)| format!("{:.1} {unit}", bytes as f64 / f64::from(1u32 << shift)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        assert_eq!(human(1536), "1.5 KiB");
        assert_eq!((human(3 << 30), human(12)), ("3.0 GiB".into(), "12 bytes".into()));
    }
}
