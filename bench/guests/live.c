/* live-faaslets: live [count]. So many calls wait for a lock at once; main says when they all do. */
#include <faasm/faasm.h>
#include <unistd.h>

#include "samples.h"

static unsigned int ids[100000];

FAASM_FUNC(wait_for_lock, 1)
{
    int* waiting = (int*)faasmReadStatePtr("waiting", sizeof(int));
    __atomic_add_fetch(waiting, 1, __ATOMIC_SEQ_CST);
    faasmLockStateRead("gate");
    faasmUnlockStateRead("gate");
    return 0;
}

FAASM_MAIN_FUNC()
{
    int count = (int)argument(argc, argv, 1, 10000);
    int* waiting = (int*)faasmReadStatePtr("waiting", sizeof(int));
    faasmLockStateWrite("gate");
    printf("before\n");
    fflush(stdout);
    usleep(300000);
    for (int i = 0; i < count; i++) {
        ids[i] = faasmChainThis(1);
    }
    while (__atomic_load_n(waiting, __ATOMIC_SEQ_CST) < count) {
        usleep(10000);
    }
    usleep(100000);
    printf("suspended %d\n", count);
    fflush(stdout);
    usleep(500000);
    faasmUnlockStateWrite("gate");
    unsigned int bad = 0;
    for (int i = 0; i < count; i++) {
        bad |= faasmAwaitCall(ids[i]);
    }
    return bad != 0;
}
