// Naive Fibonacci by chained calls: fib(16) is 3193 calls, most of them waiting for others. A waiting
// call holds no thread, so one thread is enough.
//
// compile: mobula cc -o fib.wasm fib.c
// run: mobula run --threads 1 fib.wasm --input 16
// expect: fib(16) = 987
// exit: 0
#include <faasm/faasm.h>

#include <stdio.h>

FAASM_FUNC(fib, 1)
{
    int n = 0;
    faasmGetInput(BYTES(&n), sizeof n);
    unsigned int result = (unsigned int)n;
    if (n >= 2) {
        const int below[2] = { n - 1, n - 2 };
        unsigned int ids[2];
        unsigned int values[2] = { 0, 0 };
        for (int i = 0; i < 2; i++) {
            ids[i] = faasmChainThisInput(1, BYTES_CONST(&below[i]), sizeof below[i]);
        }
        for (int i = 0; i < 2; i++) {
            if (faasmAwaitCallOutput(ids[i], BYTES(&values[i]), sizeof values[i]) != 0) {
                return 1;
            }
        }
        result = values[0] + values[1];
    }
    faasmSetOutput(&result, sizeof result);
    return 0;
}

static unsigned int loop(int n)
{
    unsigned int a = 0;
    unsigned int b = 1;
    while (n-- > 0) {
        const unsigned int next = a + b;
        a = b;
        b = next;
    }
    return a;
}

FAASM_MAIN_FUNC()
{
    char text[16] = "";
    faasmGetInput(BYTES(text), sizeof text - 1);
    const int n = text[0] == '\0' ? 16 : atoi(text);
    unsigned int result = 0;
    const unsigned int id = faasmChainThisInput(1, BYTES_CONST(&n), sizeof n);
    if (faasmAwaitCallOutput(id, BYTES(&result), sizeof result) != 0) {
        return 1;
    }
    printf("fib(%d) = %u\n", n, result);
    return result == loop(n) ? 0 : 2;
}
