// Pi by Monte Carlo: calls chained by index throw darts and add their hits to a shared counter.
//
// compile: mobula c++ -o pi.wasm pi.cpp
// run: mobula run pi.wasm --input 8
// expect: 8 calls threw 800000 darts
// expect: pi within 0.02
// exit: 0
#include <faasm/counter.h>
#include <faasm/faasm.h>
#include <faasm/input.h>
#include <faasm/random.h>

#include <cmath>
#include <cstdio>
#include <vector>

#define HITS "hits"
#define DARTS 100000

FAASM_FUNC(throwDarts, 1)
{
    // A seed for each call: the same run every time.
    faasm::seedRandom(faasm::getTypedInput<unsigned int>(0));
    int hits = 0;
    for (int i = 0; i < DARTS; i++) {
        const float x = faasm::randomFloat();
        const float y = faasm::randomFloat();
        hits += x * x + y * y <= 1.0f;
    }
    faasm::incrementCounter(HITS, hits, true);
    return 0;
}

FAASM_MAIN_FUNC()
{
    const int workers = faasm::getIntInput(4);
    faasm::initCounter(HITS);
    std::vector<unsigned int> ids;
    for (unsigned int seed = 1; seed <= static_cast<unsigned int>(workers); seed++) {
        ids.push_back(faasmChainThisInput(1, BYTES(&seed), sizeof seed));
    }
    unsigned int failed = 0;
    for (unsigned int id : ids) {
        failed += faasmAwaitCall(id) != 0;
    }
    const double darts = static_cast<double>(workers) * DARTS;
    faasmPullState(HITS, sizeof(int32_t)); // what calls on other hosts have added
    const double pi = 4 * faasm::getCounter(HITS) / darts;
    std::printf("%d calls threw %.0f darts\n", workers, darts);
    std::printf("pi %s 0.02\n", std::fabs(pi - M_PI) < 0.02 ? "within" : "NOT within");
    return failed == 0 && std::fabs(pi - M_PI) < 0.02 ? 0 : 1;
}
