/* Eigen matrices in and out of state.
 *
 *   matrix_dense.h    whole, single elements, columns; as maps on windows, without a copy
 *   matrix_sparse.h   whole and columns; several keys a matrix
 *
 * A map shows the shared bytes: it sees what others store later. Copy it into a matrix to keep it
 * as it is. Every map is good until the end of the call.
 */
#ifndef FAASM_MATRIX_H
#define FAASM_MATRIX_H

#if defined(__has_include)
#if __has_include(<Eigen/SparseCore>)
#include <Eigen/Core>
#include <Eigen/SparseCore>
#elif __has_include(<eigen3/Eigen/SparseCore>)
#include <eigen3/Eigen/Core>
#include <eigen3/Eigen/SparseCore>
#else
#error "faasm/matrix.h needs Eigen 3: apt-get install libeigen3-dev, or set MOBULA_EIGEN to the \
directory that has Eigen/Core (natively: -isystem that directory)"
#endif
#endif

/* As in Faasm: programs written for it name Eigen's types without a namespace. */
using namespace Eigen;

#include "faasm/core.h"
#include "faasm/matrix_dense.h"
#include "faasm/matrix_sparse.h"
#include "faasm/random.h"

#endif
