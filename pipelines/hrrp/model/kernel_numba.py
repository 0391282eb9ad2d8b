"""The pass over a block compiled with numba: hospital by hospital, everything of a hospital in the processor's cache.

The mathematics and its names stand in `hrrp.model.likelihood`. For each hospital: the odds exp(eta) of its stays, once;
the conditional mode by Newton, with divisions only; the row multipliers of the method's score; their histogram over
codes; and, where the information is wanted, histograms of the weights over codes (giving C) and over pairs of codes
(giving G).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hrrp.model.compiled import compiled, progress_line
from hrrp.model.likelihood import LAPLACE, RSPL, BlockSums
from hrrp.model.packing import HospitalBlock

Floats = NDArray[np.float64]

LARGEST_EXPONENT = 300.0
MODE_TOLERANCE = 1e-8  # of a Newton step: the mode is then right to about its square
MODE_STEPS = 100
POWERS_OF_TWO = 2.0 ** np.arange(-512, 512)
LN2_HIGH, LN2_LOW = 0.693145751953125, 1.42860682030941723212e-6  # ln 2 in two parts, the first exact in few bits
_ready = False


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
    _compile()
    return BlockSums(
        *_pass(
            block.offsets,
            block.codes,
            block.numbers,
            block.outcome,
            block.weights,
            intercept,
            slopes,
            table,
            float(tau2),
            np.ascontiguousarray(effect, dtype=np.float64),
            method,
            z,
            log_a,
            information,
            bits,
        )
    )


def histogram(codes: NDArray[np.uint16], values: Floats, entries: int) -> Floats:
    """Sum of `values` by code."""
    _compile()
    found = np.zeros(entries)
    _histogram(codes, values, found)
    return found


def _compile() -> None:
    """Compile, or read from the cache, on the first call, with a line to stderr where it takes time."""
    global _ready
    if _ready:
        return
    with progress_line("the hierarchical model's kernel"):
        _pass(
            np.array([0, 2], dtype=np.int64),
            np.zeros((2, 1), dtype=np.uint16),
            np.zeros((2, 1)),
            np.array([0, 1], dtype=np.uint8),
            np.empty(0),
            0.0,
            np.zeros(1),
            np.zeros(16),
            0.1,
            np.zeros(1),
            RSPL,
            np.zeros(1),
            np.zeros(1),
            True,
            4,
        )
    _ready = True


@compiled(inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """exp in a form that compiles to vector code: 2^k times a Taylor polynomial on |r| <= ln(2) / 2, error below
    1e-15."""
    x = min(max(x, -LARGEST_EXPONENT), LARGEST_EXPONENT)
    k = np.floor(x * 1.4426950408889634 + 0.5)
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    s = 1.0 + r / 12.0
    s = 1.0 + r / 11.0 * s
    s = 1.0 + r / 10.0 * s
    s = 1.0 + r / 9.0 * s
    s = 1.0 + r / 8.0 * s
    s = 1.0 + r / 7.0 * s
    s = 1.0 + r / 6.0 * s
    s = 1.0 + r / 5.0 * s
    s = 1.0 + r / 4.0 * s
    s = 1.0 + r / 3.0 * s
    s = 1.0 + r / 2.0 * s
    s = 1.0 + r * s
    return POWERS_OF_TWO[int(k) + 512] * s


@compiled()
def _predictors(codes, numbers, intercept, slopes, table, eta):  # type: ignore[no-untyped-def]
    """eta = intercept + numbers @ slopes + the table's entries of the stay's codes."""
    for i in range(len(eta)):
        value = intercept
        for g in range(codes.shape[1]):
            value += table[codes[i, g]]
        eta[i] = value
    for m in range(numbers.shape[1]):
        slope = slopes[m]
        for i in range(len(eta)):
            eta[i] += slope * numbers[i, m]


@compiled()
def _mode(odds, v, observed, total, t, start):  # type: ignore[no-untyped-def]
    """Newton on u - t R(u) = 0, which increases in u, inside a bracket that each step narrows."""
    low = t * (observed - total)
    high = t * observed
    u = min(max(start, low), high)
    for _ in range(MODE_STEPS):
        c = np.exp(min(max(u, -LARGEST_EXPONENT), LARGEST_EXPONENT))
        predicted = 0.0
        slope = 0.0
        for i in range(len(odds)):
            q = 1.0 / (1.0 + odds[i] * c)
            p = odds[i] * c * q
            predicted += v[i] * p
            slope += v[i] * p * q
        gap = u - t * (observed - predicted)
        if gap < 0.0:
            low = u
        elif gap > 0.0:
            high = u
        new = u - gap / (1.0 + t * slope)
        if new < low or new > high:
            new = 0.5 * (low + high)
        step = new - u
        u = new
        if abs(step) < MODE_TOLERANCE:
            break
    return u


@compiled()
def _log_terms(odds, c, v, weighted):  # type: ignore[no-untyped-def]
    """sum v log(1 + odds c); without weights eight factors share one logarithm."""
    total = 0.0
    i = 0
    if not weighted:
        while i + 8 <= len(odds):
            product = 1.0
            for m in range(8):
                product *= 1.0 + min(odds[i + m] * c, 1e38)
            total += np.log(product)
            i += 8
    while i < len(odds):
        total += v[i] * np.log(1.0 + odds[i] * c)
        i += 1
    return total


@compiled()
def _histogram(codes, values, found):  # type: ignore[no-untyped-def]
    """Sum of the values by code; four groups at once, so that one addition need not wait for the other."""
    groups = codes.shape[1]
    g = 0
    while g + 4 <= groups:
        for i in range(len(values)):
            value = values[i]
            found[codes[i, g]] += value
            found[codes[i, g + 1]] += value
            found[codes[i, g + 2]] += value
            found[codes[i, g + 3]] += value
        g += 4
    while g < groups:
        for i in range(len(values)):
            found[codes[i, g]] += values[i]
        g += 1


@compiled()
def _add_scores(codes, numbers, row, score_numbers, score_codes):  # type: ignore[no-untyped-def]
    """Histogram of the row multipliers over codes, and their products with the numbers."""
    total = 0.0
    for i in range(len(row)):
        total += row[i]
    score_numbers[0] += total
    for m in range(numbers.shape[1]):
        product = 0.0
        for i in range(len(row)):
            product += row[i] * numbers[i, m]
        score_numbers[1 + m] += product
    _histogram(codes, row, score_codes)


@compiled()
def _fold(found, groups, bits, columns):  # type: ignore[no-untyped-def]
    """A histogram over codes, summed to one value a flag. Of a group's entries the upper half has the highest flag set:
    it is summed and laid upon the lower half, and so on for each flag below. `found` is used up."""
    for g in range(groups):
        entries = found[g << bits : (g + 1) << bits]
        for b in range(bits - 1, -1, -1):
            half = 1 << b
            total = 0.0
            for value in range(half):
                total += entries[half + value]
                entries[value] += entries[half + value]
            columns[g * bits + b] = total


@compiled()
def _add_pairs(codes, w, bits, pairs):  # type: ignore[no-untyped-def]
    """Histogram of w over the pairs of codes; two pairs at once, so that one addition need not wait for the other."""
    low_bits = np.int64((1 << bits) - 1)
    for high in range(1, codes.shape[1]):
        first = high * (high - 1) // 2
        low = 0
        while low + 2 <= high:
            here, there = pairs[first + low], pairs[first + low + 1]
            for i in range(len(w)):
                digit = (codes[i, high] & low_bits) << bits
                here[digit | (codes[i, low] & low_bits)] += w[i]
                there[digit | (codes[i, low + 1] & low_bits)] += w[i]
            low += 2
        if low < high:
            here = pairs[first + low]
            for i in range(len(w)):
                here[((codes[i, high] & low_bits) << bits) | (codes[i, low] & low_bits)] += w[i]


@compiled()
def _agq(odds, v, y, weighted, sum_vy_eta, observed, u, t, D, k, T, w, skew, z, log_a, share, row):  # type: ignore[no-untyped-def]
    """Adaptive Gauss-Hermite: fills `row`, returns log likelihood and its derivative with respect to log t."""
    s = np.sqrt(2.0 * D)
    top = -np.inf
    slope = np.empty(len(z))
    for m in range(len(z)):
        at = u + s * z[m]
        c = np.exp(at)
        share[m] = sum_vy_eta + observed * at - _log_terms(odds, c, v, weighted) - 0.5 * at * at / t + log_a[m]
        predicted = 0.0
        for i in range(len(odds)):
            predicted += v[i] * odds[i] * c / (1.0 + odds[i] * c)
        slope[m] = observed - predicted - at / t
        top = max(top, share[m])
    mass = 0.0
    for m in range(len(z)):
        share[m] = np.exp(share[m] - top)
        mass += share[m]
    A = 0.0
    B = 0.0
    squares = 0.0
    for i in range(len(odds)):
        row[i] = v[i] * y[i]
    for m in range(len(z)):
        f = share[m] / mass
        at = u + s * z[m]
        c = np.exp(at)
        A += f * slope[m]
        B += f * slope[m] * s * z[m]
        squares += f * at * at
        for i in range(len(odds)):
            row[i] -= f * v[i] * odds[i] * c / (1.0 + odds[i] * c)
    for i in range(len(odds)):
        row[i] -= A * D * w[i] + (1.0 + B) * 0.5 * D * (skew[i] - T * D * w[i])
    log_likelihood = top + np.log(mass) + 0.5 * np.log(k) - 0.5 * np.log(np.pi)
    return log_likelihood, 0.5 * squares / t - 0.5 + A * k * u + (1.0 + B) * 0.5 * k * (1.0 - D * T * u)


@compiled()
def _pass(  # type: ignore[no-untyped-def]
    offsets,
    codes,
    numbers,
    outcome,
    weights,
    intercept,
    slopes,
    table,
    t,
    start,
    method,
    z,
    log_a,
    information,
    bits,
):
    hospitals = len(offsets) - 1
    groups = codes.shape[1]
    q1 = 1 + numbers.shape[1]
    size = 1 << bits
    entries = len(table)
    weighted = len(weights) > 0
    largest = 0
    for j in range(hospitals):
        largest = max(largest, offsets[j + 1] - offsets[j])
    ones = np.ones(largest)
    odds_all, row_all, skew_all = np.empty(largest), np.empty(largest), np.empty(largest)
    # The weights of the whole block are kept, because its tables of pairs are filled one after the other (each stays in
    # the cache).
    w_all = np.zeros(len(codes) if information else largest)
    y_all = np.empty(largest)
    share = np.empty(len(z))

    log_likelihood = 0.0
    score_log_tau2 = 0.0
    score_numbers = np.zeros(q1)
    score_codes = np.zeros(entries)
    effect, S_all, T_all, R_all = np.empty(hospitals), np.zeros(hospitals), np.zeros(hospitals), np.zeros(hospitals)
    predicted_all, expected_all = np.zeros(hospitals), np.zeros(hospitals)
    C = np.zeros((hospitals, q1 + groups * bits if information else 0))
    numbers_numbers = np.zeros((q1, q1 if information else 0))
    numbers_codes = np.zeros((q1, entries if information else 0))
    code_pairs = np.zeros((groups * (groups - 1) // 2 if information else 0, size * size))
    found = np.zeros(entries)

    for j in range(hospitals):
        a, b = offsets[j], offsets[j + 1]
        n = b - a
        here, x = codes[a:b], numbers[a:b]
        v = weights[a:b] if weighted else ones[:n]
        odds, row, skew, y = odds_all[:n], row_all[:n], skew_all[:n], y_all[:n]
        w = w_all[a:b] if information else w_all[:n]

        _predictors(here, x, intercept, slopes, table, odds)
        observed = 0.0
        total = 0.0
        sum_vy_eta = 0.0
        for i in range(n):
            y[i] = outcome[a + i]
            observed += v[i] * y[i]
            total += v[i]
            sum_vy_eta += v[i] * y[i] * odds[i]
        expected = 0.0
        for i in range(n):
            e = _exp(odds[i])
            odds[i] = e
            expected += v[i] * e / (1.0 + e)

        u = 0.0 if t == 0.0 else _mode(odds, v, observed, total, t, start[j])
        c = np.exp(u)
        predicted = 0.0
        S = 0.0
        T = 0.0
        for i in range(n):
            q = 1.0 / (1.0 + odds[i] * c)
            p = odds[i] * c * q
            row[i] = v[i] * (y[i] - p)
            w[i] = v[i] * p * q
            predicted += v[i] * p
            S += w[i]
            T += w[i] * (1.0 - 2.0 * p)
        R = observed - predicted
        k = 1.0 / (1.0 + t * S)
        D = t * k
        effect[j], S_all[j], T_all[j], R_all[j] = u, S, T, R
        predicted_all[j], expected_all[j] = predicted, expected

        if method != RSPL:
            for i in range(n):
                q = 1.0 / (1.0 + odds[i] * c)
                skew[i] = w[i] * (2.0 * q - 1.0)
            if method == LAPLACE or t == 0.0:
                given_mode = sum_vy_eta + observed * u - _log_terms(odds, c, v, weighted)
                log_likelihood += given_mode - 0.5 * t * R * R + 0.5 * np.log(k)
                score_log_tau2 += 0.5 * t * (R * R - S * k - k * D * T * R)
                for i in range(n):
                    row[i] -= 0.5 * D * (skew[i] - T * D * w[i])
            else:
                value, slope = _agq(
                    odds, v, y, weighted, sum_vy_eta, observed, u, t, D, k, T, w, skew, z, log_a, share, row
                )
                log_likelihood += value
                score_log_tau2 += slope
        _add_scores(here, x, row, score_numbers, score_codes)

        if information:
            for g in range(entries):
                found[g] = 0.0
            _histogram(here, w, found)
            C[j, 0] = S
            for m in range(1, q1):
                value = 0.0
                for i in range(n):
                    value += w[i] * x[i, m - 1]
                C[j, m] = value
            for g in range(entries):
                numbers_codes[0, g] += found[g]
            _fold(found, groups, bits, C[j, q1:])
            numbers_numbers[0, 0] += S
            for m in range(1, q1):
                numbers_numbers[0, m] += C[j, m]
                numbers_numbers[m, 0] = numbers_numbers[0, m]
                for i in range(n):
                    row[i] = w[i] * x[i, m - 1]
                _histogram(here, row, numbers_codes[m])
                for other in range(1, m + 1):
                    value = 0.0
                    for i in range(n):
                        value += row[i] * x[i, other - 1]
                    numbers_numbers[m, other] += value
                    if other < m:
                        numbers_numbers[other, m] += value
    if information:
        _add_pairs(codes, w_all, bits, code_pairs)
    return (
        log_likelihood,
        score_log_tau2,
        score_numbers,
        score_codes,
        effect,
        S_all,
        T_all,
        R_all,
        predicted_all,
        expected_all,
        C,
        numbers_numbers,
        numbers_codes,
        code_pairs,
    )
