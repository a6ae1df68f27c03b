/* Sparse matrices of doubles in state, in Eigen's compressed column form. Included by matrix.h.
 *
 *   KEY_vals   8 bytes a non-zero: its value       ┐ columns one by one
 *   KEY_innr   4 bytes a non-zero: its row         ┘
 *   KEY_outr   4 bytes a column, and 4 more: the number of non-zeros before the column
 *   KEY_nonz   4 bytes a column: its number of non-zeros
 *   KEY_size   SparseSizes
 *
 * Readers check all of that: the lengths against each other and against the values, the places of
 * the columns they read, and the row of every non-zero in them.
 */
#ifndef FAASM_MATRIX_SPARSE_H
#define FAASM_MATRIX_SPARSE_H

#include <string>
#include <utility>
#include <vector>

#include "faasm/checked.h"
#include "faasm/random.h"

namespace faasm {

/* What KEY_size holds. */
struct SparseSizes
{
    int32_t cols;
    int32_t rows;
    int32_t nNonZeros;

    int32_t valuesLen;
    int32_t innerLen;
    int32_t outerLen;
    int32_t nonZeroLen;
};

/* The keys of a matrix; they live as long as this. */
struct SparseKeys
{
    char* valueKey;
    char* innerKey;
    char* outerKey;
    char* sizeKey;
    char* nonZeroKey;

    explicit SparseKeys(const char* key)
      : names{ named(key, "_vals"), named(key, "_innr"), named(key, "_outr"), named(key, "_size"),
               named(key, "_nonz") }
    {
        point();
    }

    SparseKeys(const SparseKeys& other)
      : names(other.names)
    {
        point();
    }

    SparseKeys& operator=(const SparseKeys& other)
    {
        names = other.names;
        point();
        return *this;
    }

  private:
    std::vector<std::string> names;

    static std::string named(const char* key, const char* part) { return std::string(key) + part; }

    void point()
    {
        valueKey = &names[0][0];
        innerKey = &names[1][0];
        outerKey = &names[2][0];
        sizeKey = &names[3][0];
        nonZeroKey = &names[4][0];
    }
};

inline SparseKeys getSparseKeys(const char* key)
{
    return SparseKeys(key);
}

/* A matrix as the bytes of its parts. It refers to the matrix, which has to stay. */
class SparseMatrixSerialiser
{
  public:
    explicit SparseMatrixSerialiser(const SparseMatrix<double>& matIn)
      : mat(matIn)
    {
        if (!mat.isCompressed()) {
            compressed = mat;
            compressed.makeCompressed();
        }
        const SparseMatrix<double>& source = mat.isCompressed() ? mat : compressed;
        const int64_t cols = source.cols(), nonZeros = source.nonZeros();
        for (Index i = 0; i < source.cols(); i++) {
            const int32_t* outer = source.outerIndexPtr();
            nonZeroCounts.push_back(outer[i + 1] - outer[i]);
        }
        point(source);
        sizes.cols = static_cast<int32_t>(cols);
        sizes.rows = static_cast<int32_t>(source.rows());
        sizes.nNonZeros = static_cast<int32_t>(nonZeros);
        sizes.valuesLen = length(nonZeros, sizeof(double), nValueBytes);
        sizes.innerLen = length(nonZeros, sizeof(int32_t), nInnerBytes);
        sizes.outerLen = length(cols + 1, sizeof(int32_t), nOuterBytes);
        sizes.nonZeroLen = length(cols, sizeof(int32_t), nNonZeroBytes);
        nSizeBytes = sizeof sizes;
    }

    SparseMatrixSerialiser(const SparseMatrixSerialiser&) = delete;
    SparseMatrixSerialiser& operator=(const SparseMatrixSerialiser&) = delete;

    /* The sizes last, so that whoever finds them finds the parts. */
    void writeToState(const char* key, bool push)
    {
        const SparseKeys keys(key);
        faasmWriteState(keys.valueKey, valueBytes, static_cast<long>(nValueBytes));
        faasmWriteState(keys.innerKey, innerBytes, static_cast<long>(nInnerBytes));
        faasmWriteState(keys.outerKey, outerBytes, static_cast<long>(nOuterBytes));
        faasmWriteState(keys.nonZeroKey, nonZeroBytes, static_cast<long>(nNonZeroBytes));
        faasmWriteState(keys.sizeKey, sizeBytes, static_cast<long>(nSizeBytes));
        if (push) {
            faasmPushState(keys.valueKey);
            faasmPushState(keys.innerKey);
            faasmPushState(keys.outerKey);
            faasmPushState(keys.nonZeroKey);
            faasmPushState(keys.sizeKey);
        }
    }

    /* The matrix of these parts, which have to stay. Nothing is checked. */
    static Map<const SparseMatrix<double>> readFromBytes(const SparseSizes& sizes,
                                                         uint8_t* outerBytes, uint8_t* innerBytes,
                                                         uint8_t* valuesBytes)
    {
        return Map<const SparseMatrix<double>>(sizes.rows, sizes.cols, sizes.nNonZeros,
                                               reinterpret_cast<const int32_t*>(outerBytes),
                                               reinterpret_cast<const int32_t*>(innerBytes),
                                               reinterpret_cast<const double*>(valuesBytes));
    }

    const SparseMatrix<double>& mat;

    const uint8_t* valueBytes;
    size_t nValueBytes;

    const uint8_t* innerBytes;
    size_t nInnerBytes;

    const uint8_t* outerBytes;
    size_t nOuterBytes;

    const uint8_t* nonZeroBytes;
    size_t nNonZeroBytes;

    const uint8_t* sizeBytes;
    size_t nSizeBytes;

  private:
    SparseMatrix<double> compressed;
    std::vector<int32_t> nonZeroCounts;
    SparseSizes sizes{};

    void point(const SparseMatrix<double>& source)
    {
        valueBytes = BYTES_CONST(source.valuePtr());
        innerBytes = BYTES_CONST(source.innerIndexPtr());
        outerBytes = BYTES_CONST(source.outerIndexPtr());
        nonZeroBytes = BYTES_CONST(nonZeroCounts.data());
        sizeBytes = BYTES_CONST(&sizes);
    }

    static int32_t length(int64_t count, int64_t size, size_t& bytes)
    {
        if (count > std::numeric_limits<int32_t>::max() / size) {
            refuse("SparseMatrixSerialiser", "", "%lld elements of %lld bytes: at most 2 GiB",
                   static_cast<long long>(count), static_cast<long long>(size));
        }
        bytes = static_cast<size_t>(count * size);
        return static_cast<int32_t>(bytes);
    }
};

inline void writeSparseMatrixToState(const char* key, const SparseMatrix<double>& mat, bool push)
{
    SparseMatrixSerialiser serialiser(mat);
    serialiser.writeToState(key, push);
}

/* A part that is missing would read as zeros. */
inline void expectPart(const char* function, const char* key, const char* part, int32_t bytes)
{
    const size_t have = faasmReadStateSize(part);
    if (have != static_cast<size_t>(bytes)) {
        refuse(function, key, "\"%s\" has %zu bytes, and the sizes say %d", part, have, bytes);
    }
}

/* The sizes of a matrix, checked. */
inline SparseSizes readSparseSizes(const char* function, const char* key, const SparseKeys& keys,
                                   bool pull)
{
    SparseSizes s{};
    if (faasmReadStateSize(keys.sizeKey) != sizeof s) {
        refuse(function, key, "no sparse matrix: \"%s\" has %zu bytes, not %zu", keys.sizeKey,
               faasmReadStateSize(keys.sizeKey), sizeof s);
    }
    if (pull) {
        faasmPullState(keys.sizeKey, sizeof s);
    }
    faasmReadState(keys.sizeKey, BYTES(&s), sizeof s);
    const int64_t cols = s.cols, nonZeros = s.nNonZeros;
    if (s.cols < 0 || s.rows < 0 || nonZeros < 0 || nonZeros > cols * s.rows ||
        s.valuesLen != nonZeros * 8 || s.innerLen != nonZeros * 4 ||
        s.outerLen != (cols + 1) * 4 || s.nonZeroLen != cols * 4) {
        refuse(function, key,
               "damaged sizes: %d x %d, %d non-zeros; lengths of values %d, inner %d, outer %d, "
               "non-zeros %d",
               s.rows, s.cols, s.nNonZeros, s.valuesLen, s.innerLen, s.outerLen, s.nonZeroLen);
    }
    expectPart(function, key, keys.valueKey, s.valuesLen);
    expectPart(function, key, keys.innerKey, s.innerLen);
    expectPart(function, key, keys.outerKey, s.outerLen);
    expectPart(function, key, keys.nonZeroKey, s.nonZeroLen);
    return s;
}

/* Columns colStart to below colEnd of a matrix, on windows of just these columns. `outer` gets
 * where each starts, counted from the first of them, and has to stay as long as the map. */
inline Map<const SparseMatrix<double>> sparseColumns(const char* function, const char* key,
                                                     const SparseKeys& keys, const SparseSizes& s,
                                                     long colStart, long colEnd, int32_t* outer)
{
    const int32_t cols = static_cast<int32_t>(colEnd - colStart);
    const int32_t* from =
      stateWindow<int32_t>(function, keys.outerKey, s.cols + 1, colStart, cols + 1);
    const int32_t first = from[0];
    for (int32_t i = 0; i <= cols; i++) {
        const int32_t start = from[i];
        if (start < 0 || start > s.nNonZeros || (i > 0 && start < outer[i - 1] + first)) {
            refuse(function, key, "damaged: column %ld starts at non-zero %d, of %d",
                   colStart + i, start, s.nNonZeros);
        }
        outer[i] = start - first;
    }
    const int32_t count = outer[cols];
    if ((colStart == 0 && first != 0) || (colEnd == s.cols && first + count != s.nNonZeros)) {
        refuse(function, key, "damaged: columns %ld to below %ld start at non-zero %d, end at %d",
               colStart, colEnd, first, first + count);
    }
    const int32_t* inner =
      stateWindow<int32_t>(function, keys.innerKey, s.nNonZeros, first, count);
    for (int32_t i = 0; i < count; i++) {
        if (inner[i] < 0 || inner[i] >= s.rows) {
            refuse(function, key, "damaged: non-zero %d is in row %d, of %d", first + i, inner[i],
                   s.rows);
        }
    }
    const double* values = stateWindow<double>(function, keys.valueKey, s.nNonZeros, first, count);
    return Map<const SparseMatrix<double>>(s.rows, cols, count, outer, inner, values);
}

inline void expectColumns(const char* function, const char* key, const SparseSizes& sizes,
                          long colStart, long colEnd)
{
    if (colStart < 0 || colStart > colEnd || colEnd > sizes.cols) {
        refuse(function, key, "columns %ld to below %ld, of %d", colStart, colEnd, sizes.cols);
    }
}

/* The whole matrix, on windows. The map's column starts live until the end of the call. */
inline Map<const SparseMatrix<double>> readSparseMatrixFromState(const char* key, bool pull)
{
    const char* function = "readSparseMatrixFromState";
    const SparseKeys keys(key);
    const SparseSizes sizes = readSparseSizes(function, key, keys, pull);
    if (pull) {
        faasmPullState(keys.outerKey, sizes.outerLen);
        faasmPullState(keys.nonZeroKey, sizes.nonZeroLen);
        faasmPullState(keys.innerKey, sizes.innerLen);
        faasmPullState(keys.valueKey, sizes.valuesLen);
    }
    int32_t* outer = new int32_t[static_cast<size_t>(sizes.cols) + 1];
    return sparseColumns(function, key, keys, sizes, 0, sizes.cols, outer);
}

/* Columns colStart to below colEnd, reading only these. With lazyPullFullValue the windows are
 * parts of windows on the whole values, which is worth it for a call that reads many ranges. The
 * map's column starts live until the end of the call. */
inline Map<const SparseMatrix<double>> readSparseMatrixColumnsFromState(const char* key,
                                                                        long colStart, long colEnd,
                                                                        bool lazyPullFullValue)
{
    const char* function = "readSparseMatrixColumnsFromState";
    const SparseKeys keys(key);
    const SparseSizes sizes = readSparseSizes(function, key, keys, false);
    expectColumns(function, key, sizes, colStart, colEnd);
    if (lazyPullFullValue) {
        stateWindow<int32_t>(function, keys.outerKey, sizes.cols + 1);
        stateWindow<int32_t>(function, keys.innerKey, sizes.nNonZeros);
        stateWindow<double>(function, keys.valueKey, sizes.nNonZeros);
    }
    int32_t* outer = new int32_t[static_cast<size_t>(colEnd - colStart) + 1];
    return sparseColumns(function, key, keys, sizes, colStart, colEnd, outer);
}

/* Each element is there with this probability, and then uniform from 0 to below it. */
inline SparseMatrix<double> randomSparseMatrix(int rows, int cols, double threshold)
{
    std::vector<Triplet<double>> triplets;
    for (int row = 0; row < rows; row++) {
        for (int col = 0; col < cols; col++) {
            const double value = randomDouble();
            if (value < threshold) {
                triplets.emplace_back(row, col, value);
            }
        }
    }
    SparseMatrix<double> matrix(rows, cols);
    matrix.setFromTriplets(triplets.begin(), triplets.end());
    return matrix;
}

} // namespace faasm

#endif
