/* Typed input and output for C++ functions. */
#ifndef FAASM_INPUT_H
#define FAASM_INPUT_H

#include <cstdlib>
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

/* A string that a `const char*` can be made of as well, which is what Faasm's function gives. */
class InputText : public std::string
{
  public:
    using std::string::string;

    InputText(const std::string& text)
      : std::string(text)
    {}

    /* A copy that outlives this. It is the caller's, to free with delete[]. */
    operator const char*() const
    {
        char* copy = new char[size() + 1];
        std::memcpy(copy, c_str(), size() + 1);
        return copy;
    }
};

/* The input as a string, or `fallback` when there is none. */
inline InputText getStringInput(const std::string& fallback)
{
    const long size = faasmGetInputSize();
    if (size <= 0) {
        return fallback;
    }
    InputText text(static_cast<size_t>(size), '\0');
    faasmGetInput(BYTES(&text[0]), size);
    return text;
}

/* The input as an integer: a decimal number as text or, failing that, the four bytes of an int;
 * else `fallback`. Four digits are a text. */
inline int getIntInput(int fallback)
{
    const std::string text = getStringInput(std::string());
    char* end = nullptr;
    const long value = std::strtol(text.c_str(), &end, 10);
    const bool number = end != text.c_str() && *end == '\0';
    if (number && end == text.c_str() + text.size()) {
        return static_cast<int>(value);
    }
    return text.size() == sizeof(int) ? getTypedInput<int>(fallback) : fallback;
}

/* Sets the output to the characters of a string, without a NUL. */
inline void setStringOutput(const std::string& text)
{
    faasmSetOutput(text.data(), static_cast<long>(text.size()));
}

inline void setStringOutput(const char* text)
{
    faasmSetOutput(text, static_cast<long>(std::strlen(text)));
}

/* Integers separated by spaces, commas or other text: the first `expected`, zeros where there are
 * fewer. The caller frees the array with delete[]. */
inline int* parseStringToIntArray(const char* text, int expected)
{
    int* values = new int[static_cast<size_t>(expected > 0 ? expected : 1)]();
    const char* at = text;
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

inline int* parseStringToIntArray(const std::string& text, int expected)
{
    return parseStringToIntArray(text.c_str(), expected);
}

} // namespace faasm

#endif
