/* Typed input and output for C++ functions. */
#ifndef FAASM_INPUT_H
#define FAASM_INPUT_H

#include <cstring>
#include <string>
#include <vector>

#include "faasm/core.h"

namespace faasm {

/* The input as a T, or `fallback` when the input is shorter than one. */
template<typename T>
T getTypedInput(T fallback)
{
    if (faasmGetInputSize() < static_cast<long>(sizeof(T))) {
        return fallback;
    }
    T value;
    faasmGetInput(BYTES(&value), sizeof(T));
    return value;
}

/* The input as a string, or `fallback` when there is none. */
inline std::string getStringInput(const std::string& fallback)
{
    long size = faasmGetInputSize();
    if (size <= 0) {
        return fallback;
    }
    std::string text(static_cast<size_t>(size), '\0');
    faasmGetInput(BYTES(&text[0]), size);
    return text;
}

/* Sets the output to the characters of a string, without a NUL. */
inline void setStringOutput(const std::string& text)
{
    faasmSetOutput(text.data(), static_cast<long>(text.size()));
}

/* Integers separated by spaces, commas or other text. The caller frees the array with delete[]. */
inline int* parseStringToIntArray(const std::string& text, int expected)
{
    int* values = new int[static_cast<size_t>(expected > 0 ? expected : 1)]();
    const char* at = text.c_str();
    int found = 0;
    while (*at != '\0' && found < expected) {
        char* end = nullptr;
        long value = std::strtol(at, &end, 10);
        if (end == at) {
            at++;
            continue;
        }
        values[found++] = static_cast<int>(value);
        at = end;
    }
    return values;
}

} // namespace faasm

#endif
