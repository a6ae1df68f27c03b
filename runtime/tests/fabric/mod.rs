//! What every fabric must do, run by each rank of a job: in threads over `Local`, in processes over MPI.
//!
//! A frame's head says who sent it, its number, and the length and the sum of its body; the rest of the
//! head is filled by the same rule. So a receiver can tell whether it is whole, and whether it came once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use mobula_runtime::fabric::{Body, Fabric, HEAD_BYTES, RankId, Receiver};
use mobula_shm::{Alignment, Arena, ArenaOptions, ByteView};

const LIMIT: Duration = Duration::from_secs(60);
/// Words at the start of a head: sender, number, kind, length of the body.
const WORDS: usize = 16;
/// A frame that only counts.
const PLAIN: u32 = 0;
/// One whose body is to land in the receiver's memory.
const LAND: u32 = 1;
/// The same, but the place that the receiver names is too short.
const MISFIT: u32 = 2;
/// One that is answered from within `receive`.
const PING: u32 = 3;
/// The answer.
const PONG: u32 = 4;
/// What heads have that are too short for words.
const SHORT_HEAD: &[u8] = b"!";
/// Frames that a rank sends just before it ends.
const LAST: u32 = 2000;
/// Bytes on both sides of a place that must not change.
const MARGIN: usize = 64;

/// Pseudo-random bytes (Knuth's MMIX generator) that follow from sender, number and length.
fn filling(from: RankId, number: u32, len: usize) -> Vec<u8> {
    let mut x = u64::from(from) << 40 ^ u64::from(number) << 8 ^ len as u64;
    let mut next = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 33) as u8
    };
    // Only the first bytes cost time; the rest repeats them with its place.
    let start: Vec<u8> = (0..len.min(4096)).map(|_| next()).collect();
    (0..len).map(|at| start[at % 4096] ^ (at >> 12) as u8).collect()
}

fn head(from: RankId, number: u32, kind: u32, body: usize, len: usize) -> Vec<u8> {
    let words = [from, number, kind, body as u32];
    let mut head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    head.extend(filling(from, number, len.saturating_sub(WORDS)));
    head
}

fn word(head: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(head[at * 4..at * 4 + 4].try_into().unwrap())
}

/// What a rank has received.
struct Inbox {
    fabric: Weak<dyn Fabric>,
    arena: Arena,
    /// Places by sender and number; kept so that what is around them can be looked at.
    places: Mutex<HashMap<(RankId, u32), ByteView>>,
    seen: Mutex<HashMap<(RankId, u32), u32>>,
    /// Frames whose heads are too short for words, by the head's length.
    short_heads: Mutex<[usize; 2]>,
}

impl Inbox {
    fn count(&self) -> usize {
        self.seen.lock().unwrap().len() + self.short_heads.lock().unwrap().iter().sum::<usize>()
    }
}

impl Receiver for Inbox {
    fn landing(&self, from: RankId, head: &[u8], len: usize) -> Option<ByteView> {
        if head.len() < WORDS || ![LAND, MISFIT].contains(&word(head, 2)) {
            return None;
        }
        let block = self.arena.alloc((len + 2 * MARGIN) as u64, Alignment::Chunk).unwrap();
        block.view().copy_in(0, &vec![0xa5; len + 2 * MARGIN]).unwrap();
        self.places.lock().unwrap().insert((from, word(head, 1)), block.view());
        let short = usize::from(word(head, 2) == MISFIT);
        Some(block.view().sub(MARGIN, len - short).unwrap())
    }

    fn receive(&self, from: RankId, head: &[u8], body: Body) {
        if head.len() < WORDS {
            assert_eq!((head, body.len()), (&SHORT_HEAD[..head.len()], 0));
            self.short_heads.lock().unwrap()[head.len()] += 1;
            return;
        }
        let (number, kind, len) = (word(head, 1), word(head, 2), word(head, 3) as usize);
        assert_eq!(word(head, 0), from, "the sender is who the fabric says");
        assert!(head[WORDS..] == filling(from, number, head.len() - WORDS), "a head is whole");
        assert_eq!(body.len(), len);
        let landed = matches!(body, Body::View(_));
        // Where no bytes lie is of no interest.
        assert!(landed == (kind == LAND) || len == 0, "kind {kind}, {len} bytes");
        assert!(body.into_bytes() == filling(from, number, len), "a body of {len} bytes is whole");
        if let Some(place) = self.places.lock().unwrap().remove(&(from, number)) {
            let start = if landed { MARGIN } else { len + MARGIN };
            let around = [(0, start), (len + MARGIN, MARGIN)];
            let around = around.map(|(at, n)| place.read_vec(at, n).unwrap()).concat();
            let untouched = around.iter().all(|&byte| byte == 0xa5);
            assert!(untouched, "nothing beside a body changed, and nothing where none landed");
        }
        if kind == PING {
            let fabric = self.fabric.upgrade().unwrap();
            let me = fabric.job().rank;
            fabric.send(
                from,
                &self::head(me, number, PONG, 3, 20),
                Body::of(filling(me, number, 3)),
            );
        }
        let before = self.seen.lock().unwrap().insert((from, number), kind);
        assert_eq!(before, None, "a frame comes once");
    }
}

/// Polls until so many frames have come.
fn until(fabric: &Arc<dyn Fabric>, inbox: &Inbox, count: usize) {
    let start = Instant::now();
    while inbox.count() < count {
        if !fabric.poll() {
            std::thread::yield_now();
        }
        let come = inbox.count();
        assert!(start.elapsed() < LIMIT, "{come} of {count} frames within {LIMIT:?}");
    }
}

/// The whole suite, as one rank of the job, which has ended afterwards.
pub fn suite(fabric: &Arc<dyn Fabric>) {
    let (me, ranks) = (fabric.job().rank, fabric.job().size());
    let others: Vec<RankId> = (0..ranks).filter(|&rank| rank != me).collect();
    let options = ArenaOptions { capacity: 1 << 30, numa_node: None };
    let arena = Arena::create_private(options).unwrap();
    let inbox = Arc::new(Inbox {
        fabric: Arc::downgrade(fabric),
        arena,
        places: Mutex::default(),
        seen: Mutex::default(),
        short_heads: Mutex::default(),
    });
    fabric.attach(inbox.clone());
    let mut expected = sizes(fabric, &inbox, &others);
    // From several threads at once, while this one polls; then pings that are answered while polled.
    let first = 1000;
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let others = &others;
            scope.spawn(move || {
                for i in 0..200 {
                    let n = first + thread * 200 + i;
                    let len = (n * 37 % 9000) as usize;
                    for &to in others {
                        let head = head(me, n, PLAIN, len, 16 + (n % 500) as usize);
                        fabric.send(to, &head, Body::of(filling(me, n, len)));
                    }
                }
            });
        }
        until(fabric, &inbox, expected + 600 * others.len());
    });
    expected += 600 * others.len();
    for i in 0..100 {
        for &to in &others {
            // A ping's number must not be that of an answer to the other's.
            let n = first + 1000 + 2 * i + u32::from(me < to);
            fabric.send(to, &head(me, n, PING, 5, 16), Body::of(filling(me, n, 5)));
        }
    }
    expected += 200 * others.len();
    until(fabric, &inbox, expected);
    assert_eq!(*inbox.short_heads.lock().unwrap(), [others.len(); 2]);
    assert!(inbox.places.lock().unwrap().is_empty(), "what was given a place has come");
    if me == 0 {
        send_last(fabric, &others);
    } else {
        until(fabric, &inbox, expected + LAST as usize);
    }
    // Waits until the others have taken what was sent.
    fabric.close();
}

/// Frames in a row, some with bodies that take a while, of which none may be lost by an end right after.
fn send_last(fabric: &Arc<dyn Fabric>, others: &[RankId]) {
    let me = fabric.job().rank;
    for n in 10_000..10_000 + LAST {
        let len = if n % 100 == 0 { 300_000 } else { (n % 700) as usize };
        for &to in others {
            fabric.send(to, &head(me, n, PLAIN, len, 16), Body::of(filling(me, n, len)));
        }
    }
}

/// Heads of every size, and bodies on both sides of every limit; how many frames that makes.
fn sizes(fabric: &Arc<dyn Fabric>, inbox: &Inbox, others: &[RankId]) -> usize {
    let me = fabric.job().rank;
    let mut number = 0;
    let mut expected = 0;
    let mut next = || {
        number += 1;
        number
    };
    // Heads of every size, without a body.
    for len in [0, 1, WORDS, WORDS + 1, HEAD_BYTES] {
        let n = next();
        for &to in others {
            let whole = head(me, n, PLAIN, 0, len);
            fabric.send(to, SHORT_HEAD.get(..len).unwrap_or(&whole), Body::None);
        }
        expected += others.len();
    }
    // Bodies on both sides of every limit: owned and shared, with and without a place, or a wrong one.
    for len in [0, 1, 8191, 8192, 8193, 1 << 20, (17 << 20) + 3, 40 << 20] {
        for kind in [PLAIN, LAND, MISFIT] {
            if kind == MISFIT && len == 0 {
                continue;
            }
            let n = next();
            let bytes = filling(me, n, len);
            for (index, &to) in others.iter().enumerate() {
                let body = if index % 2 == 0 && len > 0 {
                    let block = inbox.arena.alloc(len as u64, Alignment::Chunk).unwrap();
                    block.view().copy_in(0, &bytes).unwrap();
                    Body::View(block.view().sub(0, len).unwrap())
                } else {
                    Body::of(bytes.clone())
                };
                fabric.send(to, &head(me, n, kind, len, 64), body);
            }
            expected += others.len();
            // So that large bodies of all ranks are not in memory together.
            until(fabric, inbox, expected);
        }
    }
    expected
}
