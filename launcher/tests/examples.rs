//! Every example says at its top how it is compiled and run and what it prints; here that is tried.

mod common;

use std::path::Path;

#[test]
fn every_example_prints_what_it_says() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-lib/examples");
    for (folder, least) in [("", 16), ("chain_named", 1)] {
        let dir = tempfile::tempdir().unwrap();
        let sources = common::copy_sources(&examples.join(folder), dir.path());
        let tried = sources.iter().filter(|source| common::try_source(source, dir.path())).count();
        assert!(tried >= least, "{tried} examples in {folder:?} have a run line");
    }
}
