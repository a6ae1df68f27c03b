// state.h, array.h, memory.h, and what core.h has of all of Faasm's generations.
//
// compile: mobula c++ -Wall -Wextra -Werror -o state.wasm state.cpp
// run: mobula run state.wasm
// expect: state: good
// stderr: faasmBacktrace(3): only a trap has a backtrace here
// stderr: faasm::AsyncArray, key "array": element 4 of 4
// stderr: faasm::AsyncArray, key "array": element -1 of 4
// stderr: faasm::AsyncArray, key "array": the value has 16 bytes and 20 are asked for
// stderr: faasm::AsyncArray, key "huge": 4294967295 elements of 8 bytes
// stderr: a chained call has no command line ("-v")
// exit: 0
#include <faasm/array.h>
#include <faasm/input.h>
#include <faasm/memory.h>
#include <faasm/state.h>

#include "check.h"

#include <cstring>
#include <type_traits>

// The types of Faasm's headers, as programs may hold them in pointers.
static size_t (*const size)(const char*) = faasmReadStateSize;
static long (*const readAll)(const char*, unsigned char*, long) = faasmReadState;
static unsigned long (*const fromFile)(const char*, const char*) = faasmWriteStateFromFile;
static unsigned int (*const batch)(FaasmFuncPtr, const char*, int) = faasmChainBatch;
static unsigned int (*const flag)(const char*) = getConfFlag;
static void (*const backtrace)(const int) = faasmBacktrace;
static_assert(std::is_same<FaasmFuncPtr, int (*)()>::value, "an entry by its address");

FAASM_FUNC(wrong, 1)
{
    const int which = faasm::getTypedInput<int>(0);
    if (which == 4) {
        faasmChainNamed("other", "-v", nullptr, 0);
        return 0;
    }
    if (which == 3) {
        faasm::AsyncArray<double> huge("huge", SIZE_MAX);
        return 0;
    }
    faasm::AsyncArray<int> array("array", which == 2 ? 5 : 4);
    array[which == 0 ? 4 : which - 2] = 1;
    return 0;
}

FAASM_FUNC(add, 2)
{
    faasm::AsyncArray<int> array("array", 4);
    array.pullLazy();
    array[1] += 10;
    array.set(2, array.get(2) + 5);
    array.push();
    return 0;
}

static void masks()
{
    uint8_t* mask = faasmReadStatePtr("mask", 4 * sizeof(double));
    faasm::maskDouble(reinterpret_cast<unsigned int*>(mask), 2);
    for (int i = 0; i < 32; i++) {
        CHECK(mask[i] == (i >= 16 && i < 24 ? BIT_MASK_8 : 0));
    }
    double* values = reinterpret_cast<double*>(faasmReadStatePtr("values", 4 * sizeof(double)));
    values[2] = 2.5;
    faasmFlagStateDirty("values", 4 * sizeof(double));
    faasmPushStatePartialMask("values", "mask");
    CHECK(mask[16] == 0 && values[2] == 2.5);
}

static void integers()
{
    CHECK(faasm::readIntState("int") == 0);
    faasm::writeIntState("int", -7);
    CHECK(faasm::readIntState("int") == -7 && size("int") == 4);
    faasm::zeroState("int", 4);
    CHECK(faasm::readIntState("int") == 0);
    faasm::zeroState("zeroed", 100000);
    CHECK(size("zeroed") == 100000);
}

static void arrays()
{
    faasm::AsyncArray<int> array("array", 4);
    array.zero();
    array[1] = 1;
    CHECK(array.data()[1] == 1 && array.get(0) == 0);
    faasmAwaitCall(faasmChainThis(2));
    array.pull();
    CHECK(array.get(1) == 11 && array.get(2) == 5);
    array.init();
    CHECK(array.get(1) == 0);
    for (int which = 0; which < 5; which++) {
        CHECK(refused(1, which));
    }
}

// The forms of 2019, with `async` as last parameter.
static void generations()
{
    const int written[2] = { 3, 4 };
    int copy[2] = {};
    faasmWriteState("async", BYTES_CONST(written), sizeof written, false);
    faasmReadState("async", BYTES(copy), sizeof copy, false);
    CHECK(copy[1] == 4 && readAll("async", BYTES(copy), sizeof copy) == 8);
    faasmWriteStateOffset("async", 8, 4, BYTES_CONST(written), 4, true);
    faasmReadStateOffset("async", 8, 4, BYTES(copy), 4, false);
    CHECK(copy[0] == 3);
    CHECK(faasmReadStatePtr("async", 8, false) == faasmReadStatePtr("async", 8, true));
    CHECK(*faasmReadStateOffsetPtr("async", 8, 4, 4, false) == 3);
    faasmReadState("nobody wrote", BYTES(copy), sizeof copy, false);
    CHECK(copy[0] == 0);

    CHECK(flag("ALWAYS_ON") == 1 && flag("ALWAYS_OFF") == 0);
    CHECK(fromFile("none", "/none") == static_cast<unsigned long>(-1) && batch != nullptr);
    backtrace(3);
    char* user = faasmGetPythonUser();
    CHECK(strcmp(user, "") == 0);
    free(user);
    free(faasmGetPythonFunc());
    free(faasmGetPythonEntry());
#if defined(__wasm__) && !defined(__faasm)
    CHECK(!"__faasm is defined for guests");
#endif
}

FAASM_MAIN_FUNC()
{
    masks();
    integers();
    arrays();
    generations();
    return done("state");
}
