// Two calls share a window at an odd offset of a large value. Each adds its numbers to its own half
// with plain stores, then both add to one total with atomics: plain stores of one call are there for
// others after the call was awaited; while both run, only atomics are.
//
// compile: mobula cc -o windows.wasm windows.c
// run: mobula run windows.wasm
// expect: sum 499500
// expect: total 499500
// expect: bytes outside the window are untouched
// exit: 0
#include <faasm/faasm.h>

#include <stdio.h>

#define KEY "numbers"
enum { N = 1000, AREA = N * 4 + 4, OFFSET = 100004, TOTAL = 300000 };

// The last number of the area is the total.
static unsigned int* area(void)
{
    return (unsigned int*)faasmReadStateOffsetPtr(KEY, TOTAL, OFFSET, AREA);
}

FAASM_FUNC(half, 1)
{
    int which = 0;
    faasmGetInput(BYTES(&which), sizeof which);
    const int from = which * N / 2;
    unsigned int* numbers = area();
    for (int i = from; i < from + N / 2; i++) {
        numbers[i] = (unsigned int)i;
        __atomic_fetch_add(&numbers[N], (unsigned int)i, __ATOMIC_RELAXED);
    }
    faasmFlagStateOffsetDirty(KEY, TOTAL, OFFSET + from * 4L, N / 2 * 4L);
    faasmFlagStateOffsetDirty(KEY, TOTAL, OFFSET + N * 4L, 4);
    faasmPushStatePartial(KEY);
    return 0;
}

FAASM_MAIN_FUNC()
{
    unsigned int* numbers = area();
    unsigned int ids[2];
    for (int i = 0; i < 2; i++) {
        ids[i] = faasmChainThisInput(1, BYTES(&i), sizeof i);
    }
    const unsigned int failed = faasmAwaitCall(ids[0]) | faasmAwaitCall(ids[1]);
    unsigned int sum = 0;
    for (int i = 0; i < N; i++) {
        sum += numbers[i];
    }
    printf("sum %u\ntotal %u\n", sum, numbers[N]);
    uint8_t before = 1;
    uint8_t after = 1;
    faasmReadStateOffset(KEY, TOTAL, OFFSET - 1, &before, 1);
    faasmReadStateOffset(KEY, TOTAL, OFFSET + AREA, &after, 1);
    const int outside = before | after;
    printf("bytes outside the window are %s\n", outside == 0 ? "untouched" : "changed");
    const unsigned int expected = N * (N - 1) / 2;
    return failed != 0 || sum != expected || numbers[N] != expected || outside != 0;
}
