"""Products of matrices by the host's BLAS: numpy in the sandbox has none of its own.

    c = mobula.window("C", (n, n), "f8")
    mobula.blas.matmul(a[lo:hi], b, out=c[lo:hi])      # windows, parts of them, ordinary arrays

Under an ordinary Python it is numpy's own product.
"""

from mobula import _host
from mobula._errors import Error

_FUNCTIONS = {"float64": "__mobula_blas_dgemm", "float32": "__mobula_blas_sgemm"}


def matmul(a, b, out=None, accumulate=False):
    """The product of two matrices, or of a matrix and a vector.

    a, b         arrays of float64 or both of float32; what does not lie row after row or column after
                 column is copied first
    out          array that takes the result: of its shape and type, rows without gaps between elements,
                 no part of `a` or `b`; a new one by default
    accumulate   add the product to what `out` has

    Returns `out`. Raises `Error` when shapes or types do not fit.
    """
    import numpy

    a, b = numpy.asarray(a), numpy.asarray(b)
    if a.dtype != b.dtype or a.dtype.name not in _FUNCTIONS or not a.dtype.isnative:
        raise Error(f"matmul: {a.dtype} and {b.dtype}; both are float64 or both float32")
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[1] != b.shape[0]:
        raise Error(f"matmul: shapes {a.shape} and {b.shape} do not fit")
    shape = a.shape[:1] + b.shape[1:]
    if out is None:
        if accumulate:
            raise Error("matmul: there is nothing to accumulate in without out")
        out = numpy.empty(shape, a.dtype)
    elif out.shape != shape or out.dtype != a.dtype or not out.flags.writeable:
        raise Error(f"matmul: out is {out.dtype}{out.shape}, not a writeable {a.dtype}{shape}")
    c = out.reshape(-1, 1) if b.ndim == 1 and _is_dense(out.reshape(1, -1)) else out
    if c.ndim != 2 or not _is_dense(c):
        raise Error("matmul: the rows of out have gaps, or are not aligned")
    _product(a, b.reshape(-1, 1) if b.ndim == 1 else b, c, accumulate)
    return out


def _product(a, b, c, accumulate):
    if c.size == 0:
        return
    if not _host.in_sandbox():
        if accumulate:
            c += a @ b
        else:
            c[...] = a @ b
        return
    (a, turn_a, lda), (b, turn_b, ldb) = _operand(a), _operand(b)
    _host.request(
        _FUNCTIONS[c.dtype.name],
        turn_a,
        turn_b,
        c.shape[0],
        c.shape[1],
        a.shape[1],
        1.0,
        _address(a),
        lda,
        _address(b),
        ldb,
        1.0 if accumulate else 0.0,
        _address(c),
        _leading(c),
    )


def _address(array):
    return array.__array_interface__["data"][0]


def _operand(array):
    """The array or a copy, whether it lies column after column, and its leading dimension."""
    if _is_dense(array):
        return array, 0, _leading(array)
    if _is_dense(array.T):
        return array, 1, _leading(array.T)
    array = array.copy(order="C")
    return array, 0, _leading(array)


def _is_dense(array):
    """Whether it lies row after row, each without gaps."""
    rows, cols = array.shape
    down, right = array.strides
    size = array.itemsize
    fits = rows <= 1 or (down % size == 0 and down >= cols * size)
    return bool(array.flags.aligned and (cols <= 1 or right == size) and fits)


def _leading(array):
    rows, cols = array.shape
    return max(cols, 1) if rows <= 1 else array.strides[0] // array.itemsize
