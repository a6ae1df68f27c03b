//! How functions reach ranks: rank 0 reads and compiles, the others ask for what was compiled.
//!
//! ```text
//!                rank 0 (files, store, compiler)
//!               ╱          ╲                        a rank asks its parent, which asks its own:
//!      first of host 1   first of host 2   …        a binomial tree over hosts, then over the
//!        ╱      ╲                                   ranks of a host
//!     rank       rank
//! ```
//!
//! So no file is opened but by rank 0, and nobody sends the code more often than the logarithm of the
//! number of ranks. A rank whose processor is of another kind than its parent's gets the module
//! itself and compiles it, for all below it too.
//!
//! Invariants: a function has the same number on all ranks, given by rank 0; each is asked for once.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Reply, Request};
use crate::error::RuntimeError;
use crate::fabric::{Body, Job, RankId};
use crate::module::Artifact;
use crate::runtime::Rank;
use crate::sched::{Ready, Work};

/// Which function is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Which {
    /// The one of that number.
    Number(u32),
    /// The one of that user and name.
    Named(String, String),
}

/// A function on its way; the body is its artifact, or its module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Shipped {
    pub(crate) number: u32,
    pub(crate) user: String,
    pub(crate) name: String,
    /// Whether the body is compiled code; else it is the module, or the file of a Python function.
    pub(crate) compiled: bool,
}

/// Whom a rank asks for functions; rank 0 asks nobody.
pub(crate) fn parent(job: &Job, rank: RankId) -> Option<RankId> {
    let near = job.ranks_on(job.host_of(rank));
    let place = near.iter().position(|&r| r == rank)?;
    if place > 0 {
        return Some(near[above(place)]);
    }
    // The first of its host. Rank 0's host comes first, the others in the order of their numbers.
    let first = job.host_of(0);
    let mut hosts: Vec<u32> = (0..job.names.len() as u32).filter(|&h| h != first).collect();
    hosts.insert(0, first);
    let place = hosts.iter().position(|&host| host == job.host_of(rank))?;
    (place > 0).then(|| job.ranks_on(hosts[above(place)])[0])
}

/// The parent of place `n` > 0 in a binomial tree: `n` without its lowest bit.
fn above(n: usize) -> usize {
    n & (n - 1)
}

/// What compiled code must be made for to run here.
pub(crate) fn kind(engine: &wasmtime::Engine) -> u64 {
    // DefaultHasher::new() has fixed keys, so that all ranks of one version agree.
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

impl Rank {
    /// The number of a function of the job's, which is here afterwards.
    pub(crate) async fn obtain(&self, which: Which) -> Result<u32, RuntimeError> {
        if let Some(number) = self.number_of(&which) {
            return Ok(number);
        }
        let parent = self.remote.as_ref().and_then(|r| Some((r, parent(r.job(), r.job().rank)?)));
        let Some((remote, parent)) = parent else {
            // Rank 0 has all there are, or finds them in the store.
            return match which {
                Which::Named(user, name) => self.find_function(&user, &name),
                Which::Number(number) => Err(RuntimeError::Job(format!("no function {number}"))),
            };
        };
        let _turn = remote.obtaining.lock().await;
        if let Some(number) = self.number_of(&which) {
            return Ok(number);
        }
        let request = Request::Function(which, kind(&self.engine));
        match remote.ask(parent, request, Body::None, None).await {
            (Reply::Function(Ok(shipped)), body) => {
                let bytes = body.into_bytes();
                let title = || format!("{}/{}", shipped.user, shipped.name);
                let added = if shipped.compiled {
                    Artifact::from_bytes(&self.engine, &bytes)
                        .map(|artifact| (artifact, None))
                        .ok_or_else(|| RuntimeError::Job(format!("{}: damaged code", title())))
                } else {
                    self.code_of(&shipped.name, &bytes).map_err(RuntimeError::from)
                };
                let wasm = if shipped.compiled { Vec::new() } else { bytes };
                let place = (Some(shipped.number), &*shipped.user, &*shipped.name);
                Ok(self.add_function(place, added?, wasm.into())?)
            }
            (Reply::Function(Err(why)), _) => Err(RuntimeError::Job(why)),
            _ => Err(RuntimeError::Job("a function was asked for, something else came".into())),
        }
    }

    fn number_of(&self, which: &Which) -> Option<u32> {
        match which {
            Which::Number(number) => self.has_function(*number).then_some(*number),
            Which::Named(user, name) => self.function_number(user, name),
        }
    }

    /// Answers who asks for a function for processors of `kind`.
    pub(super) async fn ship(&self, which: Which, wanted: u64) -> (Reply, Body) {
        let number = match self.obtain(which).await {
            Ok(number) => number,
            Err(err) => return (Reply::Function(Err(err.to_string())), Body::None),
        };
        let function = self.function(number);
        // The interpreter is large and on every host.
        let compiled = wanted == kind(&self.engine) && function.script.is_none();
        let bytes =
            if compiled { function.artifact.to_bytes() } else { self.wasm_of(number).await };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(why) => return (Reply::Function(Err(why)), Body::None),
        };
        let (user, name) = (function.user.to_string(), function.name.to_string());
        (Reply::Function(Ok(Shipped { number, user, name, compiled })), Body::of(bytes))
    }

    /// The module itself, from whoever above still has it.
    async fn wasm_of(&self, number: u32) -> Result<Vec<u8>, String> {
        let function = self.function(number);
        if !function.wasm.is_empty() {
            return Ok(function.wasm.to_vec());
        }
        let Some(remote) = &self.remote else { return Err("the module was not kept".into()) };
        let Some(parent) = parent(remote.job(), remote.job().rank) else {
            return Err("the module was not kept".into());
        };
        // No processor has this kind, so that the module itself comes.
        let request = Request::Function(Which::Number(number), 0);
        match remote.ask(parent, request, Body::None, None).await {
            (Reply::Function(Ok(_)), body) => Ok(body.into_bytes()),
            (Reply::Function(Err(why)), _) => Err(why),
            _ => Err("a module was asked for, something else came".into()),
        }
    }

    /// Gets the function of a call that another rank sent, then queues the call.
    pub(super) async fn fetch_and_push(self: Arc<Self>, call: Ready) {
        match self.obtain(Which::Number(call.function())).await {
            Ok(_) => self.scheduler.push(Work::Call(call)),
            Err(err) => {
                let line = format!("mobula: a call from another rank was refused: {err}\n");
                // A closed stderr leaves nobody to tell.
                let _ = self.stdio.write(crate::stdio::Stream::Stderr, line.as_bytes());
                self.complete(call.slot, crate::call::RC_REFUSED, Vec::new());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_below_rank_0_and_nobody_far_below() {
        let layouts: [Vec<u32>; 4] = [
            (0..64).collect(),
            (0..64).map(|rank| rank / 8).collect(),
            (0..64).map(|rank| rank % 8).collect(),
            vec![0; 64],
        ];
        for hosts in layouts {
            let names = vec![String::new(); *hosts.iter().max().unwrap() as usize + 1];
            let job = Job { rank: 0, hosts, names, id: String::new() };
            assert_eq!(parent(&job, 0), None);
            for rank in 1..64 {
                let (mut at, mut steps, mut far) = (rank, 0, 0);
                while let Some(next) = parent(&job, at) {
                    far += u32::from(job.host_of(next) != job.host_of(at));
                    (at, steps) = (next, steps + 1);
                    assert!(steps <= 6, "{rank} is {steps} steps from rank 0");
                }
                assert_eq!(at, 0);
                assert!(far <= 6);
            }
        }
    }
}
