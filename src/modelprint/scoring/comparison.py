"""Fingerprints -> scores: the one scorer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from modelprint.scoring.adaptation import adaptations
from modelprint.scoring.views import Adapt, Viewed, Views

# Fingerprints taken apart under each adaptation.
TakenApart: TypeAlias = tuple[Viewed, ...]


class Comparison:
    """Scores images against models: larger is more alike.

    The score is the resemblance that ``Views`` defines, in units of how the *image* scores against
    a cohort of images of synthetic models, which made none of what is compared: standard deviations
    above the mean (Z-norm; Auckenthaler, Carey and Lloyd-Thomas 2000). Some images lie in a crowd
    and are like everything; a resemblance does not show that. With an empty cohort it is the
    resemblance.

    For two single images, ``symmetric`` takes the mean of both directions (S-norm; Kenny, Odyssey
    2010). For models it would be worse: means of images lie at another level than images do.

    Several adaptations are so many hypotheses about an image; the one that fits best counts.

    Args:
        cohort: ``(N, D)`` unit fingerprints; none or several.
        ways: Adaptations. Each is applied to all fingerprints before they are compared, the
            cohort's as well, and of the scores the largest is taken. Without any, fingerprints
            are compared as they are.
        views: What fingerprints consist of; by default of one view, so that resemblance is cosine.
    """

    def __init__(
        self, cohort: Tensor, ways: Sequence[Adapt] = (), views: Views | None = None
    ) -> None:
        self._unadapted = cohort
        self._ways: Sequence[Adapt | None] = ways or (None,)
        self._views = views or Views()
        self._cohort = self.take_apart(cohort)

    def adapted(
        self, fingerprints: Tensor, labels: Sequence[str] | Sequence[int], degraded: Tensor
    ) -> Comparison:
        """The same scorer for a gallery, adapted to what is enrolled.

        Args:
            fingerprints: ``(N, D)`` unit fingerprints.
            labels: N models.
            degraded: ``(N, D)`` of degraded copies.
        """
        views = len(self._views.weights)
        ways = adaptations(fingerprints, labels, degraded, views)
        return Comparison(self._unadapted, ways, self._views)

    def __call__(self, images: Tensor, models: Tensor) -> Tensor:
        """Scores ``(N, M)`` float32 of ``(N, D)`` against ``(M, D)`` unit fingerprints."""
        return self.against(images, self.take_apart(models))

    def take_apart(self, fingerprints: Tensor) -> TakenApart:
        """What ``against`` compares; for models that one asks about again and again."""
        return tuple(self._views.take_apart(fingerprints, way) for way in self._ways)

    def against(self, images: Tensor, models: TakenApart) -> Tensor:
        """Scores ``(N, M)`` float32 of ``(N, D)`` unit fingerprints against M taken apart."""
        ways = zip(self.take_apart(images), models, self._cohort, strict=True)
        scores = [self._normalised(*way) for way in ways]
        return torch.stack(scores).amax(0)

    def _normalised(self, images: Viewed, models: Viewed, cohort: Viewed) -> Tensor:
        scores = self._views.resemblance(images, models)
        if not len(self._unadapted) or not scores.numel():
            return scores
        level = self._views.resemblance(images, cohort)
        return (scores - level.mean(1, keepdim=True)) / (level.std(1, keepdim=True) + 1e-4)


def symmetric(score: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """Scores ``(N, M)`` of images ``(N, D)`` against images ``(M, D)``, alike both ways round."""
    return (score(a, b) + score(b, a).T) / 2
