//! Where a call runs: a pure function of where its state is at home and of what this rank knows about
//! the load of the others.
//!
//! ```text
//!  placed by the program (mobulaChainAt) ─▶ the home of that part of the state
//!  own cores have no work yet            ─▶ here
//!  somebody asked for work               ─▶ there: first who has run the function (warm faaslets),
//!                                            then who has the most room
//!  nobody did                            ─▶ here; who becomes idle asks for it
//! ```
//!
//! Invariants: a rank is only sent what it asked for, or what the program placed there; the answer
//! depends on the arguments alone.

use crate::fabric::RankId;

/// Where a call is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this rank; anybody idle may take it over.
    Here,
    /// On this rank for good.
    Bound,
    /// On another one, which may pass it on.
    Rank(RankId),
    /// On another one for good.
    BoundTo(RankId),
}

/// What is known of another rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) rank: RankId,
    /// Calls that it still wants.
    pub(crate) room: u32,
    /// Whether it has run the function before.
    pub(crate) warm: bool,
}

/// This rank's own load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) rank: RankId,
    /// Pieces of work that wait for a worker.
    pub(crate) queued: usize,
    /// Workers.
    pub(crate) threads: usize,
}

/// Where a call runs whose state is at home on `home`, if the program says where that is.
pub(crate) fn place(
    home: Option<RankId>,
    load: Load,
    peers: impl IntoIterator<Item = Peer>,
) -> Place {
    match home {
        Some(home) if home == load.rank => return Place::Bound,
        Some(home) => return Place::BoundTo(home),
        None => {}
    }
    if load.queued < load.threads {
        return Place::Here;
    }
    let hungry = peers.into_iter().filter(|peer| peer.room > 0);
    // Ranks are told apart last, so that the choice does not depend on the order of `peers`.
    let best = hungry.max_by_key(|peer| (peer.warm, peer.room, std::cmp::Reverse(peer.rank)));
    best.map_or(Place::Here, |peer| Place::Rank(peer.rank))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Load = Load { rank: 1, queued: 4, threads: 2 };

    fn peer(rank: RankId, room: u32, warm: bool) -> Peer {
        Peer { rank, room, warm }
    }

    #[test]
    fn state_comes_first() {
        let idle = Load { queued: 0, ..BUSY };
        for load in [BUSY, idle] {
            assert_eq!(place(Some(1), load, [peer(2, 9, true)]), Place::Bound);
            assert_eq!(place(Some(3), load, [peer(2, 9, true)]), Place::BoundTo(3));
        }
    }

    #[test]
    fn own_cores_are_filled_before_others_are_given_work() {
        for queued in 0..2 {
            assert_eq!(place(None, Load { queued, ..BUSY }, [peer(2, 9, true)]), Place::Here);
        }
        assert_eq!(place(None, BUSY, [peer(2, 9, true)]), Place::Rank(2));
    }

    #[test]
    fn only_who_asked_gets_work_warm_ones_before_roomy_ones() {
        assert_eq!(place(None, BUSY, []), Place::Here);
        assert_eq!(place(None, BUSY, [peer(2, 0, true), peer(3, 0, false)]), Place::Here);
        assert_eq!(place(None, BUSY, [peer(2, 0, true), peer(3, 1, false)]), Place::Rank(3));
        assert_eq!(place(None, BUSY, [peer(2, 1, true), peer(3, 8, false)]), Place::Rank(2));
        assert_eq!(place(None, BUSY, [peer(2, 1, true), peer(3, 8, true)]), Place::Rank(3));
        assert_eq!(place(None, BUSY, [peer(3, 8, true), peer(2, 8, true)]), Place::Rank(2));
    }
}
