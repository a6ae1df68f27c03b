//! The suite of the fabric over ranks of one process, and what only that fabric does: misbehave.

mod fabric;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mobula_runtime::fabric::{Body, Fabric, Local, Near, RankId, Receiver, Trouble};
use mobula_shm::ByteView;

fn run(delay: Duration) {
    let ranks = Local::ranks(&[0, 0, 1]);
    ranks[0].trouble(Trouble { delay, ..Trouble::default() });
    std::thread::scope(|scope| {
        for rank in ranks {
            scope.spawn(move || fabric::suite(&(rank as Arc<dyn Fabric>)));
        }
    });
}

#[test]
fn the_suite_passes() {
    run(Duration::ZERO);
}

#[test]
fn the_suite_passes_with_delays() {
    run(Duration::from_millis(2));
}

/// Ranks with shortcuts, where there are some; ranks of one process give each other numbers.
fn near(hosts: &[u32], run: impl Fn(Arc<dyn Fabric>) + Sync) {
    let ranks = Local::ranks(hosts);
    let together = std::sync::Barrier::new(ranks.len());
    let numbers = Mutex::new(vec![0; ranks.len()]);
    std::thread::scope(|scope| {
        for rank in ranks {
            let (together, numbers, run) = (&together, &numbers, &run);
            scope.spawn(move || {
                let me = rank.job().rank as usize;
                let gather = |number| {
                    numbers.lock().unwrap()[me] = number;
                    together.wait();
                    let all = numbers.lock().unwrap().clone();
                    together.wait();
                    Ok::<_, ()>(all)
                };
                let rank = Near::join(rank, gather).unwrap();
                run(rank.clone());
                together.wait();
                rank.close();
            });
        }
    });
}

#[test]
fn the_suite_passes_with_shortcuts() {
    near(&[0, 0, 1, 1, 0], |rank| fabric::suite(&rank));
}

#[test]
fn a_full_ring_holds_nobody_up() {
    const COUNT: usize = 20_000;
    near(&[0, 0], |rank| {
        let (me, order) = (rank.job().rank, Arc::new(Order::default()));
        rank.attach(order.clone());
        if me == 0 {
            // Nobody looks meanwhile: far more than a ring has room for.
            (0..COUNT).for_each(|i| rank.send(1, &[i as u8; 100], Body::None));
            rank.send(1, &[0; 100], Body::of(vec![7]));
        }
        let expected = if me == 0 { 0 } else { COUNT + 1 };
        let start = Instant::now();
        while order.1.load(Ordering::SeqCst) < expected {
            assert!(start.elapsed() < Duration::from_secs(60), "all frames come");
            rank.poll();
        }
    });
}

#[test]
fn a_glance_finds_what_a_neighbour_sent() {
    near(&[0, 0], |rank| {
        let (me, order) = (rank.job().rank, Arc::new(Order::default()));
        rank.attach(order.clone());
        let mut expected = 0;
        for turn in 0..1000 {
            if turn % 2 == me {
                rank.send(1 - me, &[turn as u8], Body::None);
                continue;
            }
            expected += 1;
            let start = Instant::now();
            while order.1.load(Ordering::SeqCst) < expected {
                assert!(start.elapsed() < Duration::from_secs(60), "turn {turn}");
                rank.glance();
            }
        }
        let sent = (0..1000).filter(|turn| turn % 2 != me).map(|turn| turn as u8);
        assert_eq!(*order.0.lock().unwrap(), sent.collect::<Vec<_>>());
    });
}

/// Remembers the order in which heads of one byte came.
#[derive(Default)]
struct Order(Mutex<Vec<u8>>, AtomicUsize);

impl Receiver for Order {
    fn landing(&self, _: RankId, _: &[u8], _: usize) -> Option<ByteView> {
        None
    }
    fn receive(&self, _: RankId, head: &[u8], _: Body) {
        self.0.lock().unwrap().push(head[0]);
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls until so many frames have come.
fn poll_for(rank: &Local, order: &Order, count: usize) {
    let start = Instant::now();
    while order.1.load(Ordering::SeqCst) < count {
        rank.poll();
        std::thread::yield_now();
        assert!(start.elapsed() < Duration::from_secs(60), "{:?} of {count}", order.1);
    }
}

#[test]
fn delayed_frames_overtake_each_other_and_none_is_lost() {
    let ranks = Local::ranks(&[0, 1]);
    let order = Arc::new(Order::default());
    ranks[1].attach(order.clone());
    let delay = Duration::from_millis(20);
    ranks[0].trouble(Trouble { delay, seed: 7, cut: Vec::new() });
    (0..100).for_each(|n| ranks[0].send(1, &[n], Body::None));
    poll_for(&ranks[1], &order, 100);
    let mut come = order.0.lock().unwrap().clone();
    assert!(!come.is_sorted(), "{come:?}");
    come.sort_unstable();
    assert_eq!(come, (0..100).collect::<Vec<u8>>());
}

#[test]
fn a_cut_link_loses_its_own_frames_only() {
    let ranks = Local::ranks(&[0, 1, 2]);
    let orders: Vec<_> = ranks
        .iter()
        .map(|rank| {
            let order = Arc::new(Order::default());
            rank.attach(order.clone());
            order
        })
        .collect();
    ranks[0].trouble(Trouble { cut: vec![(0, 1)], ..Trouble::default() });
    ranks[0].send(1, &[1], Body::None);
    ranks[0].send(2, &[2], Body::None);
    ranks[1].send(0, &[3], Body::None);
    poll_for(&ranks[0], &orders[0], 1);
    poll_for(&ranks[2], &orders[2], 1);
    // Without a delay all that was sent is there by now.
    (0..100).for_each(|_| {
        ranks[1].poll();
    });
    let come: Vec<_> = orders.iter().map(|order| order.0.lock().unwrap().clone()).collect();
    assert_eq!(come, [vec![3], vec![], vec![2]]);
}
