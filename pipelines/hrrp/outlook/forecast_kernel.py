"""The draws of one measure at the end of its period, compiled with numba: the same numbers as `hrrp.outlook.forecast` to 1e-8, several
times faster, for forecasts of many hospitals. The mathematics and its names stand there.

Draws go through in blocks that stay in the processor's nearest cache; each step is a loop over a block, which the compiler turns into
vector instructions.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hrrp.model.compiled import compiled

Floats = NDArray[np.float64]

BLOCK = 512
STEPS = 20
MODE_STEPS = 50
MODE_TOLERANCE = 1e-11


@compiled()
def _risk(powers: Floats, centre: float, half: float, u: Floats, t: Floats, value: Floats, size: int) -> None:
    """value = f(u) by Horner's scheme; t is scratch."""
    for i in range(size):
        t[i] = (u[i] - centre) / half
        value[i] = powers[powers.size - 1]
    for k in range(powers.size - 2, -1, -1):
        power = powers[k]
        for i in range(size):
            value[i] = value[i] * t[i] + power


@compiled()
def _risk_and_slope(
    powers: Floats, centre: float, half: float, u: Floats, t: Floats, value: Floats, slope: Floats, size: int
) -> None:
    """value = f(u) and slope = f'(u)."""
    for i in range(size):
        t[i] = (u[i] - centre) / half
        value[i] = powers[powers.size - 1]
        slope[i] = 0.0
    for k in range(powers.size - 2, -1, -1):
        power = powers[k]
        for i in range(size):
            slope[i] = slope[i] * t[i] + value[i]
            value[i] = value[i] * t[i] + power
    for i in range(size):
        slope[i] /= half


@compiled()
def posterior(
    inverse_odds: Floats, readmissions: float, cases: float, tau2: float, prior_mean: float
) -> tuple[float, float, float, float, float]:
    """`forecast.posterior_mode`, with f and its first three derivatives there."""
    low, high = prior_mean + min(tau2 * (readmissions - cases), 0.0), prior_mean + max(tau2 * readmissions, 0.0)
    u, size = prior_mean, inverse_odds.size
    for _ in range(MODE_STEPS):
        if tau2 <= 0.0 or cases <= 0.0:
            break
        shrink, total, squares = math.exp(-u), 0.0, 0.0
        for i in range(size):
            p = 1.0 / (1.0 + inverse_odds[i] * shrink)
            total += p
            squares += p * p
        gap = u - prior_mean - tau2 * (readmissions - cases * total / size)
        if gap < 0.0:
            low = u
        else:
            high = u
        following = u - gap / (1.0 + tau2 * cases * (total - squares) / size)
        if following < low or following > high:
            following = 0.5 * (low + high)
        moved = abs(following - u)
        u = following
        if moved <= MODE_TOLERANCE:
            break
    shrink, total, first, second, third = math.exp(-u), 0.0, 0.0, 0.0, 0.0
    for i in range(size):
        p = 1.0 / (1.0 + inverse_odds[i] * shrink)
        w = p * (1.0 - p)
        total += p
        first += w
        second += w * (1.0 - 2.0 * p)
        third += w * (1.0 - 6.0 * w)
    return u, total / size, first / size, second / size, third / size


@compiled()
def powers_of(inverse_odds: Floats, points: Floats, to_powers: Floats, centre: float, half: float) -> Floats:
    """`risk_curve.Patients.curve`: the risk curve's powers."""
    count = points.size
    risk, powers = np.zeros(count), np.zeros(count)
    for k in range(count):
        shrink, total = math.exp(-(centre + half * points[k])), 0.0
        for i in range(inverse_odds.size):
            total += 1.0 / (1.0 + inverse_odds[i] * shrink)
        risk[k] = total / inverse_odds.size
    for j in range(count):
        for k in range(count):
            powers[j] += to_powers[j, k] * risk[k]
    return powers


@compiled()
def first_order(normals: Floats, centred: Floats) -> float:
    """sum over rows z of cov(z, centred)^2 + cov(z^2, centred)^2 / 2, as `forecast.spread_by_source` needs it."""
    explained, count = 0.0, centred.size
    for row in range(normals.shape[0]):
        linear, square = 0.0, 0.0
        for i in range(count):
            product = normals[row, i] * centred[i]
            linear += product
            square += normals[row, i] * product
        explained += (linear / count) ** 2 + 0.5 * (square / count) ** 2
    return explained


@compiled()
def at_end(
    powers: Floats,
    centre: float,
    half: float,
    derivatives: Floats,
    mode: float,
    with_nation: float,
    effect_sd: float,
    model_sd: float,
    tau2: float,
    n_known: float,
    seen: float,
    share_mean: float,
    share_se: float,
    volume_mean: float,
    volume_sd: float,
    pending: float,
    avoided: float,
    tolerance: float,
    results: Floats,
    chance: Floats,
    volume: Floats,
    elsewhere: Floats,
    model: Floats,
    payments: Floats,
    ratio: float,
    ratio_cv: float,
    median: Floats,
    median_sd: Floats,
    median_draws: Floats,
    group: NDArray[np.int64],
    modifier: Floats,
    minimum_cases: int,
    in_payment: bool,
    err: Floats,
    part: Floats,
    penalised: NDArray[np.bool_],
) -> int:
    """Fill `err`, `part` (contribution) and `penalised` (D,); the number of draws with enough cases, or -1 where a draw left the curve, so
    that the caller takes the other way.

    `powers`, `centre`, `half` are the risk curve; `derivatives` f and its first three at the mode; `median` and `median_sd` (5,) by peer
    group.
    """
    effect, shift, v, t = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    risk, slope, base = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    target, weight, step, total = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    enough = 0
    f, f1, f2, f3 = derivatives[0], derivatives[1], derivatives[2], derivatives[3]
    lowest, highest = centre - half, centre + half
    unseen_known = min(seen / (1.0 - share_mean), n_known)
    for start in range(0, err.size, BLOCK):
        size = min(BLOCK, err.size - start)
        far = 0.0
        for i in range(size):
            shift[i] = model_sd * model[start + i]
            effect[i] = mode + with_nation * shift[i] + effect_sd * results[start + i]
            far = max(far, lowest - effect[i], effect[i] - highest, lowest - shift[i], shift[i] - highest)
        if far > 0.0:
            return -1
        _risk(powers, centre, half, effect, t, risk, size)
        _risk(powers, centre, half, shift, t, base, size)
        for i in range(size):
            further = max(volume_mean + volume_sd * volume[start + i], 0.0) + pending
            mean = further * risk[i]
            returns = mean + math.sqrt(mean * (1.0 - risk[i])) * chance[start + i]
            returns = min(max(returns, 0.0), further)
            found = unseen_known
            if share_se > 0.0:
                share = min(max(share_mean + share_se * elsewhere[start + i], 0.0), 0.9)
                found = min(seen / (1.0 - share), n_known)
            n = n_known + further
            total[i] = n
            y = min(max(found + returns - avoided, 0.0), n)
            target[i] = shift[i] + tau2 * y
            weight[i] = tau2 * n
            steepness = 1.0 + weight[i] * f1
            first = (target[i] - mode - weight[i] * f) / steepness
            scaled = weight[i] * first / steepness
            b = 0.5 * f2 * scaled
            series = b * (2.0 * b - 1.0) - f3 / 6.0 * scaled * first
            v[i] = mode + first * (1.0 + (series if abs(series) < 0.5 else 0.0))
        for _ in range(STEPS):
            far = 0.0
            for i in range(size):
                far = max(far, lowest - v[i], v[i] - highest)
            if far > 0.0:
                return -1
            _risk_and_slope(powers, centre, half, v, t, risk, slope, size)
            largest = 0.0
            for i in range(size):
                step[i] = (target[i] - v[i] - weight[i] * risk[i]) / (1.0 + weight[i] * slope[i])
                v[i] += step[i]
                largest = max(largest, abs(step[i]))
            if largest <= tolerance:
                break
        for i in range(size):
            at = start + i
            found_err = (risk[i] + slope[i] * step[i]) / base[i]
            cases = math.floor(total[i] + 0.5)
            err[at] = found_err if cases >= 1 else math.nan
            counts = cases >= minimum_cases
            enough += counts
            place = group[at] - 1
            above = found_err - (median[place] + median_sd[place] * median_draws[at])
            penalised[at] = counts and above > 0.0 and in_payment
            paid = max(ratio * (1.0 + ratio_cv * payments[at]), 0.0) if ratio == ratio else math.nan
            part[at] = modifier[at] * paid * above if penalised[at] else 0.0
    return enough


def warm() -> None:
    """Compile everything, or read it from the cache."""
    one, two = np.full(1, 0.5), np.zeros((1, 1))
    posterior(one, 0.1, 1.0, 0.1, 0.0)
    powers = powers_of(one, one, two, 0.0, 1.0)
    first_order(two, one)
    at_end(
        powers, 0.0, 3.0, np.full(4, 0.1), *([0.1] * 13), 1.0, *([one] * 6), 0.1, 0.1, *([np.ones(5)] * 2), one,
        np.ones(1, dtype=np.int64), one, 25, True, np.empty(1), np.empty(1), np.empty(1, dtype=np.bool_),
    )  # fmt: skip
