"""How often different models look this much alike: the survival function of impostor scores.

The p-value of a score is the share of *impostor* comparisons (an image against a model that did
not make it) that score at least as high. It is estimated as (1 + n * share) / (n + 1), which is
never zero and keeps the false-positive rate honest for any n (Phipson and Smyth 2010). What counts
as one of n are comparisons that are independent: images of the same two models stand or fall
together, so it is pairs of models, where these are known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from modelprint.errors import InvalidOptionError
from modelprint.scoring.likelihood import LikelihoodRatio

TABLE_POINTS = 200


@dataclass(frozen=True)
class ImpostorTable:
    """Survival function of the impostor scores against models of one enrolment size.

    Attributes:
        enrolled: Images behind each model that was compared against, at least 1.
        side_px: Smaller side of the images that were compared, at least 1.
        comparisons: Impostor comparisons that the table was made from.
        independent: How many of them are independent, n.
        scores: Impostor scores, strictly rising.
        p_values: Share of impostors at or above each score, from 1 strictly falling.
        likelihood: How much a score speaks for a model; None without genuine scores.

    Raises:
        InvalidOptionError: The fields are not such a function.
    """

    enrolled: int
    side_px: int
    comparisons: int
    independent: int
    scores: tuple[float, ...]
    p_values: tuple[float, ...]
    likelihood: LikelihoodRatio | None = None

    def __post_init__(self) -> None:
        if min(self.enrolled, self.side_px, self.independent) < 1:
            problem = "expected at least 1 enrolled image, 1 pixel and 1 comparison"
        elif self.independent > self.comparisons:
            problem = f"{self.independent} independent of {self.comparisons} comparisons"
        elif not self.scores or len(self.scores) != len(self.p_values):
            problem = f"{len(self.scores)} scores for {len(self.p_values)} p-values"
        elif not all(map(math.isfinite, self.scores)) or not rises(self.scores):
            problem = "expected finite scores that rise"
        elif self.p_values[0] != 1 or not rises([-p for p in self.p_values]):
            problem = "expected p-values that fall from 1"
        elif not self.p_values[-1] >= self.finest_p:
            problem = f"expected p-values of at least 1 / (independent + 1) = {self.finest_p:.3g}"
        else:
            return
        raise InvalidOptionError(
            f"impostor table for {self.enrolled} enrolled, {self.side_px} px: {problem}"
        )

    @property
    def finest_p(self) -> float:
        """The p-value of a score above every impostor: the smallest that n can support."""
        return 1 / (self.independent + 1)

    def p_value(self, score: float) -> float:
        """Share in (0, 1] of impostors that score at least `score`, log-linear between points."""
        if score > self.scores[-1]:
            return self.finest_p
        return math.exp(np.interp(score, *self._points))

    def threshold(self, fpr: float) -> float:
        """The smallest score whose p-value is at most `fpr`, in (0, 1).

        Raises:
            InvalidOptionError: `fpr` is finer than the impostor scores support.
        """
        if fpr < self.finest_p:
            raise InvalidOptionError(
                f"fpr is {fpr:g}, but {self.independent} impostor comparisons support no less "
                f"than {self.finest_p:.3g}: ask for that or more"
            )
        # Bisect down to neighbouring floats: exact, whatever interpolation rounds to.
        below, reached = self.scores[0], math.nextafter(self.scores[-1], math.inf)
        while below < (middle := below + (reached - below) / 2) < reached:
            if self.p_value(middle) <= fpr:
                reached = middle
            else:
                below = middle
        return reached

    @classmethod
    def fit(
        cls,
        enrolled: int,
        side_px: int,
        impostor_scores: np.ndarray,
        genuine_scores: np.ndarray | None = None,
    ) -> ImpostorTable:
        """Make a table, with a likelihood ratio if there are genuine scores: `Calibration.fit`.

        Raises:
            InvalidOptionError: Scores that are not finite or of another shape, or genuine ones
                that are no higher than those of impostors.
        """
        where = f"{enrolled} enrolled, {side_px} px"
        independent = len(_finite("impostor", where, impostor_scores))
        scores = np.sort(impostor_scores, axis=None).astype(np.float64)
        likelihood = None
        if genuine_scores is not None:
            genuine = _finite("genuine", where, genuine_scores).ravel()
            likelihood = LikelihoodRatio.fit(genuine, scores)
        n = len(scores)
        # Ranks from the top, evenly spaced in log p: decisions are made in the tail.
        ranks = np.unique(np.geomspace(1, n, TABLE_POINTS).round().astype(int))
        points = np.unique(scores[n - ranks])
        share = (n - np.searchsorted(scores, points, side="left")) / n
        p_values = (1 + independent * share) / (independent + 1)
        return cls(
            int(enrolled),
            int(side_px),
            n,
            independent,
            tuple(points.tolist()),
            tuple(p_values.tolist()),
            likelihood,
        )

    @cached_property
    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.scores), np.log(self.p_values)


def rises(values: list[int] | list[float] | tuple[float, ...]) -> bool:
    """Whether each value is above the one before it."""
    return all(a < b for a, b in pairwise(values))


def _finite(kind: str, where: str, scores: np.ndarray) -> np.ndarray:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim not in (1, 2) or not values.size or not np.isfinite(values).all():
        raise InvalidOptionError(
            f"expected finite {kind} scores of shape (n,) or (pairs of models, images) "
            f"for {where}, got shape {values.shape}"
        )
    return values
