// Matrix multiplication by divide and conquer: a call splits its columns of the product in halves
// and chains a call for each, until they are few; that call multiplies, between windows.
//
//              A        x   B [ lo | hi )  =  C [ lo | hi )     windows: all of A, columns of B, C
//
// compile: mobula c++ -o matmul.wasm matmul.cpp
// run: mobula run matmul.wasm
// expect: 192 x 192: 31 calls, 16 of them multiplied
// expect: the product is right
// exit: 0
#include <faasm/counter.h>
#include <faasm/faasm.h>
#include <faasm/input.h>
#include <faasm/matrix.h>
#include <faasm/pool.h>

#include <cstdio>

enum { N = 192, FEW = 12 };

struct Columns
{
    int lo, hi;
};

static void multiply(Columns part)
{
    const auto a = faasm::readMatrixFromState("A", N, N, false);
    const auto b = faasm::readMatrixColumnsFromState("B", N, part.lo, part.hi, N, false);
    Map<MatrixXd> c = faasm::mapMatrixColumnsFromState("C", N, part.lo, part.hi, N);
    c.noalias() = a * b;
    faasm::flagMatrixColumnsDirty("C", N, part.lo, part.hi, N);
    faasmPushStatePartial("C");
    faasm::incrementCounter("multiplied", 1);
}

FAASM_FUNC(product, 1)
{
    const Columns part = faasm::getTypedInput<Columns>({ 0, 0 });
    faasm::incrementCounter("calls", 1);
    if (part.hi - part.lo <= FEW) {
        multiply(part);
        return 0;
    }
    const int middle = part.lo + (part.hi - part.lo) / 2;
    faasm::FunctionPool halves;
    halves.chainTyped(1, Columns{ part.lo, middle });
    halves.chainTyped(1, Columns{ middle, part.hi });
    return halves.awaitAll() == 0 ? 0 : 1;
}

FAASM_MAIN_FUNC()
{
    faasm::seedRandom(1);
    const MatrixXd a = faasm::randomDenseMatrix(N, N), b = faasm::randomDenseMatrix(N, N);
    faasm::writeMatrixToState("A", a, true);
    faasm::writeMatrixToState("B", b, true);
    faasm::writeMatrixToState("C", faasm::zeroMatrix(N, N), true);

    faasm::FunctionPool pool;
    pool.chainTyped(1, Columns{ 0, N });
    const unsigned int failed = pool.awaitAll();
    std::printf("%d x %d: %d calls, %d of them multiplied\n", N, N, faasm::AtomicInt("calls").get(),
                faasm::AtomicInt("multiplied").get());
    const auto c = faasm::readMatrixFromState("C", N, N, true);
    const bool good = failed == 0 && faasm::calculateRootMeanSquaredError(c, a * b) < 1e-12;
    std::printf("the product is %s\n", good ? "right" : "WRONG");
    return good ? 0 : 1;
}
