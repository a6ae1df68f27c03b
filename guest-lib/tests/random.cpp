// random.h: seeded numbers are the same everywhere, unseeded calls differ, ranges are kept.
//
// compile: mobula c++ -Wall -Wextra -Werror -o random.wasm random.cpp
// run: mobula run random.wasm
// expect: random: good
// exit: 0
#include <faasm/random.h>

#include "check.h"

#include <algorithm>
#include <climits>
#include <set>

FAASM_FUNC(draw, 1)
{
    const int any = faasm::randomInteger(INT_MIN, INT_MAX);
    const int drawn[2] = { any, faasm::randomInteger(0, 1 << 30) };
    faasmSetOutput(drawn, sizeof drawn);
    return 0;
}

static void ranges()
{
    int count[6] = {};
    for (int i = 0; i < 6000; i++) {
        const int n = faasm::randomInteger(-2, 3);
        CHECK(n >= -2 && n <= 3);
        count[n + 2]++;
        const float f = faasm::randomFloat();
        CHECK(f >= 0 && f < 1);
        const double d = faasm::randomDouble();
        CHECK(d >= 0 && d < 1);
    }
    for (int n : count) {
        CHECK(n > 800 && n < 1200);
    }
    CHECK(faasm::randomInteger(7, 7) == 7 && faasm::randomInteger(7, 3) == 7);
    faasm::randomInteger(INT_MIN, INT_MAX);
}

static void seeded()
{
    // The first number of mt19937 with its default seed is 3499211612 on every machine.
    faasm::seedRandom(5489);
    CHECK(faasm::randomGenerator()() == 3499211612u);
    faasm::seedRandom(1);
    const int first = faasm::randomInteger(0, 1000000);
    const std::string text = faasm::randomString(20);
    faasm::seedRandom(1);
    CHECK(faasm::randomInteger(0, 1000000) == first && faasm::randomString(20) == text);
    CHECK(text.size() == 20 && text.find('0') == std::string::npos);
    CHECK(faasm::randomString(0).empty());
}

static void orders()
{
    int* range = faasm::randomIntRange(100);
    std::vector<int> sorted(range, range + 100);
    CHECK(!std::is_sorted(sorted.begin(), sorted.end()));
    std::sort(sorted.begin(), sorted.end());
    for (int i = 0; i < 100; i++) {
        CHECK(sorted[static_cast<size_t>(i)] == i);
    }
    faasm::shuffleArray(range, 0);
    delete[] range;
    delete[] faasm::randomIntRange(0);

    // Each element comes first about as often as any other.
    int first[4] = {};
    for (int i = 0; i < 4000; i++) {
        int* four = faasm::randomIntRange(4);
        first[four[0]]++;
        delete[] four;
    }
    for (int n : first) {
        CHECK(n > 800 && n < 1200);
    }
}

// The snapshot has no seeded generator in it.
static void callsDiffer()
{
    std::set<std::pair<int, int>> seen;
    for (int i = 0; i < 20; i++) {
        int drawn[2] = {};
        CHECK(faasmAwaitCallOutput(faasmChainThis(1), BYTES(drawn), sizeof drawn) == 0);
        seen.insert({ drawn[0], drawn[1] });
    }
    CHECK(seen.size() == 20);
}

FAASM_MAIN_FUNC()
{
    faasm::seedRandom(42);
    ranges();
    orders();
    seeded();
    callsDiffer();
    return done("random");
}
