// Pi by Monte Carlo as it is written for later versions of Faasm: a plain main, an entry that is
// given by its address, and a batch that is chained and awaited in one step.
//
// compile: mobula c++ -o pi_batch.wasm pi_batch.cpp
// run: mobula run pi_batch.wasm --input 8
// expect: 8 calls: pi within 0.02
// exit: 0
#include <faasm/counter.h>
#include <faasm/faasm.h>
#include <faasm/input.h>
#include <faasm/random.h>

#include <cmath>
#include <cstdio>

#define DARTS 100000

// Every call of a batch has the same input, so each draws its own number, which is its seed.
static int throwDarts()
{
    faasm::AtomicInt hits("hits"), seeds("seeds");
    faasm::seedRandom(static_cast<unsigned int>(seeds += 1));
    int mine = 0;
    for (int i = 0; i < DARTS; i++) {
        const float x = faasm::randomFloat();
        const float y = faasm::randomFloat();
        mine += x * x + y * y <= 1.0f;
    }
    hits += mine;
    return 0;
}

int main()
{
    const int workers = faasm::getIntInput(4);
    const unsigned int failed = faasmChainBatch(throwDarts, "", workers);
    const double pi = 4.0 * faasm::AtomicInt("hits").get() / (static_cast<double>(workers) * DARTS);
    const bool good = failed == 0 && std::fabs(pi - M_PI) < 0.02;
    std::printf("%d calls: pi %s 0.02\n", workers, good ? "within" : "NOT within");
    return good ? 0 : 1;
}
