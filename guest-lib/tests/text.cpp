// input.h, print.h, compare.h, files.h, time.h, func.h: text in and out.
//
// compile: mobula c++ -Wall -Wextra -Werror -DWASM_PROF=1 -o text.wasm text.cpp
// run: mobula run text.wasm --dir .:/data --input "7, -3 x12"
// expect: [1, -2, 3][0.500000, 2.000000][200, 7][]
// expect: Arrays not equal: A=[1, 2] B=[1, 3]
// expect: TIME: inner *
// expect: TIME: outer *
// expect: text: good
// exit: 0
#include <faasm/compare.h>
#include <faasm/files.h>
#include <faasm/func.h>
#include <faasm/input.h>
#include <faasm/print.h>
#include <faasm/time.h>

#include "check.h"

#include <cstring>
#include <string>

FAASM_FUNC(integer, 1)
{
    return faasm::getIntInput(-1);
}

FAASM_FUNC(echo, 2)
{
    const char* text = faasm::getStringInput("nothing");
    faasm::setStringOutput(text);
    return static_cast<int>(strlen(text));
}

static int integerOf(const void* bytes, long len)
{
    return static_cast<int>(faasmAwaitCall(faasmChainThisInput(1, BYTES_CONST(bytes), len)));
}

static void inputs()
{
    const char* text = faasm::getStringInput("");
    CHECK(strcmp(text, "7, -3 x12") == 0);
    CHECK("<" + faasm::getStringInput("none") + ">" == "<7, -3 x12>");
    const std::string copied = faasm::getStringInput("none");
    CHECK(copied == text && strlen(faasm::getStringInput("")) == 9);
    int* first = faasm::parseStringToIntArray(faasm::getStringInput(""), 1);
    CHECK(first[0] == 7);
    delete[] first;
    CHECK(faasm::getStringInput(std::string("x")) == text);
    int* numbers = faasm::parseStringToIntArray(text, 4);
    CHECK(numbers[0] == 7 && numbers[1] == -3 && numbers[2] == 12 && numbers[3] == 0);
    delete[] numbers;
    numbers = faasm::splitStringIntoInts("1 2", 2);
    CHECK(numbers[0] == 1 && numbers[1] == 2);
    delete[] numbers;
    delete[] faasm::parseStringToIntArray(std::string(), 0);

    const int raw = 100000;
    CHECK(integerOf("42", 2) == 42 && integerOf("-5", 2) == -5 && integerOf("1234", 4) == 1234);
    CHECK(integerOf(&raw, sizeof raw) == raw);
    CHECK(integerOf("4x", 2) == -1 && faasmAwaitCall(faasmChainThis(1)) == -1u);

    char out[8] = "";
    const unsigned int id = faasmChainThisInput(2, BYTES_CONST("hi"), 2);
    CHECK(faasmAwaitCallOutput(id, out, 7L) == 2 && strcmp(out, "hi") == 0);
    CHECK(faasmAwaitCall(faasmChainThis(2)) == 7);
}

static void printed()
{
    int integers[] = { 1, -2, 3 };
    const double doubles[] = { 0.5, 2 };
    uint8_t bytes[] = { 200, 7 };
    faasm::printArray<int>(integers, 3);
    faasm::printArray(doubles, 2);
    faasm::printArray(bytes, 2);
    faasm::printArray(integers, 0);
    std::printf("\n");
    char* text = faasm::floatToStr(-1.0625f);
    CHECK(strcmp(text, "-1.062") == 0 || strcmp(text, "-1.063") == 0);
    delete[] text;
    text = faasm::floatToStr(3.4e38f);
    CHECK(strlen(text) == 43);
    delete[] text;

    int a[] = { 1, 2 }, b[] = { 1, 3 };
    CHECK(faasm::compareArrays<int>(a, b, 1) && faasm::compareIntArrays(a, a, 2));
    CHECK(!faasm::compareIntArrays(a, b, 2));
    double c[] = { 1.5 };
    CHECK(faasm::compareArrays<double>(c, c, 1));
}

static void files()
{
    CHECK(faasm::getFileLength("/data/none") == -1 && errno == ENOENT);
    CHECK(faasm::readFileToString("/data/none") == nullptr);
    FILE* file = fopen("/data/some.txt", "w");
    CHECK(file != nullptr);
    fputs("two\nlines", file);
    fclose(file);
    CHECK(faasm::getFileLength("/data/some.txt") == 9);
    char* text = faasm::readFileToString("/data/some.txt");
    CHECK(text != nullptr && strcmp(text, "two\nlines") == 0);
    free(text);
    fclose(fopen("/data/empty.txt", "w"));
    text = faasm::readFileToString("/data/empty.txt");
    CHECK(text != nullptr && *text == '\0');
    free(text);
    CHECK(faasm::readFileToString("/data") == nullptr);
    CHECK(faasmWriteStateFromFile("file", "/data/some.txt") == 9);
    CHECK(faasmWriteStateFromFile("file", "/data/none") == -1ul);
}

static void times()
{
    const double now = faasm::getSecondsSinceEpoch();
    CHECK(now > 1.6e9 && now < 1e11 && faasm::getSecondsSinceEpoch() >= now);
    const double start = faasm::getMonotonicMillis();
    CHECK(faasm::getMonotonicMillis() >= start);
    PROF_START(outer)
    FAASM_PROF_START(inner)
    FAASM_PROF_END(inner)
    PROF_END(outer)
}

FAASM_MAIN_FUNC()
{
    inputs();
    printed();
    files();
    times();
    return done("text");
}
