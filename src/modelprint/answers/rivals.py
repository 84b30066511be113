"""Which of two enrolled models made an image? Shares among rivals, siblings above all.

Likelihood ratios are about models that have nothing to do with each other. For a fine-tune and its
base they promise too much: which of the two templates an image is nearer to is then mostly noise in
the templates. How far two models can be told apart is shown by their own enrolled images, each
compared with its model as if it were not enrolled. The difference of the two scores is modelled as
normal for either model; an image's own difference has a predictive t density under each (Gelman et
al., Bayesian Data Analysis, 2013, section 3.2), and their ratio is the evidence. The distance of
the two means is shrunk, to nothing within two standard errors (as by James and Stein 1961, but more
strongly): siblings that a few images seem to tell apart are not held to be apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# What the variance that all pairs have on average counts for beside a pair's own: as ten images.
_PRIOR_FREEDOM = 10.0
_LEAST_VARIANCE = 1e-6
_STANDARD_ERRORS = 2.0


@dataclass(frozen=True, eq=False)
class Rivalry:
    """How far images of one enrolled model can be told from those of each other one.

    Attributes:
        model: Number of the model.
        counts: `(L,)` enrolled images of each.
        ahead: `(L,)`, of its images: mean of score against it less score against the other.
        ahead_squares: `(L,)`, sum of squared deviations from that.
        behind: `(L,)`, of the other's images: mean of score against theirs less score against it.
        behind_squares: `(L,)`, sum of squared deviations from that.
    """

    model: int
    counts: NDArray[np.int64]
    ahead: Floats
    ahead_squares: Floats
    behind: Floats
    behind_squares: Floats

    @classmethod
    def of(
        cls, model: int, own: Floats, against: Floats, left_out: Floats, models: NDArray[np.int64]
    ) -> Rivalry:
        """Measure it.

        Args:
            model: Number of the model.
            own: `(n, L)`, its images against every model, against it without the image.
            against: `(N,)`, all images against it.
            left_out: `(N,)`, all images against their own model, without the image; NaN where
                there is no other one.
            models: `(N,)`, numbers of the images' models.
        """
        L = own.shape[1]
        counts = np.bincount(models, minlength=L)
        ahead = own[:, [model]] - own
        lead = left_out - against
        behind = np.bincount(models, lead, minlength=L) / np.maximum(counts, 1)
        return cls(
            model,
            counts,
            ahead.mean(0),
            ((ahead - ahead.mean(0)) ** 2).sum(0),
            behind,
            np.asarray(np.bincount(models, (lead - behind[models]) ** 2, minlength=L), np.float64),
        )

    def evidence(self, scores: Floats) -> Floats:
        """Natural-log likelihood ratios `(L,)` of the model against each other one.

        Args:
            scores: `(L,)` of the image in question against each model.

        Returns:
            NaN for the model itself, and where one of the two has a single image.
        """
        n, others = float(self.counts[self.model]), self.counts.astype(np.float64)
        freedom = np.maximum(n + others - 2, 0.0) + _PRIOR_FREEDOM
        squares = self.ahead_squares + self.behind_squares + _PRIOR_FREEDOM * self._usual_variance
        variance = np.maximum(squares / freedom, _LEAST_VARIANCE)
        middle = (self.ahead - self.behind) / 2
        apart = np.maximum(self.ahead + self.behind, 0.0)
        by_chance = _STANDARD_ERRORS**2 * variance * (1 / n + 1 / others)
        half = apart / 2 * np.maximum(1 - by_chance / np.maximum(apart**2, _LEAST_VARIANCE), 0.0)
        lead = scores[self.model] - scores - middle
        found = _log_t(lead - half, variance * (1 + 1 / n), freedom)
        found -= _log_t(lead + half, variance * (1 + 1 / others), freedom)
        found[self.model] = np.nan
        return np.asarray(found)

    @property
    def _usual_variance(self) -> float:
        """Mean over all other models."""
        squares = self.ahead_squares + self.behind_squares
        known = ~np.isnan(squares) & (np.arange(len(squares)) != self.model)
        if not known.any():
            return 1.0
        freedom = self.counts[self.model] + self.counts[known] - 2
        return float(squares[known].sum() / freedom.sum())


def shares(best: int, log_odds: Floats | None, evidence: Floats) -> Floats | None:
    """Probability of each model, given that one of the enrolled made the image, `(L,)`.

    Args:
        best: Number of the nearest model.
        log_odds: `(L,)` of each model against strangers; None where that is not calibrated.
        evidence: `(L,)` of the best model against each other one, from `Rivalry`. Where this and
            the log-odds disagree, the one that is less sure of the best model counts.

    Returns:
        None where nothing at all is known about a rival.
    """
    lead = np.full(len(evidence), np.nan) if log_odds is None else log_odds[best] - log_odds
    lead = np.fmin(lead, evidence)
    lead[best] = 0.0
    if np.isnan(lead).any():
        return None
    odds = np.exp(lead.min() - lead)
    return np.asarray(odds / odds.sum())


def _log_t(deviation: Floats, variance: Floats, freedom: Floats) -> Floats:
    """Log density of Student's t, but for what is the same in both models of a pair."""
    squared = deviation**2 / (variance * freedom)
    return np.asarray(-(freedom + 1) / 2 * np.log1p(squared) - np.log(variance) / 2)
