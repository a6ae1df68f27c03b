//! Stores into shared mappings are found by the kernel's notes.

use std::sync::Arc;

use mobula_shm::{
    Alignment, Arena, ArenaOptions, ByteView, PAGE_BYTES, PageBytes, Reservation, WriteTracker,
};

fn pages(count: usize) -> PageBytes {
    PageBytes::new(count * PAGE_BYTES).unwrap()
}

#[test]
fn stores_are_reported_once_and_reads_never() {
    let Some(tracker) = WriteTracker::open().map(Arc::new) else {
        println!("skipped: this kernel cannot note stores");
        return;
    };
    let arena =
        Arena::create_private(ArenaOptions { capacity: 16 << 20, numa_node: None }).unwrap();
    let block = arena.alloc(64 * PAGE_BYTES as u64, Alignment::Chunk).unwrap();
    let space = Arc::new(Reservation::new(pages(100)).unwrap());
    space.map_shared(pages(10), pages(64), block.fd(), block.file_offset()).unwrap();
    // SAFETY: the range is the reservation's own, kept by the Arc; only mapped pages are touched.
    let view = unsafe { ByteView::from_raw(space.base(), space.len().get(), space.clone()) };
    view.put(70 * PAGE_BYTES, 1u8).unwrap();
    let watch = tracker.watch(&space, pages(10), pages(64)).unwrap();
    let mut found = vec![1..2, 4..5];
    let mut taken = || {
        watch.take_written(&mut found).unwrap();
        found.iter().map(|r| r.start / PAGE_BYTES..r.end / PAGE_BYTES).collect::<Vec<_>>()
    };
    assert_eq!(taken(), [], "nothing was stored since");
    for round in 0..3u8 {
        view.put(15 * PAGE_BYTES, round).unwrap();
        view.put(16 * PAGE_BYTES + 4095, round).unwrap();
        view.put(73 * PAGE_BYTES, round).unwrap();
        assert_eq!(view.get::<u8>(40 * PAGE_BYTES).unwrap(), 0);
        assert_eq!(taken(), [5..7, 63..64], "round {round}");
        assert_eq!(taken(), [], "reported once");
    }
    assert_eq!(block.view().get::<u8>(5 * PAGE_BYTES).unwrap(), 2, "the stores arrived");
    // A store through another mapping of the same memory is not this mapping's.
    block.view().copy_in(5 * PAGE_BYTES, b"elsewhere").unwrap();
    assert_eq!(taken(), []);
    assert!(tracker.watch(&space, pages(90), pages(64)).is_err(), "past the reservation");
}
