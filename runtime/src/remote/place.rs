//! Which ranks get calls that no program placed: a pure function of how many wait here and of what this
//! rank knows of the others.
//!
//! ```text
//!  placed by the program (mobulaChainAt) ─▶ the home of that part of the state
//!  what our own workers take             ─▶ here
//!  the rest ─▶ who asked for work: first who has run the function (warm faaslets), then who has the
//!              most room; nobody asked: here, until somebody idle does
//! ```
//!
//! Invariants: a rank is only sent what it asked for, or what the program placed there; the answer
//! depends on the arguments alone, and not on the order of the peers.

use std::cmp::Reverse;

use crate::fabric::RankId;

/// What is known of another rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) rank: RankId,
    /// Calls that it still takes.
    pub(crate) room: u32,
    /// Whether it has run the function before.
    pub(crate) warm: bool,
}

/// How many of the calls that wait here go to which rank. Our own `threads` workers get one each; each rank
/// gets about the same, none more than its room, and none more than stays here: who is done asks again at
/// once, and what was sent comes back late if at all.
pub(crate) fn share(
    waiting: usize,
    threads: usize,
    peers: impl IntoIterator<Item = Peer>,
) -> Vec<(RankId, usize)> {
    let mut surplus = waiting.saturating_sub(threads);
    let mut hungry: Vec<Peer> = peers.into_iter().filter(|peer| peer.room > 0).collect();
    hungry.sort_unstable_by_key(|peer| Reverse((peer.warm, peer.room, Reverse(peer.rank))));
    let even = (waiting / (hungry.len() + 1)).max(1);
    let mut shares = Vec::new();
    for (index, peer) in hungry.iter().enumerate() {
        let most = surplus.div_ceil(hungry.len() - index);
        let calls = most.min(even).min(peer.room as usize);
        surplus -= calls;
        if calls > 0 {
            shares.push((peer.rank, calls));
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(rank: RankId, room: u32, warm: bool) -> Peer {
        Peer { rank, room, warm }
    }

    #[test]
    fn only_who_asked_gets_work_and_no_more_than_it_asked_for() {
        assert_eq!(share(9, 1, []), []);
        assert_eq!(share(9, 1, [peer(2, 0, true), peer(3, 0, false)]), []);
        assert_eq!(share(9, 1, [peer(2, 0, true), peer(3, 4, false)]), [(3, 4)]);
        assert_eq!(share(1, 1, [peer(3, 4, true)]), []);
        assert_eq!(share(3, 4, [peer(3, 4, true)]), []);
    }

    #[test]
    fn each_gets_about_the_same() {
        assert_eq!(share(12, 1, [peer(1, 9, true), peer(2, 9, true)]), [(1, 4), (2, 4)]);
        assert_eq!(share(8, 1, [peer(1, 99, true)]), [(1, 4)], "half stays");
        assert_eq!(share(2, 1, [peer(1, 9, true), peer(2, 9, true)]), [(1, 1)]);
        let three = [peer(1, 2, true), peer(2, 8, true), peer(3, 8, true)];
        assert_eq!(share(13, 1, three), [(2, 3), (3, 3), (1, 2)]);
        let all: usize =
            share(100, 1, (0..7).map(|rank| peer(rank, 9, true))).iter().map(|s| s.1).sum();
        assert_eq!(all, 63, "all the room there is");
    }

    #[test]
    fn warm_ranks_come_before_roomy_ones_whatever_the_order() {
        let peers = [peer(2, 1, true), peer(3, 8, false), peer(4, 8, true)];
        assert_eq!(share(2, 1, peers), [(4, 1)]);
        assert_eq!(share(3, 1, peers), [(4, 1), (2, 1)]);
        assert_eq!(share(2, 1, peers.into_iter().rev()), [(4, 1)]);
        assert_eq!(share(2, 1, [peer(3, 8, true), peer(2, 8, true)]), [(2, 1)]);
    }
}
