// Columns of a sparse matrix from state: each call reads only its columns, in windows at their
// offsets, and takes their share of a product of a vector and the matrix.
//
// compile: mobula c++ -o sparse.wasm sparse.cpp
// run: mobula run sparse.wasm
// expect: 10 calls read 50 columns each
// expect: the product is right
// exit: 0
#include <faasm/faasm.h>
#include <faasm/input.h>
#include <faasm/matrix.h>
#include <faasm/pool.h>

#include <cstdio>

enum { ROWS = 1000, COLS = 500, SHARE = 50 };

FAASM_FUNC(share, 1)
{
    const int lo = faasm::getTypedInput<int>(0), hi = lo + SHARE;
    const auto columns = faasm::readSparseMatrixColumnsFromState("M", lo, hi, false);
    const auto vector = faasm::readMatrixFromState("v", 1, ROWS, false);
    Map<MatrixXd> product = faasm::mapMatrixColumnsFromState("product", COLS, lo, hi, 1);
    product = vector * columns;
    faasm::flagMatrixColumnsDirty("product", COLS, lo, hi, 1);
    faasmPushStatePartial("product");
    return columns.cols() == SHARE ? 0 : 1;
}

FAASM_MAIN_FUNC()
{
    faasm::seedRandom(1);
    const SparseMatrix<double> matrix = faasm::randomSparseMatrix(ROWS, COLS, 0.02);
    const MatrixXd vector = faasm::randomDenseMatrix(1, ROWS);
    faasm::writeSparseMatrixToState("M", matrix, true);
    faasm::writeMatrixToState("v", vector, true);

    faasm::FunctionPool pool;
    for (int lo = 0; lo < COLS; lo += SHARE) {
        pool.chainTyped(1, lo);
    }
    std::printf("%zu calls read %d columns each\n", pool.size(), SHARE);
    const unsigned int failed = pool.awaitAll();
    const auto product = faasm::readMatrixFromState("product", 1, COLS, true);
    const MatrixXd expected = vector * matrix;
    const double error = faasm::calculateRootMeanSquaredError(product, expected);
    const bool good = failed == 0 && error < 1e-12;
    std::printf("the product is %s\n", good ? "right" : "WRONG");
    return good ? 0 : 1;
}
