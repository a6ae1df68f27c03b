// counter.h: no increment is lost, locked or not, whatever runs at once.
//
// compile: mobula c++ -Wall -Wextra -Werror -o counter.wasm counter.cpp
// run: mobula run counter.wasm --threads 4
// expect: counter: good
// stderr: faasm::incrementCounter, key "wide": the value has 8 bytes and 4 are asked for
// exit: 0
#include <faasm/counter.h>
#include <faasm/input.h>

#include "check.h"

#include <climits>

enum { CALLS = 12, FREE = 30000, LOCKED = 150 };

FAASM_FUNC(freely, 1)
{
    for (int i = 0; i < FREE; i++) {
        faasm::incrementCounter("free");
    }
    for (int i = 0; i < 10; i++) {
        faasm::incrementCounter("steps", 3, false);
    }
    return 0;
}

FAASM_FUNC(locked, 2)
{
    faasm::AtomicInt shared("atomic");
    for (int i = 0; i < LOCKED; i++) {
        if (faasm::incrementCounter("locked", 2, true) < 2) {
            return 1;
        }
        shared += 1;
        // On one host the unlocked kind does not disturb the locked one.
        faasm::incrementCounter("mixed", 1, i % 2 == 0);
    }
    return 0;
}

FAASM_FUNC(wrongSize, 3)
{
    return faasm::incrementCounter("wide", 1, false);
}

static void runAll(int idx)
{
    std::vector<unsigned int> ids;
    for (int i = 0; i < CALLS; i++) {
        ids.push_back(faasmChainThis(idx));
    }
    for (unsigned int id : ids) {
        CHECK(faasmAwaitCall(id) == 0);
    }
}

static void byOneCall()
{
    CHECK(faasm::getCounter("new") == 0);
    faasm::incrementCounter("new");
    CHECK(faasm::incrementCounter("new", 41) == 42);
    CHECK(faasm::incrementCounter("new", -50, false) == -8);
    CHECK(faasm::getCounter("new") == -8 && faasm::getCounter("new", false) == -8);
    faasm::incrementCounter("new", true);
    faasm::incrementCounter("new", false);
    CHECK(faasm::getCounter("new", true) == -6);
    faasm::initCounter("new");
    CHECK(faasm::getCounter("new") == 0);
    CHECK(faasm::incrementCounter("new", INT_MAX) == INT_MAX);
    CHECK(faasm::incrementCounter("new", 1) == INT_MIN);
    faasm::initCounter("new", false);
    CHECK(faasm::getCounter("new") == 0 && faasmReadStateSize("new") == 4);
}

static void objects()
{
    faasm::AtomicInt one, other, named("named");
    CHECK((one += 5) == 5 && (other += 2) == 7);
    CHECK(one.get() == 7 && named.get() == 0);
    CHECK(faasm::getCounter(COUNTER_KEY) == 7);
    one.reset();
    CHECK(other.get() == 0);
}

FAASM_MAIN_FUNC()
{
    byOneCall();
    objects();
    faasm::initCounter("free");
    runAll(1);
    CHECK(faasm::getCounter("free") == CALLS * FREE);
    CHECK(faasm::getCounter("steps") == CALLS * 30);
    runAll(2);
    CHECK(faasm::getCounter("locked") == CALLS * LOCKED * 2);
    CHECK(faasm::AtomicInt("atomic").get() == CALLS * LOCKED);
    CHECK(faasm::getCounter("mixed") == CALLS * LOCKED);
    const double wide = 0;
    faasmWriteState("wide", BYTES_CONST(&wide), sizeof wide);
    CHECK(refused(3, 0));
    return done("counter");
}
