//! How a rank is to be run: everything that a launcher may choose, in one typed place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::module::Cache;
use crate::python::Interpreter;
use crate::scratch::OnScratch;
use crate::store::Store;

/// A host directory that guests may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dir {
    /// Path on the host.
    pub host: PathBuf,
    /// Path in the guest.
    pub guest: String,
    /// Whether the guest may only read.
    pub read_only: bool,
}

/// Configuration of one rank. `Config::default()` runs on every CPU of the affinity mask.
#[derive(Debug, Clone)]
pub struct Config {
    /// Worker threads; at least 1.
    pub threads: usize,
    /// CPUs to pin the threads to, one each; empty for no pinning.
    pub cpus: Vec<usize>,
    /// NUMA node for the arena; `None` for wherever memory is touched first.
    pub numa_node: Option<u32>,
    /// Most bytes of a guest's own memory, windows not counted.
    pub max_memory: usize,
    /// Longest run of one call, from its start; `None` for no limit (and no checks in guest code).
    pub timeout: Option<Duration>,
    /// Most faaslets alive at once.
    pub max_faaslets: usize,
    /// Flags that are on (`getConfFlag`).
    pub conf: BTreeSet<String>,
    /// Directories that guests see.
    pub dirs: Vec<Dir>,
    /// Environment of the guests.
    pub env: BTreeMap<String, String>,
    /// Whether pushes find out by themselves what was stored through windows, flagged or not. Each page
    /// costs a page fault at its first store after a push.
    pub track_writes: bool,
    /// Where private `/tmp` directories of calls are made; `None` for no `/tmp`.
    pub scratch: Option<PathBuf>,
    /// Told of the directory that holds them, when it is made.
    pub on_scratch: Option<OnScratch>,
    /// Arguments of main, the program's name first.
    pub args: Vec<String>,
    /// The BLAS of the system that guests' `mobulaBlas` functions use: a file, a name that the loader
    /// finds, or `system`; `None` for the kernels that are built in.
    pub blas: Option<PathBuf>,
    /// Where compiled modules are kept.
    pub cache: Cache,
    /// Version of Mobula; ranks of another one are refused.
    pub version: String,
    /// What the job was told to run; ranks that were told something else are refused.
    pub launch: String,
    /// How long another rank may be silent before it counts as gone.
    pub peer_timeout: Duration,
    /// The interpreter of Python functions; `None` where there are none.
    pub python: Option<Interpreter>,
    /// Where functions and state come from that this run was not given; `None` for nowhere.
    pub store: Option<Arc<dyn Store>>,
}

impl Default for Config {
    fn default() -> Self {
        let cpus = allowed_cpus();
        Self {
            threads: cpus.len().max(1),
            cpus,
            numa_node: None,
            max_memory: limits::GUEST_BYTES,
            timeout: None,
            max_faaslets: default_max_faaslets(),
            conf: BTreeSet::new(),
            dirs: Vec::new(),
            env: BTreeMap::new(),
            track_writes: false,
            scratch: Some(std::env::temp_dir()),
            on_scratch: None,
            args: Vec::new(),
            blas: None,
            cache: Cache::none(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            launch: String::new(),
            peer_timeout: limits::PEER_TIMEOUT,
            python: None,
            store: None,
        }
    }
}

/// The CPUs of this process's affinity mask.
#[must_use]
pub fn allowed_cpus() -> Vec<usize> {
    let mask = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0));
    mask.map_or_else(
        |_| Vec::new(),
        |set| (0..nix::sched::CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect(),
    )
}

/// As many faaslets as the kernel's limit on mappings allows, leaving some for everything else.
fn default_max_faaslets() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let maps = text.ok().and_then(|t| t.trim().parse::<usize>().ok()).unwrap_or(65_530);
    (maps.saturating_sub(2000) / limits::MAPPINGS_PER_FAASLET).max(64)
}
