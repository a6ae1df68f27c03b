// Part of main.c: puts its input in capitals, and asks "count" how long it is.
#include <faasm/faasm.h>

#include <ctype.h>
#include <stdio.h>

FAASM_MAIN_FUNC()
{
    char text[64] = "";
    const long size = faasmGetInputSize();
    if (size >= (long)sizeof text) {
        return 1;
    }
    faasmGetInput(BYTES(text), size);
    int n = 0;
    const unsigned int id = faasmChainFunctionInput("count", BYTES(text), size);
    if (faasmAwaitCallOutput(id, BYTES(&n), sizeof n) != 0) {
        return 2;
    }
    for (long i = 0; i < size; i++) {
        text[i] = (char)toupper((unsigned char)text[i]);
    }
    char answer[128];
    const int length = snprintf(answer, sizeof answer, "%s (%d characters)", text, n);
    faasmSetOutput(answer, length);
    return 0;
}
