"""Fingerprints -> how much they resemble each other, view by view.

A fingerprint may consist of several views of an image: the image as it is, copies of it that were
compressed once more, a smaller one. What happens to images on their way spoils some views and
leaves others, so two images resemble each other if *some* views do: the mean over views favours
those that agree. An image that has been compressed before is trusted less than its copies, for the
compression is most of what it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

# Unit fingerprints `(N, D)` to adapted ones.
Adapt: TypeAlias = Callable[[Tensor], Tensor]

# Cosines of an image with its nearest copy: up to the first it has never been compressed, from the
# second on it has. Clean images of real generators have 0.2 to 0.65, JPEGs 0.75 to 1.
_CLEAN, _COMPRESSED = 0.65, 0.85
_LEAST_TRUST = 0.25


class Viewed(NamedTuple):
    """Fingerprints taken apart.

    Attributes:
        parts: V times `(N, D / V)` unit rows.
        trust: `(N,)` in (0, 1], of the views that are no copies.
    """

    parts: tuple[Tensor, ...]
    trust: Tensor


@dataclass(frozen=True)
class Views:
    """Which views a fingerprint consists of, parts of equal length, and what each is worth.

    Attributes:
        weights: Of each of the V views; the first is the image as it is.
        copies: Numbers of the views that are compressed copies of the first.
    """

    weights: tuple[float, ...] = (1.0,)
    copies: tuple[int, ...] = ()

    def take_apart(self, fingerprints: Tensor, adapt: Adapt | None = None) -> Viewed:
        """The views of `(N, D)` fingerprints, adapted if need be."""
        parts = self._parts(fingerprints)
        trust = self._trust(parts)
        if adapt is not None:
            parts = self._parts(adapt(fingerprints))
        return Viewed(parts, trust)

    def resemblance(self, a: Viewed, b: Viewed) -> Tensor:
        """Weighted quadratic mean `(N, M)` of the views' cosines, in [-1, 1].

        Of one view it is the cosine. Of several it lies nearer to the largest cosine than to the
        others, which an arithmetic mean would average away. Squares keep their sign.
        """
        trust = torch.minimum(a.trust[:, None], b.trust)
        total, squares = torch.zeros_like(trust), torch.zeros_like(trust)
        for number, weight in enumerate(self.weights):
            worth = weight if number in self.copies else weight * trust
            cosines = a.parts[number] @ b.parts[number].T
            total += worth
            squares += worth * cosines * cosines.abs()
        mean = squares / total
        return mean.sign() * mean.abs().sqrt()

    def _parts(self, fingerprints: Tensor) -> tuple[Tensor, ...]:
        parts = fingerprints.chunk(len(self.weights), dim=1)
        return tuple(F.normalize(part, dim=1) for part in parts)

    def _trust(self, parts: tuple[Tensor, ...]) -> Tensor:
        """How sure it is that images have not been compressed before, by their nearest copy."""
        if not self.copies:
            return torch.ones(len(parts[0]))
        cosines = [(parts[0] * parts[copy]).sum(1) for copy in self.copies]
        nearest = torch.stack(cosines).amax(0)
        return ((_COMPRESSED - nearest) / (_COMPRESSED - _CLEAN)).clamp(_LEAST_TRUST, 1)
