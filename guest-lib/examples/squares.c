// compile: mobula cc -o squares.wasm squares.c
// run: mobula run squares.wasm
// expect: sum of squares: 328350
// exit: 0
/* squares.c: main fans out 100 calls; each squares its input in a fresh memory and adds the result
 * to a counter that all of them share, on whichever host each runs. */
#include <faasm/faasm.h>
#include <stdio.h>

FAASM_FUNC(square, 1)
{
    int x = 0;
    faasmGetInput(BYTES(&x), sizeof x);
    x *= x;
    mobulaMergeState("total", sizeof x, 0, &x, sizeof x, MOBULA_I32, MOBULA_SUM);
    mobulaPushMerge("total", MOBULA_I32, MOBULA_SUM);
    return 0;
}

FAASM_MAIN_FUNC()
{
    unsigned int ids[100], failed = 0;
    for (int i = 0; i < 100; i++) ids[i] = faasmChainThisInput(1, BYTES(&i), sizeof i);
    for (int i = 0; i < 100; i++) failed |= faasmAwaitCall(ids[i]);
    int total = 0;
    faasmPullState("total", sizeof total);
    faasmReadState("total", BYTES(&total), sizeof total);
    printf("sum of squares: %d\n", total);
    return failed != 0;
}
