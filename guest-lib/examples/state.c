// Every state call once: whole values, parts, windows, dirty flags, push and pull, masks, merges, files,
// values made and removed. A second call sees what the first one wrote.
//
// compile: mobula cc -o state.wasm state.c
// run: mobula run state.wasm
// expect: whole: 8 bytes, "one two"
// expect: part: "two"
// expect: unwritten bytes are 0
// expect: window: "ONE two"
// expect: masked: mask is 0 again
// expect: merged: 10 3 9
// expect: made and removed
// expect: file: 11 bytes, "from a file"
// expect: child saw "ONE two" and wrote 42
// exit: 0
#include <faasm/faasm.h>

#include <stdio.h>
#include <string.h>

#define KEY "words"
enum { SIZE = 8, NUMBERS = 4 };

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            printf("wrong at line %d: %s\n", __LINE__, #what);                                     \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static int wholeAndPart(void)
{
    char all[SIZE];
    char part[4] = "";
    CHECK(faasmReadStateSize(KEY) == 0);
    faasmWriteState(KEY, BYTES_CONST("one two"), SIZE);
    CHECK(faasmReadStateSize(KEY) == SIZE);
    faasmReadState(KEY, BYTES(all), SIZE);
    printf("whole: %ld bytes, \"%s\"\n", faasmReadStateSize(KEY), all);
    faasmReadStateOffset(KEY, SIZE, 4, BYTES(part), 3);
    printf("part: \"%s\"\n", part);
    CHECK(strcmp(all, "one two") == 0 && strcmp(part, "two") == 0);

    // The first use of a key fixes its length; what nobody wrote is 0.
    int numbers[NUMBERS] = { -1, -1, -1, -1 };
    const int second = 5;
    faasmWriteStateOffset("numbers", sizeof numbers, sizeof second, BYTES_CONST(&second),
                          sizeof second);
    faasmReadState("numbers", BYTES(numbers), sizeof numbers);
    CHECK(numbers[0] == 0 && numbers[1] == 5 && numbers[2] == 0 && numbers[3] == 0);
    printf("unwritten bytes are 0\n");
    return 0;
}

static int window(void)
{
    char all[SIZE];
    // The shared bytes themselves: stores are in the value at once. A push sends what is flagged.
    char* words = (char*)faasmReadStatePtr(KEY, SIZE);
    char* one = (char*)faasmReadStateOffsetPtr(KEY, SIZE, 0, 3);
    CHECK(memcmp(one, words, 3) == 0);
    memcpy(one, "ONE", 3);
    faasmFlagStateOffsetDirty(KEY, SIZE, 0, 3);
    faasmPushStatePartial(KEY);
    faasmFlagStateDirty(KEY, SIZE);
    faasmPushState(KEY);
    faasmPullState(KEY, SIZE);
    faasmReadState(KEY, BYTES(all), SIZE);
    printf("window: \"%s\"\n", all);
    CHECK(strcmp(all, "ONE two") == 0);
    return 0;
}

static int masked(void)
{
    // Only bytes whose mask bytes are set are sent; then the mask is 0 again.
    uint8_t* value = faasmReadStatePtr("masked", SIZE);
    uint8_t* mask = faasmReadStatePtr("mask", SIZE);
    value[2] = 22;
    mask[2] = 0xFF;
    faasmFlagStateOffsetDirty("masked", SIZE, 2, 1);
    faasmPushStatePartialMask("masked", "mask");
    uint8_t after[SIZE];
    faasmReadState("mask", after, SIZE);
    for (int i = 0; i < SIZE; i++) {
        CHECK(after[i] == 0);
    }
    faasmReadState("masked", after, SIZE);
    CHECK(after[2] == 22);
    printf("masked: mask is 0 again\n");
    return 0;
}

static int merged(void)
{
    // Elements of a private buffer are combined with the value's, each atomically.
    const int32_t first[3] = { 4, 3, -2 }, second[3] = { 6, 8, 9 };
    int32_t all[3];
    faasmWriteState("sums", BYTES_CONST(first), sizeof first);
    mobulaMergeState("sums", sizeof first, 0, second, 4, MOBULA_I32, MOBULA_SUM);
    mobulaMergeState("sums", sizeof first, 4, second + 1, 4, MOBULA_I32, MOBULA_MIN);
    mobulaMergeState("sums", sizeof first, 8, second + 2, 4, MOBULA_I32, MOBULA_MAX);
    mobulaPushMerge("sums", MOBULA_I32, MOBULA_SUM);
    faasmReadState("sums", BYTES(all), sizeof all);
    printf("merged: %d %d %d\n", (int)all[0], (int)all[1], (int)all[2]);
    return 0;
}

static int madeAndRemoved(void)
{
    mobulaStateCreate("made", 1000);
    CHECK(faasmReadStateSize("made") == 1000);
    uint8_t* bytes = faasmReadStatePtr("made", 1000);
    CHECK(bytes[999] == 0);
    // A value can be removed when no call has a window on it.
    mobulaUnmap(bytes);
    mobulaStateDelete("made");
    CHECK(faasmReadStateSize("made") == 0);
    printf("made and removed\n");
    return 0;
}

static int fromFile(void)
{
    // /tmp is this call's own and gone with it.
    const char* path = "/tmp/mobula-example-text";
    FILE* file = fopen(path, "w");
    CHECK(file != NULL);
    fputs("from a file", file);
    fclose(file);
    CHECK(faasmWriteStateFromFile("file", path) == 11);
    remove(path);
    CHECK((long)faasmWriteStateFromFile("file", "/no/such/file") == -1);
    char text[12] = "";
    faasmReadState("file", BYTES(text), 11);
    printf("file: %ld bytes, \"%s\"\n", faasmReadStateSize("file"), text);
    CHECK(strcmp(text, "from a file") == 0);
    return 0;
}

FAASM_FUNC(child, 1)
{
    char all[SIZE];
    const int answer = 42;
    faasmReadState(KEY, BYTES(all), SIZE);
    faasmWriteState("answer", BYTES_CONST(&answer), sizeof answer);
    faasmSetOutput(all, SIZE);
    return 0;
}

FAASM_MAIN_FUNC()
{
    if (wholeAndPart() != 0 || window() != 0 || masked() != 0 || merged() != 0 ||
        madeAndRemoved() != 0 || fromFile() != 0) {
        return 1;
    }
    char seen[SIZE] = "";
    int answer = 0;
    CHECK(faasmAwaitCallOutput(faasmChainThis(1), BYTES(seen), SIZE) == 0);
    faasmReadState("answer", BYTES(&answer), sizeof answer);
    printf("child saw \"%s\" and wrote %d\n", seen, answer);
    CHECK(strcmp(seen, "ONE two") == 0 && answer == 42);
    return 0;
}
