// Chaining by name over three modules: main chains "upper" and "count", "upper" chains "count" too.
//
// compile: mobula cc -o upper.wasm upper.c
// compile: mobula cc -o count.wasm count.c
// compile: mobula cc -o main.wasm main.c
// run: mobula run main.wasm --with upper.wasm --with count.wasm
// expect: upper: A SHARED WORD (13 characters)
// expect: count: 13
// exit: 0
#include <faasm/faasm.h>

#include <stdio.h>
#include <string.h>

FAASM_MAIN_FUNC()
{
    static const char text[] = "a shared word";
    const long size = (long)strlen(text);
    // Both run while main waits.
    const unsigned int upper = faasmChainFunctionInput("upper", BYTES_CONST(text), size);
    const unsigned int count = faasmChainFunctionInput("count", BYTES_CONST(text), size);

    char answer[64] = "";
    if (faasmAwaitCallOutput(upper, BYTES(answer), sizeof answer - 1) != 0) {
        return 1;
    }
    printf("upper: %s\n", answer);
    int n = 0;
    if (faasmAwaitCallOutput(count, BYTES(&n), sizeof n) != 0) {
        return 2;
    }
    printf("count: %d\n", n);
    return n == size && strcmp(answer, "A SHARED WORD (13 characters)") == 0 ? 0 : 3;
}
