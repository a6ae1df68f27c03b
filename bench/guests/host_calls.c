/* host-calls: host_calls [repetitions]. What each host function costs, in ns; one sample a
 * repetition of a thousand or so. */
#include <faasm/faasm.h>

#include "samples.h"

enum { LEN = 1 << 16, SOME = 64 };

static uint8_t buffer[SOME];
static uint8_t* window;

static void get_input_size(void) { faasmGetInputSize(); }
static void get_input(void) { faasmGetInput(buffer, 8); }
static void set_output(void) { faasmSetOutput(buffer, 8); }
static void get_index(void) { faasmGetCurrentIdx(); }
static void get_flag(void) { getConfFlag("ALWAYS_ON"); }
static void get_range(void) { int64_t lo, hi; mobulaGetRange(&lo, &hi); }
static void read_state(void) { faasmReadState("v", buffer, SOME); }
static void read_size(void) { faasmReadStateSize("v"); }
static void write_state(void) { faasmWriteState("small", buffer, SOME); }
static void read_offset(void) { faasmReadStateOffset("v", LEN, 128, buffer, SOME); }
static void write_offset(void) { faasmWriteStateOffset("v", LEN, 128, buffer, SOME); }
static void window_warm(void) { window = faasmReadStatePtr("v", LEN); }
static void window_offset_warm(void) { window = faasmReadStateOffsetPtr("v", LEN, 128, SOME); }
static void window_and_unmap(void) { mobulaUnmap(faasmReadStatePtr("w", LEN)); }
static void flag_dirty(void) { faasmFlagStateOffsetDirty("v", LEN, 128, SOME); }
static void push(void) { faasmPushState("v"); }
static void push_partial(void) { faasmPushStatePartial("v"); }
static void push_masked(void) { faasmPushStatePartialMask("small", "mask"); }
static void push_merge(void) { mobulaPushMerge("v", MOBULA_F64, MOBULA_SUM); }
static void merge_64_bytes(void) { mobulaMergeState("v", LEN, 128, buffer, SOME, MOBULA_F64, MOBULA_SUM); }
static void pull(void) { faasmPullState("v", LEN); }
static void append(void) { faasmAppendState("log", buffer, 8); }
static void read_appended(void) { faasmReadAppendedState("log", buffer, SOME, 1); }
static void lock_read(void) { faasmLockStateRead("v"); faasmUnlockStateRead("v"); }
static void lock_write(void) { faasmLockStateWrite("v"); faasmUnlockStateWrite("v"); }
static void lock_global(void) { faasmLockStateGlobal("v"); faasmUnlockStateGlobal("v"); }
static void create_and_delete(void) { mobulaStateCreate("made", SOME); mobulaStateDelete("made"); }
static void clock_read(void) { now(); }

static const struct { const char* name; void (*call)(void); long times; } CALLS[] = {
    { "get-input-size", get_input_size, 1000 }, { "get-input", get_input, 1000 },
    { "set-output", set_output, 1000 }, { "get-index", get_index, 1000 },
    { "get-flag", get_flag, 1000 }, { "get-range", get_range, 1000 },
    { "read-state", read_state, 1000 }, { "read-state-size", read_size, 1000 },
    { "write-state", write_state, 1000 }, { "read-offset", read_offset, 1000 },
    { "write-offset", write_offset, 1000 }, { "window-warm", window_warm, 1000 },
    { "window-offset-warm", window_offset_warm, 1000 },
    { "window-map-and-unmap", window_and_unmap, 100 }, { "flag-dirty", flag_dirty, 1000 },
    { "push", push, 1000 }, { "push-partial", push_partial, 1000 },
    { "push-masked", push_masked, 1000 }, { "push-merge", push_merge, 1000 },
    { "merge-8-doubles", merge_64_bytes, 1000 }, { "pull", pull, 1000 },
    { "append", append, 1000 }, { "read-appended", read_appended, 1000 },
    { "lock-and-unlock-read", lock_read, 1000 }, { "lock-and-unlock-write", lock_write, 1000 },
    { "lock-and-unlock-global", lock_global, 1000 },
    { "create-and-delete", create_and_delete, 100 }, { "clock", clock_read, 1000 },
};

FAASM_MAIN_FUNC()
{
    long repetitions = argument(argc, argv, 1, 50);
    faasmWriteState("v", faasmReadStatePtr("zeros", LEN), LEN);
    faasmWriteState("small", buffer, SOME);
    faasmWriteState("mask", buffer, SOME);
    faasmAppendState("log", buffer, 8);
    for (long r = -repetitions / 4; r < repetitions; r++) {
        for (unsigned k = 0; k < sizeof CALLS / sizeof CALLS[0]; k++) {
            double start = now();
            for (long i = 0; i < CALLS[k].times; i++) {
                CALLS[k].call();
            }
            double took = now() - start;
            if (r >= 0) {
                sample(CALLS[k].name, "ns", took * 1e9 / (double)CALLS[k].times);
            }
        }
        faasmClearAppendedState("log");
        faasmAppendState("log", buffer, 8);
    }
    return window == 0;
}
