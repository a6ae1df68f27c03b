//! Guest modules: rewritten once, compiled ahead of time, cached on disk.

pub(crate) mod artifact;
pub(crate) mod rewrite;
mod stamp;

pub use artifact::{Artifact, Cache};
pub use rewrite::ModuleInfo;
