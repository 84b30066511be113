"""Fingerprints -> scores: the one scorer."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from modelprint.scoring.adaptation import Adaptation


class Comparison:
    """Scores images against models: larger is more alike.

    The score is the cosine in units of how the *image* scores against the nearer half of a cohort
    of images of synthetic models, which made none of what is compared: standard deviations above
    the mean (Z-norm; Auckenthaler, Carey and Lloyd-Thomas 2000). Some images lie in a crowd and
    are like everything; a cosine does not show that. The nearer half, for half of the cohort is
    recompressed: what JPEGs have in common is judged by JPEGs. With an empty cohort it is the
    cosine.

    For two single images, ``symmetric`` takes the mean of both directions (S-norm; Kenny, Odyssey
    2010). For models it would be worse: means of images lie at another level than images do.

    Args:
        cohort: ``(N, D)`` unit fingerprints; none or several.
        adaptation: Applied to all fingerprints before they are compared, the cohort's as well.
    """

    def __init__(self, cohort: Tensor, adaptation: Adaptation | None = None) -> None:
        self._unadapted = cohort
        self._adaptation = adaptation
        self._cohort = cohort if adaptation is None else adaptation(cohort)

    def adapted(self, adaptation: Adaptation) -> Comparison:
        """The same scorer for a gallery that its adaptation was estimated from."""
        return Comparison(self._unadapted, adaptation)

    def __call__(self, images: Tensor, models: Tensor) -> Tensor:
        """Scores ``(N, M)`` float32 of ``(N, D)`` against ``(M, D)`` unit fingerprints."""
        if self._adaptation is not None:
            images, models = self._adaptation(images), self._adaptation(models)
        scores = images @ models.T
        if not len(self._cohort) or not scores.numel():
            return scores
        level = (images @ self._cohort.T).topk(max(2, len(self._cohort) // 2)).values
        return (scores - level.mean(1, keepdim=True)) / (level.std(1, keepdim=True) + 1e-4)


def symmetric(score: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """Scores ``(N, M)`` of images ``(N, D)`` against images ``(M, D)``, alike both ways round."""
    return (score(a, b) + score(b, a).T) / 2
