//! State of several ranks, on one host and on several, by what guests see.

mod common;
mod ranks;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{threads, watchdog};
use mobula_runtime::{Config, Outcome};
use ranks::{CHUNK, Do, JOBS, Job, with_job};

/// Keys whose owners differ.
const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
/// A value with chunks at home on several ranks.
const LARGE: usize = 48 * CHUNK + 1000;

fn each_job(test: fn(&Job)) {
    for (hosts, delay) in JOBS {
        with_job(hosts, delay, move |job| test(&job));
    }
}

#[test]
fn what_is_pushed_is_seen_everywhere_after_a_pull() {
    each_job(|job| {
        let last = job.size() - 1;
        for key in KEYS {
            job.write_at(0, key, 1000, 10, b"first");
            job.push(0, key);
            for rank in 0..job.size() {
                assert_eq!(job.read_at(rank, key, 1000, 10, 5), b"first", "{key} on {rank}");
            }
            job.store(last, key, 1000, 12, b"RST");
            job.push(last, key);
            for rank in 0..job.size() {
                job.pull(rank, key, 1000);
                assert_eq!(job.read_at(rank, key, 1000, 8, 9), b"\0\0fiRST\0\0", "{key} on {rank}");
            }
        }
    });
}

#[test]
fn ranks_of_one_host_share_the_bytes_without_push_or_pull() {
    with_job(&[0, 0, 0], 300, |job| {
        for key in KEYS {
            job.store(1, key, LARGE, 20 * CHUNK - 3, b"shared");
            for rank in 0..3 {
                assert_eq!(job.read_at(rank, key, LARGE, 20 * CHUNK - 3, 6), b"shared");
            }
        }
        let moved = |job: &Job| {
            job.ranks
                .iter()
                .map(|r| r.own_report().pulled_bytes + r.report().pushed_bytes)
                .sum::<u64>()
        };
        job.push(1, "a");
        assert_eq!(moved(&job), 0, "on one host nothing travels");
    });
}

#[test]
fn a_large_value_is_filled_chunk_by_chunk_and_pushed_by_what_changed() {
    with_job(&[0, 1], 0, |job| {
        job.write_at(0, "v", LARGE, 0, &[7; 3]);
        // Which half is whose, by what it costs to read a byte.
        let cost = |job: &Job, rank: usize, at: usize| {
            let before = job.ranks[rank].own_report().pulled_bytes;
            job.read_at(rank, "v", LARGE, at, 1);
            job.ranks[rank].own_report().pulled_bytes - before
        };
        let ats = [CHUNK / 2, 40 * CHUNK];
        let costs = [0, 1].map(|rank| ats.map(|at| cost(&job, rank, at)));
        let chunk = CHUNK as u64;
        assert!(
            costs == [[0, chunk], [chunk, 0]] || costs == [[chunk, 0], [0, chunk]],
            "each has one half at home and fetches one chunk of the other: {costs:?}"
        );
        assert_eq!([0, 1].map(|rank| ats.map(|at| cost(&job, rank, at))), [[0, 0], [0, 0]], "once");
        // One byte in a chunk of the other's: a push sends about that.
        let (rank, at) = if costs[0][1] > 0 { (0, ats[1]) } else { (1, ats[1]) };
        job.store(rank, "v", LARGE, at, b"x");
        job.push(rank, "v");
        let report = job.ranks[rank].own_report();
        assert!(report.pushed_bytes < 100, "{} bytes for one", report.pushed_bytes);
        job.pull(1 - rank, "v", LARGE);
        assert_eq!(job.read_at(1 - rank, "v", LARGE, at, 1), b"x");
    });
}

#[test]
fn one_changed_byte_of_a_gibibyte_moves_no_more_than_two_chunks() {
    with_job(&[0, 1], 0, |job| {
        let total = 1 << 30;
        for (rank, at) in [(0, 100), (1, 100), (0, total - 100), (1, total - 100)] {
            let moved = |job: &Job| {
                let report = job.ranks[rank].own_report();
                report.pushed_bytes + report.pulled_bytes
            };
            let before = moved(&job);
            job.act(rank, Do::StoreAndFlag, "v", [total as i32, at as i32, 0, 0], b"x");
            job.push(rank, "v");
            let moved = moved(&job) - before;
            assert!(moved <= 2 * CHUNK as u64, "{moved} bytes by rank {rank} at {at}");
            job.pull(1 - rank, "v", total);
            assert_eq!(job.read_at(1 - rank, "v", total, at, 1), b"x");
        }
    });
}

#[test]
fn memory_is_there_for_chunks_at_home_and_present_only() {
    with_job(&[0, 1, 2], 0, |job| {
        let total = 3 * 64 * CHUNK;
        job.read_at(0, "v", total, 0, 1);
        job.on_all(|rank| drop(job.read_at(rank, "v", total, 0, 1)));
        for (rank, runtime) in job.ranks.iter().enumerate() {
            let bytes = runtime.own_report().state_bytes as usize;
            let at_home = 64 * CHUNK;
            let few = 6 * CHUNK;
            assert!((at_home..at_home + few).contains(&bytes), "rank {rank} has {bytes} bytes");
        }
    });
}

#[test]
fn pushes_into_one_chunk_lose_nothing() {
    each_job(|job| {
        let n = job.size();
        for key in KEYS {
            job.on_all(|rank| {
                // Neighbouring bytes of one word, from every rank at once.
                for round in 0..8 {
                    job.store(rank, key, 4096, round * n + rank, &[rank as u8 + 1]);
                    job.push(rank, key);
                }
            });
            let expect: Vec<u8> = (0..8).flat_map(|_| 1..=n as u8).collect();
            for rank in 0..n {
                job.pull(rank, key, 4096);
                assert_eq!(job.read_at(rank, key, 4096, 0, 8 * n), expect, "{key} on {rank}");
            }
        }
    });
}

#[test]
fn what_is_flagged_or_copied_in_is_pushed_also_when_it_is_what_was_there() {
    with_job(&[0, 1], 0, |job| {
        for key in KEYS {
            for overwrite in [Do::StoreAndFlag, Do::WriteAt] {
                job.store(0, key, 4096, 100, &[1, 2, 3, 4, 5, 6, 7, 8]);
                job.push(0, key);
                job.pull(1, key, 4096);
                // The other host has changed all of it; this one has not pulled that, and overwrites it
                // with numbers whose bytes are in part those that it has.
                job.store(1, key, 4096, 100, &[9; 8]);
                job.push(1, key);
                job.act(0, overwrite, key, [4096, 100, 4, 0], &[1, 2, 9, 4]);
                job.push(0, key);
                for rank in [0, 1] {
                    job.pull(rank, key, 4096);
                    let seen = job.read_at(rank, key, 4096, 99, 10);
                    assert_eq!(seen, [0, 1, 2, 9, 4, 9, 9, 9, 9, 0], "{key} on {rank}");
                }
                // A pull between the store and the push does not undo it.
                job.store(1, key, 4096, 100, &[7; 8]);
                job.push(1, key);
                job.act(0, overwrite, key, [4096, 100, 4, 0], &[1, 2, 9, 4]);
                job.pull(0, key, 4096);
                job.push(0, key);
                job.pull(1, key, 4096);
                assert_eq!(job.read_at(1, key, 4096, 100, 8), [1, 2, 9, 4, 7, 7, 7, 7], "{key}");
            }
        }
    });
}

#[test]
fn a_pull_puts_nothing_over_bytes_that_are_copied_in_meanwhile() {
    with_job(&[0, 1], 0, |job| {
        let done = AtomicBool::new(false);
        job.write_at(0, "a", LARGE, 0, &vec![0; LARGE]);
        job.push(0, "a");
        job.pull(1, "a", LARGE);
        std::thread::scope(|scope| {
            // One window is open, which is the pulling call's own: what is clean is fetched into place.
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    job.act(1, Do::LoadPullLoad, "a", [LARGE as i32, 0, 8, 0], &[]);
                }
            });
            for round in 1..=100u8 {
                // Whole chunks: what is kept of none is waited for by nobody.
                job.write_at(1, "a", LARGE, 0, &vec![round; LARGE]);
                let seen = job.read_at(1, "a", LARGE, 0, LARGE);
                let lost = seen.iter().filter(|&&byte| byte != round).count();
                job.push(1, "a");
                if lost > 0 {
                    done.store(true, Ordering::Relaxed);
                }
                assert_eq!(lost, 0, "bytes that were there before round {round}");
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_pull_keeps_what_was_not_pushed_and_refreshes_under_open_windows() {
    with_job(&[0, 1], 0, |job| {
        for key in KEYS {
            for rank in [0, 1] {
                job.read_at(rank, key, 100, 0, 100);
            }
            job.store(0, key, 100, 0, b"zero");
            job.store(1, key, 100, 4, b"one");
            job.push(0, key);
            job.push(1, key);
            job.store(0, key, 100, 50, b"kept");
            job.store(1, key, 100, 60, b"more");
            let got = [0, 1].map(|rank| {
                job.act(rank, Do::LoadPullLoad, key, [100, 0, 8, 0], &[])[8..].to_vec()
            });
            assert_eq!(got, [b"zeroone\0", b"zeroone\0"], "{key}: the same pointer sees it");
            assert_eq!(job.read_at(0, key, 100, 50, 4), b"kept");
            assert_eq!(job.read_at(1, key, 100, 60, 4), b"more");
            job.push(0, key);
            job.push(1, key);
            for rank in [0, 1] {
                job.pull(rank, key, 100);
                assert_eq!(job.read_at(rank, key, 100, 50, 14), b"kept\0\0\0\0\0\0more");
            }
        }
    });
}

#[test]
fn whole_writes_travel_and_resize_everywhere() {
    each_job(|job| {
        let last = job.size() - 1;
        for key in KEYS {
            for (rank, bytes) in [(0, vec![1u8; 10]), (last, vec![2; LARGE]), (0, vec![3; 5])] {
                job.act(rank, Do::Write, key, [0; 4], &bytes);
                job.push(rank, key);
                for rank in 0..job.size() {
                    job.pull(rank, key, bytes.len());
                    let n = LARGE as i32 + 9;
                    let seen = job.act(rank, Do::Read, key, [0, 0, n, 0], &[]);
                    assert!(seen == bytes, "{key} on {rank}: {} bytes", seen.len());
                }
            }
        }
    });
}

#[test]
fn resizes_and_removals_are_refused_while_a_window_is_open_anywhere() {
    each_job(|job| {
        let last = job.size() - 1;
        for key in KEYS {
            job.act(0, Do::Write, key, [0; 4], b"0123456789");
            job.push(0, key);
            let why = job.refusal(last, Do::WriteUnderWindow, key, [10, 0, 0, 0], b"other");
            assert!(why.contains("cannot go from 10 to 5 bytes while a window"), "{why}");
            let why = job.refusal(last, Do::DeleteUnderWindow, key, [10, 0, 0, 0], &[]);
            assert!(why.contains("cannot be deleted while a call has a window"), "{why}");
            let why = job.refusal(last, Do::ReadAt, key, [11, 0, 1, 0], &[]);
            assert!(why.contains("has 10 bytes, not 11"), "{why}");
            assert_eq!(job.read_at(last, key, 10, 0, 10), b"0123456789", "it is as it was");
            job.act(last, Do::Delete, key, [0; 4], &[]);
            for rank in 0..job.size() {
                let size = job.act(rank, Do::Read, key, [0, 0, 0, 0], &[]).len();
                assert_eq!(size, 0, "{key} is gone on {rank}");
            }
            let why = job.refusal(0, Do::Push, key, [0; 4], &[]);
            assert!(why.contains("has no value yet"), "{why}");
            assert_eq!(job.read_at(0, key, 7, 0, 7), [0; 7], "a new one may have another length");
        }
    });
}

#[test]
fn masked_pushes_send_masked_bytes_and_no_others_ever() {
    each_job(|job| {
        let n = job.size();
        for (key, mask) in [("a", "m1"), ("b", "m2"), ("c", "m3")] {
            for rank in 0..n {
                job.read_at(rank, key, 100, 0, 1);
            }
            let by = n - 1;
            job.store(by, key, 100, 0, b"abcdef");
            job.store(by, mask, 100, 0, &[0, 1, 0, 255, 0, 0]);
            job.act(by, Do::PushMasked, &format!("{key}/{mask}"), [0; 4], &[]);
            assert_eq!(job.read_at(by, mask, 100, 0, 6), [0; 6], "the mask is zero again");
            job.store(by, key, 100, 10, b"later");
            job.push(by, key);
            let own = job.read_at(by, key, 100, 0, 6);
            assert_eq!(own, b"abcdef", "what was stored stays here until a pull");
            // A rank of another host sees the masked bytes, and what was pushed later.
            if job.host(0) != job.host(by) {
                job.pull(0, key, 100);
                let seen = job.read_at(0, key, 100, 0, 15);
                let home_is_there = seen.starts_with(b"abcdef");
                assert!(home_is_there || seen.starts_with(b"\0b\0d\0\0"), "{seen:?}");
                assert_eq!(&seen[10..], b"later");
            }
            let why = job.refusal(0, Do::PushMasked, &format!("{key}/zz"), [0; 4], &[]);
            assert!(why.contains("has no value yet"), "{why}");
        }
    });
}

#[test]
fn merge_pushes_of_all_types_and_operations_combine() {
    each_job(|job| {
        let n = job.size() as i64;
        for element in 0..4 {
            for op in 0..3 {
                let (key, size) = (format!("m{element}{op}"), if element % 2 == 0 { 4 } else { 8 });
                let bytes = |x: f64| match element {
                    0 => (x as i32).to_le_bytes().to_vec(),
                    1 => (x as i64).to_le_bytes().to_vec(),
                    2 => (x as f32).to_le_bytes().to_vec(),
                    _ => x.to_le_bytes().to_vec(),
                };
                let total = 16 * size;
                job.write_at(0, &key, total, 0, &bytes(100.0).repeat(16));
                job.push(0, &key);
                job.on_all(|rank| {
                    let x = rank as f64 + 1.0;
                    let own = if op == 0 { x } else { 100.0 + if op == 1 { -x } else { x } };
                    let numbers = [total as i32, 0, element, op];
                    for _ in 0..3 {
                        job.act(rank, Do::Merge, &key, numbers, &bytes(own).repeat(16));
                        job.act(rank, Do::PushMerge, &key, [element, op, 0, 0], &[]);
                    }
                });
                let expect = match op {
                    0 => 100.0 + 3.0 * (n * (n + 1) / 2) as f64,
                    1 => 100.0 - n as f64,
                    _ => 100.0 + n as f64,
                };
                for rank in 0..job.size() {
                    job.pull(rank, &key, total);
                    let seen = job.read_at(rank, &key, total, 0, total);
                    assert_eq!(seen, bytes(expect).repeat(16), "type {element} op {op} on {rank}");
                }
            }
        }
    });
}

#[test]
fn appends_from_all_ranks_are_there_once_each_in_one_order() {
    each_job(|job| {
        for key in KEYS {
            job.on_all(|rank| {
                for i in 0..10u8 {
                    job.act(rank, Do::Append, key, [0; 4], &[rank as u8, i]);
                }
            });
            let n = job.size() * 10;
            let read = |rank| job.act(rank, Do::Appended, key, [n as i32, 0, 2 * n as i32, 0], &[]);
            let all = read(0);
            for rank in 0..job.size() {
                assert_eq!(read(rank), all, "one order");
                let mine = all.chunks(2).filter(|record| record[0] == rank as u8);
                assert!(mine.map(|record| record[1]).eq(0..10), "each once, in its order");
            }
            job.act(job.size() - 1, Do::Clear, key, [0; 4], &[]);
            let why = job.refusal(0, Do::Appended, key, [1, 0, 100, 0], &[]);
            assert!(why.contains("has 0 appended elements"), "{why}");
        }
    });
}

#[test]
fn global_locks_exclude_in_the_whole_job() {
    each_job(|job| {
        for key in ["a", "b", "c"] {
            job.on_all(|rank| drop(job.act(rank, Do::CountGlobal, key, [10, 8, 100, 0], &[])));
            job.pull(0, key, 100);
            let count = job.read_at(0, key, 100, 8, 4);
            assert_eq!(count, (10 * job.size() as i32).to_le_bytes(), "{key}");
        }
    });
}

#[test]
fn write_locks_exclude_on_each_host() {
    with_job(&[0, 0, 1, 1], 200, |job| {
        for key in ["a", "b", "c"] {
            // Each host counts in its own copy, from the same start.
            (0..4).for_each(|rank| drop(job.read_at(rank, key, 100, 8, 4)));
            job.on_all(|rank| drop(job.act(rank, Do::CountLocal, key, [25, 8, 100, 0], &[])));
            for rank in 0..4 {
                let count = job.read_at(rank, key, 100, 8, 4);
                assert_eq!(count, 50i32.to_le_bytes(), "{key} on {rank}: two ranks a host");
            }
        }
    });
}

#[test]
fn a_call_that_traps_gives_its_lock_back() {
    each_job(|job| {
        for key in KEYS {
            for rank in 0..job.size() {
                let outcome = job.run(rank, Do::LockAndTrap, key, [0; 4], &[]).outcome;
                assert!(matches!(outcome, Outcome::Trapped(_)), "{outcome:?}");
            }
            job.act(0, Do::CountGlobal, key, [1, 0, 4, 0], &[]);
        }
    });
}

#[test]
fn calls_that_time_out_while_they_hold_or_wait_leave_no_lock_behind() {
    let timeout = Some(Duration::from_millis(150));
    let config = move |_| Config { timeout, ..threads(1) };
    watchdog(move || {
        let job = Job::with(&[0, 1, 1, 2], Duration::from_micros(200), 5, config);
        for key in KEYS {
            // One holds it until its time is up; others may get it after that, or run out of time.
            job.on_all(|rank| {
                let what = if rank % 2 == 0 { Do::LockAndSpin } else { Do::CountGlobal };
                let outcome = job.run(rank, what, key, [1, 0, 4, 0], &[]).outcome;
                let ended = matches!(outcome, Outcome::TimedOut(_) | Outcome::Returned(0));
                assert!(ended, "{outcome:?}");
            });
        }
        drop(job);
        // Without a time limit the lock must come.
        let job = Job::with(&[0, 1, 1, 2], Duration::from_micros(200), 5, move |rank| Config {
            timeout: timeout.filter(|_| rank == 0),
            ..threads(1)
        });
        for key in KEYS {
            let outcome = job.run(0, Do::LockAndSpin, key, [0; 4], &[]).outcome;
            assert!(matches!(outcome, Outcome::TimedOut(_)), "{outcome:?}");
            for rank in [3, 1, 2] {
                job.act(rank, Do::CountGlobal, key, [1, 0, 4, 0], &[]);
            }
        }
    });
}

#[test]
fn sixty_four_ranks_agree() {
    let hosts: Vec<u32> = (0..64).map(|rank| rank / 16).collect();
    with_job(&hosts, 0, |job| {
        job.on_all(|rank| {
            job.store(rank, "k", 64, rank, &[rank as u8 + 1]);
            job.push(rank, "k");
            job.act(rank, Do::Append, "log", [0; 4], &[rank as u8]);
            job.act(rank, Do::CountGlobal, "n", [1, 0, 4, 0], &[]);
        });
        let all: Vec<u8> = (1..=64).collect();
        for rank in 0..64 {
            job.pull(rank, "k", 64);
            assert_eq!(job.read_at(rank, "k", 64, 0, 64), all);
            job.pull(rank, "n", 4);
            assert_eq!(job.read_at(rank, "n", 4, 0, 4), 64i32.to_le_bytes());
        }
        let mut log = job.act(63, Do::Appended, "log", [64, 0, 64, 0], &[]);
        log.sort_unstable();
        assert!(log.into_iter().eq(0..64));
    });
}
