"""Passes over the stays for many bootstrap replicates at once, compiled with numba.

The mathematics stands in `hrrp.model.bootstrap`. For each hospital the replicates that drew it are taken up to LANES at
a time; each quantity of a stay is then a short array over these lanes, which compiles to vector instructions. Single
precision; sums over a hospital's stays are added in tiles, sums over hospitals in double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrrp.model.compiled import compiled, progress_line
from hrrp.model.likelihood import LAPLACE
from hrrp.model.packing import HospitalBlock, PackedStays

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

# Most replicates side by side. The kernel is told the number at run time: a loop of a length known to the compiler is
# unrolled to scalar code, one of unknown length becomes vector code.
LANES = 192
VECTOR = 32
MODE_STEPS = 6
MODE_TOLERANCE = np.float32(3e-4)  # of a Newton step: the mode is then right to its square, the precision of the sums
ONE, HALF = np.float32(1.0), np.float32(0.5)
LARGEST_EXPONENT = np.float32(60.0)
LOG2_E, LN2_HIGH, LN2_LOW = np.float32(1.44269504), np.float32(0.693145752), np.float32(1.42860677e-6)
E2, E3, E4, E5, E6 = (np.float32(1.0 / f) for f in (2, 6, 24, 120, 720))
_ready = False


@dataclass(frozen=True)
class HospitalSums:
    """Each hospital's own sums at the full fit: `information` (hospitals, p (p + 1) / 2), the lower triangle of sum w x
    x' row by row, and the score of the coefficients (hospitals, p)."""

    information: Singles
    score: Floats


@dataclass(frozen=True)
class Ratios:
    """Predicted over expected (hospitals, replicates), and the derivatives of the logarithms of predicted (where its
    effect is) and expected (without an effect) with respect to a shift of all linear predictors. NaN where not drawn."""

    ratio: Singles
    predicted_slope: Singles
    expected_slope: Singles


def hospital_sums(
    stays: PackedStays, coefficients: Floats, effect: Floats, T: Floats, D: Floats, method: int
) -> HospitalSums:
    """What every hospital adds to information and score at the full fit. T and D as in `likelihood`."""
    _compile()
    p = stays.p
    found = HospitalSums(np.zeros((stays.hospitals, p * (p + 1) // 2), np.float32), np.zeros((stays.hospitals, p)))
    intercept, slopes, table = stays.parts(coefficients)

    def over(block: HospitalBlock, here: slice) -> None:
        _sums_of_hospitals(
            block.offsets,
            block.codes,
            block.numbers,
            block.outcome,
            *set_bits(stays.bits),
            stays.bits,
            intercept,
            slopes,
            table,
            effect[here],
            T[here],
            D[here],
            method,
            found.information[here],
            found.score[here],
        )

    _over_blocks(stays, over)
    return found


def replicates_pass(
    stays: PackedStays,
    parameters: Floats,
    t: Floats,
    multiplicity: NDArray[np.uint8],
    effect: Singles,
    S: Singles,
    T: Singles,
    R: Singles,
    method: int,
    shifts: Singles | None = None,
    leverage: Singles | None = None,
) -> tuple[Floats, Ratios | None]:
    """Score of the coefficients of every replicate (replicates, p). `effect`, S, T and R (hospitals, replicates) are
    brought up to date in place where a hospital was drawn.

    With `shifts`, also the ratios, every effect at its mode plus so many prediction standard errors; `leverage` is x'A_r^-1 x
    at each hospital's mean x, weighted by w.
    """
    _compile()
    with_ratios = shifts is not None
    none = np.empty((0, 0), dtype=np.float32)
    shape = effect.shape if with_ratios else none.shape
    ratios = Ratios(*(np.full(shape, np.nan, dtype=np.float32) for _ in range(3)))
    by_coefficient = np.ascontiguousarray(parameters.T, dtype=np.float32)
    single_t = t.astype(np.float32)
    shifts, leverage = (none if part is None else part for part in (shifts, leverage))

    def over(block: HospitalBlock, here: slice) -> Floats:
        return np.asarray(
            _pass(
                block.offsets,
                block.codes,
                block.numbers.astype(np.float32),
                block.outcome,
                *set_bits(stays.bits),
                stays.bits,
                by_coefficient,
                single_t,
                multiplicity[here],
                effect[here],
                S[here],
                T[here],
                R[here],
                method,
                with_ratios,
                shifts[here],
                leverage[here],
                ratios.ratio[here],
                ratios.predicted_slope[here],
                ratios.expected_slope[here],
                LANES,
            )
        )

    score = np.sum(_over_blocks(stays, over), axis=0).T
    return score, ratios if with_ratios else None


def _over_blocks(stays: PackedStays, over: Callable[[HospitalBlock, slice], Any]) -> list[Any]:
    """`over` of each block and its hospitals, a thread each."""
    edges = np.cumsum([0] + [block.hospitals for block in stays.blocks])
    places = [slice(a, b) for a, b in pairwise(edges)]
    if len(places) == 1:
        return [over(stays.blocks[0], places[0])]
    with ThreadPoolExecutor(len(places)) as pool:
        return list(pool.map(over, stays.blocks, places))


@cache
def set_bits(bits: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """For every value of a group: the places of its set bits (values, bits) and how many there are."""
    positions = np.zeros((1 << bits, bits), dtype=np.uint8)
    counts = np.zeros(1 << bits, dtype=np.uint8)
    for value in range(1 << bits):
        places = [b for b in range(bits) if value >> b & 1]
        positions[value, : len(places)] = places
        counts[value] = len(places)
    return positions, counts


def _compile() -> None:
    global _ready
    if _ready:
        return
    single, none = np.zeros((1, 1), dtype=np.float32), np.empty((0, 0), dtype=np.float32)
    double = np.zeros(1)
    offsets, codes = np.array([0, 2], dtype=np.int64), np.zeros((2, 1), dtype=np.uint16)
    numbers, outcome = np.zeros((2, 1)), np.array([0, 1], dtype=np.uint8)
    bits = 4
    with progress_line("the bootstrap's kernel"):
        _sums_of_hospitals(
            offsets,
            codes,
            numbers,
            outcome,
            *set_bits(bits),
            bits,
            0.0,
            double,
            np.zeros(1 << bits),
            double,
            double,
            double,
            0,
            np.zeros((1, 21), dtype=np.float32),
            np.zeros((1, 6)),
        )
        _pass(
            offsets,
            codes,
            numbers.astype(np.float32),
            outcome,
            *set_bits(bits),
            bits,
            np.zeros((3, 1), dtype=np.float32),
            np.full(1, 0.1, dtype=np.float32),
            np.ones((1, 1), dtype=np.uint8),
            single,
            single.copy(),
            single.copy(),
            single.copy(),
            0,
            False,
            none,
            none,
            none,
            none,
            none,
            LANES,
        )
    _ready = True


@compiled()
def _columns_of(codes, positions, counts, bits, q1, start, columns):  # type: ignore[no-untyped-def]
    """The coefficients that each stay's set flags have, one after the other; stay i has columns[start[i] : start[i +
    1]]."""
    size = (1 << bits) - 1
    k = 0
    for i in range(len(codes)):
        start[i] = k
        for g in range(codes.shape[1]):
            value = codes[i, g] & size
            for m in range(counts[value]):
                columns[k] = q1 + g * bits + positions[value, m]
                k += 1
    start[len(codes)] = k


@compiled(inline="always")
def _odds(lanes, start, columns, numbers, b, value, power, odds):  # type: ignore[no-untyped-def]
    """exp of every stay's linear predictor in every lane: b (p, lanes) -> odds (n, lanes). `power` is scratch of 32-bit
    integers."""
    as_single = power.view(np.float32)
    for i in range(len(odds)):
        for lane in range(lanes):
            value[lane] = b[0, lane]
        for m in range(numbers.shape[1]):
            x = numbers[i, m]
            for lane in range(lanes):
                value[lane] += x * b[1 + m, lane]
        for k in range(start[i], start[i + 1]):
            column = columns[k]
            for lane in range(lanes):
                value[lane] += b[column, lane]
        for lane in range(lanes):
            x = min(max(value[lane], -LARGEST_EXPONENT), LARGEST_EXPONENT)
            whole = np.floor(x * LOG2_E + HALF)
            x = (x - whole * LN2_HIGH) - whole * LN2_LOW
            value[lane] = ONE + x * (ONE + x * (E2 + x * (E3 + x * (E4 + x * (E5 + x * E6)))))
            power[lane] = (np.int32(whole) + np.int32(127)) * np.int32(8388608)  # the bits of 2^whole
        for lane in range(lanes):
            odds[i, lane] = value[lane] * as_single[lane]


@compiled(inline="always")
def _modes(lanes, odds, observed, t, u, c, predicted, slope):  # type: ignore[no-untyped-def]
    """Newton on u - t R(u) = 0 in every lane, from `u`."""
    for _ in range(MODE_STEPS):
        for lane in range(lanes):
            c[lane] = np.exp(u[lane])
            predicted[lane] = 0
            slope[lane] = 0
        for i in range(len(odds)):
            for lane in range(lanes):
                q = ONE / (ONE + odds[i, lane] * c[lane])
                predicted[lane] += ONE - q
                slope[lane] += q * (ONE - q)
        largest = np.float32(0)
        for lane in range(lanes):
            step = (t[lane] * (observed - predicted[lane]) - u[lane]) / (ONE + t[lane] * slope[lane])
            u[lane] += step
            largest = max(largest, abs(step))
        if largest < MODE_TOLERANCE:
            break
    for lane in range(lanes):
        c[lane] = np.exp(u[lane])


@compiled()
def _sums_of_hospitals(  # type: ignore[no-untyped-def]
    offsets,
    codes,
    numbers,
    outcome,
    positions,
    counts,
    bits,
    intercept,
    slopes,
    table,
    effect,
    T,
    D,
    method,
    information,
    score,
):
    """Lower triangles of sum w x x' and the scores, from the columns that are not zero only."""
    q1 = 1 + numbers.shape[1]
    size = (1 << bits) - 1
    columns = np.empty(codes.shape[1] * bits, dtype=np.int64)
    x = np.ones(q1)
    for j in range(len(offsets) - 1):
        c = np.exp(effect[j])
        for i in range(offsets[j], offsets[j + 1]):
            eta = intercept
            there = 0
            for m in range(q1 - 1):
                x[1 + m] = numbers[i, m]
                eta += slopes[m] * x[1 + m]
            for g in range(codes.shape[1]):
                eta += table[codes[i, g]]
                value = codes[i, g] & size
                for m in range(counts[value]):
                    columns[there] = q1 + g * bits + positions[value, m]
                    there += 1
            q = 1.0 / (1.0 + c * np.exp(eta))
            w = q * (1.0 - q)
            row = outcome[i] - (1.0 - q)
            if method == LAPLACE:
                row -= 0.5 * D[j] * (w * (2.0 * q - 1.0) - T[j] * D[j] * w)
            for a in range(q1):
                score[j, a] += row * x[a]
                for b in range(a + 1):
                    information[j, a * (a + 1) // 2 + b] += w * x[a] * x[b]
            for a in range(there):
                column = columns[a]
                score[j, column] += row
                first = column * (column + 1) // 2
                for b in range(q1):
                    information[j, first + b] += w * x[b]
                for b in range(a + 1):
                    information[j, first + columns[b]] += w


@compiled(inline="always")
def _ratios(lanes, odds, c, predicted, predicted_slope, expected, expected_slope):  # type: ignore[no-untyped-def]
    """Sums of p and p (1 - p) where the effects' exponentials are c, and without an effect."""
    for lane in range(lanes):
        predicted[lane] = 0
        predicted_slope[lane] = 0
        expected[lane] = 0
        expected_slope[lane] = 0
    for i in range(len(odds)):
        for lane in range(lanes):
            q = ONE / (ONE + odds[i, lane] * c[lane])
            predicted[lane] += ONE - q
            predicted_slope[lane] += q * (ONE - q)
        for lane in range(lanes):
            q = ONE / (ONE + odds[i, lane])
            expected[lane] += ONE - q
            expected_slope[lane] += q * (ONE - q)


@compiled()
def _pass(  # type: ignore[no-untyped-def]
    offsets,
    codes,
    numbers,
    outcome,
    positions,
    counts,
    bits,
    coefficients,
    t_all,
    multiplicity,
    effect,
    S_all,
    T_all,
    R_all,
    method,
    with_ratios,
    shifts,
    leverage,
    ratio,
    predicted_slope_all,
    expected_slope_all,
    most_lanes,
):
    hospitals, replicates = multiplicity.shape
    p = len(coefficients)
    q1 = 1 + numbers.shape[1]
    largest = 0
    for j in range(hospitals):
        largest = max(largest, offsets[j + 1] - offsets[j])
    score = np.zeros((p, replicates))
    start = np.empty(largest + 1, dtype=np.int64)
    columns = np.empty(largest * codes.shape[1] * bits, dtype=np.int64)
    odds_all, other_all = np.empty((largest, most_lanes), np.float32), np.empty((largest, most_lanes), np.float32)
    b, gained = np.zeros((p, most_lanes), np.float32), np.empty((p, most_lanes), np.float32)
    active = np.empty(replicates + most_lanes, dtype=np.int64)
    power = np.empty(most_lanes, dtype=np.int32)
    value, u, c = np.empty(most_lanes, np.float32), np.empty(most_lanes, np.float32), np.empty(most_lanes, np.float32)
    predicted, S, T = (
        np.empty(most_lanes, np.float32),
        np.empty(most_lanes, np.float32),
        np.empty(most_lanes, np.float32),
    )
    t, D = np.empty(most_lanes, np.float32), np.empty(most_lanes, np.float32)
    predicted_slope, expected = np.empty(most_lanes, np.float32), np.empty(most_lanes, np.float32)
    expected_slope = np.empty(most_lanes, np.float32)

    for j in range(hospitals):
        drawn = 0
        for r in range(replicates):
            if multiplicity[j, r] > 0:
                active[drawn] = r
                drawn += 1
        if drawn == 0:
            continue
        # As many rounds as needed, of equal numbers of lanes; lanes beyond the last replicate repeat it and are not
        # written.
        rounds = (drawn + most_lanes - 1) // most_lanes
        lanes = ((drawn + rounds - 1) // rounds + VECTOR - 1) // VECTOR * VECTOR
        for r in range(drawn, drawn + most_lanes):
            active[r] = active[drawn - 1]
        a = offsets[j]
        n = offsets[j + 1] - a
        x = numbers[a : a + n]
        _columns_of(codes[a : a + n], positions, counts, bits, q1, start, columns)
        observed = np.float32(0)
        for i in range(n):
            observed += np.float32(outcome[a + i])
        odds, other = odds_all[:n], other_all[:n]

        for first in range(0, drawn, lanes):
            used = min(lanes, drawn - first)
            for lane in range(lanes):
                r = active[first + lane]
                t[lane] = t_all[r]
                u[lane] = effect[j, r]
            for m in range(p):
                for lane in range(lanes):
                    b[m, lane] = coefficients[m, active[first + lane]]
            _odds(lanes, start, columns, x, b, value, power, odds)
            _modes(lanes, odds, observed, t, u, c, predicted, S)
            for lane in range(lanes):
                S[lane] = 0
                T[lane] = 0
                predicted[lane] = 0
            for i in range(n):
                for lane in range(lanes):
                    q = ONE / (ONE + odds[i, lane] * c[lane])
                    w = q * (ONE - q)
                    S[lane] += w
                    T[lane] += w * (q + q - ONE)
                    predicted[lane] += ONE - q
                    value[lane] = q
                for lane in range(lanes):
                    other[i, lane] = value[lane]  # 1 - p
            for lane in range(lanes):
                D[lane] = t[lane] / (ONE + t[lane] * S[lane])
            for lane in range(used):
                r = active[first + lane]
                effect[j, r] = u[lane]
                S_all[j, r] = S[lane]
                T_all[j, r] = T[lane]
                R_all[j, r] = observed - predicted[lane]
            if with_ratios:
                for lane in range(lanes):
                    r = active[first + lane]
                    weight = S[lane] * D[lane]
                    c[lane] = np.exp(u[lane] + shifts[j, r] * np.sqrt(D[lane] + weight * weight * leverage[j, r]))
                _ratios(lanes, odds, c, predicted, predicted_slope, expected, expected_slope)
                for lane in range(used):
                    r = active[first + lane]
                    ratio[j, r] = predicted[lane] / expected[lane]
                    predicted_slope_all[j, r] = predicted_slope[lane] / predicted[lane]
                    expected_slope_all[j, r] = expected_slope[lane] / expected[lane]
            for m in range(p):
                for lane in range(lanes):
                    gained[m, lane] = 0
            for i in range(n):
                y = np.float32(outcome[a + i]) - ONE
                if method == LAPLACE:
                    for lane in range(lanes):
                        q = other[i, lane]
                        value[lane] = y + q - HALF * D[lane] * q * (ONE - q) * (q + q - ONE - T[lane] * D[lane])
                else:
                    for lane in range(lanes):
                        value[lane] = y + other[i, lane]
                for lane in range(lanes):
                    gained[0, lane] += value[lane]
                for m in range(q1 - 1):
                    number = x[i, m]
                    for lane in range(lanes):
                        gained[1 + m, lane] += value[lane] * number
                for k in range(start[i], start[i + 1]):
                    column = columns[k]
                    for lane in range(lanes):
                        gained[column, lane] += value[lane]
            for m in range(p):
                for lane in range(used):
                    r = active[first + lane]
                    score[m, r] += multiplicity[j, r] * gained[m, lane]
    return score
