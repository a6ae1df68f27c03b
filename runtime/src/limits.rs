//! Every maximum of the runtime in one place.

use std::time::Duration;

/// Largest module file that is read, in bytes.
pub const MODULE_BYTES: u64 = 1 << 30;
/// Longest state key, in bytes, without the terminating NUL.
pub const KEY_BYTES: usize = 255;
/// Longest function name accepted by a chain call, in bytes.
pub const NAME_BYTES: usize = 255;
/// Calls that may exist at once on one rank (started and not yet both ended and awaited).
pub const CALLS: usize = 1 << 22;
/// Calls into which a parallel loop is split for each thread, at most: enough to even out parts that
/// take longer, few enough to cost nothing.
pub const LOOP_CALLS_PER_THREAD: usize = 4;
/// Largest input or output of a call, in bytes.
pub const PAYLOAD_BYTES: usize = 1 << 30;
/// Address space of one guest: what 32-bit pointers reach.
pub const GUEST_BYTES: usize = 1 << 32;
/// Memory mappings that a live faaslet needs at most in the steady state (memory, its unused rest,
/// windows, fibre stack, stack guard), for the default bound on live faaslets.
pub const MAPPINGS_PER_FAASLET: usize = 5;
/// Windows that stay mapped in one faaslet between calls; beyond it all are dropped.
pub const KEPT_WINDOWS: usize = 64;
/// Address space below kept windows that earlier heaps may leave unused before the windows are given
/// up to win it back.
pub const GAP_BYTES: usize = 16 << 20;
/// Restored pages up to which a function's faaslets are verified in batches.
pub const LIGHT_PAGES: usize = 16;
/// Windows up to which a function's faaslets are verified in batches; with more, every faaslet of
/// the batch would have to map and touch them, which costs more than a look.
pub const LIGHT_WINDOW_BYTES: usize = 1 << 20;
/// Faaslets of one function and thread that may wait for one common check of the fault counter.
pub const BATCH: usize = 16;
/// Restored bytes above which discarding (and faulting in again) is cheaper than copying.
/// Copying needs both images in the cache; see `bench` reset.
pub const COPY_BYTES: usize = 32 << 20;
/// Resets after which a large set of restored pages is learnt anew, so that one heavy call does not
/// make every later light one pay.
pub const RELEARN_RESETS: u32 = 256;
/// How long a worker that runs out of work looks for more before it sleeps.
pub const SEARCH: Duration = Duration::from_micros(30);
/// Looks for frames of which one is also at what takes longer: frames of other hosts, and long ones.
pub const LOOKS_A_POLL: u32 = 16;
/// Looks for frames after which a worker looks at the clock.
pub const LOOKS_A_CLOCK: u32 = 16;
/// How long a worker looks for frames before it lets others have its core for a moment.
pub const YIELD: Duration = Duration::from_micros(6);
/// Pieces of work that are looked at in vain when another rank asks for some.
pub const LOOKS_BEYOND: usize = 16;
/// Looks in a row at a queue with one piece of work after which another worker takes it.
pub const LONELY_LOOKS: u32 = 4;
/// Every so many picks a worker takes its oldest work instead of its newest.
pub const FAIRNESS: u32 = 1024;
/// How long another rank may be silent before it counts as gone, unless the run says otherwise.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(20);
/// Resolution of time-outs.
pub const TICK: Duration = Duration::from_millis(5);
/// Waits for locks of a job of several ranks that last longer are looked at for circles through several
/// ranks.
pub const LONG_WAIT: Duration = Duration::from_millis(250);
/// Looks after which a wait that goes on is chased again, at most; the first ones come sooner.
pub const RAREST_CHASE: u32 = 32;
/// Waits that a rank begins to chase at one look, at most.
pub const CHASES: usize = 256;
/// Waits in a circle through several ranks that is found, at most.
pub const CIRCLE_STEPS: usize = 256;
/// Calls of a circle that a message names, at most.
pub const CIRCLE_NAMES: usize = 8;
/// Probes that a rank keeps for its next look at most; more are dropped, and sent again.
pub const PROBES: usize = 1 << 12;
/// Default stack of a guest fibre, in bytes (host frames and compiled code; the guest's own stack
/// lies in its memory).
pub const FIBRE_STACK_BYTES: usize = 1 << 20;
/// Stacks of fibres that are kept for the next ones.
pub const IDLE_STACKS: usize = 64;
/// Libraries of the system that are tried, in this order, when any BLAS is asked for.
pub const BLAS_LIBRARIES: [&str; 5] =
    ["libopenblas.so.0", "libopenblas.so", "libblis.so.4", "libmkl_rt.so.2", "libblas.so.3"];
/// Rows, columns and depth of the steps in which a product of matrices is made where calls have a
/// time-out: 50 ms each, and a few per cent slower than the whole.
pub const BLAS_STEP: usize = 1024;
/// Elements of a sparse matrix after which the clock is looked at.
pub const BLAS_LOOK: usize = 1 << 20;
/// Part of the fibre stack that guest code may use.
pub const WASM_STACK_BYTES: usize = 512 << 10;
