"""How often two different models look this much alike: scores become p-values.

The p-value of a score is the share of *impostor* comparisons (an image against a model that did
not make it) that score at least as high. It is estimated from n of them as (1 + count) / (n + 1),
which is never zero and keeps the false-positive rate honest for any n (Phipson and Smyth 2010). A
mean of many enrolled images makes other impostor scores than a single one, hence a table per
enrolment size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from modelprint.errors import InvalidOptionError, InvalidWeightsError

TABLE_POINTS = 200


def check_fpr(fpr: float) -> float:
    """A false-positive rate as a float.

    Raises:
        InvalidOptionError: not a number between 0 and 1, both excluded.
    """
    number = isinstance(fpr, int | float | np.floating) and not isinstance(fpr, bool)
    if not number or not 0 < fpr < 1:
        raise InvalidOptionError(
            f"fpr is {fpr!r}: expected a false-positive rate between 0 and 1, such as 0.01"
        )
    return float(fpr)


@dataclass(frozen=True)
class ImpostorTable:
    """Survival function of the impostor scores against models of one enrolment size.

    Attributes:
        enrolled: Images behind each model that was compared against, at least 1.
        comparisons: Impostor comparisons n that the table was made from.
        scores: Impostor scores, strictly rising.
        p_values: Share of impostors at or above each score, from 1 strictly falling.

    Raises:
        InvalidOptionError: The fields are not such a function.
    """

    enrolled: int
    comparisons: int
    scores: tuple[float, ...]
    p_values: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.enrolled < 1 or self.comparisons < 1:
            problem = "expected at least 1 enrolled image and 1 comparison"
        elif not self.scores or len(self.scores) != len(self.p_values):
            problem = f"{len(self.scores)} scores for {len(self.p_values)} p-values"
        elif not all(map(math.isfinite, self.scores)) or not _rises(self.scores):
            problem = "expected finite scores that rise"
        elif self.p_values[0] != 1 or not _rises([-p for p in self.p_values]):
            problem = "expected p-values that fall from 1"
        elif not self.p_values[-1] >= self.finest_p:
            problem = f"expected p-values of at least 1 / (comparisons + 1) = {self.finest_p:.3g}"
        else:
            return
        raise InvalidOptionError(f"impostor table for {self.enrolled} enrolled: {problem}")

    @property
    def finest_p(self) -> float:
        """The p-value of a score above every impostor: the smallest that n can support."""
        return 1 / (self.comparisons + 1)

    def p_value(self, score: float) -> float:
        """Share in (0, 1] of impostors that score at least `score`, log-linear between points."""
        if score > self.scores[-1]:
            return self.finest_p
        return math.exp(np.interp(score, *self._points))

    @cached_property
    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.scores), np.log(self.p_values)


@dataclass(frozen=True)
class Calibration:
    """Turns scores into p-values and false-positive rates into thresholds.

    Attributes:
        tables: One per enrolment size, rising, the first for a single image.
        source: What the impostor scores came from.
        default_fpr: False-positive rate to use when a caller names none.

    Raises:
        InvalidOptionError: No table for 1 image, sizes that do not rise, or a bad `default_fpr`.
    """

    tables: tuple[ImpostorTable, ...]
    source: str
    default_fpr: float = 0.01

    def __post_init__(self) -> None:
        check_fpr(self.default_fpr)
        sizes = [table.enrolled for table in self.tables]
        if sizes[:1] != [1] or not _rises(sizes):
            raise InvalidOptionError(
                f"expected impostor tables for 1 enrolled image and then rising sizes, got {sizes}"
            )

    def p_value(self, score: float, enrolled: int) -> float:
        """Share in (0, 1] of impostors that score at least `score`.

        Args:
            score: What the extractor's `compare` gave.
            enrolled: Images behind the model it was compared with.
        """
        return self._table(enrolled).p_value(score)

    def finest_p(self, enrolled: int) -> float:
        """The smallest p-value that this calibration can give."""
        return self._table(enrolled).finest_p

    def threshold(self, fpr: float, enrolled: int) -> float:
        """The smallest score whose p-value is at most `fpr`, for one comparison.

        Raises:
            InvalidOptionError: `fpr` is outside (0, 1), or finer than the impostor scores support.
        """
        table, fpr = self._table(enrolled), check_fpr(fpr)
        if fpr < table.finest_p:
            raise InvalidOptionError(
                f"fpr is {fpr:g}, but {table.comparisons} impostor comparisons support no less "
                f"than {table.finest_p:.3g}: ask for that or more"
            )
        # Bisect down to neighbouring floats: exact, whatever interpolation rounds to.
        below, reached = table.scores[0], math.nextafter(table.scores[-1], math.inf)
        while below < (middle := below + (reached - below) / 2) < reached:
            if table.p_value(middle) <= fpr:
                reached = middle
            else:
                below = middle
        return reached

    @classmethod
    def fit(
        cls,
        impostor_scores: Mapping[int, np.ndarray],
        *,
        source: str,
        default_fpr: float = 0.01,
    ) -> Calibration:
        """Calibrate on impostor scores.

        Args:
            impostor_scores: Per number of enrolled images, scores `(n,)` of images against models
                that did not make them. 1 must be among the numbers.
            source: What the scores came from, for whoever reads the calibration.
            default_fpr: False-positive rate to use when a caller names none.

        Raises:
            InvalidOptionError: Scores that are not finite or not `(n,)`, too few of them for
                `default_fpr`, or none for 1 enrolled image.
        """
        check_fpr(default_fpr)
        tables = tuple(_table_of(size, impostor_scores[size]) for size in sorted(impostor_scores))
        for table in tables:
            if table.finest_p > default_fpr:
                raise InvalidOptionError(
                    f"{table.comparisons} impostor scores for {table.enrolled} enrolled are too "
                    f"few for fpr {default_fpr:g}: expected at least {1 / default_fpr - 1:.0f}"
                )
        return cls(tables, source, default_fpr)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON; `from_dict` reads them."""
        return {
            "source": self.source,
            "default_fpr": self.default_fpr,
            "tables": [
                {
                    "enrolled": table.enrolled,
                    "comparisons": table.comparisons,
                    "scores": list(table.scores),
                    "p_values": list(table.p_values),
                }
                for table in self.tables
            ],
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Calibration:
        """Read what `to_dict` wrote.

        Raises:
            InvalidWeightsError: Keys are unknown or missing, values of another type, or the tables
                are no survival functions.
        """
        try:
            _check_fields(d, {"source": str, "default_fpr": float, "tables": list})
            tables = []
            for table in d["tables"]:
                _check_fields(
                    table, {"enrolled": int, "comparisons": int, "scores": list, "p_values": list}
                )
                for number in (*table["scores"], *table["p_values"]):
                    if type(number) not in (int, float):
                        raise InvalidOptionError(f"expected numbers in the tables, got {number!r}")
                tables.append(
                    ImpostorTable(
                        table["enrolled"],
                        table["comparisons"],
                        tuple(map(float, table["scores"])),
                        tuple(map(float, table["p_values"])),
                    )
                )
            return cls(tuple(tables), d["source"], d["default_fpr"])
        except (InvalidOptionError, OverflowError) as error:
            raise InvalidWeightsError(
                f"the calibration cannot be used: {error}; get the weights folder again"
            ) from error

    def _table(self, enrolled: int) -> ImpostorTable:
        return max(
            (table for table in self.tables if table.enrolled <= max(enrolled, 1)),
            key=lambda table: table.enrolled,
        )


def _table_of(enrolled: int, impostor_scores: np.ndarray) -> ImpostorTable:
    scores = np.sort(np.asarray(impostor_scores, dtype=np.float64), axis=None)
    if np.ndim(impostor_scores) != 1 or not len(scores) or not np.isfinite(scores).all():
        raise InvalidOptionError(
            f"expected finite impostor scores of shape (n,) for {enrolled} enrolled, "
            f"got shape {np.shape(impostor_scores)}"
        )
    n = len(scores)
    # Ranks from the top, evenly spaced in log p: decisions are made in the tail.
    ranks = np.unique(np.geomspace(1, n, TABLE_POINTS).round().astype(int))
    points = np.unique(scores[n - ranks])
    at_or_above = n - np.searchsorted(scores, points, side="left")
    p_values = (1 + at_or_above) / (n + 1)
    return ImpostorTable(int(enrolled), n, tuple(points.tolist()), tuple(p_values.tolist()))


def _rises(values: list[int] | list[float] | tuple[float, ...]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _check_fields(d: object, types: Mapping[str, type]) -> None:
    if not isinstance(d, Mapping) or set(d) != set(types):
        got = sorted(map(str, d)) if isinstance(d, Mapping) else type(d).__name__
        raise InvalidOptionError(f"expected the keys {sorted(types)}, got {got}")
    for key, expected in types.items():
        if type(d[key]) is not expected:
            raise InvalidOptionError(f"expected {key} to be {expected.__name__}, got {d[key]!r}")
