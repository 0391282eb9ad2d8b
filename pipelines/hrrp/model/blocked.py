"""Products of tall, thin matrices in pieces that the linear algebra library does not spread over threads.

Such a product is too small to gain from threads, and a library that waits for them in a loop loses much where other work uses the
processors. OpenBLAS multiplies on one thread up to 2^18 multiplications a call; longer sums are cut into pieces of that length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SINGLE_THREADED = 1 << 18


def _pieces(rows: NDArray, multiplications: int) -> tuple[NDArray, NDArray]:
    """`rows` cut into (pieces, length, columns) where a row costs so many multiplications, and the rows that are left over."""
    length = max(1, SINGLE_THREADED // max(1, multiplications))
    whole = len(rows) // length * length
    return rows[:whole].reshape(-1, length, rows.shape[1]), rows[whole:]


def cross_product(left: NDArray, right: NDArray) -> NDArray:
    """left'right for (n, a) and (n, b)."""
    cost = left.shape[1] * right.shape[1]
    left_pieces, left_rest = _pieces(left, cost)
    right_pieces, right_rest = _pieces(right, cost)
    total = left_rest.T @ right_rest
    if len(left_pieces):
        total = total + np.matmul(left_pieces.transpose(0, 2, 1), right_pieces).sum(axis=0)
    return np.asarray(total)


def product(rows: NDArray, matrix: NDArray) -> NDArray:
    """rows @ matrix for (n, a) and (a, b)."""
    pieces, rest = _pieces(rows, rows.shape[1] * matrix.shape[1])
    return np.concatenate([np.matmul(pieces, matrix).reshape(-1, matrix.shape[1]), rest @ matrix])


def quadratic_forms(rows: NDArray, matrix: NDArray) -> NDArray:
    """x'Ax of each row x."""
    return np.asarray(np.einsum("jk,jk->j", product(rows, matrix), rows))


def weighted_sum(rows: NDArray, weights: NDArray) -> NDArray:
    """Sum of the rows, each times its weight."""
    return np.asarray(np.einsum("jk,j->k", rows, weights))


def combined(rows: NDArray, coefficients: NDArray) -> NDArray:
    """rows @ coefficients for one vector of coefficients."""
    return np.asarray(np.einsum("jk,k->j", rows, coefficients))
