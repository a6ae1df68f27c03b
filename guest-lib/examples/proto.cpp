// A proto-function: the table of primes is built once, before the snapshot. Every call starts with it
// filled, and what a call changes in it is gone with the call.
//
// compile: mobula c++ -o proto.wasm proto.cpp
// run: mobula run proto.wasm
// expect: 1229 primes below 10000
// expect: 20 calls found the table built once, as the proto-function left it
// exit: 0
#include <faasm/faasm.h>

#include <cstdio>
#include <vector>

static const int LIMIT = 10000;
static std::vector<int> primes;
static int built = 0;

FAASM_ZYGOTE()
{
    std::vector<bool> composite(LIMIT, false);
    primes.clear(); // it may run again: idempotent
    for (int i = 2; i < LIMIT; i++) {
        if (!composite[i]) {
            primes.push_back(i);
            for (int j = 2 * i; j < LIMIT; j += i) {
                composite[j] = true;
            }
        }
    }
    built++;
    return 0;
}

// Looks at the table, then spoils it: no other call sees that. (In a native build all would.)
FAASM_FUNC(look, 1)
{
    const bool good = built == 1 && primes.size() == 1229 && primes.back() == 9973;
#ifndef FAASM_NATIVE
    primes.assign(3, 0);
    built = 0;
#endif
    return good ? 0 : 1;
}

FAASM_MAIN_FUNC()
{
    std::printf("%zu primes below %d\n", primes.size(), LIMIT);
    std::vector<unsigned int> ids;
    for (int i = 0; i < 20; i++) {
        ids.push_back(faasmChainThis(1));
    }
    unsigned int wrong = 0;
    for (unsigned int id : ids) {
        wrong += faasmAwaitCall(id) != 0;
    }
    std::printf("%zu calls found the table built once, as the proto-function left it\n",
                ids.size() - wrong);
    return wrong == 0 && primes.size() == 1229 ? 0 : 1;
}
