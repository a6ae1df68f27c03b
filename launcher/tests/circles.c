/* Circles of waits for locks: main holds a lock and awaits a child at each half of `place` that needs it (with
 * an input); or, for pairs of keys, two calls at the two halves lock them in opposite order. Exits with the
 * number of calls that failed. */
#include <faasm/faasm.h>
#include <faasm/mobula.h>
#include <stdio.h>
#include <unistd.h>
#define HALF (2 << 20)
static void meet(int n) {
    int one = 1, met;
    mobulaMergeState("met", sizeof met, 0, &one, sizeof one, MOBULA_I32, MOBULA_SUM);
    mobulaPushMerge("met", MOBULA_I32, MOBULA_SUM);
    do {
        usleep(2000);
        faasmPullState("met", sizeof met);
        faasmReadState("met", BYTES(&met), sizeof met);
    } while (met < n);
}
struct pair { char first[2], second[2]; int met; };
FAASM_FUNC(both, 1) {
    struct pair keys;
    faasmGetInput(BYTES(&keys), sizeof keys);
    faasmLockStateGlobal(keys.first);
    if (keys.met) meet(keys.met);
    faasmLockStateGlobal(keys.second);
    faasmUnlockStateGlobal(keys.second);
    faasmUnlockStateGlobal(keys.first);
    return 0;
}
FAASM_FUNC(one, 2) {
    faasmLockStateGlobal("parent");
    return 0;
}
FAASM_MAIN_FUNC() {
    mobulaStateCreate("place", 2 * HALF);
    int bad = 0;
    if (faasmGetInputSize() > 0) {
        faasmLockStateGlobal("parent");
        for (int half = 0; half < 2; half++)
            bad += faasmAwaitCall(mobulaChainAt("place", half * HALF, 2, NULL, 0)) != 0;
        faasmUnlockStateGlobal("parent");
    } else {
        for (int i = 0; i < 4; i++) {
            struct pair there = {{'a' + i}, {'b' + i}, 2 * i + 2}, back = {{'b' + i}, {'a' + i}, 2 * i + 2};
            unsigned x = mobulaChainAt("place", 0, 1, BYTES(&there), sizeof there);
            unsigned y = mobulaChainAt("place", HALF, 1, BYTES(&back), sizeof back);
            bad += (faasmAwaitCall(x) != 0) + (faasmAwaitCall(y) != 0);
        }
    }
    printf("%d failed\n", bad);
    return bad;
}
