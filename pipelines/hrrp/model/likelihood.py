"""The sums over stays that every estimation method needs, found in one pass over hospital-sorted rows.

For stay i of hospital j with linear predictor eta_i = mu + b'z_i and hospital effect u, weight v_i (1 unless given):

    p_i = expit(eta_i + u)      w_i = v_i p_i (1 - p_i)      r_i = v_i (y_i - p_i)
    S = sum w_i                 T = sum w_i (1 - 2 p_i)      R = sum r_i           C = sum w_i x_i,   x_i = (1, z_i)

The conditional mode of the effect solves u = tau2 R(u) (Newton, 1 + tau2 S the slope), and all of these are taken
there. With t = tau2, K = S / (1 + t S), k = 1 / (1 + t S), D = t k (the effect's variance given the coefficients):

RSPL          The score of the coefficients is sum r_i x_i. (Estimation of tau2: `hrrp.model.estimation`.)

Laplace       log L_j = sum v_i [ y_i (eta_i + u) - log(1 + exp(eta_i + u)) ] - t R^2 / 2 - log(1 + t S) / 2
              d / d b          = sum x_i [ r_i - (D / 2) (w_i (1 - 2 p_i) - T D w_i) ]
              d / d log t      = t [ R^2 / 2 - K / 2 - k D T R / 2 ]

AGQ           With nodes z_k and weights a_k of Gauss-Hermite quadrature (weight exp(-z^2)), s = sqrt(D),
              u_k = u + sqrt(2) s z_k and
              h(u) = sum v_i [ y_i (eta_i + u) - log(1 + exp(eta_i + u)) ] - u^2 / (2 t):

              L_j = sqrt(2) s sum_k a_k exp(z_k^2 + h(u_k)) / sqrt(2 pi t)

              With f_k the share of node k in the sum, A = sum_k f_k h'(u_k) and B = sum_k f_k h'(u_k) sqrt(2) s z_k,
              the derivative, nodes moving with the parameters, is

              d / d b          = sum_i x_i [ sum_k f_k v_i (y_i - p_i(u_k)) - A D w_i
                                             - (1 + B) (D / 2) (w_i (1 - 2 p_i) - T D w_i) ]
              d / d log t      = sum_k f_k (u_k^2 / (2 t) - 1/2) + A k u + (1 + B) (k / 2) (1 - D T u)

              One node gives Laplace exactly.

The information of the coefficients with the effects swept out is G - sum_j D C C', G = sum w_i x_i x_i'.

Only sums leave a pass, and per hospital the few numbers above with C: state of the order hospitals x coefficients. A
pass over blocks is the sum of the passes over each, whichever process holds it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrrp.model.blocked import product
from hrrp.model.packing import PackedStays

Floats = NDArray[np.float64]

RSPL, LAPLACE, AGQ = 0, 1, 2
METHODS = {"rspl": RSPL, "laplace": LAPLACE, "agq": AGQ}


@dataclass(frozen=True)
class BlockSums:
    """What one pass over one block gives. Sums over codes are still unfolded (see `packing`)."""

    log_likelihood: float
    score_log_tau2: float
    score_numbers: Floats  # (1 + q,): intercept and numbers
    score_codes: Floats  # (groups * size,)
    effect: Floats  # from here on one a hospital
    S: Floats
    T: Floats
    R: Floats
    predicted: Floats  # weighted counts
    expected: Floats
    C: Floats  # (hospitals, 1 + q + groups * bits), or empty
    numbers_numbers: Floats  # (1 + q, 1 + q), or empty like the next two
    numbers_codes: Floats  # (1 + q, groups * size)
    code_pairs: Floats  # (pairs of groups, size * size), the higher group's value the higher digit


@dataclass(frozen=True)
class Sums:
    """What one pass over all blocks gives, coefficients in the order inside. Arrays of hospitals have one element
    each."""

    log_likelihood: float
    score: Floats
    score_log_tau2: float
    effect: Floats
    S: Floats
    T: Floats
    R: Floats
    predicted: Floats
    expected: Floats
    C: Floats | None
    G: Floats | None


def kernel_name() -> str:
    """'numba', or 'numpy' where numba is absent or HRRP_NO_NUMBA is set."""
    if os.environ.get("HRRP_NO_NUMBA", "") not in {"", "0"}:
        return "numpy"
    try:
        import numba  # noqa: F401
    except ImportError:
        return "numpy"
    return "numba"


def _kernel() -> Callable[..., BlockSums]:
    if kernel_name() == "numba":
        from hrrp.model import kernel_numba

        return kernel_numba.pass_over_block
    from hrrp.model import kernel_numpy

    return kernel_numpy.pass_over_block


def flag_totals(stays: PackedStays, values: Floats) -> Floats:
    """Sum of `values`, one a stay in sorted order, over the stays that carry each flag."""
    entries = stays.groups * stays.size
    if kernel_name() == "numba":
        from hrrp.model import kernel_numba

        found = kernel_numba.histogram(stays.rows.codes, values, entries)
    else:
        from hrrp.model import kernel_numpy

        found = kernel_numpy.histogram(stays.rows.codes, values, entries)
    return (found.reshape(stays.groups, stays.size) @ stays.bit_of_code).ravel()[: len(stays.flag_columns)]


@cache
def quadrature(nodes: int) -> tuple[Floats, Floats]:
    """Gauss-Hermite nodes z_k and log a_k + z_k^2."""
    z, a = np.polynomial.hermite.hermgauss(nodes)
    return z, np.log(a) + z * z


def default_threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_pass(
    stays: PackedStays,
    coefficients: Floats,
    tau2: float,
    effect: Floats,
    method: int,
    *,
    nodes: int = 1,
    information: bool = False,
) -> Sums:
    """One pass over all stays at the given parameters, starting each hospital's mode from `effect`."""
    kernel = _kernel()
    intercept, slopes, table = stays.parts(coefficients)
    z, log_a = quadrature(nodes if method == AGQ else 1)
    edges = np.cumsum([0] + [block.hospitals for block in stays.blocks])

    def over(k: int) -> tuple[BlockSums, Floats | None]:
        here = slice(edges[k], edges[k + 1])
        sums = kernel(
            stays.blocks[k], intercept, slopes, table, tau2, effect[here], method, z, log_a, information, stays.bits
        )
        return sums, _folded_information(stays, sums) if information else None

    if len(stays.blocks) == 1:
        parts = [over(0)]
    else:
        with ThreadPoolExecutor(len(stays.blocks)) as pool:
            parts = list(pool.map(over, range(len(stays.blocks))))
    return _added(stays, [sums for sums, _ in parts], [matrix for _, matrix in parts if matrix is not None])


def _added(stays: PackedStays, parts: list[BlockSums], matrices: list[Floats]) -> Sums:
    def hospitals(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    flags = len(stays.flag_columns)
    score_codes = np.sum([part.score_codes for part in parts], axis=0)
    score_flags = score_codes.reshape(stays.groups, stays.size) @ stays.bit_of_code
    score = np.concatenate([np.sum([part.score_numbers for part in parts], axis=0), score_flags.ravel()[:flags]])
    return Sums(
        log_likelihood=float(sum(part.log_likelihood for part in parts)),
        score=score,
        score_log_tau2=float(sum(part.score_log_tau2 for part in parts)),
        effect=hospitals("effect"),
        S=hospitals("S"),
        T=hospitals("T"),
        R=hospitals("R"),
        predicted=hospitals("predicted"),
        expected=hospitals("expected"),
        C=hospitals("C")[:, : stays.p] if matrices else None,
        G=np.sum(matrices, axis=0) if matrices else None,
    )


def _folded_information(stays: PackedStays, sums: BlockSums) -> Floats:
    """G of one block: histograms over codes and over pairs of codes, folded to columns."""
    groups, size, bits, bit = stays.groups, stays.size, stays.bits, stays.bit_of_code
    q1 = 1 + len(stays.number_columns)
    matrix = np.zeros((q1 + groups * bits,) * 2)
    matrix[:q1, :q1] = sums.numbers_numbers
    by_code = sums.numbers_codes.reshape(q1, groups, size)
    matrix[:q1, q1:] = (by_code @ bit).reshape(q1, groups * bits)
    pair = 0
    for high in range(groups):
        rows = slice(q1 + high * bits, q1 + (high + 1) * bits)
        # Two flags of one group are both set in the codes that hold both bits.
        matrix[rows, rows] = (bit * by_code[0, high][:, None]).T @ bit
        for low in range(high):
            columns = slice(q1 + low * bits, q1 + (low + 1) * bits)
            by_high = product(sums.code_pairs[pair].reshape(size, size), bit)  # folded over the lower group
            matrix[columns, rows] = by_high.T @ bit
            pair += 1
    matrix = matrix[: stays.p, : stays.p]
    upper = np.triu(matrix)
    return upper + np.triu(matrix, 1).T
