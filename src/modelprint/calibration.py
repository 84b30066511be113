"""What scores mean: p-values, log-likelihood ratios, and thresholds for false-positive rates.

A mean of many enrolled images makes other scores than a single one, and a large image, of which
there are more crops, other scores than a small one. Hence a table for each enrolment size and image
size. Between two sizes the stricter table holds: impostor scores rise with both, and a p-value that
is too small would be a broken promise.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from math import log
from typing import Any

import numpy as np

from modelprint.errors import InvalidOptionError, InvalidWeightsError
from modelprint.scoring.impostors import ImpostorTable
from modelprint.scoring.likelihood import METHOD, LikelihoodRatio

SCHEMA_VERSION = 2

Scores = Mapping[tuple[int, int], np.ndarray]


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
class Calibration:
    """Turns scores into p-values and likelihood ratios, and rates into thresholds.

    Attributes:
        tables: One per enrolment size and image size, rising by both; the same image sizes for
            every enrolment size, the first of which is 1.
        source: What the scores came from.
        default_fpr: False-positive rate to use when a caller names none.

    Raises:
        InvalidOptionError: Tables are missing or in disorder, or a bad `default_fpr`.
    """

    tables: tuple[ImpostorTable, ...]
    source: str
    default_fpr: float = 0.01

    def __post_init__(self) -> None:
        check_fpr(self.default_fpr)
        found = [(table.enrolled, table.side_px) for table in self.tables]
        sizes, sides = self._sizes, self._sides
        # Counted first: a hostile file may have as many sizes as sides as tables.
        grid = len(found) == len(sizes) * len(sides) and found == list(product(sizes, sides))
        if sizes[:1] != [1] or not grid:
            shown = ", ".join(map(str, found[:10])) + (", ..." if len(found) > 10 else "")
            raise InvalidOptionError(
                "expected impostor tables for 1 enrolled image and then rising sizes, each with "
                f"the same rising image sizes, got (enrolled, side_px) [{shown}]"
            )

    def p_value(self, score: float, enrolled: int, side_px: int) -> float:
        """Share in (0, 1] of impostors that score at least `score`.

        Args:
            score: What the extractor's `compare` gave.
            enrolled: Images behind the model it was compared with.
            side_px: Smaller side of the image that was compared.
        """
        return max(table.p_value(score) for table in self._around(enrolled, side_px))

    def finest_p(self, enrolled: int, side_px: int) -> float:
        """The smallest p-value that this calibration can give."""
        return max(table.finest_p for table in self._around(enrolled, side_px))

    def threshold(self, fpr: float, enrolled: int, side_px: int) -> float:
        """The smallest score whose p-value is at most `fpr`, for one comparison.

        Raises:
            InvalidOptionError: `fpr` is outside (0, 1), or finer than the impostor scores support.
        """
        fpr = check_fpr(fpr)
        return max(table.threshold(fpr) for table in self._around(enrolled, side_px))

    def llr(self, score: float, enrolled: int, side_px: int) -> float | None:
        """Natural-log likelihood ratio that the model made the image; None if not fitted.

        Never beyond what the numbers of comparisons support: at most ln(impostors + 1), at least
        -ln(genuine + 1). The arguments are those of `p_value`.
        """
        each = []
        for table in self._around(enrolled, side_px):
            if table.likelihood is None:
                return None
            least, most = -log(table.likelihood.genuine + 1), -log(table.finest_p)
            each.append(min(max(table.likelihood(score), least), most))
        return min(each)

    def log_odds(self, score: float, enrolled: int, side_px: int) -> float | None:
        """Like `llr`, but without bounds: for weighing models against each other."""
        tables = self._around(enrolled, side_px)
        each = [table.likelihood(score) for table in tables if table.likelihood is not None]
        return min(each) if len(each) == len(tables) else None

    @classmethod
    def fit(
        cls,
        impostor_scores: Scores,
        genuine_scores: Scores | None = None,
        *,
        source: str,
        default_fpr: float = 0.01,
    ) -> Calibration:
        """Calibrate on impostor scores, and on genuine ones where there are any.

        Args:
            impostor_scores: By number of enrolled images and smaller side of the image in pixels,
                scores of images against models that did not make them: `(n,)` if they are
                independent, else `(pairs, k)`, a row for each pair of models. 1 must be among the
                numbers, and every number come with the same sides.
            genuine_scores: The same of images against the models that made them, which were not
                enrolled with the very image. None: there will be no likelihood ratios.
            source: What the scores came from, for whoever reads the calibration.
            default_fpr: False-positive rate to use when a caller names none.

        Raises:
            InvalidOptionError: Scores that are not finite or of another shape, sizes that are
                missing, too few for `default_fpr`, or genuine scores no higher than the others.
        """
        check_fpr(default_fpr)
        if genuine_scores is not None and set(genuine_scores) != set(impostor_scores):
            raise InvalidOptionError(
                f"expected genuine scores for the same (enrolled, side_px) as impostor scores, "
                f"{sorted(impostor_scores)}, got {sorted(genuine_scores)}"
            )
        tables = []
        for enrolled, side_px in sorted(impostor_scores):
            key = (enrolled, side_px)
            genuine = None if genuine_scores is None else genuine_scores[key]
            tables.append(ImpostorTable.fit(*key, impostor_scores[key], genuine))
        for table in tables:
            if table.finest_p > default_fpr:
                raise InvalidOptionError(
                    f"{table.independent} independent impostor scores for {table.enrolled} "
                    f"enrolled are too few for fpr {default_fpr:g}: expected at least "
                    f"{1 / default_fpr - 1:.0f}"
                )
        return cls(tuple(tables), source, default_fpr)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON; `from_dict` reads them."""
        return {
            "schema_version": SCHEMA_VERSION,
            "source": self.source,
            "default_fpr": self.default_fpr,
            "tables": [
                {
                    "enrolled": table.enrolled,
                    "side_px": table.side_px,
                    "comparisons": table.comparisons,
                    "independent": table.independent,
                    "scores": list(table.scores),
                    "p_values": list(table.p_values),
                    "likelihood": None if table.likelihood is None else asdict(table.likelihood),
                }
                for table in self.tables
            ],
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Calibration:
        """Read what `to_dict` wrote.

        Raises:
            InvalidWeightsError: Another schema, keys unknown or missing, values of another type,
                or the tables are no survival functions.
        """
        try:
            version = d.get("schema_version") if isinstance(d, Mapping) else None
            if type(version) is int and version > SCHEMA_VERSION:
                raise InvalidOptionError(
                    f"it has schema version {version}, this modelprint reads {SCHEMA_VERSION}: "
                    "upgrade with `pip install -U modelprint`"
                )
            _check_fields(
                d, {"schema_version": int, "source": str, "default_fpr": float, "tables": list}
            )
            if version != SCHEMA_VERSION:
                raise InvalidOptionError(
                    f"expected schema version {SCHEMA_VERSION}, got {version}: calibrate again, "
                    "for older ones did not know image sizes"
                )
            return cls(tuple(map(_table_from, d["tables"])), d["source"], d["default_fpr"])
        except (InvalidOptionError, OverflowError) as error:
            raise InvalidWeightsError(
                f"the calibration cannot be used: {error}; get the weights folder again"
            ) from error

    @property
    def description(self) -> str:
        """The source, and the method behind likelihood ratios where there are any."""
        if any(table.likelihood is None for table in self.tables):
            return self.source
        return f"{self.source}; likelihood ratios by {METHOD}"

    @cached_property
    def _sizes(self) -> list[int]:
        return sorted({table.enrolled for table in self.tables})

    @cached_property
    def _sides(self) -> list[int]:
        return sorted({table.side_px for table in self.tables})

    def _around(self, enrolled: int, side_px: int) -> list[ImpostorTable]:
        """The tables next to these sizes: one, or those between which they lie."""
        sizes = _neighbours(self._sizes, enrolled)
        sides = _neighbours(self._sides, side_px)
        return [t for t in self.tables if t.enrolled in sizes and t.side_px in sides]


@dataclass(frozen=True)
class OwnCalibration:
    """A calibration that belongs to one gallery.

    Attributes:
        calibration: What takes the place of the embedder's.
        fitted_to: Digest of the enrolled images that it was fitted with; None if it was not.
    """

    calibration: Calibration
    fitted_to: str | None


def _neighbours(values: list[int], wanted: int) -> list[int]:
    """Of rising values those next to the wanted one: itself, two, or the one at the end."""
    place = bisect_left(values, wanted)
    if values[place : place + 1] == [wanted]:
        return [wanted]
    return values[max(place - 1, 0) : place + 1]


def _table_from(d: object) -> ImpostorTable:
    types: dict[str, type | tuple[type, ...]] = {
        **dict.fromkeys(("enrolled", "side_px", "comparisons", "independent"), int),
        **dict.fromkeys(("scores", "p_values"), list),
        "likelihood": (dict, type(None)),
    }
    table = _check_fields(d, types)
    likelihood = table["likelihood"]
    if likelihood is not None:
        _check_fields(likelihood, {"slope": float, "offset": float, "genuine": int})
        likelihood = LikelihoodRatio(**likelihood)
    for number in (*table["scores"], *table["p_values"]):
        if type(number) not in (int, float):
            raise InvalidOptionError(f"expected numbers in the tables, got {number!r}")
    return ImpostorTable(
        table["enrolled"],
        table["side_px"],
        table["comparisons"],
        table["independent"],
        tuple(map(float, table["scores"])),
        tuple(map(float, table["p_values"])),
        likelihood,
    )


def _check_fields(d: object, types: Mapping[str, type | tuple[type, ...]]) -> Mapping[str, Any]:
    if not isinstance(d, Mapping) or set(d) != set(types):
        got = sorted(map(str, d)) if isinstance(d, Mapping) else type(d).__name__
        raise InvalidOptionError(f"expected the keys {sorted(types)}, got {got}")
    for key, expected in types.items():
        allowed = expected if isinstance(expected, tuple) else (expected,)
        if type(d[key]) not in allowed:
            names = " or ".join(kind.__name__ for kind in allowed)
            raise InvalidOptionError(f"expected {key} to be {names}, got {d[key]!r}")
    return d
