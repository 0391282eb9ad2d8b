"""The rows that the model is fitted on: sorted by hospital, flags packed, cut into blocks of whole hospitals.

A stay has an outcome, a few numbers (age, counts) and many flags, each 0 or 1. Flags are packed `bits` to a group; a
stay keeps one code a group, `group * 2**bits + value`, so that

    a table of partial sums, one entry a code, gives the flags' part of a linear predictor in one addition a group, and
    a histogram over codes collects a sum over stays for all flags at once (its 2**bits entries a group are then folded
    to columns).

Numbers are centred and scaled, which keeps the normal equations well conditioned whatever their units; `to_user` takes
coefficients back to the columns as they came. A block holds whole hospitals, so every sum over stays is a sum over
blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hrrp.errors import InputContractError
from hrrp.model.blocked import combined

Floats = NDArray[np.float64]

MANY_STAYS = 200_000  # from here on the larger tables of 8 flags a group pay for themselves
ROWS_AT_ONCE = 32_768  # packed at once, so that they stay in the cache
PAIR_TABLE_BYTES = 64 << 20  # most memory that a thread's tables of pairs of groups may take


@dataclass(frozen=True)
class Column:
    """One column of the design: a flag, or a number with the mean and standard deviation that it is centred and scaled
    by (a standard deviation of 0 marks a constant)."""

    name: str
    is_flag: bool
    mean: float = 0.0
    sd: float = 1.0


@dataclass(frozen=True)
class HospitalBlock:
    """Whole hospitals, one after the other: hospital j has the rows offsets[j] to offsets[j + 1] - 1, at least one.

    codes (n, groups) uint16, numbers (n, q) centred and scaled, outcome (n,) uint8, weights (n,) or empty where all are
    1.
    """

    offsets: NDArray[np.int64]
    codes: NDArray[np.uint16]
    numbers: Floats
    outcome: NDArray[np.uint8]
    weights: Floats

    @property
    def n(self) -> int:
        return len(self.outcome)

    @property
    def hospitals(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class PackedStays:
    """All stays of a fit. Coefficients inside are ordered intercept, numbers, flags; `position` maps columns to that
    order."""

    rows: HospitalBlock
    parts_wanted: int
    columns: tuple[Column, ...]
    bits: int
    order: NDArray[np.intp] | None  # sorted row i is the user's row order[i]; None where they came sorted

    @cached_property
    def blocks(self) -> tuple[HospitalBlock, ...]:
        """The rows in at most `parts_wanted` blocks of whole hospitals, of about as many stays each."""
        return cut(self.rows, self.parts_wanted)

    @property
    def n(self) -> int:
        return self.rows.n

    @property
    def hospitals(self) -> int:
        return self.rows.hospitals

    @property
    def size(self) -> int:
        """Entries of a table for one group."""
        return 1 << self.bits

    @cached_property
    def number_columns(self) -> list[int]:
        return [k for k, column in enumerate(self.columns) if not column.is_flag]

    @cached_property
    def flag_columns(self) -> list[int]:
        return [k for k, column in enumerate(self.columns) if column.is_flag]

    @property
    def groups(self) -> int:
        return -(-len(self.flag_columns) // self.bits)

    @property
    def p(self) -> int:
        """Coefficients, the intercept included."""
        return 1 + len(self.columns)

    @cached_property
    def bit_of_code(self) -> Floats:
        """(2**bits, bits): whether bit b is set in code c of a group."""
        return ((np.arange(self.size)[:, None] >> np.arange(self.bits)) & 1).astype(np.float64)

    @cached_property
    def position(self) -> NDArray[np.intp]:
        """Place of [intercept, columns as the user gave them] in the order inside."""
        inside = np.empty(self.p, dtype=np.intp)
        inside[0] = 0
        for place, k in enumerate(self.number_columns + self.flag_columns):
            inside[1 + k] = 1 + place
        return inside

    @cached_property
    def to_user(self) -> Floats:
        """(p, p): the user's coefficients = to_user @ the coefficients inside."""
        matrix = np.zeros((self.p, self.p))
        matrix[0, 0] = 1.0
        for k, column in enumerate(self.columns):
            inside = self.position[1 + k]
            matrix[1 + k, inside] = 1.0 / column.sd
            matrix[0, inside] = -column.mean / column.sd
        return matrix

    @cached_property
    def from_user(self) -> Floats:
        """The inverse of `to_user`, exactly."""
        matrix = np.zeros((self.p, self.p))
        matrix[0, 0] = 1.0
        for k, column in enumerate(self.columns):
            inside = self.position[1 + k]
            matrix[inside, 1 + k] = column.sd
            matrix[0, 1 + k] = column.mean
        return matrix

    def parts(self, coefficients: Floats) -> tuple[float, Floats, Floats]:
        """Intercept, slopes of the numbers, and the table of the flags' partial sums, one entry a code."""
        q = len(self.number_columns)
        flags = np.zeros(self.groups * self.bits)
        flags[: len(self.flag_columns)] = coefficients[1 + q :]
        table = (self.bit_of_code @ flags.reshape(self.groups, self.bits).T).T
        slopes = np.ascontiguousarray(coefficients[1 : 1 + q])
        return float(coefficients[0]), slopes, np.ascontiguousarray(table.ravel())

    def linear_predictor(self, coefficients: Floats) -> Floats:
        """Intercept + b'z of every stay in sorted order, hospital effect zero."""
        intercept, slopes, table = self.parts(coefficients)
        eta = intercept + combined(self.rows.numbers, slopes)
        for group in range(self.groups):
            eta += table[self.rows.codes[:, group]]
        return eta

    @property
    def outcome(self) -> Floats:
        return self.rows.outcome.astype(np.float64)

    @property
    def weights(self) -> Floats:
        """Weight of every stay in sorted order."""
        return self.rows.weights if self.rows.weights.size else np.ones(self.n)

    @property
    def stays_of_hospital(self) -> NDArray[np.int64]:
        return np.diff(self.rows.offsets)

    @cached_property
    def hospital_index(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(self.hospitals), self.stays_of_hospital)

    def in_user_order(self, values: Floats) -> Floats:
        """A value a stay, from sorted order to the order in which the stays came."""
        if self.order is None:
            return values
        back = np.empty_like(values)
        back[self.order] = values
        return back

    def hospitals_again(self, chosen: NDArray[np.integer]) -> PackedStays:
        """The stays of the chosen hospitals only, in that order; one chosen twice is there twice, as two hospitals."""
        rows = self.rows
        sizes = self.stays_of_hospital[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        take = np.repeat(rows.offsets[chosen] - offsets[:-1], sizes) + np.arange(offsets[-1])
        again = HospitalBlock(
            offsets,
            rows.codes[take],
            rows.numbers[take],
            rows.outcome[take],
            rows.weights[take] if rows.weights.size else rows.weights,
        )
        return replace(self, rows=again, order=None)


def is_flag(values: NDArray[np.generic]) -> bool:
    """Whether a column holds nothing but 0 and 1."""
    if values.dtype == np.bool_:
        return True
    if np.issubdtype(values.dtype, np.unsignedinteger):
        return values.size == 0 or bool(values.max() <= 1)
    return bool(((values == 0) | (values == 1)).all())


def pack(
    names: Sequence[str],
    values: Sequence[NDArray[np.generic]],
    outcome: NDArray[np.uint8],
    hospital: NDArray[np.integer],
    hospitals: int,
    weights: Floats | None,
    blocks: int,
) -> PackedStays:
    """Sort, pack and cut the rows. `hospital` runs from 0 to hospitals - 1, every one with at least one stay.

    Raises InputContractError naming a column that holds a missing or infinite value, or anything but numbers.
    """
    n = len(outcome)
    columns: list[Column] = []
    flags: list[NDArray[np.generic]] = []
    numbers: list[Floats] = []
    for name, column in zip(names, values, strict=True):
        if column.dtype.kind not in "buif":
            raise InputContractError(f"design, column '{name}' is of type {column.dtype}; expected numbers or flags.")
        if is_flag(column):
            columns.append(Column(name, True))
            flags.append(column)
            continue
        number = column.astype(np.float64)
        missing = int(np.count_nonzero(~np.isfinite(number)))
        if missing:
            raise InputContractError(
                f"design, column '{name}': {missing} of {n} values are missing or infinite. Fill them or drop those "
                f"stays before "
                "the fit."
            )
        mean = float(number.mean())
        number -= mean
        sd = math.sqrt(np.einsum("i,i->", number, number) / n)
        sd = sd if sd > 1e-12 * abs(mean) else 0.0  # a column that varies only by rounding is constant
        number /= sd or 1.0
        columns.append(Column(name, False, mean, sd))
        numbers.append(number)
    bits = _bits(n, len(flags))
    order = None if bool((hospital[1:] >= hospital[:-1]).all()) else _stable_order(hospital, hospitals)
    rows = HospitalBlock(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(hospital, minlength=hospitals))]).astype(np.int64),
        codes=_taken(_codes(flags, n, bits), order),
        numbers=_taken(_side_by_side(numbers, n), order),
        outcome=_taken(outcome, order),
        weights=np.empty(0) if weights is None else _taken(weights, order),
    )
    return PackedStays(rows, blocks, tuple(columns), bits, order)


def _bits(n: int, flags: int) -> int:
    """8 flags a group where there are stays enough to fill the tables of pairs, 4 otherwise."""
    groups = -(-flags // 8)
    pair_tables = groups * (groups - 1) // 2 * (1 << 16) * 8
    return 8 if n >= MANY_STAYS and pair_tables <= PAIR_TABLE_BYTES else 4


def _codes(flags: Sequence[NDArray[np.generic]], n: int, bits: int) -> NDArray[np.uint16]:
    groups = -(-len(flags) // bits)
    if groups << bits > 1 << 16:
        raise InputContractError(f"The design has {len(flags)} flags; at most {(1 << 16 - bits) * bits} can be fitted.")
    codes = np.empty((n, groups), dtype=np.uint16)
    for first in range(0, n, ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        plane = np.empty(len(codes[rows]), dtype=np.uint8)
        for group in range(groups):
            plane[:] = 0
            for flag in flags[group * bits : (group + 1) * bits][::-1]:  # twice the value and the next lower flag
                np.add(plane, plane, out=plane)
                np.add(plane, flag[rows].astype(np.uint8, copy=False), out=plane)
            np.add(plane, np.uint16(group << bits), out=codes[rows, group], dtype=np.uint16)
    return codes


def _side_by_side(numbers: Sequence[Floats], n: int) -> Floats:
    table = np.empty((n, len(numbers)))
    for k, number in enumerate(numbers):
        table[:, k] = number
    return table


def _stable_order(hospital: NDArray[np.integer], hospitals: int) -> NDArray[np.intp]:
    narrow = hospital.astype(np.uint16) if hospitals <= 1 << 16 else hospital  # numpy sorts 16 bits in linear time
    return np.argsort(narrow, kind="stable")


def _taken(values: NDArray, order: NDArray[np.intp] | None) -> NDArray:
    return np.ascontiguousarray(values if order is None else values[order])


def cut(rows: HospitalBlock, blocks: int) -> tuple[HospitalBlock, ...]:
    """`rows` in at most `blocks` blocks of whole hospitals, of about as many stays each (views, nothing is copied)."""
    wanted = np.linspace(0, rows.n, blocks + 1)[1:-1]
    edges = np.unique(np.concatenate([[0], np.searchsorted(rows.offsets, wanted), [rows.hospitals]]))
    parts = []
    for first, last in pairwise(edges):
        start, stop = rows.offsets[first], rows.offsets[last]
        parts.append(
            HospitalBlock(
                offsets=rows.offsets[first : last + 1] - start,
                codes=rows.codes[start:stop],
                numbers=rows.numbers[start:stop],
                outcome=rows.outcome[start:stop],
                weights=rows.weights[start:stop] if rows.weights.size else rows.weights,
            )
        )
    return tuple(parts)
