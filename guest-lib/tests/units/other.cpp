// The second translation unit of main.cpp.
#include "all.h"

FAASM_FUNC(second, 1)
{
    return 0;
}

int fromOther()
{
    const MatrixXd zeros = faasm::zeroMatrix(2, 2);
    return zeros.sum() == 0 ? faasm::randomInteger(0, 1 << 20) : -1;
}
