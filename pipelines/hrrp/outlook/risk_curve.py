"""The mean risk of a set of patients as a function of the hospital effect, as a polynomial.

f(u) = mean_i expit(eta_i + u) is analytic in u except at u = -eta_i +- i pi, wherever the eta_i lie. On an interval of half width h its
Chebyshev series therefore converges at least like rho^-k with

    rho = pi / h + sqrt((pi / h)^2 + 1)

(the largest ellipse with foci at the interval's ends that no singularity can lie in). The degree is the one at which rho^-k falls below
1e-9: 8 on an interval of half width 0.4, 20 on one of 2.5. f is evaluated at the Chebyshev points over all rows, exactly, and the
series is turned into powers of t = (u - centre) / h, which Horner's scheme evaluates for many u at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TOLERANCE = 1e-9
ROUNDING = 1e-12
# Effects are cut at this distance from 0, where odds are a twentieth or twenty times those of an average hospital: only a scenario
# that takes away nearly all of thousands of readmissions leads there.
FURTHEST = 3.0


@dataclass(frozen=True)
class RiskCurve:
    """f on [centre - half, centre + half] as powers of (u - centre) / half, lowest first."""

    centre: float
    half: float
    powers: tuple[float, ...]

    def covers(self, u: Floats) -> bool:
        """Whether every u lies where the curve is good, or beyond FURTHEST."""
        low, high = self.centre - self.half - ROUNDING, self.centre + self.half + ROUNDING
        return bool(max(float(u.min()), -FURTHEST) >= low and min(float(u.max()), FURTHEST) <= high)

    def risk(self, u: Floats) -> Floats:
        """f(u), to about 1e-9 where the curve covers u."""
        t = (u - self.centre) / self.half
        value = np.full_like(t, self.powers[-1])
        for power in self.powers[-2::-1]:
            value *= t
            value += power
        return value

    def risk_and_slope(self, u: Floats) -> tuple[Floats, Floats]:
        """f(u) and f'(u)."""
        t = (u - self.centre) / self.half
        value = np.full_like(t, self.powers[-1])
        slope = np.zeros_like(t)
        for power in self.powers[-2::-1]:
            slope *= t
            slope += value
            value *= t
            value += power
        slope /= self.half
        return value, slope


class Patients:
    """The odds exp(eta) of a set of patients, from which their mean risk is computed at any hospital effect.

    `linear_predictor` (n,), n >= 1.
    """

    def __init__(self, linear_predictor: Floats) -> None:
        self.inverse_odds = np.exp(-linear_predictor)

    def derivatives(self, u: float) -> tuple[float, float, float, float]:
        """f and its first three derivatives at u: with w = p (1 - p), the means of p, w, w (1 - 2 p) and w (1 - 6 w)."""
        p = 1.0 / (1.0 + self.inverse_odds * math.exp(-u))
        w = p * (1.0 - p)
        n, total = p.size, float(w.sum())
        return float(p.sum()) / n, total / n, (total - 2.0 * float(w @ p)) / n, (total - 6.0 * float(w @ w)) / n

    def risk_and_slope(self, u: float) -> tuple[float, float]:
        """f and f' at u, over all rows."""
        p = 1.0 / (1.0 + self.inverse_odds * math.exp(-u))
        total = float(p.sum())
        return total / p.size, (total - float(p @ p)) / p.size

    def curve(self, low: float, high: float) -> RiskCurve:
        """The polynomial that is good from `low` to `high`."""
        centre, half, points, to_powers = interval(low, high)
        shrink = np.exp(-(centre + half * points))
        risk = (1.0 / (1.0 + self.inverse_odds[:, None] * shrink)).mean(axis=0)
        return RiskCurve(centre, half, tuple((to_powers @ risk).tolist()))


def interval(low: float, high: float) -> tuple[float, float, Floats, Floats]:
    """Centre and half width of the interval, cut at FURTHEST, its Chebyshev points on [-1, 1], and the matrix from values to powers."""
    low, high = max(low, -FURTHEST), min(high, FURTHEST)
    half, centre = max(0.5 * (high - low), 0.05), 0.5 * (low + high)
    rho = math.pi / half + math.sqrt((math.pi / half) ** 2 + 1.0)
    return centre, half, *_chebyshev(math.ceil(-math.log(TOLERANCE) / math.log(rho)))


@cache
def _chebyshev(degree: int) -> tuple[Floats, Floats]:
    """The degree + 1 Chebyshev points of [-1, 1], and the matrix that takes values there to coefficients of powers."""
    points = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    to_series = np.linalg.inv(np.polynomial.chebyshev.chebvander(points, degree))
    to_powers = np.zeros((degree + 1, degree + 1))
    for k in range(degree + 1):
        powers = np.polynomial.chebyshev.cheb2poly(np.eye(degree + 1)[k])
        to_powers[: powers.size, k] = powers
    return points, to_powers @ to_series
