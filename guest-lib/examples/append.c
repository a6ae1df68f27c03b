// Two writers append to one value while both run: no record is lost or torn, and each writer's own
// records keep their order.
//
// compile: mobula cc -o append.wasm append.c
// run: mobula run append.wasm
// expect: 200 records, each writer's in order
// expect: after clearing: 1 record, 7
// exit: 0
#include <faasm/faasm.h>

#include <stdio.h>

#define KEY "log"
enum { EACH = 100, WRITERS = 2 };

struct record {
    int writer;
    int number;
};

FAASM_FUNC(writer, 1)
{
    struct record record = { 0, 0 };
    faasmGetInput(BYTES(&record.writer), sizeof record.writer);
    for (record.number = 0; record.number < EACH; record.number++) {
        faasmAppendState(KEY, BYTES(&record), sizeof record);
    }
    return 0;
}

FAASM_MAIN_FUNC()
{
    unsigned int ids[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        ids[i] = faasmChainThisInput(1, BYTES(&i), sizeof i);
    }
    for (int i = 0; i < WRITERS; i++) {
        if (faasmAwaitCall(ids[i]) != 0) {
            return 1;
        }
    }
    static struct record records[WRITERS * EACH];
    faasmReadAppendedState(KEY, BYTES(records), sizeof records, WRITERS * EACH);
    int next[WRITERS] = { 0 };
    for (int i = 0; i < WRITERS * EACH; i++) {
        const int writer = records[i].writer;
        if (writer < 0 || writer >= WRITERS || records[i].number != next[writer]++) {
            return 2;
        }
    }
    printf("%d records, each writer's in order\n", next[0] + next[1]);

    faasmClearAppendedState(KEY);
    int seven = 7;
    faasmAppendState(KEY, BYTES(&seven), sizeof seven);
    seven = 0;
    faasmReadAppendedState(KEY, BYTES(&seven), sizeof seven, 1);
    printf("after clearing: 1 record, %d\n", seven);
    return seven == 7 ? 0 : 3;
}
