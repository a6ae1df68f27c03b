// matrix.h: dense matrices in and out of state: whole, by element, by column; error measures.
//
// compile: mobula c++ -Wall -Wextra -Werror -o matrix.wasm matrix.cpp
// run: mobula run matrix.wasm --threads 2
// expect: matrix: good
// stderr: faasm::readMatrixFromState, key "m": the value has 96 bytes and 128 are asked for
// stderr: faasm::readMatrixColumnsFromState, key "m": columns 2 to below 5, of 4
// stderr: faasm::readMatrixColumnsFromState, key "m": columns -1 to below 2, of 4
// stderr: faasm::readMatrixElementFromState, key "m": element (3, 0) of 3 x 4
// stderr: faasm::readMatrixFromState, key "m": -1 rows and 4 columns make no matrix
// stderr: faasm::readMatrixFromState, key "m": 4611686014132420609 elements of 8 bytes
// stderr: faasm::calculateSquaredError, key "": a 1 x 2 and a 2 x 1 matrix
// exit: 0
#include <faasm/input.h>
#include <faasm/matrix.h>

#include "check.h"

#include <climits>
#include <cmath>

enum { ROWS = 3, COLS = 4 };

FAASM_FUNC(wrong, 1)
{
    switch (faasm::getTypedInput<int>(0)) {
        case 0: faasm::readMatrixFromState("m", 4, 4, false); break;
        case 1: faasm::readMatrixColumnsFromState("m", COLS, 2, 5, ROWS, false); break;
        case 2: faasm::readMatrixColumnsFromState("m", COLS, -1, 2, ROWS, false); break;
        case 3: faasm::readMatrixElementFromState("m", ROWS, COLS, ROWS, 0, false); break;
        case 4: faasm::readMatrixFromState("m", -1, COLS, false); break;
        case 5: faasm::readMatrixFromState("m", INT_MAX, INT_MAX, true); break;
        default: faasm::calculateSquaredError(MatrixXd(1, 2), MatrixXd(2, 1)); break;
    }
    return 0;
}

// Doubles one column of the matrix, through a window on that column.
FAASM_FUNC(twice, 2)
{
    const int col = faasm::getTypedInput<int>(0);
    Map<MatrixXd> column = faasm::mapMatrixColumnsFromState("m", COLS, col, col + 1, ROWS);
    column *= 2;
    faasm::flagMatrixColumnsDirty("m", COLS, col, col + 1, ROWS);
    faasmPushStatePartial("m");
    return 0;
}

static MatrixXd numbered()
{
    MatrixXd m(ROWS, COLS);
    for (int i = 0; i < m.size(); i++) {
        m.data()[i] = i + 1;
    }
    return m;
}

static void whole()
{
    const MatrixXd m = numbered();
    CHECK(faasm::getMatrixStateSize(m) == 96);
    faasm::writeMatrixToState("m", m, true);
    const Map<const MatrixXd> map = faasm::readMatrixFromState("m", ROWS, COLS, true);
    CHECK(map == m);
    // No copy: the map is the window.
    CHECK(reinterpret_cast<const uint8_t*>(map.data()) == faasmReadStatePtr("m", 96));
    double copy[ROWS * COLS] = {};
    faasm::readMatrixFromState("m", copy, ROWS, COLS, false);
    CHECK(copy[0] == 1 && copy[11] == 12);
    faasm::mapMatrixFromState("m", ROWS, COLS)(1, 1) = -5;
    CHECK(map(1, 1) == -5 && copy[4] == 5);
    faasm::mapMatrixFromState("m", ROWS, COLS)(1, 1) = 5;
    CHECK(faasm::readMatrixFromState("unknown", 5, 5, false).isZero());
    faasm::writeMatrixToState("empty", MatrixXd(0, 3), true);
    CHECK(faasm::readMatrixFromState("empty", 0, 3, true).size() == 0);
}

static void elements()
{
    CHECK(faasm::matrixByteIndex(2, 1, ROWS) == 40);
    CHECK(faasm::getChunkSizeUpToMatrixElement(0, 3, ROWS) == 72);
    CHECK(faasm::readMatrixElementFromState("m", ROWS, COLS, 2, 1, true) == 6);
    faasm::writeMatrixElementToState("m", ROWS, COLS, 2, 1, 60, true);
    MatrixXd other = MatrixXd::Constant(ROWS, COLS, 7);
    faasm::writeMatrixToStateElement("m", other, 0, 3, true);
    MatrixXd expected = numbered();
    expected(2, 1) = 60;
    expected(0, 3) = 7;
    CHECK(faasm::readMatrixFromState("m", ROWS, COLS, false) == expected);
}

static void columns()
{
    const MatrixXd m = numbered();
    faasm::writeMatrixToState("m", m, false);
    const auto part = faasm::readMatrixColumnsFromState("m", COLS, 1, 3, ROWS, true);
    CHECK(part.rows() == ROWS && part.cols() == 2 && part == m.middleCols(1, 2));
    CHECK(faasm::readMatrixColumnsFromState("m", COLS, 0, COLS, ROWS, false) == m);
    CHECK(faasm::readMatrixColumnsFromState("m", COLS, COLS, COLS, ROWS, false).cols() == 0);
    std::vector<unsigned int> ids;
    for (int col = 0; col < COLS; col++) {
        ids.push_back(faasmChainThisInput(2, BYTES(&col), sizeof col));
    }
    for (unsigned int id : ids) {
        CHECK(faasmAwaitCall(id) == 0);
    }
    CHECK(faasm::readMatrixFromState("m", ROWS, COLS, false) == 2 * m);
}

// A matrix of many chunks: windows in its middle, at offsets that no page begins with.
static void large()
{
    faasm::seedRandom(1);
    const MatrixXd m = faasm::randomDenseMatrix(1001, 300);
    CHECK((m.array().abs() <= 1).all() && std::abs(m.mean()) < 0.01);
    faasm::writeMatrixToState("large", m, true);
    for (int start = 0; start < 300; start += 37) {
        const int end = std::min(start + 37, 300);
        CHECK(faasm::readMatrixColumnsFromState("large", 300, start, end, 1001, false)
              == m.middleCols(start, end - start));
    }
}

static void shuffles()
{
    MatrixXd a(2, 50), b(1, 50);
    for (int i = 0; i < 50; i++) {
        a.col(i) << i, -i;
        b(0, i) = i;
    }
    const MatrixXd before = a;
    faasm::shufflePairedMatrixColumns(a, b);
    CHECK(a.row(0) == b && a.row(1) == -b && a != before && a.sum() == 0);
    CHECK(b.sum() == 49 * 25);
    faasm::shuffleMatrixColumns(a);
    CHECK(a.row(0) == -a.row(1) && a.row(0) != b && a.row(0).sum() == 49 * 25);
    CHECK(faasm::zeroMatrix(3, 2).isZero() && faasm::zeroMatrix(3, 2).cols() == 2);
}

static void errors()
{
    MatrixXd a(1, 4), b(1, 4);
    a << 1, 2, 3, 4;
    b << 1, 4, 3, 1;
    CHECK(faasm::calculateSquaredError(a, b) == 13);
    CHECK(std::abs(faasm::calculateRootMeanSquaredError(a, b) - std::sqrt(13.0 / 4)) < 1e-15);
    CHECK(faasm::calculateRootMeanSquaredError(MatrixXd(0, 2), MatrixXd(0, 2)) == 0);
    MatrixXd prediction(1, 4), actual(1, 4);
    prediction << 2, -0.5, 0.25, -3;
    actual << 1, -1, -1, 1;
    CHECK(faasm::calculateHingeError(prediction, actual) == 0 + 0.5 + 1.25 + 4);
}

FAASM_MAIN_FUNC()
{
    whole();
    elements();
    columns();
    large();
    shuffles();
    errors();
    for (int which = 0; which < 7; which++) {
        CHECK(refused(1, which));
    }
    return done("matrix");
}
