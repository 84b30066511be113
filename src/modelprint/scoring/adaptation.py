"""Adapting fingerprints to a gallery: what varies between images of one model counts for less.

Training divides out what varies between images of one *synthetic* model. The enrolled images of
real models show what varies in practice: other content, other styles, other processing. Their
deviations from the mean of their model estimate a covariance, which is shrunk towards the identity
that training has left and divided out as well (within-class covariance normalisation; Hatch,
Kajarekar and Stolcke, Interspeech 2006).

Images that are asked about have often been recompressed or resized on their way. What that moves in
images of *these* models, a degraded copy of each enrolled image shows. To divide it out from all
images would cost clean ones a little, so there are two adaptations, and whichever finds an image
more alike counts. Processing spoils some views of an image and leaves others: under the second
hypothesis each is adapted by itself, so that what is spoilt does not reach the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Deviations that the identity is worth: so many and the enrolled images weigh as much as training.
_PRIOR_DEVIATIONS = 400
# A degraded copy lies much further from the mean of its model than a clean image does.
_DEGRADED_WEIGHT = 0.2
# More say hardly more about the covariance, and the time for it rises with their cube.
_MOST_DEVIATIONS = 2000


@dataclass(frozen=True, eq=False)
class Adaptation:
    """A linear map of fingerprints that shrinks the directions in which models vary.

    Attributes:
        directions: ``(R, D)`` float32, orthonormal rows; R may be 0.
        gains: ``(R,)`` what is added of each direction, above -1; negative shrinks.
    """

    directions: Tensor
    gains: Tensor

    @classmethod
    def fit(
        cls,
        fingerprints: Tensor,
        labels: Sequence[str] | Sequence[int],
        degraded: Tensor | None = None,
    ) -> Adaptation:
        """Estimate it from enrolled images; models with a single image say nothing.

        Of very many images 2 000 are used, evenly spread.

        Args:
            fingerprints: ``(N, D)`` float32 unit rows.
            labels: N models.
            degraded: ``(N, D)`` of degraded copies, which count with a fifth; None for none.
        """
        numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        model = torch.tensor([numbers[label] for label in labels], dtype=torch.int64)
        counts = torch.bincount(model, minlength=len(numbers))
        freedom = float((counts - 1).clamp(min=0).sum())
        D = fingerprints.shape[1]
        if not freedom:
            return cls(torch.empty(0, D), torch.empty(0))
        rows = fingerprints.double()
        means = torch.zeros(len(numbers), D, dtype=torch.float64).index_add_(0, model, rows)
        centres, several = (means / counts[:, None])[model], counts[model] > 1
        deviations = (rows - centres)[several]
        if degraded is not None:
            moved = (degraded.double() - centres)[several]
            deviations = torch.cat([deviations, _DEGRADED_WEIGHT**0.5 * moved])
            freedom += _DEGRADED_WEIGHT * len(moved)
        if len(deviations) > _MOST_DEVIATIONS:
            evenly = torch.arange(_MOST_DEVIATIONS) * len(deviations) // _MOST_DEVIATIONS
            freedom *= _MOST_DEVIATIONS / len(deviations)
            deviations = deviations[evenly]
        # The smaller of the two Gram matrices has all the directions in which there is variance.
        if len(deviations) < D:
            variances, vectors = torch.linalg.eigh(deviations @ deviations.T)
            vectors = deviations.T @ vectors / variances.clamp(min=1e-12).sqrt()
        else:
            variances, vectors = torch.linalg.eigh(deviations.T @ deviations)
        kept = variances > 1e-6 * variances[-1].clamp(min=1e-12)
        variances, vectors = variances[kept], vectors[:, kept]
        # Over all D directions the variance is 1 on average, as is that of the identity.
        relative = variances * D / variances.sum()
        weight = freedom / (freedom + _PRIOR_DEVIATIONS)
        gains = torch.rsqrt(1 + weight / (1 - weight) * relative) - 1
        return cls(vectors.T.float().contiguous(), gains.float())

    def __call__(self, fingerprints: Tensor) -> Tensor:
        """Adapted fingerprints, ``(N, D)`` float32 unit rows."""
        shares = fingerprints @ self.directions.T
        return F.normalize(fingerprints + (shares * self.gains) @ self.directions, dim=1)


@dataclass(frozen=True, eq=False)
class AdaptationByView:
    """An adaptation for each view that fingerprints consist of.

    Attributes:
        parts: Of each view, in order.
    """

    parts: tuple[Adaptation, ...]

    @classmethod
    def fit(
        cls,
        fingerprints: Tensor,
        labels: Sequence[str] | Sequence[int],
        degraded: Tensor,
        views: int,
    ) -> AdaptationByView:
        """Estimate them as ``Adaptation.fit`` does, from parts of equal length."""
        pairs = zip(fingerprints.chunk(views, 1), degraded.chunk(views, 1), strict=True)
        return cls(tuple(Adaptation.fit(own, labels, copies) for own, copies in pairs))

    def __call__(self, fingerprints: Tensor) -> Tensor:
        """Adapted fingerprints, ``(N, D)`` float32 unit rows, all views of equal length."""
        views = len(self.parts)
        pairs = zip(self.parts, fingerprints.chunk(views, 1), strict=True)
        adapted = [adapt(F.normalize(view, dim=1)) for adapt, view in pairs]
        return torch.cat(adapted, 1) / math.sqrt(views)


def adaptations(
    fingerprints: Tensor, labels: Sequence[str] | Sequence[int], degraded: Tensor, views: int
) -> tuple[Adaptation, AdaptationByView]:
    """For images as they came from their model, and for images that were processed on their way.

    Args:
        fingerprints: ``(N, D)`` float32 unit rows.
        labels: N models.
        degraded: ``(N, D)`` of degraded copies.
        views: How many parts of equal length fingerprints consist of.
    """
    return (
        Adaptation.fit(fingerprints, labels),
        AdaptationByView.fit(fingerprints, labels, degraded, views),
    )
