"""Refuses what cannot be measured, in one place for all metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelprint.errors import InvalidOptionError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def finite_scores(name: str, values: ArrayLike) -> Floats:
    """A non-empty (N,) float64 array of finite values."""
    return _finite(name, values, "a one-dimensional list of scores", ndim=1, least_rows=1)


def finite_table(name: str, values: ArrayLike, *, least_rows: int) -> Floats:
    """An (N, F) float64 array of finite values with at least `least_rows` rows."""
    return _finite(
        name, values, f"a table with at least {least_rows} rows", ndim=2, least_rows=least_rows
    )


def label_codes(name: str, values: ArrayLike) -> Ints:
    """A non-empty list of names or whole numbers (N,) as int64 codes 0, 1, ..., equal for equal."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidOptionError(f"{name}: expected one label per image ({error}).") from error
    if array.dtype == object and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "biuUT":
        raise InvalidOptionError(
            f"{name}: expected a one-dimensional list of names or whole numbers, got shape "
            f"{array.shape} of {array.dtype}."
        )
    return np.asarray(np.unique(array, return_inverse=True)[1], dtype=np.int64)


def _finite(name: str, values: ArrayLike, what: str, *, ndim: int, least_rows: int) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"{name}: expected {what}, got no numbers ({error}).") from error
    if array.ndim != ndim or len(array) < least_rows or array.size == 0:
        raise InvalidOptionError(f"{name}: expected {what}, got shape {array.shape}.")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise InvalidOptionError(
            f"{name}: expected finite numbers, got {bad} NaN or infinite among {array.size}; "
            "find where they come from before measuring."
        )
    return array
