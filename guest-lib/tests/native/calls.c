// Everything about calls that the examples leave out: function pointers, batches, parallel loops,
// the first of several, deep nesting, calls that nobody awaits, circles of waits.
#include <faasm/faasm.h>

#include <stdio.h>
#include <unistd.h>

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            printf("wrong at line %d: %s\n", __LINE__, #what);                                     \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

#ifndef DEEP
#define DEEP 20000
#endif
enum { N = 1000 };

static int pointed(void)
{
    char text[8] = "";
    faasmGetInput(BYTES(text), sizeof text - 1);
    int64_t one = 1;
    mobulaMergeState("batch", 8, 0, &one, 8, MOBULA_I64, MOBULA_SUM);
    return strcmp(text, "text") == 0 && faasmGetInputSize() == 4 ? 0 : 1;
}

FAASM_FUNC(part, 1)
{
    int64_t lo, hi;
    CHECK(mobulaGetRange(&lo, &hi) == 1 && hi - lo >= 10);
    uint8_t* seen = faasmReadStatePtr("seen", N);
    for (int64_t i = lo; i < hi; i++) {
        seen[i]++;
    }
    double sum = (double)(hi - lo);
    mobulaMergeState("sum", 8, 0, &sum, 8, MOBULA_F64, MOBULA_SUM);
    return faasmGetInputSize() == 2 && hi == N ? 5 : 0;
}

FAASM_FUNC(slow, 2)
{
    usleep(300000);
    return 2;
}

FAASM_FUNC(fast, 3)
{
    return 3;
}

// A chain of calls, each of which awaits the next.
FAASM_FUNC(deep, 4)
{
    int left = 0;
    char frame[512];
    faasmGetInput(BYTES(&left), sizeof left);
    memset(frame, left & 1, sizeof frame);
    left--;
    if (left > 0 && faasmAwaitCall(faasmChainThisInput(4, BYTES(&left), sizeof left)) != 0) {
        return 1;
    }
    return frame[left % 512] == ((left + 1) & 1) ? 0 : 2;
}

FAASM_FUNC(late, 5)
{
    usleep(100000);
    printf("a call that nobody awaits\n");
    return 0;
}

FAASM_FUNC(wantsLock, 6)
{
    faasmLockStateWrite("circle");
    return 0;
}

// Holds the lock that its child wants, and awaits the child: somebody has to be told.
FAASM_FUNC(circle, 7)
{
    faasmLockStateWrite("circle");
    return (int)faasmAwaitCall(faasmChainThis(6)) == -101 ? 0 : 1;
}

static int loops(void)
{
    const unsigned int loop = mobulaChainRange(1, 0, N, 10, BYTES_CONST("ab"), 2);
    CHECK(faasmAwaitCall(loop) == 5);
    const uint8_t* seen = faasmReadStatePtr("seen", N);
    for (int i = 0; i < N; i++) {
        CHECK(seen[i] == 1);
    }
    double sum;
    faasmReadState("sum", BYTES(&sum), sizeof sum);
    CHECK(sum == N);
    CHECK(faasmAwaitCall(mobulaChainRange(1, 3, 3, 1, 0, 0)) == 0);
    int64_t lo = 1, hi = 1;
    CHECK(mobulaGetRange(&lo, &hi) == 0 && lo == hi);
    return 0;
}

static int first(void)
{
    unsigned int ids[3] = { faasmChainThis(2), 0, faasmChainThis(3) };
    // On one thread the first is whichever runs; with more it is the fast one.
    const unsigned int any = mobulaAwaitAny(ids, 3);
    CHECK(any == ids[0] || any == ids[2]);
    CHECK(faasmAwaitCall(any) == (any == ids[0] ? 2 : 3));
    ids[any == ids[0] ? 0 : 2] = 0;
    const unsigned int other = mobulaAwaitAny(ids, 3);
    CHECK(other == ids[0] + ids[2] && faasmAwaitCall(other) != 0);
    return 0;
}

static int merges(void)
{
    const double doubles[2] = { 5, 0.0 / 0.0 };
    const float floats[2] = { 1.5F, -2 };
    const int32_t ints[2] = { INT32_MAX, -7 };
    double d[2];
    float f[2];
    int32_t i[2];
    mobulaMergeState("doubles", 16, 0, doubles, 16, MOBULA_F64, MOBULA_MAX);
    faasmReadState("doubles", BYTES(d), sizeof d);
    CHECK(d[0] == 5 && d[1] == 0); // a number is preferred to a NaN
    for (int n = 0; n < 2; n++) {
        mobulaMergeState("floats", 16, 8, floats, 8, MOBULA_F32, MOBULA_SUM);
        mobulaMergeState("ints", 8, 0, ints, 8, MOBULA_I32, n == 0 ? MOBULA_SUM : MOBULA_MIN);
    }
    mobulaMergeState("ints", 8, 0, ints, 4, MOBULA_I32, MOBULA_SUM);
    faasmReadStateOffset("floats", 16, 8, BYTES(f), sizeof f);
    faasmReadState("ints", BYTES(i), sizeof i);
    CHECK(f[0] == 3 && f[1] == -4 && i[0] == -2 && i[1] == -7); // integers wrap
    mobulaPushMerge("floats", MOBULA_F32, MOBULA_SUM);
    mobulaStateDelete("floats");
    mobulaStateDelete("floats");
    CHECK(faasmReadStateSize("floats") == 0);
    mobulaStateCreate("made", 12);
    mobulaStateCreate("made", 12);
    CHECK(faasmReadStateSize("made") == 12);
    return 0;
}

FAASM_MAIN_FUNC()
{
    int64_t batch = 0;
    CHECK(faasmChainBatch(pointed, "text", N) == 0);
    faasmReadState("batch", BYTES(&batch), sizeof batch);
    CHECK(batch == N);
    if (loops() != 0 || first() != 0 || merges() != 0) {
        return 1;
    }
    int depth = DEEP;
    CHECK(faasmAwaitCall(faasmChainThisInput(4, BYTES(&depth), sizeof depth)) == 0);
    CHECK(faasmAwaitCall(faasmChainThis(7)) == 0);
    CHECK(faasmAwaitCall(mobulaChainAt("batch", 4, 3, 0, 0)) == 3);
    CHECK(getConfFlag("ALWAYS_ON") == 1 && getConfFlag("ALWAYS_OFF") == 0);
    CHECK(getConfFlag("ON") == 1 && getConfFlag("OFF") == 0 && getConfFlag("NONE") == 0);
    // Windows: the same range is the same pointer, and given back it can be resized.
    uint8_t* window = faasmReadStateOffsetPtr("w", 100, 3, 50);
    CHECK(window == faasmReadStateOffsetPtr("w", 100, 3, 50));
    mobulaUnmap(window);
    faasmWriteState("w", BYTES_CONST("ab"), 2);
    CHECK(faasmReadStateSize("w") == 2);
    faasmChainThis(5);
    printf("calls are right\n");
    fflush(stdout);
    return 0;
}
