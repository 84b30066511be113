"""Feature maps with work still to be done on them, which the layer that reads them does."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from modelprint.kernels.fused_layer import FusedLayer
from modelprint.kernels.fused_layer.reference import upsample
from modelprint.synthesis.requests import Steps, Transposed, applied


class FeatureMap(NamedTuple):
    """``upsample(activate(x * scale + shift))``, not yet computed.

    Attributes:
        x: ``(K, C, H, W)``.
        scale: ``(K, C)`` or ``(1, C)``; ``None``: no normalisation is outstanding.
        shift: Like ``scale``.
        activation: A key of ``POINTWISE``.
        upsampler: ``"none"``, ``"nearest"`` or ``"bilinear"``.
        activate_first: Whether norm and activation come before the upsampling, or after.
    """

    x: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None
    activation: str = "none"
    upsampler: str = "none"
    activate_first: bool = True

    @property
    def touched(self) -> bool:
        """Whether a norm or an activation is outstanding."""
        return self.scale is not None or self.activation != "none"

    def settled(self) -> Tensor:
        """The features themselves, everything done."""
        x = self.x if self.activate_first else upsample(self.x, self.upsampler)
        x = applied(x, self.scale, self.shift, self.activation)
        return upsample(x, self.upsampler) if self.activate_first else x

    def plain(self) -> FeatureMap:
        """The same features with nothing outstanding."""
        return FeatureMap(self.settled()) if self.touched or self.upsampler != "none" else self

    def applied(self) -> FeatureMap:
        """The same features, of which at most an upsampling is outstanding."""
        if not self.touched:
            return self
        if not self.activate_first:
            return self.plain()
        done = self._replace(upsampler="none").settled()
        return FeatureMap(done, upsampler=self.upsampler)

    def normalised(self, scale: Tensor, shift: Tensor) -> FeatureMap:
        """These features, nothing but an upsampling being outstanding, with a norm after it."""
        return self._replace(scale=scale, shift=shift, activate_first=self._exchangeable)

    def activated(self, activation: str) -> FeatureMap:
        """These features with an activation after everything that is outstanding."""
        before = self
        if self.activation != "none" or self.activate_first != self._exchangeable:
            before = self.applied()
        return before._replace(activation=activation, activate_first=before._exchangeable)

    @property
    def _exchangeable(self) -> bool:
        """Whether pointwise work and the upsampling give the same in either order."""
        return self.upsampler != "bilinear"

    def convolved(self, weight: Tensor, bias: Tensor, padding: str) -> Steps[Tensor]:
        """Everything done, then convolved, in one request, in the precision of the features."""
        x, scale, shift, activation, upsampler, first = self
        weight, bias = weight.to(x.dtype), bias.to(x.dtype)
        answer: Tensor = yield FusedLayer(
            x, weight, bias, scale, shift, activation, upsampler, first, padding
        )
        return answer

    def transposed(self, weight: Tensor, bias: Tensor | None = None) -> Steps[Tensor]:
        """Everything done, then convolved transposedly with stride 2, in one request."""
        x, scale, shift, activation, _, _ = self if self.upsampler == "none" else self.plain()
        bias = None if bias is None else bias.to(x.dtype)
        answer: Tensor = yield Transposed(x, weight.to(x.dtype), bias, scale, shift, activation)
        return answer


def composed(first: Tensor, second: Tensor) -> Tensor:
    """One transposed convolution that does a transposed one of stride 2 and then a plain one.

    Args:
        first: ``(C, B, 2, 2)``; larger kernels overlap the border, where the two are not one.
        second: ``(C', B, k, k)`` of a convolution that pads with zeros, k odd.

    Returns:
        ``(C, C', k + 1, k + 1)``.
    """
    taps = second.flip(2, 3).transpose(0, 1).contiguous()
    return torch.nn.functional.conv_transpose2d(first, taps)
