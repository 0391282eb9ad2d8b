"""The pass over a block in numpy, for where numba is absent: the same sums, hospitals side by side instead of one by
one.

The mathematics stands in `hrrp.model.likelihood`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrrp.model.blocked import combined, cross_product, weighted_sum
from hrrp.model.likelihood import AGQ, LAPLACE, BlockSums
from hrrp.model.packing import HospitalBlock, cut

Floats = NDArray[np.float64]
Sum = Callable[[Floats], Floats]

CHUNK = 65_536  # stays handled at once, so that the working arrays stay in the cache
LARGEST_EXPONENT = 300.0
MODE_TOLERANCE = 1e-9
MODE_STEPS = 100


def pass_over_block(
    block: HospitalBlock,
    intercept: float,
    slopes: Floats,
    table: Floats,
    tau2: float,
    effect: Floats,
    method: int,
    z: Floats,
    log_a: Floats,
    information: bool,
    bits: int,
) -> BlockSums:
    """See `likelihood.one_pass`; arguments are one block's."""
    chunks = cut(block, max(1, -(-block.n // CHUNK)))
    edges = np.cumsum([0] + [chunk.hospitals for chunk in chunks])
    parts = [
        _chunk(chunk, intercept, slopes, table, tau2, effect[a:b], method, z, log_a, information, bits)
        for chunk, a, b in zip(chunks, edges[:-1], edges[1:], strict=True)
    ]
    return BlockSums(**{name: _joined(name, parts) for name in BlockSums.__dataclass_fields__})


def _joined(name: str, parts: list[BlockSums]) -> Any:
    """Hospitals one after the other, everything else added."""
    values = [getattr(part, name) for part in parts]
    if name in {"effect", "S", "T", "R", "predicted", "expected", "C"}:
        return np.concatenate(values)
    return sum(values[1:], start=values[0])


def _chunk(
    block: HospitalBlock,
    intercept: float,
    slopes: Floats,
    table: Floats,
    t: float,
    effect: Floats,
    method: int,
    z: Floats,
    log_a: Floats,
    information: bool,
    bits: int,
) -> BlockSums:
    first = block.offsets[:-1]
    sizes = np.diff(block.offsets)
    y = block.outcome.astype(np.float64)
    v = block.weights if block.weights.size else np.ones(block.n)

    def total(values: Floats) -> Floats:
        """Sum over the stays of each hospital."""
        return np.add.reduceat(values, first)

    def stay(values: Floats) -> Floats:
        """A hospital's value at each of its stays."""
        return np.repeat(values, sizes)

    eta = intercept + combined(block.numbers, slopes) + table[block.codes].sum(axis=1)
    odds = np.exp(np.clip(eta, -LARGEST_EXPONENT, LARGEST_EXPONENT))
    vy = v * y
    observed = total(vy)
    u = _modes(odds, v, observed, total, stay, t, effect)

    c = odds * stay(np.exp(u))
    p = c / (1.0 + c)
    w = v * p / (1.0 + c)
    skew = w * (1.0 - 2.0 * p)
    S, T = total(w), total(skew)
    predicted = total(v * p)
    R = observed - predicted
    k = 1.0 / (1.0 + t * S)
    D = t * k
    log_likelihood = score_log_tau2 = 0.0
    row = v * (y - p)
    if method == LAPLACE or (method == AGQ and t == 0.0):
        given_mode = total(vy * eta - v * np.log1p(c)) + observed * u
        log_likelihood = float(np.sum(given_mode - 0.5 * t * R**2 + 0.5 * np.log(k)))
        score_log_tau2 = float(np.sum(0.5 * t * (R**2 - S * k - k * D * T * R)))
        row = row - stay(0.5 * D) * (skew - stay(T * D) * w)
    elif method == AGQ:
        s = np.sqrt(2.0 * D)
        h, slope, risks = [], [], []
        for node in z:
            at = u + s * node
            c_node = odds * stay(np.exp(at))
            p_node = c_node / (1.0 + c_node)
            h.append(total(vy * eta - v * np.log1p(c_node)) + observed * at - 0.5 * at**2 / t)
            slope.append(observed - total(v * p_node) - at / t)
            risks.append(p_node)
        log_share = np.array(h) + log_a[:, None]
        top = log_share.max(axis=0)
        share = np.exp(log_share - top)
        mass = share.sum(axis=0)
        share /= mass
        A = (share * slope).sum(axis=0)
        B = (share * slope * s * z[:, None]).sum(axis=0)
        squares = (share * (u + s * z[:, None]) ** 2).sum(axis=0)
        log_likelihood = float(np.sum(top + np.log(mass) + 0.5 * np.log(k) - 0.5 * np.log(np.pi)))
        score_log_tau2 = float(np.sum(0.5 * squares / t - 0.5 + A * k * u + (1.0 + B) * 0.5 * k * (1.0 - D * T * u)))
        row = vy - v * sum(stay(f) * p_node for f, p_node in zip(share, risks, strict=True))
        row = row - stay(A * D) * w - stay((1.0 + B) * 0.5 * D) * (skew - stay(T * D) * w)
    entries = len(table)
    score_codes = histogram(block.codes, row, entries)
    with_one = np.column_stack([np.ones(block.n), block.numbers])
    empty = np.empty((0, 0))
    C, numbers_numbers, numbers_codes, code_pairs = np.empty((len(u), 0)), empty, empty, empty
    if information:
        weighted = with_one * w[:, None]
        C = np.hstack([np.add.reduceat(weighted, first), _flags_of_hospitals(block, w, bits)])
        numbers_numbers = cross_product(with_one, weighted)
        numbers_codes = np.array([histogram(block.codes, column, entries) for column in weighted.T])
        code_pairs = _pairs(block.codes, w, bits)
    return BlockSums(
        log_likelihood,
        score_log_tau2,
        weighted_sum(with_one, row),
        score_codes,
        u,
        S,
        T,
        R,
        predicted,
        total(v * odds / (1.0 + odds)),
        C,
        numbers_numbers,
        numbers_codes,
        code_pairs,
    )


def _modes(odds: Floats, v: Floats, observed: Floats, total: Sum, stay: Sum, t: float, start: Floats) -> Floats:
    """Newton on u - t R(u) = 0, which increases in u, inside a bracket that each step narrows."""
    if t == 0.0:
        return np.zeros_like(observed)
    low, high = t * (observed - total(v)), t * observed
    u = np.clip(start, low, high)
    for _ in range(MODE_STEPS):
        c = odds * stay(np.exp(np.clip(u, -LARGEST_EXPONENT, LARGEST_EXPONENT)))
        p = c / (1.0 + c)
        gap = u - t * (observed - total(v * p))
        low, high = np.where(gap < 0.0, u, low), np.where(gap > 0.0, u, high)
        newton = u - gap / (1.0 + t * total(v * p / (1.0 + c)))
        step = np.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high)) - u
        u = u + step
        if np.abs(step).max() < MODE_TOLERANCE:
            break
    return u


def histogram(codes: NDArray[np.uint16], values: Floats, entries: int) -> Floats:
    """Sum of `values` by code."""
    found = np.zeros(entries)
    for group in range(codes.shape[1]):
        found += np.bincount(codes[:, group], weights=values, minlength=entries)
    return found


def _flags_of_hospitals(block: HospitalBlock, w: Floats, bits: int) -> Floats:
    """(hospitals, groups * bits): sum of w over each hospital's stays that carry the flag."""
    groups, size = block.codes.shape[1], 1 << bits
    bit = ((np.arange(size)[:, None] >> np.arange(bits)) & 1).astype(np.float64)
    hospital = np.repeat(np.arange(block.hospitals, dtype=np.int64) * size, np.diff(block.offsets))
    parts = []
    for group in range(groups):
        at = hospital + (block.codes[:, group] - np.uint16(group << bits))
        parts.append(np.bincount(at, weights=w, minlength=block.hospitals * size).reshape(-1, size) @ bit)
    return np.hstack(parts) if parts else np.empty((block.hospitals, 0))


def _pairs(codes: NDArray[np.uint16], w: Floats, bits: int) -> Floats:
    groups, size = codes.shape[1], 1 << bits
    value = (codes & np.uint16(size - 1)).astype(np.int64)
    tables = [
        np.bincount((value[:, high] << bits) | value[:, low], weights=w, minlength=size * size)
        for high in range(groups)
        for low in range(high)
    ]
    return np.array(tables) if tables else np.empty((0, size * size))
