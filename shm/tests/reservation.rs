//! Reservations, images and the page map: content comes and goes, and private pages are found.

use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use mobula_shm::{
    Alignment, Arena, ArenaOptions, ByteView, Error, Image, PAGE_BYTES, PageBytes, PagemapScanner,
    Reservation, thread_faults,
};

fn pages(count: usize) -> PageBytes {
    PageBytes::new(count * PAGE_BYTES).expect("whole pages")
}

/// A reservation of `count` pages, and a view that may touch what has content.
fn space(count: usize) -> (Arc<Reservation>, ByteView) {
    let space = Arc::new(Reservation::new(pages(count)).expect("address space"));
    // SAFETY: the range is the reservation's own, kept by the Arc; the tests touch parts with
    // content.
    let view = unsafe { ByteView::from_raw(space.base(), space.len().get(), space.clone()) };
    (space, view)
}

/// An image of `count` pages whose page i is filled with i + 1.
fn image(count: usize) -> Image {
    let (space, view) = space(count);
    space.make_accessible(PageBytes::ZERO, pages(count)).expect("inside");
    for page in 0..count {
        view.copy_in(page * PAGE_BYTES, &[page as u8 + 1; PAGE_BYTES]).expect("inside");
    }
    Image::create("mobula-test", pages(count), &view).expect("an image")
}

/// The scanner, unless the kernel is too old for it.
fn scanner() -> Option<PagemapScanner> {
    let scanner = PagemapScanner::open();
    if scanner.is_none() {
        println!("skipped: no PAGEMAP_SCAN (Linux 6.7)");
    }
    scanner
}

fn private(scanner: &PagemapScanner, space: &Reservation) -> Vec<Range<usize>> {
    let mut found = vec![1..2, 3..4];
    scanner
        .private_pages(space.base().addr(), space.len().get(), &mut found)
        .expect("the kernel knows");
    let numbers = found.iter().map(|r| r.start / PAGE_BYTES..r.end / PAGE_BYTES).collect();
    assert!(found.iter().all(|r| r.start % PAGE_BYTES == 0 && r.end % PAGE_BYTES == 0));
    numbers
}

#[test]
fn parts_outside_are_refused() {
    let (space, _) = space(4);
    let file = image(1);
    for (at, len) in [(4, 1), (0, 5), (3, 2), (usize::MAX / PAGE_BYTES, 1)] {
        let (at, len) = (pages(at), pages(len));
        let all = [
            space.make_accessible(at, len),
            space.map_private(at, len, file.fd(), 0),
            space.map_shared(at, len, file.fd(), 0),
            space.make_zero(at, len),
            space.discard(at, len),
            space.hide(at, len),
            space.advise_huge(at, len),
        ];
        for refused in all {
            assert!(matches!(refused, Err(Error::OutOfRange { .. })), "{refused:?}");
        }
    }
    space.hide(pages(4), PageBytes::ZERO).expect("nothing at the end");
    assert!(matches!(Reservation::new(PageBytes::ZERO), Err(Error::BadSize { .. })));
}

#[test]
fn content_comes_and_goes() {
    let (space, view) = space(8);
    let file = image(4);
    space.map_private(pages(2), pages(3), file.fd(), PAGE_BYTES as u64).expect("inside");
    let at = |page: usize| view.get::<u8>(page * PAGE_BYTES).expect("inside");
    assert_eq!([at(2), at(3), at(4)], [2, 3, 4]);
    view.put(3 * PAGE_BYTES, 77u8).expect("inside");
    assert_eq!([at(3), at(2)], [77, 2]);
    space.discard(pages(3), pages(1)).expect("inside");
    assert_eq!(at(3), 3, "the image's byte again");
    space.make_zero(pages(3), pages(1)).expect("inside");
    assert_eq!([at(2), at(3), at(4)], [2, 0, 4]);
    space.hide(pages(3), pages(1)).expect("inside");
    space.make_accessible(pages(3), pages(1)).expect("inside");
    assert_eq!(at(3), 0);
    space.make_accessible(pages(2), pages(1)).expect("inside");
    assert_eq!(at(2), 2, "making accessible keeps content");
}

#[test]
fn hidden_pages_cannot_be_touched() {
    let (space, _view) = space(4);
    space.make_zero(pages(0), pages(4)).expect("inside");
    space.hide(pages(1), pages(1)).expect("inside");
    // The kernel says which pages a system call may read, without a signal.
    let readable = |page: usize| {
        let (read, write) = nix::unistd::pipe().expect("a pipe");
        let from = space.base().wrapping_add(page * PAGE_BYTES);
        // SAFETY: the kernel checks the address and answers EFAULT where there is no access.
        let written =
            unsafe { libc::write(std::os::fd::AsRawFd::as_raw_fd(&write), from.cast(), 1) };
        drop(read);
        written == 1
    };
    assert_eq!([0, 1, 2, 3].map(readable), [true, false, true, true]);
}

#[test]
fn an_unmapped_reservation_is_gone() {
    let maps = |base: *mut u8| {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("it is there");
        maps.contains(&format!("{:x}-", base.addr()))
    };
    let space = Reservation::new(pages(12345)).expect("address space");
    let base = space.base();
    space.make_zero(pages(0), pages(3)).expect("inside");
    assert!(maps(base));
    drop(space);
    assert!(!maps(base));
}

#[test]
fn a_window_is_the_same_bytes() {
    let arena = Arena::create_private(ArenaOptions { capacity: 1 << 20, numa_node: None });
    let block = arena.expect("an arena").alloc(16 * 4096, Alignment::Chunk).expect("room");
    let (space, view) = space(8);
    space
        .map_shared(pages(4), pages(2), block.fd(), block.file_offset() + 3 * 4096)
        .expect("inside");
    view.put(5 * PAGE_BYTES + 8, 4711u64).expect("inside");
    assert_eq!(block.view().get::<u64>(4 * PAGE_BYTES + 8), Ok(4711));
    space.discard(pages(4), pages(2)).expect("inside");
    assert_eq!(view.get::<u64>(5 * PAGE_BYTES + 8), Ok(4711), "discarding wipes no shared byte");
}

#[test]
fn an_image_is_what_was_there_and_is_sealed() {
    use std::io::Write;
    let (space, view) = space(3);
    space.make_accessible(pages(0), pages(3)).expect("inside");
    view.copy_in(PAGE_BYTES - 1, b"xyz").expect("inside");
    let part = view.sub(0, 2 * PAGE_BYTES - 5).expect("inside");
    let image = Image::create("mobula-test", pages(3), &part).expect("an image");
    let mapped = {
        let (space, view) = self::space(3);
        space.map_private(pages(0), pages(3), image.fd(), 0).expect("inside");
        view.read_vec(0, 3 * PAGE_BYTES).expect("inside")
    };
    assert_eq!(mapped, view.read_vec(0, 3 * PAGE_BYTES).expect("inside"));
    // SAFETY: the image's own mapping, of that length, alive and never written.
    let own = unsafe { std::slice::from_raw_parts(image.as_ptr(), image.len().get()) };
    assert_eq!(own, mapped);

    let mut file = std::fs::File::from(image.fd().try_clone_to_owned().expect("a descriptor"));
    assert_eq!(file.write(b"no").expect_err("sealed").raw_os_error(), Some(libc::EPERM));
    assert!(file.set_len(0).is_err() && file.set_len(1 << 20).is_err());
    let shared = space.map_shared(pages(0), pages(1), image.fd(), 0);
    assert!(
        matches!(shared, Err(Error::Sys { op: "mmap", .. })),
        "writable and shared: {shared:?}"
    );
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    let more = fcntl(image.fd(), FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_FUTURE_WRITE));
    assert!(more.is_err(), "even the seals are sealed");
    space.map_private(pages(0), pages(3), image.fd(), 0).expect("private is fine");
    view.put(0, 1u8).expect("inside");
}

#[test]
fn zero_pages_of_an_image_cost_nothing() {
    let (space, view) = space(1000);
    space.make_accessible(pages(0), pages(1000)).expect("inside");
    for page in [0, 63, 64, 65, 999] {
        view.put(page * PAGE_BYTES + 4095, 1u8).expect("inside");
    }
    let image = Image::create("mobula-test", pages(1000), &view).expect("an image");
    let stat = nix::sys::stat::fstat(image.fd().as_fd()).expect("an open file");
    assert_eq!((stat.st_size, stat.st_blocks), (1000 * 4096, 5 * 8));
    let (space, copy) = self::space(1000);
    space.map_private(pages(0), pages(1000), image.fd(), 0).expect("inside");
    let all = |view: &ByteView| view.read_vec(0, 1000 * PAGE_BYTES).expect("inside");
    assert!(all(&copy) == all(&view));
}

#[test]
fn images_of_nothing_and_of_too_much() {
    let (space, view) = space(2);
    space.make_accessible(pages(0), pages(2)).expect("inside");
    let none = Image::create("mobula-test", PageBytes::ZERO, &view.sub(0, 0).expect("inside"));
    assert!(none.expect("an empty image").is_empty());
    let long = Image::create("mobula-test", pages(1), &view);
    assert!(matches!(long, Err(Error::OutOfRange { what: "image", .. })));
}

#[test]
fn the_scan_finds_exactly_the_private_pages() {
    let Some(scanner) = scanner() else { return };
    let file = image(8);
    let (space, view) = space(32);
    space.map_private(pages(0), pages(8), file.fd(), 0).expect("inside");
    space.make_accessible(pages(8), pages(8)).expect("inside");
    let arena = Arena::create_private(ArenaOptions { capacity: 1 << 20, numa_node: None });
    let block = arena.expect("an arena").alloc(4 * 4096, Alignment::Chunk).expect("room");
    space.map_shared(pages(16), pages(4), block.fd(), block.file_offset()).expect("inside");
    assert_eq!(private(&scanner, &space), [], "nothing was touched");

    view.read_vec(0, 20 * PAGE_BYTES).expect("has content");
    assert_eq!(private(&scanner, &space), [], "reading makes nothing private");

    for page in [1, 2, 7, 8, 12, 15, 16, 19] {
        view.put(page * PAGE_BYTES + 100, 1u8).expect("has content");
    }
    assert_eq!(private(&scanner, &space), [1..3, 7..9, 12..13, 15..16], "but not the window");

    space.discard(pages(0), pages(9)).expect("inside");
    assert_eq!(private(&scanner, &space), [12..13, 15..16]);
    // Writing what was there before makes a page private all the same.
    view.put(4 * PAGE_BYTES, 5u8).expect("has content");
    assert_eq!(private(&scanner, &space), [4..5, 12..13, 15..16]);
}

#[test]
fn a_scan_with_many_ranges_finds_them_all() {
    let Some(scanner) = scanner() else { return };
    for count in [63, 64, 65, 128, 129, 1000] {
        let (space, view) = space(2 * count + 10);
        space.make_zero(pages(0), space.len()).expect("inside");
        let mut expected = Vec::new();
        for i in 0..count {
            view.put(2 * i * PAGE_BYTES, 1u8).expect("inside");
            expected.push(2 * i..2 * i + 1);
        }
        // A range that begins where a batch may end.
        view.put((2 * count - 1) * PAGE_BYTES, 1u8).expect("inside");
        view.put(2 * count * PAGE_BYTES, 1u8).expect("inside");
        expected.last_mut().expect("not empty").end = 2 * count + 1;
        assert_eq!(private(&scanner, &space), expected, "{count} ranges");
    }
}

#[test]
fn a_scan_past_the_address_space_is_refused() {
    let Some(scanner) = scanner() else { return };
    let mut found = vec![0..1, 2..3];
    let refused = scanner.private_pages(usize::MAX - 4095, 8192, &mut found);
    assert!(matches!(refused, Err(Error::OutOfRange { .. })), "{refused:?}");
    assert!(scanner.private_pages(1, 4096, &mut found).is_err(), "unaligned");
    assert!(found.is_empty());
    scanner.private_pages(1 << 40, 0, &mut found).expect("nothing");
}

#[test]
fn every_new_private_page_is_a_fault_and_an_old_one_is_none() {
    let file = image(8);
    let (space, view) = space(8);
    space.map_private(pages(0), pages(8), file.fd(), 0).expect("inside");
    view.read_vec(0, 8 * PAGE_BYTES).expect("inside");
    let before = thread_faults();
    (0..8).for_each(|page| view.put(page * PAGE_BYTES, 9u8).expect("inside"));
    let after = thread_faults();
    assert!(after - before >= 8, "{} faults for 8 pages", after - before);
    // Others faults of this thread (its own stack, code) have happened by now.
    let warm = (0..100).any(|_| {
        let before = thread_faults();
        (0..8).for_each(|page| view.put(page * PAGE_BYTES, 10u8).expect("inside"));
        thread_faults() == before
    });
    assert!(warm, "writing private pages again faults every time");
}
