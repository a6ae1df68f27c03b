// Chaining by index: main starts ten calls at once, each of which chains one of its own. Every call
// has a fresh memory: the counter below is 1 in each of them. (Not in a native build, whose calls
// share their globals.)
//
// compile: mobula cc -o chain.wasm chain.c
// run: mobula run chain.wasm
// expect: squares 0 1 4 9 16 25 36 49 64 81
// expect: the failing call returned 7
// exit: 0
#include <faasm/faasm.h>

#include <stdio.h>

enum { N = 10, FAILURE = 7 };

static int counter = 0;

static int isFresh(void)
{
#ifdef FAASM_NATIVE
    return 1;
#else
    return ++counter == 1;
#endif
}

// Multiplies its input with itself.
FAASM_FUNC(square, 1)
{
    int x = 0;
    faasmGetInput(BYTES(&x), sizeof x);
    const int y = x * x;
    faasmSetOutput(&y, sizeof y);
    return isFresh() ? 0 : 1;
}

// Lets a nested call do it, and hands its output on.
FAASM_FUNC(nest, 2)
{
    int x = 0;
    int y = -1;
    faasmGetInput(BYTES(&x), sizeof x);
    const unsigned int id = faasmChainThisInput(1, BYTES(&x), sizeof x);
    if (faasmAwaitCallOutput(id, BYTES(&y), sizeof y) != 0) {
        return 1;
    }
    faasmSetOutput(&y, sizeof y);
    return isFresh() ? 0 : 1;
}

FAASM_FUNC(fail, 3)
{
    return FAILURE;
}

FAASM_MAIN_FUNC()
{
    unsigned int ids[N];
    for (int i = 0; i < N; i++) {
        ids[i] = faasmChainThisInput(2, BYTES(&i), sizeof i);
    }
    int wrong = 0;
    printf("squares");
    for (int i = 0; i < N; i++) {
        int y = -1;
        wrong += faasmAwaitCallOutput(ids[i], BYTES(&y), sizeof y) != 0 || y != i * i;
        printf(" %d", y);
    }
    const unsigned int code = faasmAwaitCall(faasmChainThis(3));
    printf("\nthe failing call returned %u\n", code);
    return wrong != 0 || code != FAILURE || counter != 0;
}
