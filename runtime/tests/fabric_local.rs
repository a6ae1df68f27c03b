//! The suite of the fabric over ranks of one process, and what only that fabric does: misbehave.

mod fabric;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mobula_runtime::fabric::{Body, Fabric, Local, RankId, Receiver, Trouble};
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
