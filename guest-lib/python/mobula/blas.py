"""Products of matrices by the host's BLAS: numpy in the sandbox has none of its own.

    c = mobula.window("C", (n, n), "f8")
    mobula.blas.matmul(a[lo:hi], b, out=c[lo:hi])      # windows, parts of them, ordinary arrays

Under an ordinary Python it is numpy's own product.
"""

from mobula import _host
from mobula._errors import Error

#: By the letter of the type, which costs a tenth of its name.
_FUNCTIONS = {
    "d": _host.Numbers("__mobula_blas_dgemm", "qqqqqdqqqqdqq"),
    "f": _host.Numbers("__mobula_blas_sgemm", "qqqqqdqqqqdqq"),
}


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
    dtype, shape, inner = a.dtype, a.shape, b.shape
    if b.dtype != dtype or dtype.char not in _FUNCTIONS or not dtype.isnative:
        raise Error(f"matmul: {dtype} and {b.dtype}; both are float64 or both float32")
    if len(shape) != 2 or len(inner) not in (1, 2) or shape[1] != inner[0]:
        raise Error(f"matmul: shapes {shape} and {inner} do not fit")
    shape = shape[:1] + inner[1:]
    if out is None:
        if accumulate:
            raise Error("matmul: there is nothing to accumulate in without out")
        out = numpy.empty(shape, dtype)
    elif out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        raise Error(f"matmul: out is {out.dtype}{out.shape}, not a writeable {dtype}{shape}")
    c = out
    if len(inner) == 1:
        b = b.reshape(-1, 1)
        # A vector is one column, or one row without gaps.
        c = out.reshape(-1, 1) if _leading(out.reshape(1, -1)) else out
    leading = _leading(c) if c.ndim == 2 else 0
    if not leading:
        raise Error("matmul: the rows of out have gaps, or are not aligned")
    _product(a, b, c, leading, accumulate)
    return out


def _product(a, b, c, leading, accumulate):
    if c.size == 0:
        return
    if not _host.in_sandbox():
        if accumulate:
            c += a @ b
        else:
            c[...] = a @ b
        return
    (a, turn_a, lda), (b, turn_b, ldb) = _operand(a), _operand(b)
    _FUNCTIONS[c.dtype.char](
        turn_a,
        turn_b,
        *c.shape,
        a.shape[1],
        1.0,
        _address(a),
        lda,
        _address(b),
        ldb,
        1.0 if accumulate else 0.0,
        _address(c),
        leading,
    )


def _address(array):
    return array.__array_interface__["data"][0]


def _operand(array):
    """The array or a copy, whether it lies column after column, and its leading dimension."""
    leading = _leading(array)
    if leading:
        return array, 0, leading
    leading = _leading(array.T)
    if leading:
        return array, 1, leading
    array = array.copy(order="C")
    return array, 0, _leading(array)


def _leading(array):
    """Elements from one row to the next; 0 when it does not lie row after row, each without gaps."""
    rows, cols = array.shape
    down, right = array.strides
    size = array.itemsize
    if not array.flags.aligned or (cols > 1 and right != size):
        return 0
    if rows <= 1:
        return cols or 1
    return down // size if down % size == 0 and down >= cols * size else 0
