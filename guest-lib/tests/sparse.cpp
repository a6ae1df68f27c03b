// matrix.h: sparse matrices in and out of state, whole and by column; damaged ones are refused.
//
// compile: mobula c++ -Wall -Wextra -Werror -o sparse.wasm sparse.cpp
// run: mobula run sparse.wasm --threads 2
// expect: sparse: good
// stderr: key "none": no sparse matrix: "none_size" has 0 bytes, not 28
// stderr: key "s": columns 0 to below 301, of 300
// stderr: key "bad": damaged sizes: -1 x 3
// stderr: key "bad": damaged sizes: 3 x 3, 10 non-zeros
// stderr: key "bad": damaged sizes: 3 x 3, 4 non-zeros; lengths of values 31,
// stderr: key "bad": damaged: column 1 starts at non-zero -1, of 4
// stderr: key "bad": damaged: column 1 starts at non-zero 1000000, of 4
// stderr: key "bad": damaged: column 2 starts at non-zero 1, of 4
// stderr: key "bad": damaged: non-zero 2 is in row 3, of 3
// stderr: key "bad": damaged: non-zero 2 is in row -1, of 3
// stderr: key "bad": "bad_vals" has 24 bytes, and the sizes say 32
// stderr: key "bad": damaged: columns 0 to below 3 start at non-zero 0, end at 3
// exit: 0
#include <faasm/input.h>
#include <faasm/matrix.h>

#include "check.h"

// What `wrong` does to the small matrix: which 32-bit integer of which part gets which value.
struct Damage
{
    const char* key;
    long total;
    int place;
    int32_t value;
};

static const Damage damages[] = {
    { "bad_size", 28, 1, -1 },      { "bad_size", 28, 2, 10 },   { "bad_size", 28, 3, 31 },
    { "bad_outr", 16, 1, -1 },      { "bad_outr", 16, 1, 1000000 }, { "bad_outr", 16, 2, 1 },
    { "bad_innr", 16, 2, 3 },       { "bad_innr", 16, 2, -1 },   { "bad_outr", 16, 3, 3 },
};
enum { DAMAGES = 9, SHORT = DAMAGES, NONE, RANGE, WRONGS };

static SparseMatrix<double> small()
{
    SparseMatrix<double> m(3, 3);
    m.insert(0, 0) = 1;
    m.insert(2, 0) = 2;
    m.insert(1, 1) = 3;
    m.insert(0, 2) = 4;
    return m;
}

FAASM_FUNC(wrong, 1)
{
    const int which = faasm::getTypedInput<int>(0);
    if (which < DAMAGES) {
        const Damage& damage = damages[which];
        faasmWriteStateOffset(damage.key, damage.total, damage.place * 4L,
                              BYTES_CONST(&damage.value), 4);
        faasm::readSparseMatrixFromState("bad", false);
    } else if (which == SHORT) {
        faasmWriteState("bad_vals", BYTES_CONST(damages), 24);
        faasm::readSparseMatrixColumnsFromState("bad", 0, 1, true);
    } else if (which == NONE) {
        faasm::readSparseMatrixFromState("none", false);
    } else {
        faasm::readSparseMatrixColumnsFromState("s", 0, 301, false);
    }
    return 0;
}

// Multiplies a range of columns and gives the sum of the products.
FAASM_FUNC(part, 2)
{
    const int start = faasm::getTypedInput<int>(0);
    const bool whole = start % 100 == 0;
    const auto m = faasm::readSparseMatrixColumnsFromState("s", start, start + 50, whole);
    const MatrixXd ones = MatrixXd::Ones(1, m.rows());
    const double sum = (ones * m).sum();
    faasmSetOutput(&sum, sizeof sum);
    return 0;
}

static bool same(const SparseMatrix<double>& a, const SparseMatrix<double>& b)
{
    return a.rows() == b.rows() && a.cols() == b.cols() && MatrixXd(a) == MatrixXd(b);
}

static void keysAndParts()
{
    faasm::SparseKeys keys = faasm::getSparseKeys("s");
    const faasm::SparseKeys copy = keys;
    keys = faasm::getSparseKeys("other");
    CHECK(std::string(copy.valueKey) == "s_vals" && std::string(keys.innerKey) == "other_innr");
    CHECK(std::string(copy.outerKey) == "s_outr" && std::string(copy.sizeKey) == "s_size");
    CHECK(std::string(copy.nonZeroKey) == "s_nonz");

    // Not compressed: the parts are those of its compressed form.
    const SparseMatrix<double> m = small();
    CHECK(!m.isCompressed());
    faasm::SparseMatrixSerialiser parts(m);
    CHECK(&parts.mat == &m && parts.nValueBytes == 32 && parts.nInnerBytes == 16);
    CHECK(parts.nOuterBytes == 16 && parts.nNonZeroBytes == 12 && parts.nSizeBytes == 28);
    const int32_t inner[] = { 0, 2, 1, 0 }, outer[] = { 0, 2, 3, 4 }, counts[] = { 2, 1, 1 };
    CHECK(memcmp(parts.innerBytes, inner, sizeof inner) == 0);
    CHECK(memcmp(parts.outerBytes, outer, sizeof outer) == 0);
    CHECK(memcmp(parts.nonZeroBytes, counts, sizeof counts) == 0);
    faasm::SparseSizes sizes;
    memcpy(&sizes, parts.sizeBytes, sizeof sizes);
    CHECK(sizes.rows == 3 && sizes.cols == 3 && sizes.nNonZeros == 4 && sizes.nonZeroLen == 12);
    const auto read = faasm::SparseMatrixSerialiser::readFromBytes(
      sizes, const_cast<uint8_t*>(parts.outerBytes), const_cast<uint8_t*>(parts.innerBytes),
      const_cast<uint8_t*>(parts.valueBytes));
    CHECK(same(read, m));
}

static void wholeAndColumns(const SparseMatrix<double>& m)
{
    faasm::writeSparseMatrixToState("s", m, true);
    const auto whole = faasm::readSparseMatrixFromState("s", true);
    CHECK(same(whole, m) && whole.nonZeros() == m.nonZeros());
    // No copy: the values are the window.
    uint8_t* window = faasmReadStatePtr("s_vals", static_cast<long>(m.nonZeros() * 8));
    CHECK(reinterpret_cast<const uint8_t*>(whole.valuePtr()) == window);
    for (int start = 0; start < 300; start += 13) {
        const int end = std::min(start + 13, 300);
        const auto part = faasm::readSparseMatrixColumnsFromState("s", start, end, start % 2);
        CHECK(same(part, m.middleCols(start, end - start)));
        CHECK(part.nonZeros() == m.middleCols(start, end - start).nonZeros());
    }
    CHECK(faasm::readSparseMatrixColumnsFromState("s", 7, 7, false).cols() == 0);
}

static void byCalls(const SparseMatrix<double>& m)
{
    double sum = 0;
    std::vector<unsigned int> ids;
    for (int start = 0; start < 300; start += 50) {
        ids.push_back(faasmChainThisInput(2, BYTES(&start), sizeof start));
    }
    for (unsigned int id : ids) {
        double part = 0;
        CHECK(faasmAwaitCallOutput(id, BYTES(&part), sizeof part) == 0);
        sum += part;
    }
    CHECK(std::abs(sum - m.sum()) < 1e-9);
}

static void empty()
{
    const SparseMatrix<double> none(4, 5);
    faasm::writeSparseMatrixToState("empty", none, true);
    CHECK(same(faasm::readSparseMatrixFromState("empty", true), none));
    CHECK(faasm::readSparseMatrixColumnsFromState("empty", 1, 3, true).nonZeros() == 0);
}

FAASM_MAIN_FUNC()
{
    keysAndParts();
    faasm::seedRandom(7);
    // Large enough that columns start in the middle of pages and chunks.
    const SparseMatrix<double> m = faasm::randomSparseMatrix(2000, 300, 0.05);
    CHECK(m.nonZeros() > 28000 && m.nonZeros() < 32000 && (m.coeffs() < 0.05).all());
    wholeAndColumns(m);
    byCalls(m);
    empty();
    for (int which = 0; which < WRONGS; which++) {
        faasm::writeSparseMatrixToState("bad", small(), true);
        CHECK(refused(1, which));
    }
    return done("sparse");
}
