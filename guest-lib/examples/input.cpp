// The typed helpers of faasm/input.h, and an output allocated for the caller.
//
// compile: mobula c++ -o input.wasm input.cpp
// run: mobula run input.wasm --input "3 4 5" --output -
// expect: text: 3 4 5
// expect: integers: 3 + 4 + 5 = 12
// expect: typed: half of 12 is 6
// expect: without input: the default
// expect: done
// exit: 0
#include <faasm/faasm.h>
#include <faasm/input.h>

#include <cstdio>
#include <cstring>
#include <string>

FAASM_FUNC(half, 1)
{
    const int number = faasm::getTypedInput<int>(-1);
    faasm::setStringOutput(std::to_string(number / 2));
    return 0;
}

FAASM_FUNC(defaults, 2)
{
    const std::string text = faasm::getStringInput("the default");
    const bool good = faasm::getTypedInput<int>(5) == 5;
    faasm::setStringOutput(text);
    return good ? 0 : 1;
}

static std::string outputOf(unsigned int id)
{
    char* bytes = nullptr;
    int size = 0;
    const unsigned int code = faasmAwaitCallOutput(id, &bytes, &size);
    std::string output(bytes, static_cast<size_t>(size));
    free(bytes);
    return code == 0 ? output : "failed";
}

FAASM_MAIN_FUNC()
{
    const std::string text = faasm::getStringInput("1 1 1");
    std::printf("text: %s\n", text.c_str());
    int* n = faasm::parseStringToIntArray(text.c_str(), 3);
    int sum = n[0] + n[1] + n[2];
    std::printf("integers: %d + %d + %d = %d\n", n[0], n[1], n[2], sum);
    delete[] n;

    const std::string half = outputOf(faasmChainThisInput(1, BYTES(&sum), sizeof sum));
    std::printf("typed: half of %d is %s\n", sum, half.c_str());
    const std::string fallback = outputOf(faasmChainThis(2));
    std::printf("without input: %s\n", fallback.c_str());
    faasm::setStringOutput("done\n");
    return half == "6" && fallback == "the default" && sum == 12 ? 0 : 1;
}
