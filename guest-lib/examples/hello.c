// The smallest function: prints, and its return value becomes the exit code.
//
// compile: mobula cc -o hello.wasm hello.c
// run: mobula run hello.wasm
// expect: Hello from entry 0
// exit: 0
#include <faasm/faasm.h>

#include <stdio.h>

FAASM_MAIN_FUNC()
{
    printf("Hello from entry %d\n", faasmGetCurrentIdx());
    return 0;
}
