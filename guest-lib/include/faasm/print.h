/* Numbers and arrays as text. */
#ifndef FAASM_PRINT_H
#define FAASM_PRINT_H

#include <stdio.h>

#include <cstddef>
#include <type_traits>

namespace faasm {

/* With three decimals. The caller frees it with delete[]. */
inline char* floatToStr(float f)
{
    const size_t most = 48; /* the largest float has 39 digits before the point */
    char* text = new char[most];
    snprintf(text, most, "%.3f", static_cast<double>(f));
    return text;
}

inline void printElement(double value)
{
    printf("%f", value);
}

inline void printElement(long long value)
{
    printf("%lld", value);
}

inline void printElement(unsigned long long value)
{
    printf("%llu", value);
}

/* What printf is to see an element as: a number, never a character. */
template<typename T>
using PrintedAs = typename std::conditional<
  std::is_floating_point<T>::value,
  double,
  typename std::conditional<std::is_signed<T>::value, long long, unsigned long long>::type>::type;

/* "[1, 2, 3]", without a new line. */
template<typename T>
void printArray(T* data, size_t size)
{
    static_assert(std::is_arithmetic<T>::value, "an array of numbers");
    printf("[");
    for (size_t i = 0; i < size; i++) {
        if (i > 0) {
            printf(", ");
        }
        printElement(static_cast<PrintedAs<typename std::remove_cv<T>::type>>(data[i]));
    }
    printf("]");
}

} // namespace faasm

#endif
