// pool.h: every form of chain, and an awaitAll that leaves nobody out.
//
// compile: mobula c++ -Wall -Wextra -Werror -o pool.wasm pool.cpp
// run: mobula run pool.wasm --with self=pool.wasm --input start
// expect: pool: good
// exit: 0
#include <faasm/counter.h>
#include <faasm/input.h>
#include <faasm/pool.h>

#include "check.h"

struct Pair
{
    int a, b;
};

FAASM_FUNC(one, 1)
{
    return faasm::incrementCounter("ones", 1) < 0;
}

FAASM_FUNC(text, 2)
{
    const std::string input = faasm::getStringInput(std::string("none"));
    faasm::incrementCounter("length", static_cast<int>(input.size()));
    return input == "fail" ? 3 : 0;
}

FAASM_FUNC(typed, 3)
{
    const Pair pair = faasm::getTypedInput<Pair>({ 0, 0 });
    faasm::incrementCounter("typed", pair.a * pair.b);
    return 0;
}

static void byIndex()
{
    faasm::FunctionPool pool;
    CHECK(pool.awaitAll() == 0 && pool.size() == 0);
    const unsigned int first = pool.chain(1);
    for (int i = 1; i < 50; i++) {
        CHECK(pool.chain(1) != first);
    }
    CHECK(pool.size() == 50 && pool.awaitAll() == 0 && pool.size() == 0);
    CHECK(faasm::getCounter("ones") == 50);
    pool.chain(1);
    CHECK(pool.awaitAll() == 0 && faasm::getCounter("ones") == 51);
}

static void withInput()
{
    faasm::FunctionPool pool;
    pool.chain(2, BYTES_CONST("abc"), 3);
    pool.chain(2, "fail");
    pool.chain(2, std::string("longer"));
    pool.chain(2, "fail");
    pool.chainTyped(3, Pair{ 6, 7 });
    // Two failed, in the middle; the ones after them were awaited all the same.
    CHECK(pool.awaitAll() == 2);
    CHECK(faasm::getCounter("length") == 3 + 4 + 6 + 4 && faasm::getCounter("typed") == 42);
}

static void byName()
{
    faasm::FunctionPool pool;
    pool.chain("self");
    pool.chain("self", "again");
    pool.chain("self", BYTES_CONST("x"), 1);
    CHECK(pool.awaitAll() == 0 && faasm::getCounter("named") == 3);
}

FAASM_MAIN_FUNC()
{
    if (faasm::getStringInput(std::string()) != "start") {
        faasm::incrementCounter("named", 1);
        return 0;
    }
    byIndex();
    withInput();
    byName();
    return done("pool");
}
