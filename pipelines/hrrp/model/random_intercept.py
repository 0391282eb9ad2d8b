"""CMS's hierarchical model of one measure: a random-intercept logit over the index admissions of all hospitals.

    logit P(y_ij = 1) = mu + u_j + b'z_ij,        u_j ~ N(0, tau2)

for stay i of hospital j, with risk variables z. `mu` is the national intercept, `u_j` the hospital effect, `tau2` the
between-hospital variance. A hospital's predicted rate is the mean of expit(mu + u_j + b'z) over its stays, its expected
rate the mean of expit(mu + b'z); the excess readmission ratio is ERR = predicted / expected, and RSRR = ERR x the
national observed rate.

How it is fitted stands in `hrrp.model.estimation`; what the fit gives, in `hrrp.model.results`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hrrp.errors import InputContractError, UsageError
from hrrp.model import estimation
from hrrp.model.likelihood import LAPLACE, METHODS, default_threads, flag_totals, one_pass
from hrrp.model.packing import PackedStays, pack
from hrrp.model.results import RandomInterceptResults

Floats = NDArray[np.float64]
Method = Literal["rspl", "laplace", "agq"]

ROWS_PER_BLOCK = 20_000  # fewer are not worth a thread
INTERCEPT = "national_intercept"


class RandomInterceptLogit:
    """The model with its data.

    Parameters
    ----------
    outcome : (n,) of 0 and 1, 1 for a stay with an unplanned readmission.
    design : (n, k) risk variables without the intercept, a DataFrame (its column names are kept) or an array. Columns
        that hold only 0 and 1 are flags; unsigned 8-bit or boolean flags are read fastest. Rows may come in any order.
    hospital : (n,) labels (CCNs). Every hospital enters the fit, whatever its number of stays.
    weights : (n,) optional, zero or above: each stay's log likelihood is multiplied by its weight.
    unestimable : what to do with a column that has no finite coefficient (constant, a duplicate or a combination of
        others, a flag all or none of whose stays were readmitted): "error" names it, "drop" fits without it and lists
        it in `dropped`.
    threads : threads of a pass; by default the processors that this process may use.

    Raises InputContractError, naming the column and what to do, for values that are missing, infinite or of the wrong
    kind; for a single hospital; for hospitals of one stay each; and for more columns than stays.
    """

    def __init__(
        self,
        outcome: ArrayLike,
        design: ArrayLike | pd.DataFrame,
        hospital: ArrayLike | pd.Series,
        *,
        weights: ArrayLike | None = None,
        unestimable: Literal["error", "drop"] = "error",
        threads: int | None = None,
    ) -> None:
        y = _outcome(outcome)
        names, columns = _columns(design, len(y))
        codes, labels = _hospitals(hospital, len(y))
        v = _weights(weights, len(y))
        if v is not None and not v.all():
            use = np.flatnonzero(v)
            y, codes, v, columns = y[use], codes[use], v[use], [column[use] for column in columns]
            present, codes = np.unique(codes, return_inverse=True)
            labels = labels[present]
        _check_size(y, len(columns), len(labels))
        self.threads = threads or default_threads()
        blocks = max(1, min(self.threads, len(y) // ROWS_PER_BLOCK))
        self.hospitals = labels
        self.dropped: dict[str, str] = {}
        self.stays = pack(names, columns, y, codes, len(labels), v, blocks)
        faults = _unestimable_columns(self.stays)
        if unestimable == "drop":
            faults = faults or _determined_columns(self.stays)
            while faults:
                self.dropped.update(faults)
                kept = [k for k, name in enumerate(names) if name not in self.dropped]
                self.stays = pack(
                    [names[k] for k in kept], [columns[k] for k in kept], y, codes, len(labels), v, blocks
                )
                faults = _determined_columns(self.stays)
        elif unestimable != "error":
            raise UsageError(f"unestimable is {unestimable!r}; expected 'error' or 'drop'.")
        elif faults:
            name, reason = next(iter(faults.items()))
            more = f" {len(faults) - 1} further columns have such a fault." if len(faults) > 1 else ""
            raise InputContractError(
                f"design, column '{name}' {reason}, so it has no finite coefficient.{more} Drop it or merge it with "
                f"a related "
                "column, or pass unestimable='drop'."
            )

    @property
    def names(self) -> list[str]:
        """Names of the coefficients, the national intercept first."""
        return [INTERCEPT] + [column.name for column in self.stays.columns]

    @property
    def nobs(self) -> int:
        return self.stays.n

    def fit(
        self,
        method: Method = "rspl",
        nodes: int = 7,
        *,
        restricted: bool = True,
        free_scale: bool = False,
        tolerance: float = estimation.TOLERANCE,
        max_passes: int = 200,
    ) -> RandomInterceptResults:
        """Fit and return the results.

        Parameters
        ----------
        method : "rspl", restricted pseudo-likelihood, as CMS fits (PROC GLIMMIX's default); "laplace", maximum
            likelihood with Laplace's approximation; "agq", maximum likelihood with adaptive Gauss-Hermite quadrature.
        nodes : quadrature nodes of "agq" (1 is Laplace).
        restricted, free_scale : for "rspl" only. CMS's model has restricted=True and the residual scale fixed at 1;
            restricted=False with free_scale=True is the criterion of MASS::glmmPQL.
        tolerance : the fit ends where the step that a pass suggests changes no logit by more.
        max_passes : passes over the stays before it gives up.

        Raises ConvergenceError where it does not converge, naming the column where one has no finite coefficient;
        InputContractError for columns that others determine.
        """
        if method not in METHODS:
            raise UsageError(f"method is {method!r}; expected one of {', '.join(METHODS)}.")
        if nodes < 1 or int(nodes) != nodes:
            raise UsageError(f"nodes is {nodes}; expected a whole number, 1 or more.")
        if method == "rspl":
            estimate = estimation.rspl(
                self.stays, restricted=restricted, free_scale=free_scale, tolerance=tolerance, max_passes=max_passes
            )
        else:
            if free_scale or not restricted:
                raise UsageError("restricted and free_scale belong to method 'rspl'.")
            estimate = estimation.marginal(self.stays, method, nodes, tolerance=tolerance, max_passes=max_passes)
        return RandomInterceptResults(self, estimate)


def _outcome(outcome: ArrayLike) -> NDArray[np.uint8]:
    y: Any = _plain(pd.Series(outcome)) if _is_of_pandas(outcome) else np.asarray(outcome)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 1 and y.dtype == object:
        y = _plain(pd.Series(y))
    if y.ndim != 1:
        raise InputContractError(f"outcome has shape {y.shape}; expected one element a stay.")
    if y.dtype.kind not in "buif":
        raise InputContractError(f"outcome is of type {y.dtype}; expected 0 and 1.")
    wrong = 0 if y.dtype == np.bool_ else int(np.count_nonzero((y != 0) & (y != 1)))
    if wrong:
        raise InputContractError(
            f"outcome: {wrong} of {y.size} values are neither 0 nor 1. Drop or correct those stays."
        )
    return y.astype(np.uint8)


def _columns(design: ArrayLike | pd.DataFrame, n: int) -> tuple[list[str], list[NDArray]]:
    if isinstance(design, pd.DataFrame):
        names = [str(name) for name in design.columns]
        columns = [_plain(design.iloc[:, k]) for k in range(design.shape[1])]
    else:
        array = np.asarray(design)
        if array.ndim == 1 and array.size == 0:
            array = np.empty((n, 0))
        if array.ndim != 2:
            raise InputContractError(f"design has shape {array.shape}; expected (stays, columns).")
        names = [f"x{k + 1}" for k in range(array.shape[1])]
        columns = [array[:, k] for k in range(array.shape[1])]
        if array.dtype == object:
            columns = [_plain(pd.Series(column)) for column in columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputContractError(f"design has more than one column named '{twice}'. Rename or drop one.")
    if INTERCEPT in names:
        raise InputContractError(
            f"design has a column '{INTERCEPT}'; the model adds the intercept itself. Drop the column."
        )
    for name, column in zip(names, columns, strict=True):
        if len(column) != n:
            raise InputContractError(f"design, column '{name}' has {len(column)} rows; expected {n}, as in outcome.")
    return names, columns


def _is_of_pandas(values: object) -> bool:
    return isinstance(values, (pd.Series, pd.api.extensions.ExtensionArray))


def _plain(column: pd.Series) -> NDArray:
    """A column as numpy; objects that are all numbers become numbers, pandas' nullable kinds floats with NaN for missing, which
    `pack` then names."""
    column = column.infer_objects()
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return column.to_numpy(dtype=object)


def _hospitals(hospital: ArrayLike | pd.Series, n: int) -> tuple[NDArray[np.integer], NDArray]:
    """Codes from 0 in the order of the sorted labels, and the labels."""
    values: Any = np.asarray(hospital)
    if isinstance(hospital, pd.Series):
        values = hospital.to_numpy() if isinstance(hospital.dtype, np.dtype) else hospital.array
    if len(values) != n:
        raise InputContractError(f"hospital has {len(values)} elements; expected {n}, as in outcome.")
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu" and bool((values[1:] >= values[:-1]).all()):
        first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])) if n else np.empty(0, dtype=int)
        return np.repeat(np.arange(len(first)), np.diff(np.append(first, n))), values[first]
    codes, labels = pd.factorize(values, sort=True)
    missing = int(np.count_nonzero(codes < 0))
    if missing:
        raise InputContractError(f"hospital: {missing} of {n} labels are missing. Fill them or drop those stays.")
    return codes, np.asarray(labels)


def _weights(weights: ArrayLike | None, n: int) -> Floats | None:
    if weights is None:
        return None
    v = np.asarray(weights, dtype=np.float64)
    if v.shape != (n,):
        raise InputContractError(f"weights has shape {v.shape}; expected ({n},), as outcome.")
    wrong = int(np.count_nonzero(~(np.isfinite(v) & (v >= 0.0))))
    if wrong:
        raise InputContractError(f"weights: {wrong} of {n} values are missing, infinite or negative. Correct them.")
    if n and not v.any():
        raise InputContractError(f"weights: all {n} are zero, which leaves no stay. Give those that count a weight.")
    return None if bool((v == 1.0).all()) else v


def _check_size(y: NDArray[np.uint8], columns: int, hospitals: int) -> None:
    if hospitals < 2:
        raise InputContractError(
            f"hospital: there are {hospitals} hospitals; the between-hospital variance needs at least two. For one "
            f"hospital use "
            "hrrp.model.hospital_effect with the published coefficients."
        )
    if len(y) == hospitals:
        raise InputContractError(
            "hospital: every hospital has one stay, which says nothing about the variance between hospitals. Add stays."
        )
    if len(y) <= columns + 1:
        raise InputContractError(
            f"design has {columns} columns and {len(y)} stays: there must be more stays than coefficients. Drop "
            f"columns or add stays."
        )
    if y.min() == y.max():
        raise InputContractError(f"outcome is {int(y[0])} for all {len(y)} stays: there is nothing to fit.")


def _unestimable_columns(stays: PackedStays) -> dict[str, str]:
    """Columns without a finite coefficient that a count can find, with the reason as the end of a sentence."""
    faults = {}
    for column in stays.columns:
        if not column.is_flag and column.sd == 0.0:
            faults[column.name] = f"is the same for all {stays.n} stays"
    if stays.flag_columns:
        y = stays.outcome
        carried = flag_totals(stays, np.ones(stays.n))
        returned = flag_totals(stays, y)
        total = y.sum()
        for k, count, events in zip(stays.flag_columns, carried, returned, strict=True):
            name = stays.columns[k].name
            if count in (0, stays.n):
                faults[name] = f"is {int(count > 0)} for all {stays.n} stays"
            elif events in (0, count):
                faults[name] = f"is carried by {int(count)} stays, {'all' if events else 'none'} of them readmitted"
            elif total - events in (0, stays.n - count):
                which = "all" if total - events else "none"
                faults[name] = f"is absent from {int(stays.n - count)} stays, {which} of them readmitted"
    return faults


def _determined_columns(stays: PackedStays) -> dict[str, str]:
    """Columns that others determine, from the cross products at equal weights."""
    sums = one_pass(stays, np.zeros(stays.p), 0.0, np.zeros(stays.hospitals), LAPLACE, information=True)
    assert sums.G is not None
    names = estimation.names_inside(stays)
    return {
        names[k]: f"is determined by {_quoted([names[m] for m in others])}"
        for k, others in estimation.determined_columns(sums.G)
    }


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
