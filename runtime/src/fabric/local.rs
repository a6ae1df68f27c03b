//! Ranks in one process, with a network that can be made to misbehave.
//!
//! ```text
//!  send ─▶ Trouble: cut? late? ─▶ inbox of the receiver ─▶ its poll ─▶ receiver
//! ```
//!
//! Invariants: a frame whose time has not come is not delivered; frames of a cut link are dropped
//! when they are sent; what `Trouble` does follows from its seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Body, Fabric, Job, RankId, Receiver};

/// How the network misbehaves.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// Links (from, to) on which every frame is lost.
    pub cut: Vec<(RankId, RankId)>,
    /// Longest time that a frame is on its way; each takes another one, so that frames overtake each
    /// other.
    pub delay: Duration,
    /// Where the delays start.
    pub seed: u64,
}

/// One rank's end of a job within one process.
pub struct Local {
    job: Job,
    net: Arc<Net>,
}

struct Net {
    ends: Vec<End>,
    trouble: Mutex<Trouble>,
    count: AtomicUsize,
}

#[derive(Default)]
struct End {
    inbox: Mutex<Vec<Parcel>>,
    receiver: Mutex<Option<Arc<dyn Receiver>>>,
    polling: Mutex<()>,
}

struct Parcel {
    from: RankId,
    head: Vec<u8>,
    body: Body,
    due: Option<Instant>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Local(rank {} of {})", self.job.rank, self.job.size())
    }
}

impl Local {
    /// The ends of a job, one for each rank; `hosts` says on which host each is.
    #[must_use]
    pub fn ranks(hosts: &[u32]) -> Vec<Arc<Self>> {
        static JOBS: AtomicUsize = AtomicUsize::new(0);
        let id = format!("{}-{}", std::process::id(), JOBS.fetch_add(1, Ordering::Relaxed));
        let ends = hosts.iter().map(|_| End::default()).collect();
        let net = Net { ends, trouble: Mutex::default(), count: AtomicUsize::new(0) };
        let net = Arc::new(net);
        let most = hosts.iter().max().map_or(0, |host| host + 1);
        let names: Vec<_> = (0..most).map(|host| format!("local{host}")).collect();
        let job = |rank| Job { rank, hosts: hosts.to_vec(), names: names.clone(), id: id.clone() };
        (0..hosts.len() as u32).map(|r| Arc::new(Self { job: job(r), net: net.clone() })).collect()
    }

    /// From now on the whole network misbehaves like this.
    pub fn trouble(&self, trouble: Trouble) {
        *self.net.trouble.lock() = trouble;
    }
}

impl Net {
    /// When a frame arrives; `None` when it is lost.
    fn arrival(&self, from: RankId, to: RankId) -> Option<Option<Instant>> {
        let trouble = self.trouble.lock();
        if trouble.cut.contains(&(from, to)) {
            return None;
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed) as u64;
        if trouble.delay.is_zero() {
            return Some(None);
        }
        // SplitMix64 (Steele, Lea, Flood 2014): any two counts give unrelated delays.
        let mut x = trouble.seed.wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let part = (x >> 40) as f64 / (1u64 << 24) as f64;
        Some(Some(Instant::now() + trouble.delay.mul_f64(part)))
    }
}

impl Fabric for Local {
    fn job(&self) -> &Job {
        &self.job
    }

    fn attach(&self, receiver: Arc<dyn Receiver>) {
        *self.net.ends[self.job.rank as usize].receiver.lock() = Some(receiver);
    }

    fn send(&self, to: RankId, head: &[u8], body: Body) {
        let from = self.job.rank;
        debug_assert!(to != from && head.len() <= super::HEAD_BYTES);
        let Some(due) = self.net.arrival(from, to) else { return };
        let parcel = Parcel { from, head: head.to_vec(), body, due };
        self.net.ends[to as usize].inbox.lock().push(parcel);
    }

    fn poll(&self) -> bool {
        let end = &self.net.ends[self.job.rank as usize];
        let Some(_only) = end.polling.try_lock() else { return false };
        let Some(receiver) = end.receiver.lock().clone() else { return false };
        let mut due: Vec<_> = {
            let mut inbox = end.inbox.lock();
            if inbox.is_empty() {
                return false;
            }
            let now = Instant::now();
            inbox.extract_if(.., |parcel| parcel.due.is_none_or(|due| due <= now)).collect()
        };
        // In the order of arrival, however late this look is.
        due.sort_by_key(|parcel| parcel.due);
        let moved = !due.is_empty();
        for Parcel { from, head, body, .. } in due {
            let place = receiver.landing(from, &head, body.len());
            let body = match place.filter(|place| place.len() == body.len()) {
                Some(place) => {
                    let landed = body.land(&place);
                    debug_assert!(landed.is_ok(), "lengths were compared");
                    Body::View(place)
                }
                None => Body::of(body.into_bytes()),
            };
            receiver.receive(from, &head, body);
        }
        moved
    }

    fn close(&self) {
        let end = &self.net.ends[self.job.rank as usize];
        *end.receiver.lock() = None;
        end.inbox.lock().clear();
    }

    fn abort(&self, _code: u8) {
        let cut = self.job.others().flat_map(|to| [(self.job.rank, to), (to, self.job.rank)]);
        self.net.trouble.lock().cut.extend(cut);
    }
}
