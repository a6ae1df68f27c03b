/* Comparing arrays; what differs is printed. */
#ifndef FAASM_COMPARE_H
#define FAASM_COMPARE_H

#include "faasm/print.h"

namespace faasm {

/* Whether the first len elements are equal; prints both arrays when not. */
template<typename T>
bool compareArrays(T* a, T* b, int len)
{
    for (int i = 0; i < len; i++) {
        if (a[i] != b[i]) {
            printf("Arrays not equal: A=");
            printArray<T>(a, static_cast<size_t>(len));
            printf(" B=");
            printArray<T>(b, static_cast<size_t>(len));
            printf("\n");
            return false;
        }
    }
    return true;
}

inline bool compareIntArrays(int* a, int* b, int len)
{
    return compareArrays<int>(a, b, len);
}

} // namespace faasm

#endif
