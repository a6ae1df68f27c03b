//! The host interface: one definition for both sides.
//!
//! Names are Faasm's where Faasm has the function (`__faasm_*`), new ones are `__mobula_*`. All
//! parameters and results are 32-bit integers unless it says i64; pointers and lengths are bytes of
//! the guest's memory.
//! Keys and names are NUL-terminated. A refusal traps the calling guest; only what is listed under
//! return codes is a value. `include/faasm/host_interface.h` says the same to C.
//!
//! # Life of a module
//!
//! ```text
//! once:  start section ─▶ _initialize, or else __mobula_init ─▶ _faasm_zygote ─▶ snapshot
//! call:  entry 0  = _faasm_func_0, or else __mobula_main, or else _start
//!        entry n  = _faasm_func_n
//!        by address: __mobula_call_pointer(fn)
//! ```
//!
//! * A command from our headers exports `_start` and `__mobula_main`. Only the latter is called here:
//!   constructors have run before the snapshot. For other runtimes `_start` is only as good as libc's:
//!   newer wasi-libc (zig's) runs constructors and destructors in it. That of Debian 12 leaves them to
//!   export wrappers, which the linker omits because `__mobula_init` names `__wasm_call_ctors` (as it
//!   must: the wrappers would run all constructors in every call of every entry). There `_start` runs
//!   main alone, and output still buffered when main returns 0 is lost.
//! * A reactor from our headers exports `_initialize` and `__mobula_init`. Both run the constructors, the
//!   first one called does, and `_initialize` is preferred because a library may have put more into it.
//!   `__mobula_init` after either of the others does nothing.
//! * `__mobula_main` ends like any main: atexit handlers and destructors run, stdio is written out. The
//!   other entries and the proto-function only write out stdio.
//! * `mobula cc` gives a module without main one that traps, so entry 0 exists there too.

/// Import module of every host function.
pub const MODULE: &str = "env";

/// `(buf, len) -> i32`: copies input; with `len` 0 the input's size.
pub const READ_INPUT: &str = "__faasm_read_input";
/// `(ptr, len)`: sets the output.
pub const WRITE_OUTPUT: &str = "__faasm_write_output";
/// `() -> i32`: index of the entry that runs.
pub const GET_IDX: &str = "__faasm_get_idx";
/// `(key) -> i32`: whether a flag of the run is on.
pub const GET_CONF_FLAG: &str = "__faasm_get_conf_flag";
/// `(name, in, len) -> id`: starts another function of the user.
pub const CHAIN_FUNCTION: &str = "__faasm_chain_function";
/// `(idx, in, len) -> id`: starts another entry of this module.
pub const CHAIN_THIS: &str = "__faasm_chain_this";
/// `(fn, in, len) -> id`: starts a function of this module by its address, through
/// [`POINTER_EXPORT`].
pub const CHAIN_POINTER: &str = "__faasm_chain_ptr";
/// `(idx, lo: i64, hi: i64, grain: i64, in, len) -> id`: starts entry idx for sub-ranges that cover
/// `lo..hi`; one id for all.
pub const CHAIN_RANGE: &str = "__mobula_chain_range";
/// `(lo_ptr, hi_ptr) -> i32`: the sub-range of this call, two i64; 1 when it has one, else 0.
pub const GET_RANGE: &str = "__mobula_get_range";
/// `(key, offset: i64, idx, in, len) -> id`: as [`CHAIN_THIS`], near that part of the state.
pub const CHAIN_AT: &str = "__mobula_chain_at";
/// `(ids_ptr, n) -> id`: waits for the first of these to end and leaves it to be awaited.
pub const AWAIT_ANY: &str = "__mobula_await_any";
/// `(id) -> i32`: waits; the callee's return value.
pub const AWAIT_CALL: &str = "__faasm_await_call";
/// `(id, buf, len) -> i32`: waits; copies the output.
pub const AWAIT_CALL_OUTPUT: &str = "__faasm_await_call_output";
/// `(id, size_ptr) -> i32`: waits; stores the output's size and keeps it.
pub const AWAIT_OUTPUT_SIZE: &str = "__mobula_await_output_size";
/// `(id, buf, len) -> i32`: copies and drops an output kept before.
pub const TAKE_OUTPUT: &str = "__mobula_take_output";
/// `(key, buf, len) -> i32`.
pub const READ_STATE: &str = "__faasm_read_state";
/// `(key, data, len)`.
pub const WRITE_STATE: &str = "__faasm_write_state";
/// `(key, total, off, buf, len)`.
pub const READ_STATE_OFFSET: &str = "__faasm_read_state_offset";
/// `(key, total, off, data, len)`.
pub const WRITE_STATE_OFFSET: &str = "__faasm_write_state_offset";
/// `(key, total) -> ptr`.
pub const READ_STATE_PTR: &str = "__faasm_read_state_ptr";
/// `(key, total, off, len) -> ptr`.
pub const READ_STATE_OFFSET_PTR: &str = "__faasm_read_state_offset_ptr";
/// `(key, total)`.
pub const FLAG_STATE_DIRTY: &str = "__faasm_flag_state_dirty";
/// `(key, total, off, len)`.
pub const FLAG_STATE_OFFSET_DIRTY: &str = "__faasm_flag_state_offset_dirty";
/// `(key)`.
pub const PUSH_STATE: &str = "__faasm_push_state";
/// `(key)`.
pub const PUSH_STATE_PARTIAL: &str = "__faasm_push_state_partial";
/// `(key, mask_key)`.
pub const PUSH_STATE_PARTIAL_MASK: &str = "__faasm_push_state_partial_mask";
/// `(key, type, op)`: pushes by combining what changed here with home.
pub const PUSH_MERGE: &str = "__mobula_push_merge";
/// `(key, total, off, data, len, type, op)`: combines elements of the guest's with a value's.
pub const MERGE_STATE: &str = "__mobula_merge_state";
/// `(key, len)`: makes a value of zeros; nothing when it is there with this length.
pub const STATE_CREATE: &str = "__mobula_state_create";
/// `(key)`: removes a value.
pub const STATE_DELETE: &str = "__mobula_state_delete";
/// `(ptr)`: gives a window's address space back.
pub const UNMAP: &str = "__mobula_unmap";
/// `(key, len)`.
pub const PULL_STATE: &str = "__faasm_pull_state";
/// `(key, data, len)`.
pub const APPEND_STATE: &str = "__faasm_append_state";
/// `(key, buf, len, n)`.
pub const READ_APPENDED_STATE: &str = "__faasm_read_appended_state";
/// `(key)`.
pub const CLEAR_APPENDED_STATE: &str = "__faasm_clear_appended_state";
/// `(key)`.
pub const LOCK_STATE_READ: &str = "__faasm_lock_state_read";
/// `(key)`.
pub const UNLOCK_STATE_READ: &str = "__faasm_unlock_state_read";
/// `(key)`.
pub const LOCK_STATE_WRITE: &str = "__faasm_lock_state_write";
/// `(key)`.
pub const UNLOCK_STATE_WRITE: &str = "__faasm_unlock_state_write";
/// `(key)`.
pub const LOCK_STATE_GLOBAL: &str = "__faasm_lock_state_global";
/// `(key)`.
pub const UNLOCK_STATE_GLOBAL: &str = "__faasm_unlock_state_global";

/// `(n, x, incx, y, incy) -> f64`: the sum of products.
pub const BLAS_DDOT: &str = "__mobula_blas_ddot";
/// `(n, alpha: f64, x, incx, y, incy)`: `y += alpha x`.
pub const BLAS_DAXPY: &str = "__mobula_blas_daxpy";
/// `(trans, m, n, alpha: f64, a, lda, x, incx, beta: f64, y, incy)`: `y = alpha op(a) x + beta y`; a is
/// m x n, row after row, as all matrices are; trans is 0 or 1.
pub const BLAS_DGEMV: &str = "__mobula_blas_dgemv";
/// `(transa, transb, m, n, k, alpha: f64, a, lda, b, ldb, beta: f64, c, ldc)`:
/// `c = alpha op(a) op(b) + beta c`; op(a) is m x k, op(b) is k x n.
pub const BLAS_DGEMM: &str = "__mobula_blas_dgemm";
/// The same for 32-bit floats; alpha and beta are f64 here, too.
pub const BLAS_SGEMM: &str = "__mobula_blas_sgemm";
/// `(m, n, nnz, alpha: f64, rows, columns, values, x, beta: f64, y)`: `y = alpha a x + beta y`; a is
/// m x n, row r has the elements `rows[r]..rows[r + 1]`, all indices are i32 from 0 on.
pub const BLAS_DSPMV: &str = "__mobula_blas_dspmv";

/// Prefix of the exports that implement entries: `_faasm_func_<idx>`, `() -> i32`.
pub const FUNC_EXPORT_PREFIX: &str = "_faasm_func_";
/// Main, `() -> i32`: entry 0 when there is no `_faasm_func_0`.
pub const MAIN_EXPORT: &str = "__mobula_main";
/// `(fn) -> i32`: calls the function at this address, `() -> i32`, and ends the call as an entry does.
pub const POINTER_EXPORT: &str = "__mobula_call_pointer";
/// Start of a plain WASI command, `() -> ()`: entry 0 when there is none of the above.
pub const START_EXPORT: &str = "_start";
/// Constructors of a module from our headers; called once, before the snapshot.
pub const INIT_EXPORT: &str = "__mobula_init";
/// Constructors of a WASI reactor; called once, instead of [`INIT_EXPORT`] where both exist.
pub const REACTOR_INIT_EXPORT: &str = "_initialize";
/// Proto-function, `() -> i32`: called once, after the constructors.
pub const ZYGOTE_EXPORT: &str = "_faasm_zygote";

/// Element types of merges.
pub const TYPE_I32: i32 = 0;
/// 64-bit integers.
pub const TYPE_I64: i32 = 1;
/// 32-bit floats.
pub const TYPE_F32: i32 = 2;
/// 64-bit floats.
pub const TYPE_F64: i32 = 3;
/// Merging adds (integers wrap).
pub const OP_SUM: i32 = 0;
/// Merging keeps the smaller.
pub const OP_MIN: i32 = 1;
/// Merging keeps the larger.
pub const OP_MAX: i32 = 2;

/// Awaiting a call that trapped gives this.
pub const RC_TRAP: i32 = -101;
/// Awaiting a call that ran out of time gives this.
pub const RC_TIMEOUT: i32 = -102;
/// Awaiting a call that was refused before it started gives this.
pub const RC_REFUSED: i32 = -103;
