/* The name of 2019 for parseStringToIntArray. */
#ifndef FAASM_FUNC_H
#define FAASM_FUNC_H

#include "faasm/input.h"

namespace faasm {

inline int* splitStringIntoInts(const char* strIn, int nInts)
{
    return parseStringToIntArray(strIn, nInts);
}

} // namespace faasm

#endif
