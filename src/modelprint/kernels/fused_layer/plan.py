"""How a launch of the fused-layer kernel is laid out: decided from shapes alone, on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from modelprint.kernels.fused_layer.reference import FusedLayer

Mode = Literal[0, 1, 2]
PLAIN: Mode = 0  # no upsampling
PHASES: Mode = 1  # nearest, as a smaller kernel per phase on the small map
GENERAL: Mode = 2  # any upsampling, resampled as it is read

PADDING_CODES = {"zeros": 0, "reflect": 1, "replicate": 2, "circular": 3}

# What GPUs with the least of it (compute capability 8.6 to 8.9) have for one program, nearly.
_SHARED_BYTES = 96 * 1024


@dataclass(frozen=True)
class Plan:
    """A tile of pixels by output channels, the step over input channels, and Triton's threads."""

    block_h: int
    block_w: int
    block_in: int
    block_out: int
    warps: int
    stages: int


def mode(layer: FusedLayer) -> Mode:
    """In which of three ways the kernel reads the layer's input."""
    if layer.upsampler == "none":
        return PLAIN
    # Reflection sends the two pixels that a phase takes as one to different places.
    if layer.upsampler == "bilinear" or (layer.padding == "reflect" and layer.weight.shape[-1] > 3):
        return GENERAL
    return PHASES


def effective_padding(layer: FusedLayer) -> str:
    """The padding mode after what the size of the map allows, and in its simplest form."""
    radius = layer.weight.shape[-1] // 2
    smallest = layer.factor * min(layer.x.shape[-2:])
    if layer.padding != "zeros" and smallest <= radius:
        return "replicate"
    if layer.padding == "reflect" and mode(layer) == PHASES:
        # One pixel beyond the border, the mirror image of a doubled map is the border itself.
        return "replicate"
    return layer.padding


def plan(layer: FusedLayer) -> Plan:
    """Tile sizes; they depend on the layer's own shapes, never on how many layers there are."""
    how, width_bytes = mode(layer), layer.x.element_size()
    height, width = (side * (2 if how == GENERAL else 1) for side in layer.x.shape[-2:])
    channels, wanted = layer.x.shape[1], layer.weight.shape[0]
    block_out = _power(wanted, 16, 128)
    # A pixel costs registers: 128 by 128 sums are 64 a thread with eight warps, and where four
    # corners are read for every input, 128 pixels by 32 channels spill (compiled for sm_90).
    pixels = 64 if how == GENERAL else 128
    block_w = _power(width, 4, 16)
    block_h = _power(height, 16 // block_w, pixels // block_w)
    # By phases, up to four taps are read for one.
    read = block_out * (4 if how == PHASES else 1)
    rest = channels % 32
    few = 0 < rest <= 16 and channels < 64
    block_in = 16 if few or width_bytes * read > 1024 else 32
    # Tiles under way and the factors at hand have to fit into shared memory, also of small GPUs.
    under_way, at_hand = pixels + read, 2 * block_out
    three_fit = width_bytes * block_in * (2 * under_way + at_hand) <= _SHARED_BYTES
    warps = 8 if block_out * pixels >= 128 * 128 else 4
    return Plan(block_h, block_w, block_in, block_out, warps, stages=3 if three_fit else 2)


def _power(size: int, low: int, high: int) -> int:
    """The smallest power of two that holds ``size``, within bounds."""
    return min(high, max(low, 1 << (size - 1).bit_length()))


def channels_last(x: torch.Tensor) -> bool:
    """Whether the channels of a pixel lie side by side, 16 bytes wide and aligned."""
    return (
        x.is_contiguous(memory_format=torch.channels_last)
        and x.data_ptr() % 16 == 0
        and x.shape[1] * x.element_size() % 16 == 0
    )
