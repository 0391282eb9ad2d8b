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
    err: Floats,
    total: Floats,
) -> bool:
    """Fill `err` and `total` (D,); False where a draw left the curve, so that the caller takes the other way.

    `powers`, `centre`, `half` are the risk curve; `derivatives` f and its first three at the mode.
    """
    effect, shift, v, t = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    risk, slope, base = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    target, weight, step = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
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
            return False
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
            total[start + i] = n
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
                return False
            _risk_and_slope(powers, centre, half, v, t, risk, slope, size)
            largest = 0.0
            for i in range(size):
                step[i] = (target[i] - v[i] - weight[i] * risk[i]) / (1.0 + weight[i] * slope[i])
                v[i] += step[i]
                largest = max(largest, abs(step[i]))
            if largest <= tolerance:
                break
        for i in range(size):
            err[start + i] = (risk[i] + slope[i] * step[i]) / base[i]
    return True
