"""Passes over the stays for many bootstrap replicates at once, compiled with numba.

The mathematics stands in `hrrp.model.bootstrap`. For each hospital the replicates that drew it are taken up to LANES at
a time; each quantity of a stay is then a short array over these lanes, which compiles to vector instructions. Single
precision; sums over a hospital's stays are added in tiles, sums over hospitals in double precision.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrrp.model.compiled import compiled, progress_line
from hrrp.model.likelihood import LAPLACE
from hrrp.model.packing import PackedStays

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

# Most replicates side by side. The kernel is told the number at run time: a loop of a length known to the compiler is
# unrolled to scalar code, one of unknown length becomes vector code.
LANES = 128
VECTOR = 16
MODE_STEPS = 6
MODE_TOLERANCE = np.float32(3e-4)  # of a Newton step: the mode is then right to its square, the precision of the sums
ONE, HALF = np.float32(1.0), np.float32(0.5)
LARGEST_EXPONENT = np.float32(60.0)
LOG2_E, LN2_HIGH, LN2_LOW = np.float32(1.44269504), np.float32(0.693145752), np.float32(1.42860677e-6)
E2, E3, E4, E5, E6 = (np.float32(1.0 / f) for f in (2, 6, 24, 120, 720))
_ready = False


def score_pass(
    stays: PackedStays,
    parameters: Floats,
    t: Floats,
    multiplicity: NDArray[np.uint8],
    effect: Singles,
    S: Singles,
    T: Singles,
    R: Singles,
    method: int,
) -> Floats:
    """Score of the coefficients of every replicate (replicates, p). `effect`, S, T and R (hospitals, replicates) are
    brought up to date in place where a hospital was drawn."""
    none = np.empty((0, 0), dtype=np.float32)
    parts = _over_blocks(stays, parameters, t, multiplicity, effect, S, T, R, none, none, none, method, False)
    return np.asarray(np.sum(parts, axis=0))


def ratio_pass(
    stays: PackedStays,
    parameters: Floats,
    t: Floats,
    multiplicity: NDArray[np.uint8],
    effect: Singles,
    shifts: Singles,
    leverage: Singles,
) -> Singles:
    """Predicted over expected with every effect at its mode plus `shifts` prediction standard errors (hospitals,
    replicates)."""
    ratio = np.full(effect.shape, np.nan, dtype=np.float32)
    _over_blocks(stays, parameters, t, multiplicity, effect, effect, effect, effect, shifts, leverage, ratio, 0, True)
    return ratio


def _over_blocks(
    stays: PackedStays,
    parameters: Floats,
    t: Floats,
    multiplicity: NDArray[np.uint8],
    effect: Singles,
    S: Singles,
    T: Singles,
    R: Singles,
    shifts: Singles,
    leverage: Singles,
    ratio: Singles,
    method: int,
    final: bool,
) -> list[Floats]:
    _compile()
    coefficients = np.ascontiguousarray(parameters, dtype=np.float32)
    single_t = t.astype(np.float32)
    positions, counts = set_bits(stays.bits)
    edges = np.cumsum([0] + [block.hospitals for block in stays.blocks])

    def over(k: int) -> Any:
        here = slice(edges[k], edges[k + 1])
        block = stays.blocks[k]
        return _pass(
            block.offsets,
            block.codes,
            block.numbers.astype(np.float32),
            block.outcome,
            positions,
            counts,
            stays.bits,
            coefficients,
            single_t,
            multiplicity[here],
            effect[here],
            S[here],
            T[here],
            R[here],
            shifts[here],
            leverage[here],
            ratio[here],
            method,
            final,
            LANES,
        )

    if len(stays.blocks) == 1:
        return [over(0)]
    with ThreadPoolExecutor(len(stays.blocks)) as pool:
        return list(pool.map(over, range(len(stays.blocks))))


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
    single = np.zeros((1, 1), dtype=np.float32)
    none = np.empty((0, 0), dtype=np.float32)
    positions, counts = set_bits(4)
    with progress_line("the bootstrap's kernel"):
        _pass(
            np.array([0, 2], dtype=np.int64),
            np.zeros((2, 1), dtype=np.uint16),
            np.zeros((2, 1), dtype=np.float32),
            np.array([0, 1], dtype=np.uint8),
            positions,
            counts,
            4,
            np.zeros((1, 3), dtype=np.float32),
            np.full(1, 0.1, dtype=np.float32),
            np.ones((1, 1), dtype=np.uint8),
            single,
            single.copy(),
            single.copy(),
            single.copy(),
            none,
            none,
            none,
            0,
            False,
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
    shifts,
    leverage,
    ratio,
    method,
    final,
    most_lanes,
):
    hospitals, replicates = multiplicity.shape
    p = coefficients.shape[1]
    q1 = 1 + numbers.shape[1]
    largest = 0
    for j in range(hospitals):
        largest = max(largest, offsets[j + 1] - offsets[j])
    score = np.zeros((0 if final else replicates, p))
    start = np.empty(largest + 1, dtype=np.int64)
    columns = np.empty(largest * codes.shape[1] * bits, dtype=np.int64)
    odds_all = np.empty((largest, most_lanes), dtype=np.float32)
    b = np.zeros((p, most_lanes), dtype=np.float32)
    gained = np.empty((p, most_lanes), dtype=np.float32)
    active = np.empty(replicates + most_lanes, dtype=np.int64)
    power = np.empty(most_lanes, dtype=np.int32)
    value, u, c = np.empty(most_lanes, np.float32), np.empty(most_lanes, np.float32), np.empty(most_lanes, np.float32)
    predicted, t, D = (
        np.empty(most_lanes, np.float32),
        np.empty(most_lanes, np.float32),
        np.empty(most_lanes, np.float32),
    )
    S, T = np.empty(most_lanes, np.float32), np.empty(most_lanes, np.float32)

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
        odds = odds_all[:n]

        for first in range(0, drawn, lanes):
            used = min(lanes, drawn - first)
            for lane in range(lanes):
                r = active[first + lane]
                t[lane] = t_all[r]
                u[lane] = effect[j, r]
                for m in range(p):
                    b[m, lane] = coefficients[r, m]
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
                if not final:
                    for lane in range(lanes):
                        odds[i, lane] = value[lane]  # from here on 1 - p in place of the odds
            for lane in range(lanes):
                D[lane] = t[lane] / (ONE + t[lane] * S[lane])
            if final:
                # Expected in T, predicted at the shifted effect in S.
                for lane in range(lanes):
                    r = active[first + lane]
                    weight = S[lane] * D[lane]
                    c[lane] = np.exp(u[lane] + shifts[j, r] * np.sqrt(D[lane] + weight * weight * leverage[j, r]))
                    S[lane] = 0
                    T[lane] = 0
                for i in range(n):
                    for lane in range(lanes):
                        S[lane] += ONE - ONE / (ONE + odds[i, lane] * c[lane])
                        T[lane] += ONE - ONE / (ONE + odds[i, lane])
                for lane in range(used):
                    ratio[j, active[first + lane]] = S[lane] / T[lane]
                continue
            for m in range(p):
                for lane in range(lanes):
                    gained[m, lane] = 0
            for i in range(n):
                y = np.float32(outcome[a + i]) - ONE
                if method == LAPLACE:
                    for lane in range(lanes):
                        q = odds[i, lane]
                        value[lane] = y + q - HALF * D[lane] * q * (ONE - q) * (q + q - ONE - T[lane] * D[lane])
                else:
                    for lane in range(lanes):
                        value[lane] = y + odds[i, lane]
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
            for lane in range(used):
                r = active[first + lane]
                effect[j, r] = u[lane]
                S_all[j, r] = S[lane]
                T_all[j, r] = T[lane]
                R_all[j, r] = observed - predicted[lane]
                times = multiplicity[j, r]
                for m in range(p):
                    score[r, m] += times * gained[m, lane]
    return score
