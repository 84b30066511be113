# mypy: disable-error-code="no-untyped-def,untyped-decorator,import-untyped,import-not-found"
# ruff: noqa: ANN001, ANN201, ANN202
"""Channel moments as Triton kernels: two launches for the maps of any number of models.

The first goes over the pixels in parts, the second merges the parts. Both use updates of the mean
and of the sum of squared deviations (Welford 1962; Chan, Golub and LeVeque 1983), which are exact
to rounding whatever the mean is, where sums of squares are not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from modelprint.kernels.backend import on_device
from modelprint.kernels.channel_moments.reference import Moments

# How a map is cut depends on its own size alone, so that its moments never depend on its company.
_PART_PX = 4096
_BLOCK_PX = 64
_BLOCK_CHANNELS = 32
# Address, then strides of image, channel, row and column in elements.
_COLUMNS = tl.constexpr(5)


@triton.jit
def _deviations(count, mean, squares):
    """Merge rows of (count, mean, sum of squared deviations) into one per column."""
    total = tl.sum(count, 0)
    # Relative to one of the means, so that a large mean costs no digits.
    near = tl.min(tl.where(count > 0, mean, float("inf")), 0)
    merged = near + tl.sum(count * (mean - near[None, :]), 0) / total
    away = tl.where(count > 0, mean - merged[None, :], 0.0)
    return merged, tl.sum(squares + count * away * away, 0)


@triton.jit
def parts_kernel(
    table,
    parts,  # (M, K, parts, 2, C)
    images,
    C,
    H,
    W,
    part_px,
    DTYPE: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Mean and squared deviations of one part of the pixels, by (model, image, channels)."""
    pid = tl.program_id(0)
    blocks, count_parts = tl.cdiv(C, BLOCK_C), tl.cdiv(H * W, part_px)
    channels = (pid % blocks) * BLOCK_C + tl.arange(0, BLOCK_C)
    part = (pid // blocks) % count_parts
    image = ((pid // (blocks * count_parts)) % images).to(tl.int64)
    model = (pid // (blocks * count_parts * images)).to(tl.int64)
    row = table + model * _COLUMNS
    x = tl.load(row).to(tl.pointer_type(DTYPE)) + image * tl.load(row + 1)
    s_channel, s_row, s_column = tl.load(row + 2), tl.load(row + 3), tl.load(row + 4)

    count = tl.zeros((BLOCK_P, 1), dtype=tl.float32)
    mean = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    squares = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    for start in range(0, part_px, BLOCK_P):
        inner = start + tl.arange(0, BLOCK_P)
        pixel = part * part_px + inner
        there = ((inner < part_px) & (pixel < H * W))[:, None]
        at = (pixel // W).to(tl.int64) * s_row + (pixel % W).to(tl.int64) * s_column
        address = x + at[:, None] + channels[None, :] * s_channel
        value = tl.load(address, mask=there & (channels < C)[None, :], other=0.0).to(tl.float32)
        count += tl.where(there, 1.0, 0.0)
        before = value - mean
        mean += tl.where(there, before * (1 / tl.maximum(count, 1.0)), 0.0)
        squares += tl.where(there, before * (value - mean), 0.0)
    mean_, squares_ = _deviations(count, mean, squares)
    at = (((model * images + image) * count_parts + part) * 2) * C + channels
    tl.store(parts + at, mean_, mask=channels < C)
    tl.store(parts + at + C, squares_, mask=channels < C)


@triton.jit
def merge_kernel(
    parts,
    moments,  # (M, K, 2, C)
    C,
    pixels,
    count_parts,
    part_px,
    BLOCK_PARTS: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Mean and variance out of the parts."""
    pid = tl.program_id(0)
    blocks = tl.cdiv(C, BLOCK_C)
    channels = (pid % blocks) * BLOCK_C + tl.arange(0, BLOCK_C)
    image = (pid // blocks).to(tl.int64)
    part = tl.arange(0, BLOCK_PARTS)
    count = tl.minimum(tl.maximum(pixels - part * part_px, 0), part_px).to(tl.float32)[:, None]
    at = (image * count_parts + part)[:, None] * (2 * C) + channels[None, :]
    known = (part < count_parts)[:, None] & (channels < C)[None, :]
    mean = tl.load(parts + at, mask=known, other=0.0)
    squares = tl.load(parts + at + C, mask=known, other=0.0)
    mean_, squares_ = _deviations(count, mean, squares)
    at = image * (2 * C) + channels
    tl.store(moments + at, mean_, mask=channels < C)
    tl.store(moments + at + C, squares_ / pixels, mask=channels < C)


def channel_moments_triton(maps: Sequence[Tensor]) -> list[Moments]:
    """Moments of maps of one shape, dtype and device; no map is copied."""
    images, channels, height, width = maps[0].shape
    device, pixels = maps[0].device, height * width
    part_px = min(_PART_PX, pixels)
    count_parts, blocks = triton.cdiv(pixels, part_px), triton.cdiv(channels, _BLOCK_CHANNELS)
    rows = [(x.data_ptr(), x.stride(0), x.stride(1), x.stride(2), x.stride(3)) for x in maps]
    table = torch.tensor(rows, dtype=torch.int64).to(device, non_blocking=True)
    parts = torch.empty((len(maps), images, count_parts, 2, channels), device=device)
    moments = torch.empty((len(maps), images, 2, channels), device=device)
    programs = len(maps) * images * blocks
    with on_device(device):
        parts_kernel[(programs * count_parts,)](
            table,
            parts,
            images,
            channels,
            height,
            width,
            part_px,
            DTYPE=tl.bfloat16 if maps[0].dtype == torch.bfloat16 else tl.float32,
            BLOCK_P=_BLOCK_PX,
            BLOCK_C=_BLOCK_CHANNELS,
            enable_fp_fusion=True,
        )
        merge_kernel[(programs,)](
            parts,
            moments,
            channels,
            pixels,
            count_parts,
            part_px,
            BLOCK_PARTS=triton.next_power_of_2(count_parts),
            BLOCK_C=_BLOCK_CHANNELS,
            enable_fp_fusion=True,
        )
    return [Moments(mean, variance) for mean, variance in moments.transpose(1, 2).unbind()]
