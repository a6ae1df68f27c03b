// pool.h and core.h: entries by their address, in a program with a plain main.
//
// compile: mobula c++ -Wall -Wextra -Werror -o pointers.wasm pointers.cpp
// run: mobula run pointers.wasm
// expect: pointers: good
// exit: 0
#include <faasm/counter.h>
#include <faasm/input.h>
#include <faasm/pool.h>

#include "check.h"

static int step()
{
    const int by = faasm::getIntInput(1);
    faasm::incrementCounter("steps", by);
    return by > 100 ? 1 : 0;
}

static int other()
{
    faasm::setStringOutput("other");
    return 5;
}

int main()
{
    faasm::FunctionPool pool;
    pool.chain(step);
    pool.chain(step, BYTES_CONST("20"), 2);
    CHECK(pool.awaitAll() == 0 && faasm::getCounter("steps") == 21);
    CHECK(faasmChainBatch(step, "", 10) == 0 && faasm::getCounter("steps") == 31);
    CHECK(faasmChainBatch(step, "101", 2) == 1);
    CHECK(faasmChainBatch(step, "1", 0) == 0);
    char out[6] = "";
    CHECK(faasmAwaitCallOutput(faasmChain(other, nullptr, 0), out, 5L) == 5);
    CHECK(std::string(out) == "other");
    return done("pointers");
}
