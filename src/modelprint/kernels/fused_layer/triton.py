# mypy: disable-error-code="no-untyped-def,untyped-decorator,import-untyped,import-not-found"
# ruff: noqa: ANN001, ANN201, ANN202
"""The fused layer as a Triton kernel: one launch computes the layers of many models.

An implicit matrix product: rows are output pixels, columns output channels, and the sum runs over
(tap of the kernel, input channel). The rows' inputs are normalised, activated and resampled as they
are read, so that no intermediate map touches memory. What differs between the models of a launch
(addresses, strides, activation, order, upsampler, padding) comes from a table with a row each.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from modelprint.kernels.backend import interpreted, on_device
from modelprint.kernels.fused_layer.activations import CODES, pointwise
from modelprint.kernels.fused_layer.plan import (
    GENERAL,
    PADDING_CODES,
    PHASES,
    channels_last,
    effective_padding,
    mode,
    plan,
)
from modelprint.kernels.fused_layer.reference import FusedLayer

# Columns of the table; see _row, which fills them in.
_COLUMNS = tl.constexpr(14)


@triton.jit
def _resolve(i, size, padding):
    """Where a padded index reads; zero padding reads the border and is masked by the caller."""
    mirrored = size - 1 - tl.abs(size - 1 - tl.abs(i))
    wrapped = tl.where(i < 0, i + size, tl.where(i >= size, i - size, i))
    source = tl.where(padding == 1, mirrored, tl.where(padding == 3, wrapped, i))
    # Also for rows of the tile that lie beyond the map: they must not read anywhere.
    return tl.minimum(tl.maximum(source, 0), size - 1)


@triton.jit
def _read(x, rows, columns, channels, mask, s_row, s_column, s_channel):
    """A (pixels, channels) tile in float32, zero where masked."""
    pixels = rows.to(tl.int64) * s_row + columns.to(tl.int64) * s_column
    return tl.load(x + pixels[:, None] + channels[None, :] * s_channel, mask=mask, other=0.0).to(
        tl.float32
    )


@triton.jit
def fused_layer_kernel(
    table,
    out,
    images,
    C,
    H,
    W,
    C_out,
    DTYPE: tl.constexpr,
    PRODUCT: tl.constexpr,  # what the factors of a product are handed over as, exactly
    MODE: tl.constexpr,  # as in plan.py: 0 no upsampling, 1 nearest by phases, 2 any upsampling
    KERNEL: tl.constexpr,
    X_LAST: tl.constexpr,  # channels-last, and 16 bytes can be read at once
    W_LAST: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_W: tl.constexpr,
    BLOCK_IN: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Row m of ``table`` says what model m is; ``out`` is ``(M, K, s H, s W, C_out)``."""
    RADIUS: tl.constexpr = KERNEL // 2
    # By phases, two neighbouring taps read the same pixel of the small map and become one.
    TAPS: tl.constexpr = RADIUS + 1 if MODE == 1 else KERNEL
    # The map that a tile is cut from: the small one by phases, otherwise the output.
    rows_total = 2 * H if MODE == 2 else H
    columns_total = 2 * W if MODE == 2 else W

    # Neighbours in this order share weights and most of their input.
    pid = tl.program_id(0)
    out_blocks = tl.cdiv(C_out, BLOCK_OUT)
    out_block = pid % out_blocks
    pid = pid // out_blocks
    phase = 0
    if MODE == 1:
        phase = pid % 4
        pid = pid // 4
    tiles_w = tl.cdiv(columns_total, BLOCK_W)
    tiles_h = tl.cdiv(rows_total, BLOCK_H)
    tile = pid % (tiles_w * tiles_h)
    pid = pid // (tiles_w * tiles_h)
    image = (pid % images).to(tl.int64)
    model = (pid // images).to(tl.int64)

    row = table + model * _COLUMNS
    x = tl.load(row).to(tl.pointer_type(DTYPE)) + image * tl.load(row + 5)
    weight = tl.load(row + 1).to(tl.pointer_type(DTYPE))
    bias = tl.load(row + 2).to(tl.pointer_type(DTYPE))
    scale = tl.load(row + 3).to(tl.pointer_type(tl.float32)) + image * tl.load(row + 9)
    shift = tl.load(row + 4).to(tl.pointer_type(tl.float32)) + image * tl.load(row + 9)
    normed = tl.where(tl.load(row + 3) == 0, 0, C)
    if X_LAST:
        x = tl.multiple_of(x, 16)
        C = tl.multiple_of(C, 16 // (DTYPE.primitive_bitwidth // 8))
        s_row, s_column, s_channel = W * C, C, 1
    else:
        s_row, s_column, s_channel = tl.load(row + 6), tl.load(row + 7), tl.load(row + 8)
    if W_LAST:
        weight = tl.multiple_of(weight, 16)
        w_row, w_column, w_in = KERNEL * C, C, 1
    else:
        w_row, w_column, w_in = KERNEL, 1, KERNEL * KERNEL
    activation = tl.load(row + 10).to(tl.int32)
    padding = tl.load(row + 11).to(tl.int32)
    bilinear = tl.load(row + 12) != 0
    activate_first = tl.load(row + 13) != 0
    # Zero padding masks whatever lies outside; for the other modes nothing does.
    margin = tl.where(padding == 0, 0, 2 * KERNEL)

    pixel = tl.arange(0, BLOCK_H * BLOCK_W)
    top = (tile // tiles_w) * BLOCK_H + pixel // BLOCK_W
    left = (tile % tiles_w) * BLOCK_W + pixel % BLOCK_W
    outs = out_block * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    w_base = weight + outs.to(tl.int64) * (KERNEL * KERNEL * C)
    phase_y, phase_x = phase // 2, phase % 2
    total = tl.zeros((BLOCK_H * BLOCK_W, BLOCK_OUT), dtype=tl.float32)
    steps = tl.cdiv(C, BLOCK_IN)

    # One loop over (tap, input channels), so that the compiler can run loads ahead of products.
    for step in range(TAPS * TAPS * steps):
        tap = step // steps
        tap_y, tap_x = tap // TAPS, tap % TAPS
        channels = (step % steps) * BLOCK_IN + tl.arange(0, BLOCK_IN)
        known = channels < C

        if MODE == 1:
            offset_y = ((phase_y - RADIUS) >> 1) + tap_y
            offset_x = ((phase_x - RADIUS) >> 1) + tap_x
        else:
            offset_y, offset_x = tap_y - RADIUS, tap_x - RADIUS
        y, x_ = top + offset_y, left + offset_x
        inside = (y >= -margin) & (y < rows_total + margin)
        inside &= (x_ >= -margin) & (x_ < columns_total + margin)
        mask = inside[:, None] & known[None, :]
        y, x_ = _resolve(y, rows_total, padding), _resolve(x_, columns_total, padding)

        gain = tl.load(scale + channels, mask=channels < normed, other=1.0)[None, :]
        offset = tl.load(shift + channels, mask=channels < normed, other=0.0)[None, :]
        if MODE == 2:
            # The two source rows (columns) and how much the second counts; nearest: twice the same.
            low_y, low_x = (y - 1) >> 1, (x_ - 1) >> 1
            part_y = tl.where(y % 2 == 0, 0.75, 0.25)[:, None]
            part_x = tl.where(x_ % 2 == 0, 0.75, 0.25)[:, None]
            y0 = tl.where(bilinear, tl.maximum(low_y, 0), y >> 1)
            x0 = tl.where(bilinear, tl.maximum(low_x, 0), x_ >> 1)
            y1 = tl.where(bilinear, tl.minimum(low_y + 1, H - 1), y >> 1)
            x1 = tl.where(bilinear, tl.minimum(low_x + 1, W - 1), x_ >> 1)
            a = tl.zeros((BLOCK_H * BLOCK_W, BLOCK_IN), dtype=tl.float32)
            for corner in range(4):
                second_y, second_x = corner // 2, corner % 2
                rows, columns = y0 + (y1 - y0) * second_y, x0 + (x1 - x0) * second_x
                value = _read(x, rows, columns, channels, mask, s_row, s_column, s_channel)
                value = value * gain + offset
                if activate_first:
                    value = pointwise(value, activation)
                share_y = (1 - second_y) + (2 * second_y - 1) * part_y
                share_x = (1 - second_x) + (2 * second_x - 1) * part_x
                a += value * (share_y * share_x)
            if not activate_first:
                a = pointwise(a, activation)
        else:
            a = _read(x, y, x_, channels, mask, s_row, s_column, s_channel)
            a = pointwise(a * gain + offset, activation)
        # Padding is zero after the activation, whatever that makes of a zero.
        a = tl.where(mask, a, 0.0).to(DTYPE).to(PRODUCT)

        w_in_out = w_base[None, :] + (channels * w_in)[:, None]
        if MODE == 1:
            # Taps t with (phase + t - RADIUS) // 2 == offset: two, or one at the kernel's edge.
            first_y = 2 * offset_y - phase_y + RADIUS
            first_x = 2 * offset_x - phase_x + RADIUS
            w = tl.zeros((BLOCK_IN, BLOCK_OUT), dtype=tl.float32)
            for member in tl.static_range(4):
                t_y, t_x = first_y + member // 2, first_x + member % 2
                real = (t_y >= 0) & (t_y < KERNEL) & (t_x >= 0) & (t_x < KERNEL)
                w_mask = (channels < tl.where(real, C, 0))[:, None] & (outs < C_out)[None, :]
                address = w_in_out + (t_y * w_row + t_x * w_column)
                w += tl.load(address, mask=w_mask, other=0.0).to(tl.float32)
            w = w.to(DTYPE).to(PRODUCT)
        else:
            address = w_in_out + (tap_y * w_row + tap_x * w_column)
            w_mask = known[:, None] & (outs < C_out)[None, :]
            w = tl.load(address, mask=w_mask, other=0.0).to(PRODUCT)
        total = tl.dot(a, w, total, input_precision=PRECISION)

    total += tl.load(bias + outs, mask=outs < C_out, other=0.0).to(tl.float32)[None, :]
    if MODE == 1:
        out_y, out_x = 2 * top + phase_y, 2 * left + phase_x
        height, width = 2 * H, 2 * W
    else:
        out_y, out_x, height, width = top, left, rows_total, columns_total
    at = ((model * images + image) * height + out_y.to(tl.int64)) * width + out_x
    kept = ((top < rows_total) & (left < columns_total))[:, None] & (outs < C_out)[None, :]
    tl.store(out + at[:, None] * C_out + outs[None, :], total.to(DTYPE), mask=kept)


def _row(layer: FusedLayer) -> tuple[list[int], tuple[Tensor, ...]]:
    """What the kernel's table says about a layer, and the tensors that it points to."""
    weight = layer.weight if channels_last(layer.weight) else layer.weight.contiguous()
    kept = [layer.x, weight, layer.bias.contiguous()]
    norm_stride = 0
    if layer.scale is not None and layer.shift is not None:
        kept += [layer.scale.float().contiguous(), layer.shift.float().contiguous()]
        norm_stride = layer.scale.shape[1] if len(layer.scale) > 1 else 0
    addresses = [tensor.data_ptr() for tensor in kept] + [0] * (5 - len(kept))
    s_image, s_channel, s_row, s_column = layer.x.stride()
    choices = [
        CODES[layer.activation],
        PADDING_CODES[effective_padding(layer)],
        int(layer.upsampler == "bilinear"),
        int(layer.activate_first),
    ]
    return [*addresses, s_image, s_row, s_column, s_channel, norm_stride, *choices], tuple(kept)


def fused_layers_triton(layers: Sequence[FusedLayer]) -> list[Tensor]:
    """Compute layers of one bucket (see ``op.bucket``) by one launch.

    Neither inputs nor weights are copied or stacked: the kernel finds each by its address.

    Returns:
        One channels-last ``(K, C', s H, s W)`` tensor per layer; all are views of one allocation.
    """
    first = layers[0]
    images, channels, height, width = first.x.shape
    wanted, kernel = first.weight.shape[0], first.weight.shape[-1]
    factor, how, sizes = first.factor, mode(first), plan(first)
    out = torch.empty(
        (len(layers), images, factor * height, factor * width, wanted),
        dtype=first.x.dtype,
        device=first.x.device,
    )
    rows, kept = zip(*(_row(layer) for layer in layers), strict=True)
    table = torch.tensor(rows, dtype=torch.int64).to(first.x.device, non_blocking=True)
    grid_h, grid_w = (factor * height, factor * width) if how == GENERAL else (height, width)
    programs = triton.cdiv(grid_h, sizes.block_h) * triton.cdiv(grid_w, sizes.block_w)
    programs *= triton.cdiv(wanted, sizes.block_out) * (4 if how == PHASES else 1)
    dtype = tl.bfloat16 if first.x.dtype == torch.bfloat16 else tl.float32
    with on_device(first.x.device):
        fused_layer_kernel[(programs * images * len(layers),)](
            table,
            out,
            images,
            channels,
            height,
            width,
            wanted,
            DTYPE=dtype,
            # The interpreter cannot multiply bfloat16 matrices; in float32 the products are exact.
            PRODUCT=tl.float32 if interpreted() else dtype,
            MODE=how,
            KERNEL=kernel,
            X_LAST=channels_last(first.x),
            W_LAST=channels_last(first.weight),
            BLOCK_H=sizes.block_h,
            BLOCK_W=sizes.block_w,
            BLOCK_IN=sizes.block_in,
            BLOCK_OUT=sizes.block_out,
            # Three tensor-core products for one: as exact as the float32 units, and faster.
            PRECISION="tf32x3",
            num_warps=sizes.warps,
            num_stages=sizes.stages,
            enable_fp_fusion=True,
        )
    del kept  # until here the table points to them
    return list(out.permute(0, 1, 4, 2, 3).unbind())
