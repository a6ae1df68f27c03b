// A parallel loop: heat flows through a rod, step by step. The runtime divides the indices; each call
// works on its part of two windows, without copying. It pulls what it reads and pushes what it wrote,
// so that calls may run on several hosts. The first of two searches to end is taken with mobulaAwaitAny.
//
// compile: mobula cc -o parallel.wasm parallel.c
// run: mobula run parallel.wasm
// expect: 200 steps over 4000 points
// expect: nothing is lost: 1000000
// expect: in order of place: yes
// expect: both ends of the heat are found
// exit: 0
#include <faasm/faasm.h>

#include <stdio.h>

enum { POINTS = 4000, STEPS = 200, GRAIN = 500 };

#define BYTES_OF_ROD ((long)(POINTS * sizeof(double)))

static const double HEAT = 1e6;

// The rod before and after a step; which is which changes from step to step.
static const char* keyOf(int step)
{
    return step % 2 == 0 ? "even" : "odd";
}

static double* rod(int step)
{
    return (double*)faasmReadStatePtr(keyOf(step), BYTES_OF_ROD);
}

// The same, with what others have pushed.
static const double* pulled(int step)
{
    faasmPullState(keyOf(step), BYTES_OF_ROD);
    return rod(step);
}

static void push(int step, int64_t lo, int64_t hi)
{
    const long size = (long)sizeof(double);
    faasmFlagStateOffsetDirty(keyOf(step), BYTES_OF_ROD, (long)lo * size, (long)(hi - lo) * size);
    faasmPushState(keyOf(step));
}

FAASM_FUNC(flow, 1)
{
    int64_t lo, hi;
    int step = 0;
    faasmGetInput(BYTES(&step), sizeof step);
    if (!mobulaGetRange(&lo, &hi)) {
        return 1;
    }
    const double* before = pulled(step);
    double* after = rod(step + 1);
    for (int64_t i = lo; i < hi; i++) {
        // The ends are closed: what would flow out stays.
        const double left = before[i > 0 ? i - 1 : i];
        const double right = before[i < POINTS - 1 ? i + 1 : i];
        after[i] = before[i] + 0.25 * (left - 2 * before[i] + right);
    }
    push(step + 1, lo, hi);
    return 0;
}

// From one end to the first point that is warm; its index is the output.
static int search(int from, int by)
{
    const double* now = pulled(STEPS);
    int at = from;
    while (now[at] == 0) {
        at += by;
    }
    faasmSetOutput(&at, sizeof at);
    return 0;
}

FAASM_FUNC(searchUp, 2)
{
    return search(0, 1);
}

FAASM_FUNC(searchDown, 3)
{
    return search(POINTS - 1, -1);
}

FAASM_MAIN_FUNC()
{
    rod(0)[POINTS / 2] = HEAT;
    push(0, POINTS / 2, POINTS / 2 + 1);
    for (int step = 0; step < STEPS; step++) {
        const unsigned int loop =
          mobulaChainRange(1, 0, POINTS, GRAIN, BYTES(&step), sizeof step);
        if (faasmAwaitCall(loop) != 0) {
            return 1;
        }
    }
    double total = 0;
    int ordered = 1;
    const double* now = pulled(STEPS);
    for (int i = 0; i < POINTS; i++) {
        total += now[i];
        ordered &= i == 0 || i > POINTS / 2 || now[i - 1] <= now[i];
    }
    printf("%d steps over %d points\n", STEPS, POINTS);
    printf("nothing is lost: %.0f\n", total);
    printf("in order of place: %s\n", ordered ? "yes" : "no");

    unsigned int ids[2] = { faasmChainThis(2), faasmChainThis(3) };
    int found[2] = { 0, 0 };
    for (int ended = 0; ended < 2; ended++) {
        const unsigned int first = mobulaAwaitAny(ids, 2);
        const int which = first == ids[0] ? 0 : 1;
        faasmAwaitCallOutput(first, BYTES(&found[which]), sizeof found[which]);
        ids[which] = 0;
    }
    // Heat moves one point a step in both directions.
    if (found[0] != POINTS / 2 - STEPS || found[1] != POINTS / 2 + STEPS) {
        printf("found %d and %d\n", found[0], found[1]);
        return 1;
    }
    printf("both ends of the heat are found\n");
    return 0;
}
