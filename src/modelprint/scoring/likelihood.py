"""How much a score speaks for one model: scores become log-likelihood ratios.

The log-likelihood ratio (LLR) of a score is `ln(P(score | made by the model) / P(score | not))`, in
natural logarithms: 0 says nothing, ln 100 = 4.6 multiplies the odds by 100. It is modelled as an
affine function of the score and fitted by logistic regression in which genuine and impostor scores
weigh the same (Brümmer and du Preez, Computer Speech and Language 2006), with Platt's targets
(Platt 1999), which keep it finite where the two do not overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelprint.errors import InvalidOptionError

Floats = NDArray[np.float64]

METHOD = "logistic regression, equal weights, Platt targets"
_MOST_STEPS = 100
_PRECISE = 1e-10


@dataclass(frozen=True)
class LikelihoodRatio:
    """Natural-log likelihood ratio as an affine function of the score.

    Attributes:
        slope: Nats per unit of score, above 0.
        offset: Nats at score 0.
        genuine: Genuine comparisons that it was fitted on, at least 1.

    Raises:
        InvalidOptionError: A field is not finite or out of range.
    """

    slope: float
    offset: float
    genuine: int

    def __post_init__(self) -> None:
        if not (0 < self.slope < math.inf and math.isfinite(self.offset) and self.genuine >= 1):
            raise InvalidOptionError(
                f"likelihood ratio: expected a positive slope, a finite offset and at least 1 "
                f"genuine comparison, got {self.slope}, {self.offset} and {self.genuine}"
            )

    def __call__(self, score: float) -> float:
        """Nats, as far as the line goes: see `Calibration.llr` for what the data support."""
        return self.slope * score + self.offset

    @classmethod
    def fit(cls, genuine: Floats, impostors: Floats) -> LikelihoodRatio:
        """Fit it to scores `(G,)` of genuine and `(N,)` of impostor comparisons, all finite.

        Raises:
            InvalidOptionError: Genuine scores are no higher than those of impostors.
        """
        scores = np.concatenate([genuine, impostors])
        mean, deviation = scores.mean(), scores.std()
        if not genuine.mean() > impostors.mean() or not deviation > 0:
            raise InvalidOptionError(
                f"expected genuine scores above those of impostors, got means of "
                f"{genuine.mean():.3g} and {impostors.mean():.3g}: check the labels of the images"
            )
        x = np.stack([(scores - mean) / deviation, np.ones(len(scores))], axis=1)
        sizes = (len(genuine), len(impostors))
        target = np.repeat([(sizes[0] + 1) / (sizes[0] + 2), 1 / (sizes[1] + 2)], sizes)
        weight = np.repeat([0.5 / sizes[0], 0.5 / sizes[1]], sizes)
        slope, offset = _newton(x, target, weight)
        return cls(float(slope / deviation), float(offset - slope * mean / deviation), len(genuine))


def _newton(x: Floats, target: Floats, weight: Floats) -> Floats:
    """Coefficients `(2,)` of the weighted logistic regression of targets in (0, 1)."""

    def loss(at: Floats) -> float:
        logit = x @ at
        return float(weight @ (np.logaddexp(0, logit) - target * logit))

    coefficients = np.zeros(2)
    current = loss(coefficients)
    for _ in range(_MOST_STEPS):
        p = 1 / (1 + np.exp(-(x @ coefficients)))
        gradient = x.T @ (weight * (p - target))
        hessian = x.T @ (x * (weight * p * (1 - p))[:, None]) + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        # The loss is convex, so halving a step that overshoots always ends.
        while not loss(coefficients - step) <= current:
            step = step / 2
        coefficients = coefficients - step
        current = loss(coefficients)
        if np.abs(step).max() < _PRECISE:
            break
    return coefficients
