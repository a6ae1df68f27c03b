// Every header in two translation units, which share one random generator; and no header needs more
// than C++14 or warns.
//
// compile: mobula c++ -std=c++14 -Wall -Wextra -Werror -o units.wasm main.cpp other.cpp
// compile: mobula c++ -std=c++20 -Wall -Wextra -Wconversion -Werror -o new.wasm main.cpp other.cpp
// run: mobula run units.wasm
// expect: units: good
// exit: 0
#include "all.h"

FAASM_MAIN_FUNC()
{
    faasm::seedRandom(3);
    const int first = faasm::randomInteger(0, 1 << 20);
    faasm::seedRandom(3);
    const bool good = fromOther() == first;
    std::printf("units: %s\n", good ? "good" : "wrong");
    return good ? 0 : 1;
}
