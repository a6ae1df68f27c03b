//! State of several ranks from outside: a store behind rank 0, whole values read and written by whoever
//! is no guest, and windows of one rank pushed by another.

mod common;
mod ranks;

use std::sync::Arc;
use std::time::Duration;

use common::{threads, watchdog};
use mobula_runtime::{Config, Records, Store, StoreError, StoredValue};
use ranks::{CHUNK, Do, Job, with_job};

const LARGE: usize = 40 * CHUNK + 77;

/// A value "v" that no two bytes next to each other of are alike, records of "log", nothing else.
#[derive(Debug)]
struct Shelf {
    /// Whether reading "v" ends too early.
    torn: bool,
}

fn stored() -> Vec<u8> {
    (0..LARGE).map(|i| (i % 251) as u8).collect()
}

impl Store for Shelf {
    fn function(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn function_names(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn value(&self, user: &str, key: &[u8]) -> Result<Option<StoredValue>, StoreError> {
        let mut bytes = stored();
        bytes.truncate(LARGE - usize::from(self.torn));
        let bytes = Box::new(std::io::Cursor::new(bytes));
        Ok(((user, key) == ("u", b"v")).then(|| StoredValue { len: LARGE as u64, bytes }))
    }

    fn records(&self, _: &str, key: &[u8]) -> Result<Option<Records>, StoreError> {
        let mut records = Records::default();
        records.push(b"old");
        Ok((key == b"log").then_some(records))
    }
}

fn with_store(hosts: &'static [u32], torn: bool, test: impl FnOnce(Job) + Send + 'static) {
    let config = move |rank| Config {
        store: (rank == 0).then(|| Arc::new(Shelf { torn }) as Arc<dyn Store>),
        ..threads(1)
    };
    watchdog(move || test(Job::with(hosts, Duration::from_micros(100), 3, config)));
}

#[test]
fn a_stored_value_comes_to_its_homes_at_its_first_use_anywhere() {
    for hosts in [&[0, 0][..], &[0, 1, 2]] {
        with_store(hosts, false, |job| {
            job.on_all(|rank| {
                let expect = stored();
                for at in [0, 20 * CHUNK - 5, LARGE - 10] {
                    assert_eq!(job.read_at(rank, "v", LARGE, at, 10), expect[at..at + 10]);
                }
                let size = job.act(rank, Do::Read, "none", [0, 0, 0, 0], &[]).len();
                assert_eq!(size, 0, "what the store lacks has no value");
            });
            let last = job.size() - 1;
            let why = job.refusal(last, Do::ReadAt, "v", [5, 0, 1, 0], &[]);
            assert!(why.contains(&format!("has {LARGE} bytes, not 5")), "{why}");
            job.act(last, Do::Append, "log", [0; 4], b"new");
            let all = job.act(0, Do::Appended, "log", [2, 0, 6, 0], &[]);
            assert_eq!(all, b"oldnew");
        });
    }
}

#[test]
fn a_stored_value_that_cannot_be_read_is_refused_and_stays_unknown() {
    with_store(&[0, 1], true, |job| {
        for rank in [0, 1, 0] {
            let why = job.refusal(rank, Do::ReadAt, "v", [LARGE as i32, 0, 1, 0], &[]);
            assert!(why.contains("it does not have the") && why.contains("\"v\""), "{why}");
        }
        job.act(1, Do::Write, "v", [0; 4], b"new");
        job.push(1, "v");
        assert_eq!(job.read_at(0, "v", 3, 0, 3), b"new", "a whole write replaces it");
    });
}

#[test]
fn rank_0_finds_every_ranks_state_when_all_is_done() {
    with_store(&[0, 1, 1], false, |job| {
        for (rank, key) in [(1, "a"), (2, "b"), (0, "c"), (1, "d")] {
            job.write_at(rank, key, 10, 1, key.as_bytes());
            job.push(rank, key);
            job.act(rank, Do::Append, "log", [0; 4], key.as_bytes());
        }
        job.act(2, Do::Delete, "v", [0; 4], &[]);
        job.act(2, Do::Delete, "d", [0; 4], &[]);
        let state = job.ranks[0].state();
        let users = state.users();
        assert_eq!(users.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["u"]);
        let user = &users[0].1;
        let mut values = user.values();
        values.sort_by(|a, b| a.key().cmp(b.key()));
        let seen = values.iter().map(|value| {
            let mut bytes = vec![0; 10];
            user.read(value, 0, &mut bytes).unwrap();
            (value.key().to_vec(), bytes[1])
        });
        assert!(seen.eq([b"a", b"b", b"c"].map(|key| (key.to_vec(), key[0]))));
        let mut vacant = user.vacant();
        vacant.sort();
        assert_eq!(vacant, [b"d", b"v"]);
        let records = user.all_records();
        let log = &records.iter().find(|(key, _)| key == b"log").expect("it is there").1;
        assert_eq!(log.iter().collect::<Vec<_>>(), [&b"old"[..], b"a", b"b", b"c", b"d"]);
    });
}

#[test]
fn whole_values_go_straight_to_their_homes_and_back() {
    with_job(&[0, 1, 2], 0, |job| {
        let user = job.ranks[0].state().user("u");
        let value = user.for_whole_write(b"w", LARGE as u64).unwrap();
        let bytes = stored();
        for at in (0..LARGE).step_by(300_000) {
            user.write(&value, at, &bytes[at..(at + 300_000).min(LARGE)]).unwrap();
        }
        let has = job.ranks[0].own_report().state_bytes as usize;
        assert!(has < LARGE / 2, "rank 0 has {has} bytes: its share, not all");
        job.on_all(|rank| {
            let seen = job.read_at(rank, "w", LARGE, 7 * CHUNK, 30 * CHUNK);
            assert!(seen == bytes[7 * CHUNK..37 * CHUNK], "on {rank}");
        });
        let mut seen = vec![0; 1000];
        user.read(&value, LARGE - 1000, &mut seen).unwrap();
        assert!(seen == bytes[LARGE - 1000..]);
        assert!(user.read(&value, LARGE - 999, &mut seen).is_err());
    });
}

#[test]
fn a_push_finds_what_other_ranks_of_the_host_stored_through_windows() {
    with_job(&[0, 0, 0, 1], 300, |job| {
        for key in ["a", "b", "c", "d", "e", "f"] {
            for (rank, at) in [(0, 3), (1, 5), (2, CHUNK)] {
                job.store(rank, key, 2 * CHUNK, at, &[rank as u8 + 1]);
            }
            job.push(1, key);
            job.pull(3, key, 2 * CHUNK);
            let seen = job.read_at(3, key, 2 * CHUNK, 0, CHUNK + 1);
            assert_eq!([seen[3], seen[5], seen[CHUNK]], [1, 2, 3], "{key}");
        }
    });
}
