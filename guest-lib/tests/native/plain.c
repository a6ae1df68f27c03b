// A plain main, state from and to files, a proto-function.
#include <faasm/faasm.h>

#include <stdio.h>

static int prepared = 0;

FAASM_ZYGOTE()
{
    prepared++;
    return 0;
}

FAASM_FUNC(twice, 1)
{
    const long size = faasmReadStateSize("in");
    const uint8_t* in = faasmReadStatePtr("in", size);
    uint8_t* out = faasmReadStatePtr("out", 2 * size);
    memcpy(out, in, (size_t)size);
    memcpy(out + size, in, (size_t)size);
    return prepared == 1 ? 0 : 1;
}

int main(int argc, char** argv)
{
    if (argc > 1 && strcmp(argv[1], "refused") == 0) {
        faasmPushState("no such key");
    }
    printf("%d argument, prepared %d times\n", argc - 1, prepared);
    faasmSetOutput("output\n", 7);
    return faasmAwaitCall(faasmChainThis(1)) == 0 ? 4 : 1;
}
