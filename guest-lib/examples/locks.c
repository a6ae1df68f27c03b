// Lock contention: eight calls add to one counter by reading and writing it back. The write lock makes
// that safe on one host, so those calls are placed where the counter is at home; the global lock makes
// it safe in the whole job. Readers share.
//
// compile: mobula cc -o locks.wasm locks.c
// run: mobula run locks.wasm
// expect: with the write lock: 800
// expect: with the global lock: 800
// expect: two readers at once
// exit: 0
#include <faasm/faasm.h>

#include <stdio.h>

enum { CALLS = 8, EACH = 100 };

static void addOne(const char* key)
{
    int counter = 0;
    faasmReadStateOffset(key, sizeof counter, 0, BYTES(&counter), sizeof counter);
    counter++;
    faasmWriteStateOffset(key, sizeof counter, 0, BYTES(&counter), sizeof counter);
}

FAASM_FUNC(local, 1)
{
    for (int i = 0; i < EACH; i++) {
        faasmLockStateWrite("local");
        addOne("local");
        faasmUnlockStateWrite("local");
    }
    faasmPushState("local");
    return 0;
}

FAASM_FUNC(global, 2)
{
    for (int i = 0; i < EACH; i++) {
        faasmLockStateGlobal("global");
        faasmPullState("global", sizeof(int));
        addOne("global");
        faasmPushState("global");
        faasmUnlockStateGlobal("global");
    }
    return 0;
}

// Reads while the caller holds the read lock too; with a write lock this would wait for ever.
FAASM_FUNC(reader, 3)
{
    faasmLockStateRead("local");
    int counter = 0;
    faasmPullState("local", sizeof counter);
    faasmReadState("local", BYTES(&counter), sizeof counter);
    faasmUnlockStateRead("local");
    return counter == CALLS * EACH ? 0 : 1;
}

static unsigned int chainOf(int idx)
{
    return idx == 1 ? mobulaChainAt("local", 0, idx, NULL, 0) : faasmChainThis(idx);
}

static int count(int idx, const char* key)
{
    unsigned int ids[CALLS];
    int counter = 0;
    for (int i = 0; i < CALLS; i++) {
        ids[i] = chainOf(idx);
    }
    for (int i = 0; i < CALLS; i++) {
        if (faasmAwaitCall(ids[i]) != 0) {
            return -1;
        }
    }
    faasmPullState(key, sizeof counter);
    faasmReadState(key, BYTES(&counter), sizeof counter);
    return counter;
}

FAASM_MAIN_FUNC()
{
    const int local = count(1, "local");
    printf("with the write lock: %d\n", local);
    const int global = count(2, "global");
    printf("with the global lock: %d\n", global);

    faasmLockStateRead("local");
    const unsigned int reader = faasmAwaitCall(faasmChainThis(3));
    faasmUnlockStateRead("local");
    printf(reader == 0 ? "two readers at once\n" : "the reader failed\n");
    return local != CALLS * EACH || global != CALLS * EACH || reader != 0;
}
