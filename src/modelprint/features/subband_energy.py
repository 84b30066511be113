"""Crops -> how local energy in one frequency band goes with that in another.

Spectra say how much energy a band has over the whole crop. Where it has it, and whether bands rise
and fall together, is another trace of the layers that made an image: normalisation, activation and
gated or residual paths tie scales and colours together in their own ways. Cross-scale correlations
of this kind are classical in texture synthesis (Portilla and Simoncelli 2000).
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from modelprint.decoding.jpeg_tables import BLOCK_PX, cosines

# Prime to 8, so that every phase of a codec's grid of blocks is met equally often.
_STRIDE = 3
_CHANNELS = 3
_EPS = 1e-4
# The coefficients of so many channels stay in a CPU's cache until they are averaged.
_AT_ONCE = 24


def subband_energy(crops: Tensor) -> Tensor:
    """Correlations and spreads of local log energy over 7 bands of 3 channels.

    Args:
        crops: ``(N, 3, S, S)`` float32, S of 16 pixels or more.

    Returns:
        ``(N, 231)`` float32: 210 correlations in [-1, 1] and 21 log deviations.
    """
    n = len(crops)
    filters, bands = _filters().to(crops.device), _bands().to(crops.device)
    planes = crops.reshape(n * _CHANNELS, 1, *crops.shape[2:])
    parts = [
        bands @ F.conv2d(part, filters, stride=_STRIDE).abs_().flatten(2)
        for part in torch.split(planes, _AT_ONCE)
    ]
    energy = torch.log(torch.cat(parts) + _EPS)
    energy = energy.view(n, -1, energy.shape[-1])
    energy = energy - energy.mean(2, keepdim=True)
    covariance = energy @ energy.transpose(1, 2) / energy.shape[2]
    deviation = covariance.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt() + 1e-3
    correlation = covariance / (deviation[:, :, None] * deviation[:, None])
    row, column = torch.triu_indices(energy.shape[1], energy.shape[1], 1, device=crops.device)
    return torch.cat([correlation[:, row, column], torch.log(deviation)], 1)


@lru_cache(maxsize=1)
def _filters() -> Tensor:
    """The 63 basis functions of the 8 x 8 cosine transform that have no mean, ``(63, 1, 8, 8)``."""
    basis = torch.from_numpy(cosines()).float()
    return (
        torch.einsum("ay,bx->abyx", basis, basis)
        .reshape(-1, 1, BLOCK_PX, BLOCK_PX)[1:]
        .contiguous()
    )


@lru_cache(maxsize=1)
def _bands() -> Tensor:
    """Averages the 63 frequencies over 7 bands, ``(7, 63)``: two horizontal, two vertical, rest."""
    number = torch.arange(1, BLOCK_PX * BLOCK_PX)
    y, x = number // BLOCK_PX, number % BLOCK_PX
    oblique = (y > 0) & (x > 0)
    member = torch.stack(
        [
            (y == 0) & (x <= 2),
            (y == 0) & (x > 2),
            (x == 0) & (y <= 2),
            (x == 0) & (y > 2),
            oblique & (y + x <= 4),
            oblique & (y + x > 4) & (y + x <= 8),
            y + x > 8,
        ]
    ).float()
    return member / member.sum(1, keepdim=True)
