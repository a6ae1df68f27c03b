// Every header, for two translation units of one program.
#pragma once

#include <faasm/array.h>
#include <faasm/compare.h>
#include <faasm/core.h>
#include <faasm/counter.h>
#include <faasm/faasm.h>
#include <faasm/files.h>
#include <faasm/func.h>
#include <faasm/input.h>
#include <faasm/matrix.h>
#include <faasm/memory.h>
#include <faasm/pool.h>
#include <faasm/print.h>
#include <faasm/random.h>
#include <faasm/sgd.h>
#include <faasm/state.h>
#include <faasm/time.h>
// As programs written for Faasm name it.
#include <eigen3/Eigen/Core>

int fromOther();
