/* pull-bandwidth and push-bandwidth: bandwidth pull|push RANKS [KiB [repetitions]]. Bytes that are at
 * home on another rank, through one window: a call at their home changes all of them and they are
 * pulled, or this call changes them and they are pushed. Each repetition is checked on the other side.
 * One sample a repetition: GB/s; `first` is the one before which the bytes had never been here. */
#include <faasm/faasm.h>

#include "ranks.h"

enum { PAGE = 4096 };

struct request {
    struct part at;
    int64_t len;
    int64_t round;
};

static uint8_t* window(const struct part* at, long len)
{
    return faasmReadStateOffsetPtr(at->key, at->total, at->offset, len);
}

static uint8_t byte_of(int64_t round)
{
    return (uint8_t)(round % 251 + 1);
}

/* A byte of every page, which also brings here what comes on demand. */
static int all_are(const volatile uint8_t* bytes, long len, uint8_t wanted)
{
    int same = bytes[len - 1] == wanted;
    for (long i = 0; i < len; i += PAGE) {
        same &= bytes[i] == wanted;
    }
    return same;
}

static void change(const struct part* at, long len, int64_t round)
{
    memset(window(at, len), byte_of(round), (size_t)len);
    faasmFlagStateOffsetDirty(at->key, at->total, at->offset, len);
}

FAASM_FUNC(change_at_home, 1)
{
    struct request r;
    faasmGetInput(BYTES(&r), sizeof r);
    change(&r.at, (long)r.len, r.round);
    faasmPushState(r.at.key);
    return 0;
}

FAASM_FUNC(check_at_home, 2)
{
    struct request r;
    faasmGetInput(BYTES(&r), sizeof r);
    return !all_are(window(&r.at, (long)r.len), (long)r.len, byte_of(r.round));
}

static int at_home(int entry, const struct part* at, long len, int64_t round)
{
    struct request r = { *at, len, round };
    return (int)faasmAwaitCall(
        mobulaChainAt(at->key, at->offset, entry, BYTES_CONST(&r), sizeof r));
}

/* Seconds of one pull or push, or a negative number when the bytes are wrong. */
static double once(int push, const struct part* at, long len, int64_t round)
{
    double start;
    if (push) {
        change(at, len, round);
        start = now();
        faasmPushState(at->key);
        double took = now() - start;
        return at_home(2, at, len, round) == 0 ? took : -1;
    }
    if (at_home(1, at, len, round) != 0) {
        return -1;
    }
    start = now();
    faasmPullState(at->key, at->total);
    int good = all_are(window(at, len), len, byte_of(round));
    return good ? now() - start : -1;
}

static int measure(int push, long ranks, long kib, long repetitions)
{
    struct part far;
    char metric[32];
    long len = kib << 10;
    if (!find_far(&far, ranks, len)) {
        printf("nothing is far\n");
    }
    long first = -repetitions / 4 - 1;
    for (long r = first; r < repetitions; r++) {
        double took = once(push, &far, len, r + repetitions);
        if (took < 0) {
            fprintf(stderr, "%ld KiB: wrong bytes in round %ld\n", kib, r);
            return 1;
        }
        if (r == first || r >= 0) {
            snprintf(metric, sizeof metric, "%s%ld-KiB", r == first ? "first-" : "", kib);
            sample(metric, "GB/s", (double)len / took / 1e9);
        }
    }
    return 0;
}

FAASM_MAIN_FUNC()
{
    int push = argc > 1 && strcmp(argv[1], "push") == 0;
    long ranks = argument(argc, argv, 2, 2);
    return measure(push, ranks, argument(argc, argv, 3, 4), argument(argc, argv, 4, 20));
}
