/* Dense matrices of doubles in state. Included by matrix.h.
 *
 *   bytes of the value:  | column 0 | column 1 | ... |      8 bytes an element, columns one by one
 *
 * The value holds no shape: readers say it, and a value of another size is refused.
 */
#ifndef FAASM_MATRIX_DENSE_H
#define FAASM_MATRIX_DENSE_H

#include <algorithm>
#include <cmath>

#include "faasm/checked.h"
#include "faasm/random.h"

namespace faasm {

/* ---------------------------------------------------------------- places */

inline size_t getMatrixStateSize(const MatrixXd& matrix)
{
    return static_cast<size_t>(matrix.size()) * sizeof(double);
}

/* Bytes before this element. */
inline long matrixByteIndex(long row, long col, long nRows)
{
    const int64_t before = stateCells("matrixByteIndex", "", nRows, col);
    return stateBytes("matrixByteIndex", "", before + row, sizeof(double));
}

/* The same under its later name. */
inline long getChunkSizeUpToMatrixElement(long row, long col, long totalRows)
{
    return matrixByteIndex(row, col, totalRows);
}

/* ---------------------------------------------------------------- whole matrices */

inline void writeMatrixToState(const char* key, const MatrixXd& matrix, bool push)
{
    const long bytes = stateBytes("writeMatrixToState", key, matrix.size(), sizeof(double));
    faasmWriteState(key, BYTES_CONST(matrix.data()), bytes);
    if (push) {
        faasmPushState(key);
    }
}

/* A window on the whole matrix, to write into: flag what changed, then push. */
inline Map<MatrixXd> mapMatrixFromState(const char* key, long rows, long cols)
{
    const int64_t cells = stateCells("mapMatrixFromState", key, rows, cols);
    double* values = stateWindow<double>("mapMatrixFromState", key, cells);
    return Map<MatrixXd>(values, rows, cols);
}

inline Map<const MatrixXd> readMatrixFromState(const char* key, long rows, long cols, bool pull)
{
    const int64_t cells = stateCells("readMatrixFromState", key, rows, cols);
    const double* values = stateWindow<double>("readMatrixFromState", key, cells);
    if (pull && cells > 0) {
        faasmPullState(key, stateBytes("readMatrixFromState", key, cells, sizeof(double)));
    }
    return Map<const MatrixXd>(values, rows, cols);
}

/* Copies the matrix into a buffer of rows * cols doubles. */
inline void readMatrixFromState(const char* key, double* buffer, long rows, long cols, bool pull)
{
    const int64_t cells = stateCells("readMatrixFromState", key, rows, cols);
    const long bytes = stateBytes("readMatrixFromState", key, cells, sizeof(double));
    expectStateSize("readMatrixFromState", key, bytes);
    if (pull && bytes > 0) {
        faasmPullState(key, bytes);
    }
    faasmReadState(key, BYTES(buffer), bytes);
}

/* ---------------------------------------------------------------- single elements */

/* Where an element is, in a matrix of which it has to be an element. */
inline long elementOffset(const char* function, const char* key, long rows, long cols, long row,
                          long col)
{
    stateBytes(function, key, stateCells(function, key, rows, cols), sizeof(double));
    if (row < 0 || row >= rows || col < 0 || col >= cols) {
        refuse(function, key, "element (%ld, %ld) of %ld x %ld", row, col, rows, cols);
    }
    return matrixByteIndex(row, col, rows);
}

inline void writeMatrixElementToState(const char* key, long rows, long cols, long row, long col,
                                      double value, bool push)
{
    const char* function = "writeMatrixElementToState";
    const long offset = elementOffset(function, key, rows, cols, row, col);
    const long total = matrixByteIndex(0, cols, rows);
    expectStateSize(function, key, total);
    faasmWriteStateOffset(key, total, offset, BYTES_CONST(&value), sizeof value);
    if (push) {
        faasmPushStatePartial(key);
    }
}

/* Writes this element of the matrix, and nothing else of it. */
inline void writeMatrixToStateElement(const char* key, const MatrixXd& matrix, long row, long col,
                                      bool push)
{
    const long rows = static_cast<long>(matrix.rows()), cols = static_cast<long>(matrix.cols());
    elementOffset("writeMatrixToStateElement", key, rows, cols, row, col);
    writeMatrixElementToState(key, rows, cols, row, col, matrix(row, col), push);
}

inline double readMatrixElementFromState(const char* key, long rows, long cols, long row, long col,
                                         bool pull)
{
    const char* function = "readMatrixElementFromState";
    const long offset = elementOffset(function, key, rows, cols, row, col);
    const long total = matrixByteIndex(0, cols, rows);
    expectStateSize(function, key, total);
    if (pull) {
        faasmPullState(key, total);
    }
    double value = 0;
    faasmReadStateOffset(key, total, offset, BYTES(&value), sizeof value);
    return value;
}

/* ---------------------------------------------------------------- columns */

/* The window on columns colStart to below colEnd. */
inline double* columnsWindow(const char* function, const char* key, long totalCols, long colStart,
                             long colEnd, long totalRows)
{
    if (colStart < 0 || colStart > colEnd || colEnd > totalCols) {
        refuse(function, key, "columns %ld to below %ld, of %ld", colStart, colEnd, totalCols);
    }
    const int64_t total = stateCells(function, key, totalRows, totalCols);
    const int64_t first = stateCells(function, key, totalRows, colStart);
    const int64_t count = stateCells(function, key, totalRows, colEnd - colStart);
    return stateWindow<double>(function, key, total, first, count);
}

/* Columns colStart to below colEnd, as a window on them alone. With `pull`, the value is fetched
 * again from its home. */
inline Map<const MatrixXd> readMatrixColumnsFromState(const char* key, long totalCols,
                                                      long colStart, long colEnd, long totalRows,
                                                      bool pull)
{
    const char* function = "readMatrixColumnsFromState";
    const double* values = columnsWindow(function, key, totalCols, colStart, colEnd, totalRows);
    if (pull && totalRows > 0 && totalCols > 0) {
        faasmPullState(key, matrixByteIndex(0, totalCols, totalRows));
    }
    return Map<const MatrixXd>(values, totalRows, colEnd - colStart);
}

/* The same to write into; then flagMatrixColumnsDirty, and a push. */
inline Map<MatrixXd> mapMatrixColumnsFromState(const char* key, long totalCols, long colStart,
                                               long colEnd, long totalRows)
{
    const char* function = "mapMatrixColumnsFromState";
    double* values = columnsWindow(function, key, totalCols, colStart, colEnd, totalRows);
    return Map<MatrixXd>(values, totalRows, colEnd - colStart);
}

inline void flagMatrixColumnsDirty(const char* key, long totalCols, long colStart, long colEnd,
                                   long totalRows)
{
    if (colStart < 0 || colStart > colEnd || colEnd > totalCols) {
        refuse("flagMatrixColumnsDirty", key, "columns %ld to below %ld, of %ld", colStart, colEnd,
               totalCols);
    }
    const long start = matrixByteIndex(0, colStart, totalRows);
    const long end = matrixByteIndex(0, colEnd, totalRows);
    faasmFlagStateOffsetDirty(key, matrixByteIndex(0, totalCols, totalRows), start, end - start);
}

/* ---------------------------------------------------------------- making and mixing */

/* Uniform from -1 to 1; seedRandom() of random.h seeds it. */
inline MatrixXd randomDenseMatrix(int rows, int cols)
{
    MatrixXd matrix(rows, cols);
    for (Index i = 0; i < matrix.size(); i++) {
        matrix.data()[i] = 2.0 * randomDouble() - 1.0;
    }
    return matrix;
}

inline MatrixXd zeroMatrix(int rows, int cols)
{
    return MatrixXd::Zero(rows, cols);
}

inline void shuffleMatrixColumns(MatrixXd& matrix)
{
    for (int last = static_cast<int>(matrix.cols()) - 1; last > 0; last--) {
        matrix.col(last).swap(matrix.col(randomInteger(0, last)));
    }
}

/* Shuffles the columns of both in the same order. */
inline void shufflePairedMatrixColumns(MatrixXd& a, MatrixXd& b)
{
    if (a.cols() != b.cols()) {
        refuse("shufflePairedMatrixColumns", "", "%lld and %lld columns",
               static_cast<long long>(a.cols()), static_cast<long long>(b.cols()));
    }
    for (int last = static_cast<int>(a.cols()) - 1; last > 0; last--) {
        const int other = randomInteger(0, last);
        a.col(last).swap(a.col(other));
        b.col(last).swap(b.col(other));
    }
}

/* ---------------------------------------------------------------- errors */

inline void expectSameShape(const char* function, const MatrixXd& a, const MatrixXd& b)
{
    if (a.rows() != b.rows() || a.cols() != b.cols()) {
        refuse(function, "", "a %lld x %lld and a %lld x %lld matrix",
               static_cast<long long>(a.rows()), static_cast<long long>(a.cols()),
               static_cast<long long>(b.rows()), static_cast<long long>(b.cols()));
    }
}

/* The sum of the squares of the differences. */
inline double calculateSquaredError(const MatrixXd& prediction, const MatrixXd& actual)
{
    expectSameShape("calculateSquaredError", prediction, actual);
    return (prediction - actual).squaredNorm();
}

/* The sum of max(0, 1 - prediction * actual), for actual values of 1 and -1. */
inline double calculateHingeError(const MatrixXd& prediction, const MatrixXd& actual)
{
    expectSameShape("calculateHingeError", prediction, actual);
    double sum = 0;
    for (Index i = 0; i < prediction.size(); i++) {
        sum += std::max(0.0, 1.0 - prediction.data()[i] * actual.data()[i]);
    }
    return sum;
}

/* 0 for empty matrices. */
inline double calculateRootMeanSquaredError(const MatrixXd& a, const MatrixXd& b)
{
    const double squared = calculateSquaredError(a, b);
    return a.size() == 0 ? 0.0 : std::sqrt(squared / static_cast<double>(a.size()));
}

} // namespace faasm

#endif
