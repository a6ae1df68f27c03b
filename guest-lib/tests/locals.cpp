// Thread-local variables and errno are variables like others, although atomics are on: one of each
// in every call.
//
// compile: mobula c++ -Wall -Wextra -Werror -o locals.wasm locals.cpp
// run: mobula run locals.wasm
// expect: locals: good
// exit: 0
#include "check.h"

#include <cerrno>
#include <fcntl.h>

struct Table
{
    int entries[1000];

    Table()
    {
        for (int i = 0; i < 1000; i++) {
            entries[i] = i;
        }
    }
};

static thread_local Table table;
static thread_local int five = 5, zero;

static int next()
{
    thread_local int count = 10;
    return ++count;
}

FAASM_FUNC(change, 1)
{
    const bool fresh = table.entries[999] == 999 && five == 5 && zero == 0 && next() == 11;
    table.entries[999] = five = zero = -1;
    return fresh && next() == 12 ? 0 : 1;
}

FAASM_MAIN_FUNC()
{
    for (int i = 0; i < 3; i++) {
        CHECK(faasmAwaitCall(faasmChainThis(1)) == 0);
    }
    CHECK(table.entries[500] == 500 && five == 5 && zero == 0);
    errno = 0;
    CHECK(open("/none", O_RDONLY) == -1 && errno != 0);
    errno = EDOM;
    CHECK(errno == EDOM && table.entries[0] == 0 && five == 5 && zero == 0);
    return done("locals");
}
