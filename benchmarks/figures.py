"""One measured figure and its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelprint.errors import InvalidOptionError
from modelprint.metrics import bootstrap_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % bootstrap interval over models.

    Attributes:
        value: the figure on all the data.
        low: lower bound, None where too few models are there to resample.
        high: upper bound, None likewise.
    """

    value: float
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Plain numbers for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.2f}, {self.high:.2f}]"


def measure(
    value: float,
    statistic: Callable[[Floats], Floats],
    groups: int | Sequence[int],
    *,
    resamples: int,
) -> Figure:
    """A figure with its interval; the statistic is that of `bootstrap_interval`."""
    try:
        low, high = bootstrap_interval(statistic, groups, resamples=resamples)
    except InvalidOptionError:  # undefined in every resample: a single model, say
        return Figure(value, None, None)
    return Figure(value, low, high)


def ratio(weights: Floats, hits: Floats, counts: Floats) -> Floats:
    """Weighted share (R,) of hits (G,) among counts (G,) for weights (R, G); 0 / 0 is NaN."""
    with np.errstate(invalid="ignore"):
        return np.asarray((weights @ hits) / (weights @ counts))
