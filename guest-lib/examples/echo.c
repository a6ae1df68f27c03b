// Input and output: what the caller gives comes back, byte for byte.
//
// compile: mobula cc -o echo.wasm echo.c
// run: mobula run echo.wasm --input "some text" --output -
// expect: 9 bytes in
// expect: some text
// exit: 0
#include <faasm/faasm.h>

#include <stdio.h>

FAASM_MAIN_FUNC()
{
    const long size = faasmGetInputSize();
    uint8_t* bytes = malloc((size_t)size + 1);
    if (bytes == NULL) {
        return 1;
    }
    faasmGetInput(bytes, size);
    faasmSetOutput(bytes, size);
    printf("%ld bytes in\n", size);
    free(bytes);
    return 0;
}
